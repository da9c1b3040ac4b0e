"""While an account is added, the active one stays signed in at every moment.

``login()`` calls ``flush()`` before it sets the user. In between, receivers of this project and of
others run, which may take a while; so do other tabs, other processes and administrators.
``beside`` stands for a request that is served at that moment.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import get_user_model, login
from django.contrib.auth.signals import user_logged_in
from django.core.management import call_command
from django.db import OperationalError, connections, transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from django.urls import include, path

from accounts.models import User
from multisession import actions, lists, signals
from multisession.backends.db import SessionStore
from multisession.ground.attempts import Busy, attempt
from multisession.middleware import SessionMiddleware
from multisession.models import Event, Session
from tests.engine_urls import BACKEND
from tests.stories import (
    NOBODY,
    Browser,
    EitherSetting,
    conflict,
    listening,
    session_of,
    signed_in,
    silent,
    statuses,
)

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_window")]


def stream_a_sign_out(request: HttpRequest) -> HttpResponse:
    """A streaming answer that signs out after its headers have gone."""

    def body() -> Iterator[str]:
        yield "Bye"
        request.session.flush()

    request.session.get("theirs")
    return StreamingHttpResponse(body())


def flush_and_fall(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    raise SystemExit


def flush_and_fail(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        request.session.flush()
        request.session["step"] = 1
        raise RuntimeError("boom")


urlpatterns = [
    path("stream-a-sign-out/", stream_a_sign_out),
    path("flush-and-fall/", flush_and_fall),
    path("flush-and-fail/", flush_and_fail),
    path("", include("tests.engine_urls")),
]


@contextmanager
def beside(user: User, act: Callable[[], object]) -> Iterator[list[object]]:
    """Carry out ``act`` while ``login()`` of this user is under way. Yield what it returned."""
    done: list[object] = []

    def receiver(entering: Session | None, **kwargs: Any) -> None:
        if entering is not None and entering.is_of(user) and not done:
            done.append(act())

    with listening(signals.active_session_changing, receiver):
        yield done


class TestAnotherTab(EitherSetting):
    def test_another_tab_that_looks_sees_the_active_account(self, ada, grace, alan, then):
        firefox = signed_in(ada, grace)
        tab = firefox.late()
        with beside(alan, lambda: (tab.who(), tab.accounts(), tab.cookie)) as seen:
            firefox.sign_in(alan)
        assert seen == [("grace", ["ada", "grace"], tab.cookie)]
        assert (firefox.who(), firefox.accounts()) == ("alan", ["ada", "alan", "grace"])

    def test_another_tab_that_writes_writes_to_the_active_account(self, ada, grace, alan, then):
        firefox = signed_in(ada, grace)
        tab = firefox.late()
        with beside(alan, lambda: tab.put("cart").status_code) as seen:
            firefox.sign_in(alan)
        assert seen == [200]
        assert session_of(grace).get_decoded()["cart"] == "1"

    def test_another_tab_that_signs_in_loses_nobody(
        self, ada, grace, alan, django_user_model, then
    ):
        mary = django_user_model.objects.create_user("mary@example.com")
        firefox = signed_in(ada, grace)
        tab = firefox.late()
        with beside(alan, lambda: tab.sign_in(mary).status_code) as seen:
            assert firefox.sign_in(alan).status_code == 200
        assert seen == [200]
        assert firefox.accounts() == ["ada", "alan", "grace"]
        assert tab.accounts() == ["ada", "grace", "mary"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("after", ["choose", "next"])
def test_a_tab_that_polls_during_many_sign_ins_sees_nobody_else(settings, after, ada, grace):
    settings.MULTISESSION = {"AFTER_SIGN_OUT": after}
    seen: set[str] = set()
    for number in range(8):
        person = User.objects.create_user(f"person{number}@example.com")
        firefox = signed_in(ada, grace)
        tab, stop, first = firefox.late(), threading.Event(), threading.Event()

        def poll(tab: Browser = tab, stop: Any = stop, first: Any = first) -> None:
            try:
                while not stop.is_set():
                    seen.add(tab.who())
                    first.set()
            finally:
                connections.close_all()

        thread = threading.Thread(target=poll)
        thread.start()
        first.wait(30)
        assert firefox.sign_in(person).status_code == 200
        stop.set()
        thread.join(30)
    assert seen == {"grace"}


def deactivate(user: User) -> None:
    user.is_active = False
    user.save()


def by_list(user: User) -> None:
    actions.revoke_all(lists.get_session_list(user_id=user, status="active", limit=500).data)


WAYS: dict[str, Callable[[User], object]] = {
    "one session": lambda user: actions.revoke(session_of(user)),
    "a list for programs": by_list,
    "all of the user's": lambda user: Session.objects.filter(user=user).close("revoked"),
    "the command": lambda user: call_command(
        "revokesessions", "--user", str(user.pk), "--noinput", verbosity=0
    ),
    "the user is deactivated": deactivate,
    "the user is deleted": lambda user: get_user_model().objects.get(pk=user.pk).delete(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("moment", ["before ours", "asked", "after ours"])
def test_an_end_beside_a_sign_in_holds(way, moment, ada, grace, capsys):
    """However somebody ends the account that is being left, it is found, and does not come back."""
    firefox = signed_in(ada)
    done = []

    def end(**kwargs: Any) -> None:
        user = kwargs.get("user") or kwargs["entering"].user
        if user == grace and not done:
            done.append(WAYS[way](User.objects.get(pk=ada.pk)))

    if moment == "asked":
        with listening(signals.active_session_changing, end):
            answer = firefox.sign_in(grace)
    else:
        receivers = user_logged_in.receivers
        with listening(user_logged_in, end):
            if moment == "before ours":
                user_logged_in.receivers = [receivers[-1], *receivers[:-1]]
                user_logged_in.sender_receivers_cache.clear()
            answer = firefox.sign_in(grace)
    assert done
    assert answer.status_code == 200
    assert (firefox.who(), firefox.accounts()) == ("grace", ["grace"])
    assert not Session.objects.live().exclude(user=grace).exists()


class TestTold:
    def test_nothing_is_said_of_an_end_that_was_none(self, ada, grace):
        heard: list[object] = []
        firefox = signed_in(ada)
        with listening(signals.session_ended, lambda session, **kwargs: heard.append(session)):
            firefox.sign_in(grace)
        assert heard == []
        kinds = Event.objects.order_by("pk").values_list("kind", flat=True)
        assert list(kinds) == ["signed-in", "signed-in"]

    def test_two_sign_ins_in_a_script_without_a_session_middleware_both_stay(self, ada, grace):
        request = HttpRequest()
        request.session = SessionStore()  # type: ignore[assignment]
        for user in (ada, grace):
            login(request, user, backend=BACKEND)
            request.session.save()
        assert statuses(ada) == statuses(grace) == ["active"]
        kinds = Event.objects.order_by("pk").values_list("kind", flat=True)
        assert list(kinds) == ["signed-in", "signed-in"]


class TestWhatIsNotUnderstoodSignsOut:
    """A flush that no sign-in follows ends the account, by whatever end the request comes to."""

    def test_a_bare_flush_signs_out_at_the_end_of_the_request(self, ada):
        firefox = signed_in(ada)
        assert firefox.flush().status_code == 200
        assert statuses(ada) == ["removed"]

    def test_a_bare_flush_signs_out_when_the_answer_fails(self, ada, grace):
        firefox = signed_in(grace, ada)
        assert firefox.flush(status=500).status_code == 500
        assert (statuses(ada), firefox.who()) == (["removed"], NOBODY)

    def test_a_bare_flush_signs_out_when_its_transaction_was_rolled_back(self, ada, grace):
        firefox = signed_in(grace, ada)
        assert firefox.get("/flush-and-fail/").status_code == 500
        assert (statuses(ada), firefox.accounts()) == (["removed"], ["grace"])

    def test_a_bare_flush_signs_out_when_the_request_is_cut_off(self, ada):
        firefox = signed_in(ada)
        with pytest.raises(SystemExit):
            firefox.get("/flush-and-fall/")
        assert statuses(ada) == ["removed"]

    def test_a_bare_flush_signs_out_when_a_coroutine_is_cancelled(self, ada):
        """The browser has closed the connection: the server cancels the request."""
        cookie = signed_in(ada).cookie

        async def view(request: HttpRequest) -> HttpResponse:
            await request.session.aflush()
            raise asyncio.CancelledError

        async def serve() -> None:
            request = RequestFactory(headers={"cookie": f"sessionid={cookie}"}).get("/")
            await SessionMiddleware(view)(request)  # type: ignore[arg-type]

        from asgiref.sync import async_to_sync

        with pytest.raises(asyncio.CancelledError):
            async_to_sync(serve)()
        assert statuses(ada) == ["removed"]

    def test_a_bare_flush_in_a_streaming_answer_ends_at_once(self, ada):
        firefox = signed_in(ada)
        answer = firefox.get("/stream-a-sign-out/")
        assert b"".join(answer.streaming_content) == b"Bye"
        assert statuses(ada) == ["removed"]

    def test_outside_a_request_with_the_store(self, ada):
        store = SessionStore(signed_in(ada).cookie)
        store.flush()
        assert statuses(ada) == ["active"]  # ``login()`` might follow.
        del store
        gc.collect()
        assert statuses(ada) == ["removed"]

    def test_a_failure_outside_a_request_is_logged(self, ada, caplog):
        store = SessionStore(signed_in(ada).cookie)
        store.flush()
        with mock.patch("multisession.models.Event.record", side_effect=conflict()):
            del store
            gc.collect()
        assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
            "An account that was flushed is still signed in."
        ]
        assert statuses(ada) == ["active"]

    def test_the_account_ends_when_an_earlier_receiver_raises(self, ada, grace):
        """Nobody has said that it was a sign-in."""
        firefox = signed_in(ada)

        def refuse(**kwargs: Any) -> None:
            raise RuntimeError

        receivers = user_logged_in.receivers
        with listening(user_logged_in, refuse):
            user_logged_in.receivers = [receivers[-1], *receivers[:-1]]
            user_logged_in.sender_receivers_cache.clear()
            assert firefox.sign_in(grace).status_code == 500
        assert (statuses(ada), statuses(grace)) == (["removed"], [])

    def test_no_account_changes_when_a_later_receiver_raises(self, ada, grace):
        firefox = signed_in(ada)

        def refuse(**kwargs: Any) -> None:
            raise RuntimeError

        with listening(user_logged_in, refuse):
            assert firefox.sign_in(grace).status_code == 500
        assert (firefox.who(), statuses(ada), statuses(grace)) == ("ada", ["active"], [])


class TestAPasswordThatIsChangedHere:
    def test_a_password_changed_here_survives_concurrent_pages(self, ada):
        """A page between the new password and the new session sees nobody, and changes nothing."""
        firefox = signed_in(ada)
        tab, seen = firefox.late(), []

        def look(*args: Any, **kwargs: Any) -> None:
            seen.append((tab.who(), silent(tab.get("/who/"))))

        with mock.patch("tests.engine_urls.update_session_auth_hash") as update:
            from django.contrib.auth import update_session_auth_hash

            def beside_it(request: HttpRequest, user: User) -> None:
                look()
                update_session_auth_hash(request, user)
                look()

            update.side_effect = beside_it
            assert firefox.post("/change-password/").status_code == 200
        assert seen == [(NOBODY, True), (NOBODY, True)]
        assert (firefox.who(), statuses(ada)) == ("ada", ["active"])


@pytest.mark.django_db(transaction=True)
class TestTwoChangesInEachOthersWay:
    def test_the_whole_step_is_tried_once_more(self):
        tries: list[int] = []

        def step() -> str:
            tries.append(1)
            if len(tries) == 1:
                raise conflict()
            return "done"

        assert (attempt("default", step), len(tries)) == ("done", 2)

    def test_a_conflict_that_repeats_is_answered_as_busy(self):
        def step() -> None:
            raise conflict()

        with pytest.raises(Busy):
            attempt("default", step)

    def test_never_within_somebody_elses_transaction(self):
        tries: list[int] = []

        def step() -> None:
            tries.append(1)
            raise conflict()

        with pytest.raises(OperationalError), transaction.atomic():
            attempt("default", step)
        assert len(tries) == 1

    def test_other_errors_are_not_tried_again(self):
        tries: list[int] = []

        def step() -> None:
            tries.append(1)
            raise OperationalError("no such table")

        with pytest.raises(OperationalError):
            attempt("default", step)
        assert len(tries) == 1

    @pytest.mark.parametrize("verb", ["set_active", "sign_out", "sign_out_all", "step_aside"])
    def test_the_answer_is_to_come_again_in_a_moment(self, verb, ada, grace):
        firefox = signed_in(ada, grace)
        sid = firefox.id_of(ada)
        with mock.patch("multisession.models.Event.record", side_effect=conflict()):
            answer = firefox.verb(verb, sid)
            if verb == "step_aside":  # It puts nothing on record.
                assert answer.status_code == 200
                return
        assert (answer.status_code, answer["Retry-After"]) == (503, "1")
        assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])

    def test_a_conflict_while_saving_after_the_view_is_answered_as_busy(self, ada, grace):
        firefox = signed_in(ada)
        with mock.patch("multisession.models.Event.record", side_effect=conflict()):
            answer = firefox.sign_in(grace)
        assert (answer.status_code, answer["Retry-After"]) == (503, "1")
        assert (firefox.who(), firefox.accounts()) == ("ada", ["ada"])
