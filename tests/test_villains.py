"""Attacks, conflicts and accidents that must do no harm."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.contrib import auth
from django.contrib.auth.signals import user_logged_in
from django.db import OperationalError, connection, connections, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import include, path
from django.utils import timezone

from multisession import passwords, signals
from multisession.backends.db import SessionStore
from multisession.ground import tokens
from multisession.middleware import SessionMiddleware
from multisession.models import Session
from multisession.models.tokens import Token
from tests.engine_urls import BACKEND, name_of
from tests.stories import (
    COOKIE,
    NOBODY,
    Browser,
    conflict,
    later,
    listening,
    session_of,
    signed_in,
    silent,
    statuses,
)

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_villains")]


def run(request: HttpRequest) -> HttpResponse:
    """Whatever a test puts here."""
    return act(request) or HttpResponse("done")


def act(request: HttpRequest) -> HttpResponse | None:
    """Replaced by a test."""


@transaction.atomic
def atomic(request: HttpRequest) -> HttpResponse:
    """The same, as under ATOMIC_REQUESTS."""
    return act(request) or HttpResponse("done")


async def menu(request: HttpRequest) -> HttpResponse:
    """A coroutine that shows the accounts, as its template does."""
    return HttpResponse(",".join(name_of(row.user) for row in request.multisession.sessions))


urlpatterns = [
    path("run/", run),
    path("atomic/", atomic),
    path("async/menu/", menu),
    path("", include("tests.engine_urls")),
]


def doing(view: Callable[[HttpRequest], Any]) -> Any:
    return mock.patch("tests.test_villains.act", view)


class TestSignedInAndOutInOneRequest:
    """As where a second step refuses somebody who has just signed in."""

    @pytest.mark.parametrize("way_out", ["logout", "flush"])
    @pytest.mark.parametrize("looks", [False, True])
    def test_nobody_is_active_after_signing_in_and_out_in_one_request(
        self, ada, grace, way_out, looks
    ):
        firefox = signed_in(ada)

        def view(request: HttpRequest) -> None:
            auth.login(request, grace, backend=BACKEND)
            if looks:
                assert request.session.session_key
            auth.logout(request) if way_out == "logout" else request.session.flush()

        with doing(view):
            firefox.post("/run/")
        assert firefox.who() == NOBODY


class TestDataOfAnotherAccount:
    def test_a_login_after_the_user_was_taken_out_of_the_session_carries_nothing_over(
        self, ada, grace
    ):
        firefox = signed_in(ada)
        firefox.put("secret", "adas")

        def view(request: HttpRequest) -> None:
            request.session[passwords.KEY] = int(timezone.now().timestamp())
            request.session.pop("_auth_user_id")
            auth.login(request, grace, backend=BACKEND)

        with doing(view):
            firefox.post("/run/")
        data = session_of(grace).get_decoded()
        assert ("secret" in data, passwords.KEY in data) == (False, False)

    def test_a_user_written_into_the_session_by_hand_gets_no_proof_of_another_password(
        self, ada, grace
    ):
        firefox = signed_in(ada)

        def prove(request: HttpRequest) -> None:
            passwords.note(request)

        with doing(prove):
            firefox.post("/run/")

        def become(request: HttpRequest) -> None:
            request.session["_auth_user_id"] = str(grace.pk)
            request.session["_auth_user_hash"] = grace.get_session_auth_hash()

        with doing(become):
            firefox.post("/run/")
        assert passwords.KEY not in session_of(grace).get_decoded()

    def test_an_administrator_does_not_go_on_with_the_persons_own_session(self, ada, grace):
        """Both are signed in on this browser; the administrator Ada acts as Grace by a package."""
        firefox = signed_in(grace, ada)
        firefox.switch(grace)

        def prove(request: HttpRequest) -> None:
            passwords.note(request)

        with doing(prove):
            firefox.post("/run/")
        firefox.switch(ada)

        def impersonate(request: HttpRequest) -> None:
            auth.login(request, grace, backend=BACKEND)
            request.session["multisession_actor"] = str(ada.pk)

        with doing(impersonate):
            firefox.post("/run/")
        row = Session.objects.filter(user=grace).live().get()
        assert row.actor_id == str(ada.pk)
        assert passwords.KEY not in row.get_decoded()

    def test_a_person_who_signs_in_is_not_taken_for_the_administrator_who_acted_as_them(
        self, ada, grace
    ):
        firefox = signed_in(ada)

        def impersonate(request: HttpRequest) -> None:
            auth.login(request, grace, backend=BACKEND)
            request.session["multisession_actor"] = str(ada.pk)

        with doing(impersonate):
            firefox.post("/run/")
        firefox.switch(ada)
        firefox.sign_in(grace)
        assert firefox.who() == "grace"
        assert Session.objects.filter(user=grace).live().get().actor_id == ""


class TestEndsThatDoNotHappen:
    def test_a_flush_holds_though_the_view_takes_another_session(self, ada):
        firefox = signed_in(ada)

        def view(request: HttpRequest) -> None:
            request.session.flush()
            request.session = SessionStore()

        with doing(view):
            firefox.post("/run/")
        assert (statuses(ada), firefox.who()) == (["removed"], NOBODY)

    @pytest.mark.django_db(transaction=True)
    def test_a_flush_in_a_store_of_a_coroutine_ends_with_the_store(self, ada):
        cookie = signed_in(ada).cookie

        async def consumer() -> None:
            store = SessionStore(cookie)
            await store.aflush()
            del store
            gc.collect()

        async_to_sync(consumer)()
        assert statuses(ada) == ["removed"]

    @pytest.mark.django_db(transaction=True)
    def test_a_flush_after_a_new_password_holds_though_all_is_rolled_back(self, ada):
        firefox = signed_in(ada)

        def view(request: HttpRequest) -> None:
            request.user.set_password("new")
            request.user.save()
            request.session.flush()
            raise RuntimeError("boom")

        with doing(view):
            assert firefox.post("/atomic/").status_code == 500
        assert firefox.who() == NOBODY

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("way_out", ["logout", "flush-twice"])
    def test_a_sign_out_that_met_a_deadlock_in_the_views_transaction_holds(self, ada, way_out):
        firefox = signed_in(ada)

        def view(request: HttpRequest) -> None:
            with mock.patch("multisession.models.Event.record", side_effect=conflict()):
                if way_out == "logout":
                    auth.logout(request)
                else:
                    request.session.flush()
                    request.session.flush()

        with doing(view):
            answer = firefox.post("/atomic/")
        assert firefox.who() == NOBODY
        assert answer.status_code == 503

    @pytest.mark.django_db(transaction=True)
    def test_a_deadlock_in_the_views_transaction_is_said_to_be_busy(self, ada, grace):
        firefox = signed_in(grace, ada)

        def view(request: HttpRequest) -> None:
            from multisession import actions

            with mock.patch("multisession.models.Event.record", side_effect=conflict()):
                actions.set_active(request, session_of(grace).public_id)

        with doing(view):
            assert firefox.post("/atomic/").status_code == 503

    @pytest.mark.django_db(transaction=True)
    def test_a_flush_that_met_a_conflict_is_carried_out_when_the_request_ends(self, ada):
        """The conflict is over by then."""
        firefox, real, calls = signed_in(ada), None, []
        from multisession.models import Event

        real = Event.record

        def record(*args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            if len(calls) <= 2:
                raise conflict()
            return real(*args, **kwargs)

        with mock.patch("multisession.models.Event.record", side_effect=record):
            firefox.flush(status=500)
        assert (statuses(ada), firefox.who()) == (["removed"], NOBODY)

    @pytest.mark.django_db(transaction=True)
    def test_sign_outs_that_were_rolled_back_all_hold_though_the_first_meets_a_conflict(
        self, ada, grace
    ):
        firefox = signed_in(grace, ada)
        from multisession import actions
        from multisession.models import Event

        real, calls = Event.record, []

        def record(*args: Any, **kwargs: Any) -> Any:
            if calls and len(calls) <= 2:
                calls.append(1)
                raise conflict()
            return real(*args, **kwargs)

        def view(request: HttpRequest) -> None:
            actions.sign_out(request, session_of(grace).public_id)
            auth.logout(request)
            calls.append(1)
            raise RuntimeError("boom")

        with mock.patch("multisession.models.Event.record", side_effect=record), doing(view):
            firefox.post("/atomic/")
        assert (statuses(ada), statuses(grace)) == (["ended"], ["ended"])

    def test_sign_out_of_all_holds_where_another_server_has_a_quicker_clock(self, ada, grace):
        firefox = signed_in(ada)
        with later(seconds=3):
            firefox.sign_in(grace)
        answer = firefox.verb("sign_out_all")
        assert answer.status_code == 200
        assert not Session.objects.live().accounts().exists()

    @pytest.mark.django_db(transaction=True)
    def test_cancelled_twice_a_flush_holds(self, ada):
        cookie = signed_in(ada).cookie

        async def view(request: HttpRequest) -> HttpResponse:
            await request.session.aflush()
            await asyncio.sleep(60)
            return HttpResponse()

        async def serve() -> None:
            request = RequestFactory(headers={"cookie": f"{COOKIE}={cookie}"}).get("/")
            await SessionMiddleware(view)(request)  # type: ignore[arg-type]

        async def main() -> None:
            task = asyncio.create_task(serve())
            await asyncio.sleep(0.5)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.5)

        async_to_sync(main)()
        assert statuses(ada) == ["removed"]


class TestNeverABare500:
    @pytest.mark.django_db(transaction=True)
    def test_an_ended_cookie_whose_reuse_cannot_be_recorded_causes_no_bare_500(self, ada, grace):
        firefox = signed_in(ada)
        old = firefox.late()
        with later(minutes=-5):
            firefox.sign_in(grace)
        firefox.who()
        with mock.patch("multisession.models.tokens.Event.record", side_effect=conflict()):
            assert old.get("/who/").status_code in (200, 503)

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("quick", [True, False])
    def test_a_write_that_meets_another_one_causes_no_bare_500(self, ada, settings, quick):
        settings.MULTISESSION = {"_QUICK": quick}
        firefox = signed_in(ada)
        target = "multisession.engine.quick.write" if quick else "django.db.models.QuerySet.update"
        with mock.patch(target, side_effect=conflict()):
            assert firefox.put("a").status_code == 503

    @pytest.mark.django_db(transaction=True)
    def test_a_touch_that_meets_another_one_causes_no_bare_500(self, ada):
        firefox = signed_in(ada)
        with (
            later(hours=5),
            mock.patch("multisession.models.Session.touch", side_effect=conflict()),
        ):
            assert firefox.get("/who/").status_code in (200, 503)

    @pytest.mark.django_db(transaction=True)
    def test_an_account_that_follows_causes_no_bare_500_where_a_middleware_looks_first(
        self, ada, grace, settings
    ):
        settings.MULTISESSION = {"AFTER_SIGN_OUT": "next"}
        firefox = signed_in(ada, grace)
        firefox.sign_out()
        import tests.stories as stories

        ways = [*stories.MIDDLEWARE, "tests.test_villains.looks"]
        with override_settings(MIDDLEWARE=ways):
            firefox.client.handler.load_middleware()
        with mock.patch("multisession.models.Event.record", side_effect=conflict()):
            assert firefox.get("/who/").status_code in (200, 503)

    @pytest.mark.django_db(transaction=True)
    def test_a_view_that_deletes_the_cookie_causes_no_bare_500(self, ada):
        firefox = signed_in(ada)

        def view(request: HttpRequest) -> HttpResponse:
            answer = HttpResponse("bye")
            answer.delete_cookie(COOKIE)
            return answer

        with (
            doing(view),
            mock.patch("multisession.models.Event.record", side_effect=conflict()),
        ):
            assert firefox.post("/run/").status_code == 503

    @pytest.mark.django_db(transaction=True)
    def test_a_coroutine_that_lists_the_accounts_while_nobody_is_active_causes_no_bare_500(
        self, ada, grace
    ):
        firefox = signed_in(ada, grace)
        firefox.verb("set_active")
        chrome = Browser(firefox.cookie, asynchronous=True)
        assert chrome.get("/menu/").content == b"ada"


def looks(get_response: Any) -> Any:
    """A middleware of the project that asks who it is."""

    def middleware(request: HttpRequest) -> HttpResponse:
        bool(request.user.is_authenticated)
        return get_response(request)

    return middleware


class TestSlowRequests:
    """One that began with the older value, and goes on longer than a minute."""

    @pytest.fixture
    def slow(self, ada, grace) -> Iterator[Callable[..., Any]]:
        """Ada's slow request, in whose middle Grace was added, and more than a minute passes."""
        clock: list[Any] = []

        def story(view: Callable[[HttpRequest], Any]) -> tuple[Browser, HttpResponse]:
            firefox = signed_in(ada)
            late = firefox.late()

            def whole(request: HttpRequest) -> None:
                request.session.get("x")
                firefox.sign_in(grace)
                passed = later(seconds=70)
                passed.__enter__()
                clock.append(passed)
                view(request)

            with doing(whole):
                answer = late.post("/run/")
            return firefox, answer

        yield story
        for passed in clock:
            passed.__exit__(None, None, None)

    def test_a_slow_request_does_not_send_its_value_in_place_of_the_newer(self, slow):
        _firefox, answer = slow(lambda request: request.session.set_expiry(0))
        assert silent(answer)

    def test_a_slow_request_under_save_every_request_sends_no_cookie(self, slow, settings):
        settings.SESSION_SAVE_EVERY_REQUEST = True
        _firefox, answer = slow(lambda request: None)
        assert silent(answer)

    def test_a_slow_request_does_not_delete_the_newer_cookie(self, slow):
        _firefox, answer = slow(lambda request: request.session.flush())
        assert silent(answer)


class TestRaces:
    def test_a_sign_in_holds_though_the_session_that_it_renews_is_revoked_meanwhile(
        self, ada, grace
    ):
        firefox = signed_in(ada, grace)
        real, done = Session.is_current_for, []

        def is_current_for(self: Session, user: Any) -> bool:
            current = real(self, user)
            if not done and entering and self.user_id == ada.pk:
                done.append(1)
                Session.objects.get(pk=self.pk).revoke()
            return current

        entering: list[int] = []
        from multisession.engine import steps

        sign_in = steps.sign_in

        def signing_in(*args: Any, **kwargs: Any) -> Any:
            entering.append(1)
            return sign_in(*args, **kwargs)

        with (
            mock.patch.object(Session, "is_current_for", is_current_for),
            mock.patch.object(steps, "sign_in", signing_in),
        ):
            assert firefox.sign_in(ada).status_code == 200
        assert done
        assert firefox.who() == "ada"


class TestCached:
    @pytest.fixture(autouse=True)
    def cached(self, settings):
        settings.SESSION_ENGINE = "multisession.backends.cached_db"
        settings.CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
                "LOCATION": "attack",
            }
        }
        from django.core.cache import cache

        cache.clear()

    def test_a_visitors_data_beside_accounts_is_gone_after_a_flush(self, ada):
        firefox = signed_in(ada)
        firefox.verb("step_aside")
        firefox.put("cart")
        with later(seconds=20):
            from django.core.cache import cache

            cache.clear()
            assert firefox.page()["data"] == {"cart": "1"}
            firefox.flush()
            assert firefox.page()["data"] == {}

    def test_a_visitors_data_is_gone_after_delete(self, db):
        from multisession.backends.cached_db import SessionStore as Cached

        firefox = Browser()
        firefox.put("cart")
        from django.core.cache import cache

        cache.clear()
        assert firefox.page()["data"] == {"cart": "1"}
        Cached().delete(firefox.cookie)
        assert firefox.page()["data"] == {}


def failing(target: str, times: int = 1) -> Any:
    """What ``target`` names meets a deadlock so often, at its end, and then is as ever."""
    from importlib import import_module

    parts = target.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = import_module(".".join(parts[:cut]))
            break
        except ImportError:
            continue
    for name in parts[cut:]:
        found = getattr(found, name)
    left = [times]

    def call(*args: Any, **kwargs: Any) -> Any:
        result = found(*args, **kwargs)
        if left[0]:
            left[0] -= 1
            raise conflict()
        return result

    return mock.patch(target, side_effect=call)


@pytest.mark.django_db(transaction=True)
class TestTheSecondTry:
    """A deadlock undoes a step; the second try does all of it."""

    @pytest.mark.parametrize("way_out", ["logout", "verb", "flush"])
    def test_a_sign_out_ends_the_account(self, ada, grace, way_out):
        firefox = signed_in(grace, ada)
        sid = firefox.id_of(ada)
        with failing("multisession.models.Event.record"):
            answer = {
                "logout": firefox.sign_out,
                "verb": lambda: firefox.verb("sign_out", sid),
                "flush": firefox.flush,
            }[way_out]()
        assert answer.status_code == 200
        assert (firefox.who(), firefox.accounts()) == (NOBODY, ["grace"])

    def test_a_sign_out_of_another_account_ends_it(self, ada, grace):
        firefox = signed_in(grace, ada)
        sid = firefox.id_of(grace)
        with failing("multisession.models.Event.record"):
            assert firefox.verb("sign_out", sid).status_code == 200
        assert firefox.accounts() == ["ada"]

    def test_an_end_by_the_key_ends_it(self, ada):
        firefox = signed_in(ada)
        with failing("multisession.models.Event.record"):
            SessionStore().delete(firefox.cookie)
        assert firefox.who() == NOBODY

    def test_a_new_password_leaves_the_person_signed_in(self, ada):
        firefox, chrome = signed_in(ada), signed_in(ada)
        with failing("multisession.models.Event.record"):
            assert firefox.post("/change-password/").status_code == 200
        assert (firefox.who(), chrome.who()) == ("ada", NOBODY)

    def test_a_new_key_keeps_what_was_written(self, ada):
        firefox = signed_in(ada)

        def view(request: HttpRequest) -> None:
            request.session["cart"] = "1"
            request.session.cycle_key()

        with doing(view), failing("multisession.engine.steps.clients_changed"):
            firefox.post("/run/")
        assert firefox.page() == {"user": "ada", "data": {"cart": "1"}}

    def test_stepping_aside_is_not_refused(self, ada):
        firefox = signed_in(ada)
        with failing("multisession.engine.steps.clients_changed"):
            assert firefox.verb("step_aside").status_code == 200
        assert (firefox.who(), firefox.listed()["stepped_aside"]) == (NOBODY, ["ada"])

    def test_a_visitors_words_are_kept(self, ada, grace):
        firefox = signed_in(ada)
        firefox.sign_out()
        with failing("multisession.engine.steps.clients_changed"):
            firefox.put("cart")
        assert firefox.page()["data"] == {"cart": "1"}

    def test_a_sign_in_that_renews_an_account_keeps_what_it_writes(self, ada, grace):
        firefox = signed_in(ada, grace)

        def view(request: HttpRequest) -> None:
            auth.login(request, ada, backend=BACKEND)
            request.session["cart"] = "1"

        with doing(view), failing("multisession.models.Event.record"):
            firefox.post("/run/")
        assert firefox.page() == {"user": "ada", "data": {"cart": "1"}}

    def test_a_newer_value_that_has_arrived_ends_the_older(self, ada, grace):
        with later(minutes=-5):
            firefox = signed_in(ada)
            old = firefox.late()
            firefox.sign_in(grace)
        with failing("multisession.models.tokens.clients_changed"):
            assert firefox.who() == "grace"
        assert old.who() == NOBODY


@pytest.mark.django_db(transaction=True)
class TestRolledBack:
    def test_what_was_saved_in_a_part_that_was_undone_is_saved_at_the_end(self, ada):
        """As under Django's sessions, where the last save writes all of it once more."""
        firefox = signed_in(ada)

        def view(request: HttpRequest) -> None:
            request.session["cart"] = "1"
            with transaction.atomic():
                request.session.save()
                transaction.set_rollback(True)

        with doing(view):
            assert firefox.post("/run/").status_code == 200
        assert firefox.page()["data"] == {"cart": "1"}

    def test_an_account_that_signed_in_in_a_part_that_was_undone(self, ada, grace):
        """The data still says that Grace is signed in when the answer is made."""
        firefox = signed_in(ada)

        def view(request: HttpRequest) -> None:
            with transaction.atomic():
                auth.login(request, grace, backend=BACKEND)
                assert request.session.session_key
                transaction.set_rollback(True)

        with doing(view):
            answer = firefox.post("/run/")
        assert answer.status_code == 200
        assert firefox.accounts() in (["ada"], ["ada", "grace"])
        assert "ada" in firefox.accounts()

    def test_a_new_password_that_was_undone_leaves_the_person_signed_in(self, ada):
        firefox = signed_in(ada)

        def view(request: HttpRequest) -> None:
            with transaction.atomic():
                request.user.set_password("new")
                request.user.save()
                auth.update_session_auth_hash(request, request.user)
                assert request.session.session_key
                transaction.set_rollback(True)

        with doing(view):
            assert firefox.post("/run/").status_code == 200
        assert firefox.accounts() == ["ada"]


def undoes(get_response: Any) -> Any:
    """A middleware of the project: one transaction for each request, undone here."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return get_response(request)
        with transaction.atomic():
            answer = get_response(request)
            transaction.set_rollback(True)
        return answer

    return middleware


class TestTheLimit:
    @pytest.mark.parametrize(
        "options",
        [
            {"MAX_ACCOUNTS": 1},
            {"MAX_ACCOUNTS": 1, "AT_LIMIT": "replace"},
            {"MAX_ACCOUNTS": 2, "AT_LIMIT": "replace"},
            {"MAX_ACCOUNTS": 2, "AT_LIMIT": "refuse"},
        ],
        ids=lambda options: "-".join(map(str, options.values())),
    )
    def test_the_limit_holds_though_an_earlier_receiver_reads_the_key(
        self, ada, grace, alan, settings, options
    ):
        settings.MULTISESSION = options
        most = options.get("MAX_ACCOUNTS", 1)
        firefox = Browser()
        users = [ada, grace, alan]

        def read(request: HttpRequest, **kwargs: Any) -> None:
            assert request.session.session_key

        receivers = user_logged_in.receivers
        with listening(user_logged_in, read):
            user_logged_in.receivers = [receivers[-1], *receivers[:-1]]
            user_logged_in.sender_receivers_cache.clear()
            for user in users[: most + 1]:
                firefox.sign_in(user)
        assert Session.objects.live().accounts().count() == most

    def test_replace_mode_holds_though_an_earlier_receiver_reads_the_key(self, ada, grace):
        firefox = signed_in(ada)

        def read(request: HttpRequest, **kwargs: Any) -> None:
            assert request.session.session_key

        receivers = user_logged_in.receivers
        with listening(user_logged_in, read):
            user_logged_in.receivers = [receivers[-1], *receivers[:-1]]
            user_logged_in.sender_receivers_cache.clear()
            firefox.sign_in(grace, mode="replace")
        assert firefox.accounts() == ["grace"]

    def test_two_sign_ins_at_once_do_not_exceed_the_limit(self, ada, grace, alan, settings):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 2, "AT_LIMIT": "replace"}
        firefox = signed_in(ada)
        tab = firefox.late()

        def beside(**kwargs: Any) -> None:
            signals.active_session_changing.disconnect(beside)
            tab.sign_in(alan)

        with listening(signals.active_session_changing, beside):
            firefox.sign_in(grace)
        assert len(firefox.accounts()) <= 2
        assert len(tab.accounts()) <= 2


class TestTwoTabs:
    def test_nobody_does_not_replace_an_account_chosen_meanwhile(self, ada, grace):
        """One tab makes nobody active in Ada's place; another has switched to Grace by then."""
        firefox = signed_in(grace, ada)
        tab = firefox.late()

        def beside(leaving: Any, entering: Any, **kwargs: Any) -> None:
            if entering is None:
                signals.active_session_changing.disconnect(beside)
                tab.switch(grace)

        with listening(signals.active_session_changing, beside):
            firefox.verb("set_active")
        assert tab.who() == "grace"

    def test_an_account_that_leaves_while_it_changes_its_password_stays_gone(self, ada, grace):
        firefox = signed_in(grace, ada)

        def view(request: HttpRequest) -> None:
            request.user.set_password("new")
            request.user.save()
            auth.update_session_auth_hash(request, request.user)
            session_of(ada).revoke()

        with doing(view):
            answer = firefox.post("/run/")
        assert answer.status_code == 200
        assert (firefox.who(), firefox.accounts()) == (NOBODY, ["grace"])

    def test_a_thief_with_an_older_value_keeps_nothing_after_a_new_password(self, ada, grace):
        firefox = signed_in(ada)
        thief = firefox.late()
        firefox.sign_in(grace)
        firefox.who()
        firefox.switch(ada)
        firefox.post("/change-password/")
        assert (thief.who(), thief.accounts()) == (NOBODY, [])
        with later(seconds=70):
            assert firefox.who() == "ada"
            thief.who()
            assert thief.accounts() == []
        assert firefox.accounts() == ["ada", "grace"]

    def test_a_session_saved_before_it_is_cycled_does_not_serve_the_copy(self, ada):
        firefox = signed_in(ada)
        thief = firefox.late()

        def view(request: HttpRequest) -> None:
            request.user.set_password("new")
            request.user.save()
            request.session["_auth_user_hash"] = request.user.get_session_auth_hash()
            request.session.save()
            request.session.cycle_key()

        with doing(view):
            firefox.post("/run/")
        assert firefox.who() == "ada"
        assert thief.who() == NOBODY


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="needs locks of rows")
def test_an_older_value_that_waits_for_the_newer_ones_change_does_not_live_on(ada, grace):
    """PostgreSQL asks its condition again when it has waited, with the time of before."""
    with later(hours=-10):
        firefox = signed_in(ada)
        old = firefox.late()
        firefox.sign_in(grace)
        firefox.who()
    thread = threading.Thread(target=lambda: (old.who(), connections.close_all()))
    with transaction.atomic():
        Token.objects.select_for_update().get(digest=tokens.digest(str(old.cookie)))
        thread.start()
        time.sleep(1)
        assert firefox.who() == "grace"
    thread.join(30)
    assert Token.objects.get(digest=tokens.digest(str(old.cookie))).is_living is False
    assert (old.who(), old.accounts()) == (NOBODY, [])


class TestMore:
    @pytest.mark.django_db(transaction=True)
    def test_a_sign_out_of_all_that_meets_a_conflict_once_signs_out_of_all(self, ada, grace):
        firefox = signed_in(ada, grace)
        with failing("multisession.models.Event.record"):
            assert firefox.verb("sign_out_all").status_code == 200
        assert not Session.objects.live().accounts().exists()

    @pytest.mark.django_db(transaction=True)
    def test_a_revocation_that_meets_a_conflict_says_so_or_holds(self, ada):
        """By an administrator, a program, a script: outside the engine's own steps."""
        firefox = signed_in(ada)
        row = session_of(ada)
        with failing("multisession.models.Event.record"):
            try:
                row.revoke()
            except OperationalError:
                row.revoke()  # tried once more, by whoever called it
        assert firefox.who() == NOBODY

    @pytest.mark.django_db(transaction=True)
    def test_a_sign_out_that_was_undone_can_be_done_again_in_the_same_request(self, ada):
        """The row in memory has been told that it has ended; the database has not."""
        from multisession import actions

        firefox = signed_in(ada)

        def view(request: HttpRequest) -> None:
            row = session_of(ada)
            with transaction.atomic():
                actions.revoke(row)
                transaction.set_rollback(True)
            actions.revoke(row)

        with doing(view):
            firefox.post("/run/")
        assert firefox.who() == NOBODY

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("way_out", ["clear", "pop"])
    def test_a_clear_that_meets_a_conflict_holds(self, ada, grace, way_out):
        firefox = signed_in(grace, ada)

        def view(request: HttpRequest) -> None:
            if way_out == "clear":
                request.session.clear()
            else:
                request.session.pop("_auth_user_id")

        with doing(view), failing("multisession.models.Event.record"):
            assert firefox.post("/run/").status_code == 200
        assert firefox.who() == NOBODY

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("way_out", ["flush", "delete"])
    def test_a_visitors_data_whose_deletion_meets_a_conflict_is_deleted(self, way_out):
        firefox = Browser()
        firefox.put("cart")

        once, delete = [conflict()], QuerySet.delete

        def view(request: HttpRequest) -> None:
            getattr(request.session, way_out)()

        def meets(rows: QuerySet) -> Any:
            if once:
                raise once.pop()
            return delete(rows)

        with doing(view), mock.patch.object(QuerySet, "delete", meets):
            assert firefox.post("/run/").status_code == 200
        assert firefox.page()["data"] == {}
        assert not Session.objects.exists()

    def test_a_sign_out_through_the_test_client_key_is_of_that_account(self, ada, grace):
        firefox = signed_in(ada, grace)
        bare = firefox.cookie
        thief = Browser(f"{bare}.1")
        assert thief.who() == "grace"

    @pytest.mark.parametrize("number", ["1", "2", "0", "3", "01", "9999999", "-1", "1.1", ""])
    def test_a_number_in_the_cookie_of_an_older_value_gains_nothing(self, ada, grace, number):
        firefox = signed_in(ada)
        old = str(firefox.cookie)
        firefox.sign_in(grace)
        thief = Browser(f"{old}.{number}")
        assert thief.who() in ("ada", NOBODY)
        assert "grace" not in thief.accounts()
        assert firefox.cookie != thief.cookie
        thief.put("x")
        assert "x" not in session_of(grace).get_decoded()

    def test_a_login_in_a_streaming_answer_leaves_nobody_half_signed_in(self, ada, grace):
        from django.http import StreamingHttpResponse

        firefox = signed_in(ada)

        def view(request: HttpRequest) -> HttpResponse:
            def body() -> Iterator[str]:
                yield "a"
                auth.login(request, grace, backend=BACKEND)
                request.session.save()
                auth.logout(request)
                yield "b"

            request.session.get("x")
            return StreamingHttpResponse(body())

        with doing(view):
            answer = firefox.post("/run/")
            assert b"".join(answer.streaming_content) == b"ab"
        assert firefox.who() == NOBODY
        assert statuses(grace) == ["ended"]

    @pytest.mark.django_db(transaction=True)
    def test_a_flush_and_a_failing_save_hold(self, ada):
        """The answer cannot be made: something in the session cannot be written as JSON."""
        firefox = signed_in(ada)

        def view(request: HttpRequest) -> None:
            request.session.flush()
            request.session["x"] = object()

        with doing(view):
            firefox.post("/run/")
        assert statuses(ada) == ["removed"]

    @pytest.mark.django_db(transaction=True)
    def test_a_clear_and_a_failing_save_hold(self, ada):
        firefox = signed_in(ada)

        def view(request: HttpRequest) -> None:
            request.session.clear()
            request.session["x"] = object()

        with doing(view):
            firefox.post("/run/")
        assert firefox.who() == NOBODY

    @pytest.mark.django_db(transaction=True)
    def test_a_login_whose_save_fails_does_not_sign_out_the_other(self, ada, grace):
        firefox = signed_in(ada)

        def view(request: HttpRequest) -> None:
            auth.login(request, grace, backend=BACKEND)
            request.session["x"] = object()

        with doing(view):
            assert firefox.post("/run/").status_code == 500
        assert (firefox.who(), statuses(grace)) == ("ada", [])

    def test_what_a_view_wrote_after_a_refused_login_is_the_account_that_stays(
        self, ada, grace, settings
    ):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 1, "AT_LIMIT": "refuse"}
        firefox = signed_in(ada)

        def view(request: HttpRequest) -> None:
            try:
                auth.login(request, grace, backend=BACKEND)
            except Exception:
                request.session["x"] = "1"

        with doing(view):
            firefox.post("/run/")
        assert (firefox.who(), statuses(ada), statuses(grace)) == ("ada", ["active"], [])

    def test_impersonation_in_replace_mode_does_not_take_over_the_persons_own_session(
        self, ada, grace
    ):
        firefox = signed_in(grace, ada)

        def impersonate(request: HttpRequest) -> None:
            request.session.login_mode = "replace"
            auth.login(request, grace, backend=BACKEND)
            request.session["multisession_actor"] = str(ada.pk)

        own = session_of(grace).pk
        with doing(impersonate):
            firefox.post("/run/")
        assert Session.objects.get(pk=own).actor_id == ""

    def test_the_data_of_the_account_that_signs_out_in_a_login_is_not_the_next_ones(
        self, ada, grace
    ):
        firefox = signed_in(ada)
        firefox.put("secret")

        def view(request: HttpRequest) -> None:
            request.session["late"] = "adas"
            auth.login(request, grace, backend=BACKEND)

        with doing(view):
            firefox.post("/run/")
        data = session_of(grace).get_decoded()
        assert not {"secret", "late"} & set(data)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's own lock")
def test_a_sign_out_whose_commit_has_to_wait_for_a_reader_holds(ada, grace):
    """SQLite refuses the COMMIT while another process reads; nothing here is made up."""
    firefox = signed_in(grace, ada)
    connection.connection.execute("PRAGMA journal_mode=DELETE")  # as Django has it by default
    name = connection.settings_dict["NAME"]
    reader = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
    connection.connection.execute("PRAGMA busy_timeout=200")
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM multisession_session").fetchall()
        done = threading.Timer(0.25, reader.close)  # while the second try is waiting
        done.start()
        answer = firefox.sign_out()
        done.join()
    finally:
        reader.close()
        connection.connection.execute("PRAGMA busy_timeout=5000")
        connection.connection.execute("PRAGMA journal_mode=WAL")
    if answer.status_code == 200:
        assert firefox.who() == NOBODY
    else:
        assert answer.status_code == 503


class TestAStoreOfOneAccount:
    """A websocket or a job keeps ``T.1``, Ada's key; on the browser Grace is active."""

    @pytest.fixture
    def firefox(self, ada, grace) -> Browser:
        return signed_in(ada, grace)

    def test_what_a_store_writes_after_a_flush_does_not_step_the_active_account_aside(
        self, firefox
    ):
        store = SessionStore(f"{firefox.cookie}.1")
        store.flush()
        store["x"] = "1"
        store.save()
        assert (firefox.who(), firefox.accounts()) == ("grace", ["grace"])

    def test_what_a_store_writes_after_its_account_has_gone_does_not_step_the_active_account_aside(
        self, firefox, ada
    ):
        store = SessionStore(f"{firefox.cookie}.1")
        store["_language"] = "de"
        session_of(ada).revoke()
        store.save()
        assert (firefox.who(), firefox.accounts()) == ("grace", ["grace"])

    def test_a_new_key_for_a_stores_account_leaves_the_browser_alone(self, firefox):
        store = SessionStore(f"{firefox.cookie}.1")
        store.cycle_key()
        assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])

    def test_a_clear_ends_its_account_alone(self, firefox):
        store = SessionStore(f"{firefox.cookie}.1")
        store.clear()
        store.save()
        assert (firefox.who(), firefox.accounts()) == ("grace", ["grace"])

    def test_a_visitors_key_of_before_does_not_write_for_the_active_account(self, firefox, grace):
        firefox.verb("step_aside")
        firefox.put("cart")
        store = SessionStore(f"{firefox.cookie}.0")
        store["x"] = "1"
        firefox.switch(grace)
        store.save()
        assert firefox.page() == {"user": "grace", "data": {}}


@pytest.mark.django_db(transaction=True)
def test_who_signs_in_again_after_a_sign_out_that_was_undone_is_signed_in(ada):
    firefox = signed_in(ada)

    def view(request: HttpRequest) -> None:
        with transaction.atomic():
            auth.logout(request)
            transaction.set_rollback(True)
        auth.login(request, ada, backend=BACKEND)

    with doing(view):
        assert firefox.post("/run/").status_code == 200
    assert firefox.who() == "ada"


@pytest.mark.django_db(transaction=True)
def test_who_signs_in_in_the_transaction_of_their_sign_out_that_was_undone(ada, grace):
    """Everything is undone but the sign-out."""
    firefox = signed_in(grace, ada)

    def view(request: HttpRequest) -> None:
        with transaction.atomic():
            auth.logout(request)
            auth.login(request, grace, backend=BACKEND)
            assert request.session.session_key
            transaction.set_rollback(True)

    with doing(view):
        assert firefox.post("/run/").status_code == 200
    assert statuses(ada) == ["ended"]
    assert "grace" in firefox.accounts()


class TestClocksOfTwoServers:
    """One server's clock is a second behind the other's."""

    def test_an_older_value_that_has_ended_does_not_live_on(self, ada, grace):
        with later(minutes=-5):
            firefox = signed_in(ada)
            old = firefox.late()
            firefox.sign_in(grace)
        assert firefox.who() == "grace"  # It has arrived for good.
        with later(seconds=-1):
            old.who()
        with later(hours=2):
            assert (old.who(), old.accounts()) == (NOBODY, [])

    def test_a_value_that_was_given_up_does_not_live_on(self, ada):
        firefox = signed_in(ada)
        old = firefox.late()
        firefox.verb("sign_out_all")
        with later(seconds=-1):
            old.who()
        assert Token.objects.living().count() == 0
