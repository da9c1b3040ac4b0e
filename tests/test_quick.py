"""Each story runs with and without the quick path: both answer the same.

``steps`` returns a browser. Its next page must show and do the same with either path. Only the
number of statements may differ, so each story states it.
"""

import datetime
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.db import connection, transaction
from django.db.models import Model
from django.db.models.signals import post_init
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from accounts.managers import UserManager
from accounts.models import User
from multisession import request_user
from multisession.backends.db import SessionStore
from multisession.engine import quick
from multisession.ground import serialization, tokens
from multisession.models import Session
from multisession.models.tokens import Token
from tests.engine_urls import BACKEND, own_data
from tests.stories import COOKIE, Browser, session_of, signed_in, with_engine_urls

pytestmark = with_engine_urls

#: How a session is looked up: with the user in one statement; with a statement for the user.
TOGETHER, APART = "together", "apart"


class Story(NamedTuple):
    """What has happened, and whether the quick path may find the user with the session.

    ``path`` is said for AFTER_SIGN_OUT = "choose", ``then`` for "next" if it differs.
    """

    steps: Callable[..., Browser]
    path: str = TOGETHER
    then: str = ""


def visitor(ada, grace):
    browser = Browser()
    browser.put("cart", "book")
    return browser


def with_data(ada, grace):
    browser = signed_in(ada)
    browser.put("cart", "book")
    return browser


def twice(ada, grace):
    browser = signed_in(ada)
    browser.sign_in(ada)
    return browser


def back_to_the_first(ada, grace):
    browser = signed_in(ada, grace)
    browser.switch(ada)
    return browser


def signed_out(ada, grace):
    browser = signed_in(ada, grace)
    browser.sign_out()
    return browser


def flushed(ada, grace):
    browser = signed_in(ada, grace)
    browser.flush()
    return browser


def late(ada, grace):
    browser = signed_in(ada)
    late = browser.late()
    browser.sign_in(grace)
    browser.who()
    return late


def still_in_time(ada, grace):
    browser = signed_in(ada)
    late = browser.late()
    browser.sign_in(grace)
    return late


def just_added(ada, grace):
    browser = signed_in(ada)
    browser.sign_in(grace)
    return browser


def of_two_answers_the_second(ada, grace):
    browser = signed_in(ada)
    first = browser.late()
    browser.sign_in(grace)
    first.sign_in(grace)
    return first


def expired(ada, grace):
    browser = signed_in(ada)
    Session.objects.update(expire_at=timezone.now())
    return browser


def revoked(ada, grace):
    browser = signed_in(ada)
    session_of(ada).revoke()
    return browser


def moved_to_another_client(ada, grace):
    browser, other = signed_in(ada), signed_in(grace)
    assert other
    Session.objects.filter(user=ada).update(client=session_of(grace).client)
    return browser


def due_for_a_touch(ada, grace):
    browser = signed_in(ada)
    Session.objects.update(last_active_at=timezone.now() - timezone.timedelta(hours=1))
    return browser


def deactivated(ada, grace):
    browser = signed_in(ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    return browser


def deleted(ada, grace):
    browser = signed_in(ada, grace)
    User.objects.get(pk=grace.pk).delete()
    return browser


def deleted_by_hand(ada, grace):
    browser = signed_in(ada)
    User.objects.filter(pk=ada.pk)._raw_delete("default")
    return browser


def password_changed_elsewhere(ada, grace):
    browser = signed_in(ada)
    User.objects.filter(pk=ada.pk).update(password="another")
    return browser


def password_changed_here(ada, grace):
    browser = signed_in(ada)
    browser.post("/change-password/") if not browser.asynchronous else None
    return browser


def replaced(ada, grace):
    browser = signed_in(ada)
    browser.sign_in(grace, mode="replace")
    return browser


def rewritten(**changes: Any) -> Callable[..., Browser]:
    """Somebody wrote into the session's data what ``login()`` never would."""

    def steps(ada, grace):
        browser = signed_in(ada)
        session = session_of(ada)
        data = {**session.get_decoded(), **changes}
        data = {key: value for key, value in data.items() if value is not None}
        Session.objects.filter(pk=session.pk).update(session_data=serialization.dumps(data))
        return browser

    return steps


STORIES = {
    "no cookie": Story(lambda ada, grace: Browser()),
    "garbage": Story(lambda ada, grace: Browser("x")),
    "unknown": Story(lambda ada, grace: Browser("0" * 32)),
    "visitor": Story(visitor),
    "one account": Story(lambda ada, grace: signed_in(ada)),
    "with data": Story(with_data),
    "two accounts": Story(lambda ada, grace: signed_in(ada, grace)),
    "twice": Story(twice),
    "back to the first": Story(back_to_the_first),
    "signed out": Story(signed_out, then=APART),
    "flushed": Story(flushed, then=APART),
    "superseded": Story(late),
    "old, in time": Story(still_in_time),
    "just added": Story(just_added),
    "of two answers the second": Story(of_two_answers_the_second),
    "expired": Story(expired),
    "revoked": Story(revoked),
    "another client's": Story(moved_to_another_client),
    "due for a touch": Story(due_for_a_touch),
    "replaced": Story(replaced),
    "password changed here": Story(password_changed_here),
    # Where it is not plain that the user may act, Django's own look-up has the word.
    "deactivated": Story(deactivated, APART),
    "deleted": Story(deleted, then=APART),
    "deleted by hand": Story(deleted_by_hand, APART),
    "password changed elsewhere": Story(password_changed_elsewhere, APART),
    "no hash": Story(rewritten(_auth_user_hash=None), APART),
    "a hash of nothing": Story(rewritten(_auth_user_hash=""), APART),
    "an unknown backend": Story(rewritten(_auth_user_backend="gone.Backend")),
    "no backend": Story(rewritten(_auth_user_backend=None)),
    "another user": Story(rewritten(_auth_user_id="999999"), APART),
}


@contextmanager
def undone() -> Iterator[None]:
    """As if nothing had been: the second telling begins as the first one did."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def told(
    quickly: bool, steps: Callable[..., Browser], *users: User, tab: str = "", **how: Any
) -> dict[str, Any]:
    """What the next pages show and leave behind, and how many statements read a user.

    ``tab``: the prefix of the account whose tab it is.
    """
    ours = {**django_settings.MULTISESSION, **how, "_QUICK": quickly}
    engine = ADOPTING if "ADOPT_FROM" in how else django_settings.SESSION_ENGINE
    with undone(), override_settings(MULTISESSION=ours, SESSION_ENGINE=engine):
        browser = steps(*users)
        with CaptureQueriesContext(connection) as captured:
            page = browser.get(f"{tab}/who/")
        read = [q["sql"] for q in captured if q["sql"].startswith("SELECT")]
        table = f"FROM {connection.ops.quote_name('accounts_user')}"
        sent = page.cookies.get(COOKIE)
        return {
            "page": (page.status_code, page.content, page.headers.get("Vary")),
            "cookie": sent and (bool(sent.value), sent["max-age"]),
            "again": browser.get(f"{tab}/who/").content,
            "written": [
                browser.post(f"{tab}/put/later/x/").status_code,
                browser.get(f"{tab}/who/").content,
            ],
            "rows": [
                (row.user_id, row.status, own_data(row.get_decoded().items()))
                for row in Session.objects.order_by("pk")
            ],
            "tokens": Token.objects.count(),
            "apart": sum(table in statement for statement in read),
            "statements": len(read),
        }


def compare(steps: Callable[..., Browser], path: str, *users: User, **how: Any) -> dict[str, Any]:
    """Tell it to both; the answers are the same. Returns the quick path's."""
    fast, slow = (told(quickly, steps, *users, **how) for quickly in (True, False))
    if path == TOGETHER:
        assert fast.pop("apart") == 0
        assert fast.pop("statements") <= slow.pop("statements")
        slow.pop("apart")
    else:
        # (Under "next" the ordinary path may have to read a user for two questions.)
        assert 0 < fast.pop("apart") <= slow.pop("apart")
        assert fast.pop("statements") <= slow.pop("statements")
    assert fast == slow
    return fast


class TestBothPathsAnswerTheSame:
    @pytest.mark.parametrize("name", STORIES)
    @pytest.mark.parametrize("after", ["choose", "next"])
    def test_both_paths_answer_the_same_after_any_story(self, name, after, ada, grace):
        steps, path, then = STORIES[name]
        path = then if then and after == "next" else path
        compare(steps, path, ada, grace, AFTER_SIGN_OUT=after)

    @pytest.mark.parametrize("name", STORIES)
    @pytest.mark.parametrize("number", [1, 2])
    def test_both_paths_answer_the_same_in_the_tab_of_an_account(self, name, number, ada, grace):
        steps = STORIES[name].steps
        fast, slow = (
            told(quickly, steps, ada, grace, tab=f"/u/{number}", ACCOUNT_PATHS=True)
            for quickly in (True, False)
        )
        for counted in ("apart", "statements"):
            fast.pop(counted), slow.pop(counted)
        assert fast == slow


class OwnWay(ModelBackend):
    """A backend that finds users in a way of its own."""

    def get_user(self, user_id):
        return User.objects.exclude(name="Blocked").filter(pk=user_id).first()


class Lenient(ModelBackend):
    """One that lets deactivated users in, as Django's own AllowAllUsersModelBackend."""

    def user_can_authenticate(self, user):
        return True


class Kept(UserManager):
    """A default manager that hides some rows, as a soft delete does."""

    def get_queryset(self):
        return super().get_queryset().exclude(name="Blocked")


def blocked(ada, grace):
    browser = signed_in(ada)
    User.objects.filter(pk=ada.pk).update(name="Blocked", is_active=False)
    return browser


def by(backend: type) -> Callable[..., Browser]:
    return rewritten(_auth_user_backend=f"{__name__}.{backend.__name__}")


def one_account(ada, grace):
    return signed_in(ada)


@pytest.fixture
def backends(settings):
    names = [f"{__name__}.{backend.__name__}" for backend in (OwnWay, Lenient)]
    settings.AUTHENTICATION_BACKENDS = [BACKEND, *names]


def judge_anew(monkeypatch):
    """Let the quick path look at the user model as it is now."""
    for name in ("_is_plain", "_plain_user_model"):
        monkeypatch.setattr(quick, name, getattr(quick, name).__wrapped__)


class TestWhereItStepsAside:
    """Its session is found all the same; the user is Django's to find."""

    def test_a_backend_with_its_own_way(self, backends, ada, grace):
        assert b"ada" in compare(by(OwnWay), APART, ada, grace)["page"][1]

        def then_blocked(*users):
            browser = by(OwnWay)(*users)
            User.objects.update(name="Blocked")
            return browser

        assert b"ada" not in compare(then_blocked, APART, ada, grace)["page"][1]

    def test_a_backend_is_asked_whom_it_lets_in(self, backends, ada, grace):
        def then_deactivated(*users):
            browser = by(Lenient)(*users)
            User.objects.update(is_active=False)
            return browser

        assert b"ada" in compare(then_deactivated, TOGETHER, ada, grace)["page"][1]

    def test_a_default_manager_that_hides(self, monkeypatch, ada, grace):
        manager = Kept()
        manager.contribute_to_class(User, "kept")
        monkeypatch.setitem(User._meta.__dict__, "default_manager", manager)
        judge_anew(monkeypatch)
        assert b"ada" in compare(one_account, APART, ada, grace)["page"][1]
        assert b"ada" not in compare(blocked, APART, ada, grace)["page"][1]

    def test_a_model_with_its_own_way_to_be_made(self, monkeypatch, ada, grace):
        made = classmethod(
            lambda cls, *args, **kwargs: Model.from_db.__func__(cls, *args, **kwargs)
        )
        monkeypatch.setattr(User, "from_db", made)
        judge_anew(monkeypatch)
        assert b"ada" in compare(one_account, APART, ada, grace)["page"][1]

    def test_users_in_another_database(self, monkeypatch, ada, grace):
        elsewhere = mock.Mock(db_for_write=lambda model: "users" if model is User else "default")
        monkeypatch.setattr(quick, "router", elsewhere)
        assert b"ada" in compare(one_account, APART, ada, grace)["page"][1]

    def test_a_database_that_it_was_not_tried_on(self, monkeypatch, ada):
        monkeypatch.setattr(quick, "VENDORS", ())
        monkeypatch.setattr(quick, "_is_known", quick._is_known.__wrapped__)
        browser = signed_in(ada)
        with CaptureQueriesContext(connection) as captured:
            assert browser.who() == "ada"
        assert len(captured) == 2

    def test_a_key_of_the_server_that_has_been_replaced(self, settings, ada, grace):
        """Django's own function renews the session's hash, and its key."""

        def steps(*users):
            with override_settings(SECRET_KEY="the old one"):
                return signed_in(ada)

        settings.SECRET_KEY_FALLBACKS = ["the old one"]
        assert b"ada" in compare(steps, APART, ada, grace)["page"][1]

    def test_somebody_elses_request_user_is_left_alone(self, rf, ada):
        request = rf.get("/")
        request.user = theirs = SimpleLazyObject(lambda: ada)
        request_user.install(request)
        assert request.__dict__["user"] is theirs


ADOPTING = "multisession.backends.adopting"
STOCK = "django.contrib.sessions.backends.db"


def of_the_old_engine(ada, grace):
    """A browser whose session the project's former engine has made."""
    old = import_module(STOCK).SessionStore()
    old.update(
        {
            "_auth_user_id": str(ada.pk),
            "_auth_user_backend": BACKEND,
            "_auth_user_hash": ada.get_session_auth_hash(),
            "cart": "book",
        }
    )
    old.create()
    return Browser(old.session_key)


def taken_over(ada, grace):
    with override_settings(SESSION_ENGINE=ADOPTING, MULTISESSION={"ADOPT_FROM": STOCK}):
        browser = of_the_old_engine(ada, grace)
        assert browser.page() == {"user": "ada", "data": {"cart": "book"}}
    return browser


class TestTakenOverFromAnotherEngine:
    def test_the_first_page_of_an_adopted_session_is_the_same(self, ada, grace):
        page = compare(of_the_old_engine, APART, ada, grace, ADOPT_FROM=STOCK)["page"]
        assert b"ada" in page[1]
        assert b"book" in page[1]

    @pytest.mark.parametrize("adopt_from", [STOCK, None])
    def test_every_page_after_a_session_was_adopted(self, adopt_from, ada, grace):
        assert b"ada" in compare(taken_over, TOGETHER, ada, grace, ADOPT_FROM=adopt_from)["page"][1]

    def test_signed_out_by_an_old_worker(self, ada, grace):
        def then_signed_out(*users):
            browser = taken_over(*users)
            import_module(STOCK).SessionStore(browser.cookie).delete()
            return browser

        # (The audit trail asks for the name of whom it tells of.)
        page = compare(then_signed_out, APART, ada, grace, ADOPT_FROM=STOCK)["page"]
        assert b"ada" not in page[1]


class TestTheInstancesAreDjangosOwn:
    """What the quick path makes of a row is what the ORM makes of it."""

    def both(self, ada):
        browser = signed_in(ada)
        digest = tokens.digest(browser.cookie)
        found = quick.find("default", digest)
        related = Token.objects.select_related("session__user").get(digest=digest)
        return (
            (found.token, related),
            (found.token.session, related.session),
            (found.user, related.session.user),
        )

    def test_instances_equal_djangos_by_value_and_by_type(self, ada):
        for mine, djangos in self.both(ada):
            assert type(mine) is type(djangos)
            for field in djangos._meta.concrete_fields:
                mine_is, djangos_is = (getattr(row, field.attname) for row in (mine, djangos))
                assert (mine_is, type(mine_is)) == (djangos_is, type(djangos_is)), field
            assert not mine.get_deferred_fields()
            assert vars(mine).keys() == vars(djangos).keys()
            assert (mine._state.adding, mine._state.db) == (False, "default")

    def test_an_instance_can_be_saved_and_read_again(self, ada):
        _token, (session, _), (user, _) = self.both(ada)
        user.name = "Ada, Countess of Lovelace"
        user.save()
        session.refresh_from_db()
        assert User.objects.get(pk=ada.pk).name == user.name

    def test_whoever_listens_hears_of_each(self, ada):
        signed_in(ada)
        heard = []

        def listen(sender, **kwargs):
            heard.append(sender)

        post_init.connect(listen, sender=User)
        try:
            _token, _session, (user, _) = self.both(ada)
        finally:
            post_init.disconnect(listen, sender=User)
        assert User in heard
        assert user == ada

    @pytest.mark.parametrize("name", ["__init__", "__setattr__"])
    def test_a_model_with_a_constructor_of_its_own_is_made_by_it(self, name, monkeypatch, ada):
        made, djangos = [], getattr(User, name)

        def own(self, *args, **kwargs):
            made.append(args)
            djangos(self, *args, **kwargs)

        browser = signed_in(ada)
        monkeypatch.setattr(User, name, own)
        quick._finding.cache_clear()
        try:
            assert browser.who() == "ada"
        finally:
            quick._finding.cache_clear()
        assert made

    @pytest.mark.parametrize("zone", [datetime.UTC, ZoneInfo("Europe/Berlin"), None])
    @pytest.mark.parametrize("fold", [0, 1])
    def test_a_time_of_sqlite(self, zone, fold):
        naive = datetime.datetime(2026, 10, 25, 2, 30, 15, 123456, fold=fold)
        known = naive.replace(tzinfo=datetime.UTC)
        there = mock.Mock(timezone=zone)
        there.ops.convert_datetimefield_value = lambda value, column, connection: ("asked", value)
        found = quick._time_of_sqlite(naive, None, there)
        assert (found, found.tzinfo, found.fold) == (naive.replace(tzinfo=zone), zone, fold)
        assert quick._time_of_sqlite(None, None, there) is None
        for other in (known, "2026-10-25 02:30:15"):
            assert quick._time_of_sqlite(other, None, there) == ("asked", other)


class TestInACoroutine:
    @pytest.mark.parametrize("name", ["no cookie", "one account", "two accounts", "just added"])
    def test_a_coroutine_gets_the_same_page(self, name, ada, grace):
        browser = STORIES[name].steps(ada, grace)
        there = Browser(browser.cookie, asynchronous=True)
        assert there.page() == Browser(browser.cookie).page()

    def test_a_page_of_a_coroutine_costs_one_statement(self, ada, django_assert_num_queries):
        there = Browser(signed_in(ada).cookie, asynchronous=True)
        with django_assert_num_queries(1):
            assert there.who() == "ada"

    def test_a_deactivated_user_is_nobody(self, ada, grace):
        there = Browser(deactivated(ada, grace).cookie, asynchronous=True)
        assert there.who() == ""


def test_a_flush_before_anybody_asked_for_the_user(rf, ada):
    """Who looks after the session was emptied sees nobody, whatever was found with it before."""
    request = rf.get("/")
    request.session = SessionStore(signed_in(ada).cookie)
    request.session.request = request
    AuthenticationMiddleware(lambda request: None).process_request(request)
    request_user.install(request)
    assert request.session["_auth_user_id"] == str(ada.pk)
    request.session.flush()
    assert not request.user.is_authenticated
