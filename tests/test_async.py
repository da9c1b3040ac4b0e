"""Problems of coroutines only. (The common stories run both ways: ``EveryWay``.)"""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import alogin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from accounts.models import User
from multisession import actions, signals
from multisession.backends.db import SessionStore
from tests.engine_urls import BACKEND, name_of
from tests.stories import (
    NOBODY,
    Browser,
    listening,
    session_of,
    shown_by,
    signed_in,
    statuses,
    with_engine_urls,
)

pytestmark = with_engine_urls

VERBS = sorted(
    name
    for name in actions.__all__
    if inspect.isfunction(getattr(actions, name))
    and not inspect.isgeneratorfunction(getattr(actions, name))
    and not name.startswith("a")
)


@pytest.fixture
def firefox(ada, grace) -> Browser:
    """A browser that talks ASGI; Ada and Grace are signed in, Grace is active."""
    return Browser(signed_in(ada, grace).cookie, asynchronous=True)


def in_a_coroutine(firefox: Browser, story: Callable[[HttpRequest], Awaitable[Any]]) -> Any:
    """What ``story`` returns, told about the request behind the browser's next page."""
    request = firefox.get("/who/").asgi_request
    request.session.is_over = False  # as if it were still under way
    return async_to_sync(story)(request)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_twin(verb):
    twin = getattr(actions, f"a{verb}")
    assert inspect.iscoroutinefunction(twin) or callable(twin.__call__)
    assert f"a{verb}" in actions.__all__
    assert inspect.signature(twin) == inspect.signature(getattr(actions, verb))


class TestAuser:
    """``request.auser()`` is who is active, also if it has been asked before."""

    def test_auser_follows_a_switch(self, firefox, ada):
        answer = firefox.switch(ada).json()
        assert (answer["before"], answer["user"]) == ("grace", "ada")

    @pytest.mark.parametrize("verb", ["sign_out", "forget"])
    def test_auser_follows_a_verb_about_the_active_account(self, firefox, grace, verb):
        answer = firefox.verb(verb, firefox.id_of(grace)).json()
        assert (answer["before"], answer["user"]) == ("grace", NOBODY)

    @pytest.mark.parametrize("verb", ["set_active", "sign_out_all"])
    def test_auser_follows_a_verb_without_a_session(self, firefox, verb):
        answer = firefox.verb(verb).json()
        assert (answer["before"], answer["user"]) == ("grace", NOBODY)

    @pytest.mark.parametrize("verb", ["sign_out", "forget"])
    def test_auser_stays_after_a_verb_about_another_account(self, firefox, ada, verb):
        answer = firefox.verb(verb, firefox.id_of(ada)).json()
        assert (answer["before"], answer["user"]) == ("grace", "grace")

    def test_auser_is_not_the_user_of_a_refused_sign_in(self, firefox, alan):
        """Whoever was refused is not signed in for the rest of the request either."""

        def refuse(**kwargs):
            raise PermissionDenied("not now")

        async def story(request: HttpRequest) -> list[str]:
            with pytest.raises(PermissionDenied):
                await alogin(request, alan, backend=BACKEND)
            return [name_of(request.user), name_of(await request.auser())]

        with listening(signals.active_session_changing, refuse):
            assert "alan" not in in_a_coroutine(firefox, story)
        assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])


class TestReading:
    def test_the_active_session_is_there_once_the_user_is(self, firefox, grace):
        """``await request.auser()`` has asked the database; no more is needed."""

        async def story(request: HttpRequest) -> Any:
            await request.auser()
            return request.multisession.session

        assert in_a_coroutine(firefox, story) == session_of(grace)

    def test_a_coroutine_can_use_the_lists_once_they_were_read(self, firefox, ada):
        request = firefox.get("/list/").asgi_request

        async def story() -> list[User]:
            return [session.user for session in request.multisession.other_sessions]

        assert async_to_sync(story)() == [ada]


class TestStore:
    """``SessionStore(key)`` in a websocket or a job."""

    def test_an_async_store_reads_and_writes_the_account_of_its_key(self, firefox, grace):
        async def story() -> str:
            store = SessionStore(firefox.cookie)
            await store.aset("theirs", 1)
            await store.asave()
            return await store.aget("_auth_user_id")

        assert async_to_sync(story)() == str(grace.pk)
        assert session_of(grace).get_decoded()["theirs"] == 1

    def test_a_flush_ends_the_account(self, firefox, grace):
        async_to_sync(SessionStore(firefox.cookie).aflush)()
        assert statuses(grace) == ["removed"]
        assert (firefox.who(), firefox.accounts()) == (NOBODY, ["ada"])

    def test_a_new_key_shows_the_same_account(self, firefox):
        store = SessionStore(firefox.cookie)
        async_to_sync(store.acycle_key)()
        assert store.session_key != firefox.cookie
        assert shown_by(store.session_key) == "grace"
        assert firefox.who() == "grace"  # The old one goes on until the new one has arrived.

    def test_deleting_a_key_signs_that_browser_out(self, firefox):
        async_to_sync(SessionStore().adelete)(firefox.cookie)
        assert firefox.accounts() == []

    def test_a_visitors_session(self, db):
        async def story() -> Any:
            store = SessionStore()
            await store.acreate()
            await store.aset("cart", 1)
            await store.asave()
            return await SessionStore(store.session_key).aget("cart")

        assert async_to_sync(story)() == 1

    def test_an_account_that_has_ended_is_not_written(self, firefox, grace):
        store = SessionStore(firefox.cookie)
        firefox.sign_out()

        async def story() -> None:
            await store.aset("late", 1)
            await store.asave()

        async_to_sync(story)()
        assert session_of(grace).get_decoded() == {}
