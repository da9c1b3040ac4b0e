"""The engine with a cache: it saves queries, and never shows an outdated session."""

import os
import socket
from datetime import timedelta
from unittest import mock

import pytest
from django.core.cache import caches
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from multisession.backends import cached_db
from multisession.ground import tokens
from multisession.models import Event, Session
from multisession.models.tokens import Token

from .conftest import PASSWORD
from .stories import Browser, later, session_of, signed_in, silent

pytestmark = pytest.mark.django_db(transaction=True)
#: A test clears its whole database, so tests that run side by side have one each.
REDIS = "redis://127.0.0.1:6379/" + str(
    9 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 7
)
NOWHERE = "redis://127.0.0.1:1/0"


def redis_answers():
    try:
        socket.create_connection(("127.0.0.1", 6379), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture(params=["memory", "redis", "memory, and no quick path"])
def cache(request, settings):
    name, _, slowly = request.param.partition(", ")
    settings.MULTISESSION = {**settings.MULTISESSION, "_QUICK": not slowly}
    backends = {
        "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "redis": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS,
            "KEY_PREFIX": "multisession-tests",
        },
    }
    if name == "redis" and not redis_answers():
        pytest.skip("no Redis answers on 127.0.0.1:6379")
    settings.CACHES = {"default": backends[name]}
    settings.SESSION_ENGINE = "multisession.backends.cached_db"
    caches["default"].clear()
    yield caches["default"]
    caches["default"].clear()


def sign_in(*users):
    browser = Client()
    for user in users:
        browser.force_login(user)
        whoami(browser)
    return browser


def cached(browser):
    """The same browser, its session now in the cache."""
    caches["default"].clear()  # of the tombstones that signing in left
    whoami(browser)
    return browser


def whoami(browser):
    return browser.get("/whoami").json()["user"]


def test_a_page_reads_the_session_from_the_cache(cache, ada, django_assert_num_queries):
    browser = cached(sign_in(ada))
    with django_assert_num_queries(1):  # the user
        assert whoami(browser) == ada.email


def test_the_user_of_the_page_is_found_by_a_statement_that_is_compiled_once(
    cache, ada, settings, monkeypatch
):
    if not settings.MULTISESSION["_QUICK"]:
        pytest.skip("It is off.")
    browser = cached(sign_in(ada))
    compiled = mock.Mock(side_effect=AssertionError("compiled again"))
    whoami(browser)
    monkeypatch.setattr("django.db.models.sql.compiler.SQLCompiler.as_sql", compiled)
    assert whoami(browser) == ada.email


def test_an_entry_of_another_release_is_not_taken_for_ours(cache, ada, django_assert_num_queries):
    """Its columns may be others, or in another order."""
    browser = cached(sign_in(ada))
    key = f"multisession:{tokens.digest(browser.cookies['sessionid'].value.partition('.')[0])}"
    (of_token, of_session), token, session = cache.get(key)
    assert not any(isinstance(value, Model) for value in (*token, *session))
    swapped = (of_token[1], of_token[0], *of_token[2:])
    for entry in (((swapped, of_session), token, session), (), ("columns",), [1], Token()):
        cache.set(key, entry)
        with CaptureQueriesContext(connection) as captured:
            assert whoami(browser) == ada.email
        assert any("FROM" in q["sql"] and "multisession_token" in q["sql"] for q in captured)
    cache.delete(key)
    whoami(browser)
    with django_assert_num_queries(1):
        assert whoami(browser) == ada.email


@pytest.mark.urls("tests.engine_urls")
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_page_of_a_coroutine_costs_one_statement(
    cache, ada, asynchronous, django_assert_num_queries
):
    cookie = signed_in(ada).cookie
    cache.clear()
    browser = Browser(cookie, asynchronous=asynchronous)
    browser.who()
    with django_assert_num_queries(1):
        assert browser.who() == "ada"
    type(ada).objects.update(is_active=False)
    assert browser.who() == ""


def test_written_session_data_is_read_through_the_cache(cache, ada):
    browser = cached(sign_in(ada))
    for text in ("one", "two", "three"):
        browser.post("/note", {"note": text})
        assert browser.get("/whoami").json()["note"] == text


def test_the_cache_keeps_accounts_apart(cache, ada, grace):
    browser = cached(sign_in(ada))
    browser.post("/note", {"note": "of Ada"})
    whoami(browser)
    browser.force_login(grace)
    assert browser.get("/whoami").json() | {"sid": ""} == {
        "user": grace.email,
        "sid": "",
        "note": "",
    }


def test_a_revoked_session_ends_at_the_next_request(cache, ada):
    browser = cached(sign_in(ada))
    Session.objects.get().revoke()
    assert whoami(browser) is None


def test_signing_out_ends_the_account_for_a_kept_cookie(cache, ada):
    browser = cached(sign_in(ada))
    kept = browser.cookies["sessionid"].value
    browser.post("/multisession/sign-out/", {"session": Session.objects.get().public_id})
    browser.cookies["sessionid"] = kept
    assert whoami(browser) is None


def test_an_old_cookie_goes_on_until_its_successor_has_arrived_for_good(cache, ada, grace):
    browser = cached(sign_in(ada))
    old = Client()
    old.cookies["sessionid"] = browser.cookies["sessionid"].value
    browser.force_login(grace)
    assert (whoami(browser), whoami(old)) == (grace.email, ada.email)
    with later(seconds=61):
        assert (whoami(browser), whoami(old)) == (grace.email, None)


@pytest.mark.urls("tests.engine_urls")
def test_a_successor_that_is_in_the_cache_settles(cache, ada, grace):
    firefox = signed_in(ada)
    old = firefox.late()
    firefox.sign_in(grace)
    firefox.who()
    cache.clear()
    assert [firefox.who(), old.who()] * 2 == ["grace", "ada"] * 2  # and both are in the cache now
    with later(seconds=61):
        assert (firefox.who(), old.who()) == ("grace", "")
    assert Event.objects.filter(kind="reused").count() == 2


@pytest.mark.urls("tests.engine_urls")
def test_a_switch_and_a_sign_out_show_on_the_next_page_of_the_same_cookie(cache, ada, grace):
    firefox = signed_in(ada, grace)
    tab = firefox.late()
    for user, name in ((ada, "ada"), (grace, "grace"), (ada, "ada")):
        cache.clear()
        assert firefox.who() == tab.who()
        assert silent(firefox.switch(user))
        assert (firefox.who(), tab.who()) == (name, name)
    cache.clear()
    tab.who()
    assert silent(firefox.sign_out())
    assert (firefox.who(), tab.who()) == ("", "")


@pytest.mark.urls("tests.engine_urls")
def test_a_change_is_never_made_as_the_account_that_the_cache_says(cache, ada, grace):
    """A cache may be behind for a moment; then a page may be, and nothing else."""
    firefox = signed_in(ada, grace)
    cache.clear()
    firefox.who()
    key = f"multisession:{tokens.digest(firefox.cookie)}"
    stale = cache.get(key)
    firefox.switch(ada)
    cache.set(key, stale)
    assert firefox.who() == "grace"  # the stale page
    firefox.put("note")
    assert session_of(ada).get_decoded()["note"] == "1"
    assert "note" not in session_of(grace).get_decoded()


@pytest.mark.urls("tests.engine_urls")
def test_a_switch_changes_the_cookie_if_the_cache_could_not_be_told(cache, ada, grace, monkeypatch):
    firefox = signed_in(ada, grace)
    cache.clear()
    tab = firefox.late()
    tab.who()
    failing = mock.Mock(side_effect=ConnectionError)
    monkeypatch.setattr(type(cache), "set_many", failing)
    assert not silent(firefox.switch(ada))
    assert failing.called
    assert firefox.cookie != tab.cookie
    assert (firefox.who(), firefox.accounts()) == ("ada", ["ada", "grace"])


@pytest.mark.urls("tests.engine_urls")
def test_a_copy_of_the_cookie_shows_nobody_at_once_after_a_password_change(cache, ada, grace):
    firefox = signed_in(ada, grace)
    copy = firefox.late()
    cache.clear()
    assert copy.who() == "grace"
    firefox.post("/change-password/")
    assert (copy.who(), copy.accounts()) == ("", ["ada"])
    assert firefox.who() == "grace"


def test_a_changed_password_counts_at_once(cache, ada):
    browser = cached(sign_in(ada))
    ada.set_password(PASSWORD + "!")
    ada.save()
    assert whoami(browser) is None


def test_a_deactivated_user_counts_at_once(cache, ada):
    browser = cached(sign_in(ada))
    type(ada).objects.update(is_active=False)
    assert whoami(browser) is None


def test_a_deleted_user_counts_at_once(cache, ada):
    browser = cached(sign_in(ada))
    ada.delete()
    assert whoami(browser) is None


def test_a_cached_session_expires_in_time(cache, ada, monkeypatch):
    browser = cached(sign_in(ada))
    later = timezone.now() + timedelta(days=15)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert whoami(browser) is None


def test_a_slow_reader_cannot_put_back_what_has_been_revoked(cache, ada, monkeypatch):
    """The villain's race: read the row, wait for the revocation, then fill the cache."""
    browser = sign_in(ada)
    cache.clear()
    fetch = cached_db.store.SessionStore._fetch

    def fetch_and_dawdle(store, digest, number):
        found = fetch(store, digest, number)
        Session.objects.get().revoke()
        return found

    monkeypatch.setattr(cached_db.store.SessionStore, "_fetch", fetch_and_dawdle)
    whoami(browser)
    monkeypatch.undo()
    assert whoami(browser) is None


def test_no_secret_is_in_the_cache(cache, ada, monkeypatch):
    keys = []
    add = type(cache).add
    monkeypatch.setattr(
        type(cache),
        "add",
        lambda self, key, *args, **kw: keys.append(key) or add(self, key, *args, **kw),
    )
    browser = sign_in(ada)
    assert keys
    assert not any(browser.cookies["sessionid"].value in key for key in keys)


def test_without_the_cache_the_site_works_at_database_speed(
    ada, settings, django_assert_num_queries, caplog
):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": NOWHERE,
        }
    }
    settings.SESSION_ENGINE = "multisession.backends.cached_db"
    browser = sign_in(ada)
    browser.post("/note", {"note": "kept"})
    with django_assert_num_queries(1):
        assert browser.get("/whoami").json()["note"] == "kept"
    assert "does not answer" in caplog.text
    assert browser.cookies["sessionid"].value not in caplog.text
