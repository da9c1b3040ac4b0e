"""``MAX_SESSIONS_PER_USER``: on how many browsers an account may be signed in at once."""

import threading
from contextlib import suppress

import pytest
from django.contrib.auth import login
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client as Http
from django.urls import path
from django.utils import timezone

from accounts.models import User
from config.urls import urlpatterns as demo_urls
from multisession import actions, signals
from multisession.conf import settings as ours
from multisession.ground.attempts import Busy
from multisession.models import Event, Session
from multisession.models.user_locks import UserLock
from tests.conftest import PASSWORD
from tests.stories import (
    NOBODY,
    Browser,
    later,
    listening,
    session_of,
    signed_in,
    statuses,
    with_engine_urls,
)
from tests.test_concurrency import BACKEND, PATIENCE, ask, in_threads, is_strict, look, view

pytestmark = with_engine_urls

urlpatterns = [path("", view), *demo_urls]


@pytest.fixture
def two(settings):
    settings.MULTISESSION = {"MAX_SESSIONS_PER_USER": 2}


@pytest.fixture
def two_at_most(settings):
    settings.MULTISESSION = {"MAX_SESSIONS_PER_USER": 2, "AT_SESSION_LIMIT": "refuse"}


@pytest.mark.parametrize("value", [0, -1, True, "2", 1.5])
def test_a_limit_that_is_none_is_refused(settings, value):
    settings.MULTISESSION = {"MAX_SESSIONS_PER_USER": value}
    with pytest.raises(ImproperlyConfigured, match="MAX_SESSIONS_PER_USER"):
        ours.MAX_SESSIONS_PER_USER  # noqa: B018


def test_without_the_setting_there_is_no_limit_and_no_lock(ada):
    browsers = [signed_in(ada) for _ in range(4)]
    assert [browser.who() for browser in browsers] == ["ada"] * 4
    assert not UserLock.objects.exists()


@pytest.mark.usefixtures("two")
class TestReplace:
    def test_the_browser_used_least_recently_is_signed_out(self, ada):
        phone, library = signed_in(ada), signed_in(ada)
        with later(minutes=5):
            assert phone.who() == "ada"
        with later(minutes=10):
            desk = signed_in(ada)
            assert [b.who() for b in (phone, library, desk)] == ["ada", NOBODY, "ada"]
            assert library.listed()["signed_out"] == ["ada"]  # to sign in there again

    def test_the_trail_says_who_did_it_and_receivers_hear_of_it(
        self, ada, django_capture_on_commit_callbacks
    ):
        heard = []

        def receive(session, status, by, **kwargs):
            heard.append((status, by))

        _first, _second = signed_in(ada), signed_in(ada)
        with (
            listening(signals.session_ended, receive),
            django_capture_on_commit_callbacks(execute=True),
        ):
            signed_in(ada)
        assert heard == [("revoked", ada)]
        assert Event.objects.get(kind="revoked").actor == ada.email

    def test_other_accounts_of_the_browser_stay_signed_in(self, ada, grace):
        shared = signed_in(grace, ada)
        for _ in range(2):
            signed_in(ada)
        assert shared.accounts() == ["grace"]

    def test_signing_in_again_on_the_same_browser_ends_nothing(self, ada):
        phone, desk = signed_in(ada), signed_in(ada)
        phone.sign_in(ada)
        assert [phone.who(), desk.who()] == ["ada", "ada"]

    def test_sessions_that_are_over_do_not_count(self, ada):
        phone, desk = signed_in(ada), signed_in(ada)
        Session.objects.filter(pk=session_of(ada).pk).update(expire_at=timezone.now())
        signed_in(ada)
        assert (phone.who(), desk.who()) == ("ada", NOBODY)

    def test_an_administrator_who_acts_as_the_user_takes_no_place(self, ada):
        signed_in(ada)
        Session.objects.update(actor_id="7")
        phone, desk = signed_in(ada), signed_in(ada)
        assert [phone.who(), desk.who(), statuses(ada)[0]] == ["ada", "ada", "active"]

    def test_a_lowered_limit_holds_from_the_next_sign_in_on(self, settings, ada):
        settings.MULTISESSION = {}
        browsers = [signed_in(ada) for _ in range(4)]
        settings.MULTISESSION = {"MAX_SESSIONS_PER_USER": 1}
        newest = signed_in(ada)
        assert [browser.who() for browser in browsers] == [NOBODY] * 4
        assert newest.who() == "ada"

    def test_a_page_costs_as_much_as_before(self, ada, django_assert_num_queries):
        browser = signed_in(ada)
        with django_assert_num_queries(1):
            browser.get("/who/")

    def test_the_lock_goes_with_the_user(self, ada):
        signed_in(ada)
        assert UserLock.objects.exists()
        ada.delete()
        assert not UserLock.objects.exists()


@pytest.mark.usefixtures("two_at_most")
class TestRefuse:
    @pytest.fixture
    def full(self, ada) -> list[Browser]:
        return [signed_in(ada), signed_in(ada)]

    def test_a_third_browser_is_told_why(self, full, ada):
        desk = Browser()
        response = desk.sign_in(ada)
        assert response.status_code == 403
        assert "signed in on 2 browsers already" in response.content.decode()
        assert "no-store" in response["Cache-Control"]
        assert (desk.who(), [browser.who() for browser in full]) == (NOBODY, ["ada", "ada"])
        assert statuses(ada) == ["active", "active"]

    def test_after_a_sign_out_there_is_room(self, full, ada):
        full[0].sign_out()
        assert signed_in(ada).who() == "ada"

    def test_the_account_that_was_active_stays_so(self, full, ada, grace):
        desk = signed_in(grace)
        assert desk.sign_in(ada).status_code == 403
        assert (desk.who(), desk.accounts()) == ("grace", ["grace"])

    def test_what_a_visitor_had_is_kept(self, full, ada):
        desk = Browser()
        desk.put("cart")
        assert desk.sign_in(ada).status_code == 403
        assert desk.page() == {"user": NOBODY, "data": {"cart": "1"}}

    def test_a_script_gets_json(self, full, ada):
        desk = Browser(headers={"accept": "application/json"})
        response = desk.sign_in(ada)
        assert (response.status_code, response.json()["error"]) == (403, "session_limit")
        assert desk.who() == NOBODY

    def test_in_a_coroutine_too(self, full, ada):
        desk = Browser(asynchronous=True)
        assert desk.sign_in(ada).status_code == 403
        assert desk.who() == NOBODY

    def test_a_forgotten_password_is_no_lock_out(self, full, ada):
        """Sessions of an earlier password let nobody in, so they take no place."""
        User.objects.filter(pk=ada.pk).update(password="another")
        ada.refresh_from_db()
        assert signed_in(ada).who() == "ada"

    def test_a_refused_sign_in_writes_nothing(self, full, ada):
        before = (Session.objects.count(), Event.objects.count())
        Browser().sign_in(ada)
        assert (Session.objects.count(), Event.objects.count()) == before

    @pytest.mark.urls("config.urls")
    def test_on_the_sign_in_page_of_the_demo(self, ada):
        form = {"username": ada.email, "password": PASSWORD}
        answers = [Http().post("/accounts/sign-in/", form) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [302, 302, 403]
        assert "Sign out on another browser first" in answers[2].content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.urls(__name__)
class TestManyAtOnce:
    """Browsers that sign in at the same moment, on whatever database."""

    def sign_in_at_once(self, user: User, number: int) -> list[int]:
        barrier = threading.Barrier(number, timeout=PATIENCE)

        def meet_and_sign_in(request):
            barrier.wait()
            login(request, user, backend=BACKEND)

        def run():
            connection.ensure_connection()
            return ask(None, meet_and_sign_in)

        answers = in_threads(*[run] * number)
        self.cookies = [answer.cookie for answer in answers if answer.cookie]
        return sorted(answer.status for answer in answers)

    @pytest.mark.parametrize("most", [1, 2])
    def test_no_more_than_allowed_are_let_in(self, settings, ada, most):
        settings.MULTISESSION = {
            "MAX_SESSIONS_PER_USER": most,
            "AT_SESSION_LIMIT": "refuse",
        }
        answers = self.sign_in_at_once(ada, 6)
        assert answers[:most] == [200] * most
        assert set(answers[most:]) <= {403, 503 if is_strict() else 403}
        assert Session.objects.filter(user=ada).live().count() == most
        assert {ask(cookie, look).status for cookie in self.cookies} == {200}

    def test_no_more_than_allowed_are_left(self, settings, ada):
        settings.MULTISESSION = {"MAX_SESSIONS_PER_USER": 2}
        answers = self.sign_in_at_once(ada, 6)
        let_in = answers.count(200)
        assert let_in == 6 or (is_strict() and set(answers) == {200, 503})
        assert sorted(statuses(ada)) == (["active"] * 2 + ["revoked"] * 4)[:let_in]

    def test_a_deletion_at_the_same_time_leaves_nothing(self, settings, ada, grace):
        settings.MULTISESSION = {"MAX_SESSIONS_PER_USER": 2}
        cookie = ask(None, lambda request: login(request, ada, backend=BACKEND)).cookie
        barrier = threading.Barrier(3, timeout=PATIENCE)

        def sign_in(request):
            barrier.wait()
            login(request, ada, backend=BACKEND)

        def erase():
            connection.ensure_connection()
            barrier.wait()
            # Under a stricter level it may meet both, like a request.
            with suppress(*[Busy] * is_strict()):
                actions.erase(ada.pk)

        done = in_threads(lambda: ask(cookie, sign_in), lambda: ask(None, sign_in), erase)
        assert {done[0].status, done[1].status} <= {200, 503}
        assert Session.objects.filter(user=ada).live().count() <= 2
        actions.erase(ada.pk)
        assert not Session.objects.filter(user_id=ada.pk).exists()
