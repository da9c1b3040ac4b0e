"""The cookie's attributes, the queries of a page, and secrets in answers and logs."""

import logging
import re
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from multisession.engine import steps
from multisession.ground import tokens
from multisession.middleware import SessionMiddleware
from multisession.models import Session
from multisession.models.tokens import Token
from tests.stories import (
    COOKIE,
    NOBODY,
    Browser,
    digests,
    later,
    session_of,
    settled,
    signed_in,
    silent,
    with_engine_urls,
)

pytestmark = with_engine_urls

TWO_WEEKS = 14 * 24 * 60 * 60
COOKIE_AGE = 400 * 24 * 60 * 60


class TestCookie:
    def test_the_cookies_attributes_are_the_safest_that_work_without_tls(self, ada):
        cookie = Browser().sign_in(ada).cookies[COOKIE]
        assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == ("/", True, "Lax")
        assert (cookie["secure"], cookie["domain"]) == ("", "")
        assert cookie["max-age"] == COOKIE_AGE
        assert cookie["expires"]

    def test_the_cookies_attributes_are_djangos_settings(self, ada, settings):
        settings.SESSION_COOKIE_SECURE = True
        settings.SESSION_COOKIE_HTTPONLY = False
        settings.SESSION_COOKIE_SAMESITE = "Strict"
        settings.SESSION_COOKIE_PATH = "/app"
        settings.SESSION_COOKIE_DOMAIN = "example.com"
        cookie = Browser().sign_in(ada).cookies[COOKIE]
        assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, "", "Strict")
        assert (cookie["path"], cookie["domain"]) == ("/app", "example.com")

    def test_the_cookie_is_deleted_where_it_was_set(self, ada, settings):
        settings.SESSION_COOKIE_PATH = "/app"
        settings.SESSION_COOKIE_DOMAIN = "example.com"
        firefox = signed_in(ada)
        cookie = firefox.verb("sign_out_all").cookies[COOKIE]
        assert (cookie["max-age"], cookie.value) == (0, "")
        assert (cookie["path"], cookie["domain"]) == ("/app", "example.com")
        assert cookie["samesite"] == "Lax"

    def test_the_cookies_name_is_djangos_setting(self, ada, settings):
        settings.SESSION_COOKIE_NAME = "__Host-sessionid"
        response = Browser().sign_in(ada)
        assert set(response.cookies) >= {"__Host-sessionid"}
        assert COOKIE not in response.cookies

    def test_the_cookie_does_not_grow_with_the_number_of_accounts(self, django_user_model):
        firefox, sizes = Browser(), set()
        for number in range(10):
            user = django_user_model.objects.create_user(f"user{number}@example.com")
            answer = firefox.sign_in(user)
            sizes.add(len(answer.cookies[COOKIE].OutputString()))
        assert len(firefox.accounts()) == 10
        assert len(sizes) == 1

    def test_an_unchanged_value_is_not_sent_again(self, ada):
        firefox = signed_in(ada)
        for response in (firefox.get("/who/"), firefox.put("theirs"), firefox.get("/list/")):
            assert silent(response)

    def test_save_every_request_renews_the_cookie_for_the_current_value_only(
        self, ada, grace, settings
    ):
        settings.SESSION_SAVE_EVERY_REQUEST = True
        firefox = signed_in(ada)
        late = firefox.late()
        assert not silent(firefox.get("/who/"))
        firefox.sign_in(grace)
        assert silent(late.get("/who/"))
        firefox.who()
        assert silent(late.get("/who/"))
        assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])

    def test_an_account_until_the_browser_closes_makes_a_browser_session_cookie(self, ada, grace):
        firefox = Browser()
        assert firefox.sign_in(ada, expiry=0).cookies[COOKIE]["max-age"] == ""
        assert firefox.sign_in(grace, expiry=TWO_WEEKS).cookies[COOKIE]["max-age"] == ""
        assert silent(firefox.sign_out())
        answer = firefox.verb("sign_out", firefox.id_of(ada))
        assert answer.cookies[COOKIE]["max-age"] == COOKIE_AGE
        assert answer.cookies[COOKIE].value == firefox.cookie

    def test_adding_an_account_until_the_browser_closes_makes_a_browser_session_cookie(
        self, ada, grace
    ):
        firefox = signed_in(grace)
        assert firefox.sign_in(ada, expiry=0).cookies[COOKIE]["max-age"] == ""
        assert silent(firefox.switch(grace))

    def test_the_cookie_outlives_every_session(self, ada):
        answer = Browser().sign_in(ada, expiry=2 * COOKIE_AGE)
        assert answer.cookies[COOKIE]["max-age"] == pytest.approx(2 * COOKIE_AGE, abs=2)

    def test_djangos_own_setting_makes_a_browser_session_cookie(self, ada, settings):
        settings.SESSION_EXPIRE_AT_BROWSER_CLOSE = True
        assert Browser().sign_in(ada).cookies[COOKIE]["max-age"] == ""


class TestExpiry:
    def test_each_account_has_its_own_expiry(self, ada, grace):
        firefox = Browser()
        firefox.sign_in(ada, expiry=60)
        firefox.sign_in(grace, expiry=6000)
        lives = [
            round((session_of(user).expire_at - session_of(user).created_at).total_seconds())
            for user in (ada, grace)
        ]
        assert lives == [60, 6000]

    def test_an_expiry_can_be_changed_later(self, ada):
        firefox = signed_in(ada)
        firefox.post("/set-expiry/5/")
        session = session_of(ada)
        assert (session.expire_at - session.created_at).total_seconds() < 60


class TestVary:
    @pytest.mark.parametrize("path", ["/who/", "/who-by-sid/", "/list/"])
    def test_a_page_that_read_the_account_varies_on_the_cookie(self, ada, path):
        for browser in (Browser(), signed_in(ada)):
            assert "Cookie" in browser.get(path)["Vary"]

    def test_a_page_that_did_not_read_the_account_does_not_vary(self, ada):
        assert "Cookie" not in signed_in(ada).get("/nothing/").headers.get("Vary", "")


def said(do: Callable[[], Any]) -> list[str]:
    """What is said to the database meanwhile, transactions apart: the verb and the first table.

    Without the question that MariaDB alone is asked before a lock: which rows (``_keys``).
    """
    with CaptureQueriesContext(connection) as captured:
        do()
    around = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
    statements = [query["sql"] for query in captured if not query["sql"].startswith(around)]
    if connection.vendor == "mysql":
        keys = "SELECT `multisession_session`.`id` AS `pk` FROM"
        statements = [text for text in statements if not text.startswith(keys)]
    tables = [re.search(r"(?:multisession|accounts)_(\w+)", text) for text in statements]
    return [
        f"{text.split()[0]} {table and table[1]}"
        for text, table in zip(statements, tables, strict=True)
    ]


class TestQueries:
    """Pages and session writes cost what they cost under Django's own engine."""

    @pytest.fixture(params=[1, 9])
    def firefox(self, request, django_user_model):
        browser = Browser()
        for number in range(request.param):
            user = django_user_model.objects.create_user(f"user{number}@example.com")
            browser.sign_in(user)
        return settled(browser)

    def test_a_page_that_touches_nothing_costs_nothing(self, firefox, django_assert_num_queries):
        with django_assert_num_queries(0):
            firefox.get("/nothing/")

    @pytest.mark.parametrize("path", ["/who/", "/who-by-sid/", "/form/"])
    def test_a_signed_in_page_costs_one_query(self, firefox, django_assert_num_queries, path):
        with django_assert_num_queries(1):
            firefox.get(path)

    def test_the_list_of_accounts_costs_one_more_query(self, firefox, django_assert_num_queries):
        with django_assert_num_queries(3):  # (It names the client, too.)
            firefox.get("/list/")

    def test_a_session_write_costs_one_update_more(self, firefox, django_assert_num_queries):
        with django_assert_num_queries(2):
            firefox.put("theirs")

    def test_saving_what_is_there_already_writes_nothing(self, firefox, django_assert_num_queries):
        firefox.put("theirs", "yes")
        with django_assert_num_queries(1):
            firefox.put("theirs", "yes")
        assert firefox.get("/who/").json()["data"]["theirs"] == "yes"
        with django_assert_num_queries(2):
            firefox.put("theirs", "no")
        assert firefox.get("/who/").json()["data"]["theirs"] == "no"

    def test_writes_with_a_short_expiry_keep_the_session_alive(self, ada):
        firefox = signed_in(ada)
        firefox.get("/set-expiry/30/")
        for seconds in (20, 40, 60, 80):
            with later(seconds=seconds):
                firefox.put("theirs")
                assert firefox.who() == "ada"
        with later(seconds=111):
            assert firefox.who() == NOBODY

    @pytest.fixture
    def grown(self, firefox):
        """With one account more, which is the active one now."""
        firefox.sign_in(User.objects.create_user("one-more@example.com"))
        return settled(firefox)

    def test_a_switch_does_not_cost_more_with_more_accounts(self, grown):
        sid = grown.id_of(User.objects.first())
        assert said(lambda: grown.verb("set_active", sid)) == [
            "SELECT token",  # whose it is
            "SELECT session",  # the accounts here
            "UPDATE session",  # whether it is live, and when it was used last
            "UPDATE token",  # the pointer
            "INSERT event",
        ]

    def test_signing_out_of_another_account_costs_the_same_for_any_number(self, grown):
        sid = grown.id_of(User.objects.first())
        assert said(lambda: grown.verb("sign_out", sid)) == [
            "SELECT token",
            "SELECT session",
            "SELECT client",  # locked
            "UPDATE session",
            "INSERT event",
        ]

    def test_signing_out_of_the_active_account_costs_the_same_for_any_number(self, grown):
        assert said(grown.sign_out) == [
            "SELECT token",
            "SELECT client",  # locked
            "UPDATE session",
            "INSERT event",
        ]

    def test_signing_out_of_all_costs_the_same_for_any_number(self, firefox):
        assert said(lambda: firefox.verb("sign_out_all")) == [
            "SELECT token",
            "SELECT session",  # the newest: what comes later has not signed out
            "SELECT client",  # locked
            "SELECT session",  # locked
            "SELECT session",  # with the names for the trail
            "UPDATE session",
            "INSERT event",
            "SELECT session",  # what is remembered
            "DELETE session",  # visitors' data
            "SELECT session",  # whether anything is left
            "SELECT client",  # locked
            "SELECT token",
            "SELECT token",  # whether another one follows it
            "UPDATE token",  # which ends
        ]

    def test_the_first_page_after_a_first_sign_in_costs_one_write(
        self, ada, django_assert_num_queries
    ):
        firefox = Browser()
        firefox.sign_in(ada)
        with django_assert_num_queries(1):
            firefox.get("/who/")

    def test_the_first_page_after_an_add_notes_that_its_cookie_has_arrived(
        self, ada, grace, django_assert_num_queries
    ):
        firefox = signed_in(ada)
        firefox.sign_in(grace)
        assert said(firefox.who) == [
            "SELECT token",
            "SELECT token",  # its ancestors
            "UPDATE token",  # which end in a day
            "UPDATE token",  # it has been presented
        ]
        with django_assert_num_queries(1):
            firefox.get("/who/")

    def test_activity_is_noted_once_in_its_interval(self, firefox):
        with later(seconds=59):
            assert said(firefox.who) == ["SELECT token"]
        with later(seconds=61):
            assert said(firefox.who) == ["SELECT token", "UPDATE session"]
            assert said(firefox.who) == ["SELECT token"]
            assert said(lambda: firefox.get("/nothing/")) == []

    def test_activity_is_noted_with_what_is_written_anyway(self, firefox):
        with later(seconds=61):
            assert said(lambda: firefox.put("theirs")) == ["SELECT token", "UPDATE session"]
            assert said(firefox.who) == ["SELECT token"]

    @pytest.mark.parametrize("path", ["/who/", "/who-by-sid/", "/form/"])
    @pytest.mark.parametrize("cookie", ["", "x", "0" * 31, "0" * 33, "A" * 32, "'; --" + "0" * 27])
    def test_a_malformed_cookie_costs_nothing(self, db, cookie, path):
        assert said(lambda: Browser(cookie).get(path)) == []

    @pytest.mark.parametrize("path", ["/who/", "/who-by-sid/", "/form/"])
    def test_a_cookie_that_opens_nothing_costs_one_query(self, ada, grace, path):
        def expired(browser):
            Session.objects.update(expire_at=timezone.now())

        def ended(browser):
            browser.late().sign_out()

        def forgotten(browser):
            browser.late().verb("sign_out_all")

        def revoked(browser):
            session_of(ada).revoke()

        def superseded(browser):
            newer = browser.late()
            newer.sign_in(grace)
            settled(newer)

        stories = [expired, ended, forgotten, revoked, superseded]
        browsers = [Browser("0" * 32)]
        for happens in stories:
            browsers.append(signed_in(ada))
            happens(browsers[-1])
        for browser in browsers:
            browser.who()
            seen = said(lambda: browser.get(path))  # noqa: B023
            # (Nobody's CSRF token on a browser that we know is that of the client.)
            assert [text for text in seen if text != "SELECT client"] == ["SELECT token"]
            assert browser.who() == NOBODY

    def test_nothing_changed_is_nothing_written(self, ada):
        firefox = signed_in(ada)
        before = list(Session.objects.values()), list(Token.objects.values())
        for path in ("/who/", "/list/", "/form/", "/messages/"):
            firefox.get(path)
        assert (list(Session.objects.values()), list(Token.objects.values())) == before


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_switch_that_came_too_late_is_to_be_tried_again(ada, grace, asynchronous):
    """Where the project's view does not catch what the verb raises."""
    browser = signed_in(ada, grace, asynchronous=asynchronous)
    too_late = mock.patch("multisession.engine.steps.switch", side_effect=steps.Refused)
    with mock.patch("tests.engine_urls.REFUSALS", ()), too_late:
        answer = browser.switch(ada)
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert (browser.who(), browser.accounts()) == ("grace", ["ada", "grace"])
    assert browser.switch(ada).status_code == 200


class TestOtherEngines:
    """Under an engine that is not ours the middleware is Django's."""

    @pytest.fixture(autouse=True)
    def _signed_cookies(self, settings):
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"

    def test_a_session_works_as_in_django(self, ada):
        firefox = Browser()
        firefox.sign_in(ada)
        assert firefox.get("/who/").json()["user"] == "ada"
        firefox.sign_out()
        assert firefox.get("/who/").json()["user"] == NOBODY
        assert Session.objects.count() == 0


def test_a_request_without_a_session_passes():
    """A middleware above ours may answer before the request has got one."""
    middleware = SessionMiddleware(lambda request: HttpResponse())
    request = RequestFactory().get("/")
    assert middleware.process_response(request, HttpResponse()).status_code == 200


def test_a_request_made_by_hand_is_read_by_its_cookies(ada):
    """A RequestFactory in a project's tests writes no header."""
    request = HttpRequest()
    request.COOKIES[COOKIE] = signed_in(ada).cookie
    SessionMiddleware(lambda request: HttpResponse()).process_request(request)
    assert request.session.row == session_of(ada)


class TestNothingSecret:
    """No cookie value and no hash of one in logs and error pages."""

    @pytest.fixture
    def secrets(self, ada, grace):
        firefox = signed_in(ada, grace)

        def known() -> list[str]:
            return [firefox.cookie, tokens.digest(firefox.cookie), *digests()]

        return firefox, known

    def test_no_secret_is_in_log_lines(self, secrets, ada, alan, caplog):
        firefox, known = secrets
        seen = set(known())
        with caplog.at_level(logging.DEBUG):
            late = firefox.late()
            firefox.switch(ada)
            firefox.who()
            late.put("late")
            late.sign_in(alan)
            firefox.get("/explode/")
            firefox.verb("set_active", "sess_x")
            firefox.sign_out(status=500)
            Browser("0" * 32).get("/nowhere/")
            seen |= {late.cookie, *known()}
            firefox.verb("sign_out_all")
        assert caplog.records
        for text in (caplog.text, *(str(record.__dict__) for record in caplog.records)):
            assert not any(secret in text for secret in seen)

    @pytest.mark.parametrize("debug", [False, True])
    @pytest.mark.parametrize("path", ["/explode/", "/nowhere/", "/multisession/menu/"])
    def test_no_secret_is_on_error_pages(self, secrets, settings, debug, path):
        firefox, known = secrets
        settings.DEBUG = debug
        page = firefox.get(path).content.decode()
        assert page
        assert not any(secret in page for secret in known())

    def test_no_secret_is_on_the_error_page_of_a_superseded_request(self, secrets, settings, ada):
        firefox, known = secrets
        settings.DEBUG = True

        def meanwhile(request):
            request.session.get("early")
            Session.objects.visitors().delete()

        late = Browser()
        late.put("early")
        with mock.patch("tests.engine_urls.meanwhile", meanwhile):
            response = late.post("/slow-put/late/1/")
        assert response.status_code == 400
        assert not any(secret in response.content.decode() for secret in [late.cookie, *known()])
