"""Channels: a websocket keeps the account that it was opened with."""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from channels.auth import AuthMiddlewareStack, get_user, login, logout
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.contrib.sessions.backends.base import UpdateError

from accounts.models import User
from multisession.backends.db import SessionStore
from multisession.models import Session
from tests.ecosystem.conftest import Browser
from tests.stories import settled

# The consumer runs in a task of its own, whose database connection is not the test's.
pytestmark = pytest.mark.django_db(transaction=True)

BACKEND = "django.contrib.auth.backends.ModelBackend"
SECONDS = 5


class Consumer(AsyncJsonWebsocketConsumer):
    """Does what a message asks for, and answers with whom it takes the other end for."""

    async def receive_json(self, content: dict[str, Any], **kwargs: Any) -> None:
        match content["do"]:
            case "look again":
                # What a long-lived consumer does before something that matters.
                self.scope["session"] = SessionStore(self.scope["session"].session_key)
                self.scope["user"] = await get_user(self.scope)
            case "write":
                self.scope["session"]["note"] = "written by a websocket"
                try:
                    await self.scope["session"].asave()
                except UpdateError:
                    await self.send_json("refused")
                    return
            case "log in":
                await login(self.scope, await User.objects.aget(email=content["as"]), BACKEND)
                await self.scope["session"].asave()
            case "log out":
                await logout(self.scope)
        await self.send_json(getattr(self.scope["user"], "email", None))


class Socket:
    """A page's websocket, opened with the cookies that its browser has at this moment."""

    def __init__(self, browser: Browser) -> None:
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())
        self.app = ApplicationCommunicator(
            AuthMiddlewareStack(Consumer.as_asgi()),
            {"type": "websocket", "path": "/", "headers": [(b"cookie", cookies.encode("ascii"))]},
        )

    async def __aenter__(self) -> Socket:
        await self.app.send_input({"type": "websocket.connect"})
        assert (await self.app.receive_output(SECONDS))["type"] == "websocket.accept"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.app.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.app.wait(SECONDS)

    async def ask(self, do: str = "say", **more: str) -> Any:
        message = json.dumps({"do": do, **more})
        await self.app.send_input({"type": "websocket.receive", "text": message})
        return json.loads((await self.app.receive_output(SECONDS))["text"])


def story(told: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """An async test, without a plugin for them."""

    @functools.wraps(told)
    def test(*args: Any, **kwargs: Any) -> None:
        async_to_sync(told)(*args, **kwargs)

    return test


def meanwhile(happens: Callable[..., Any], *args: Any) -> Awaitable[Any]:
    """Something in the browser, or in another one, while the websocket stays open."""
    return sync_to_async(happens)(*args)


def note_of(user: User) -> str | None:
    note: str | None = Session.objects.get(user=user).get_decoded().get("note")
    return note


@story
async def test_a_websocket_opens_as_the_active_account(browser, ada, grace, sign_in):
    await meanwhile(sign_in, browser, ada)
    await meanwhile(sign_in, browser, grace)
    async with Socket(browser) as socket:
        assert await socket.ask() == grace.email
    await meanwhile(browser.switch_to, ada)
    async with Socket(browser) as socket:
        assert await socket.ask() == ada.email


@story
async def test_a_websocket_of_a_visitor_is_anonymous(browser):
    async with Socket(browser) as socket:
        assert await socket.ask() is None


@story
async def test_a_websocket_keeps_its_account_or_none_after_an_add(browser, ada, grace, sign_in):
    await meanwhile(sign_in, browser, ada)
    async with Socket(browser) as socket:
        await meanwhile(sign_in, browser, grace)
        assert await meanwhile(browser.who) == grace.email
        assert await socket.ask() == ada.email
        assert await socket.ask("look again") == ada.email
        await meanwhile(settled, browser, "/")
        assert await socket.ask("look again") is None


@story
async def test_a_websocket_keeps_its_account_after_a_switch(browser, ada, grace, sign_in):
    await meanwhile(sign_in, browser, grace)
    await meanwhile(sign_in, browser, ada)
    async with Socket(browser) as socket:
        await meanwhile(browser.switch_to, grace)
        assert await socket.ask() == ada.email
        assert await socket.ask("look again") == ada.email


@story
async def test_a_websocket_that_looks_again_finds_the_sign_out(browser, ada, grace, sign_in):
    await meanwhile(sign_in, browser, grace)
    await meanwhile(sign_in, browser, ada)
    async with Socket(browser) as socket:
        session = await Session.objects.aget(user=ada)
        await meanwhile(session.revoke)
        assert await socket.ask() == ada.email
        assert await socket.ask("look again") is None


@story
async def test_a_websocket_writes_to_the_session_of_its_account(browser, ada, grace, sign_in):
    await meanwhile(sign_in, browser, ada)
    async with Socket(browser) as socket:
        assert await socket.ask("write") == ada.email
    assert await meanwhile(note_of, ada) == "written by a websocket"


@story
async def test_a_websocket_writes_to_its_own_account_while_another_is_active(
    browser, ada, grace, sign_in
):
    await meanwhile(sign_in, browser, ada)
    async with Socket(browser) as socket:
        await socket.ask()
        await meanwhile(sign_in, browser, grace)
        await meanwhile(browser.who)
        assert await socket.ask("write") == ada.email
    assert await meanwhile(note_of, grace) is None
    assert await meanwhile(note_of, ada) == "written by a websocket"


@story
async def test_logging_out_over_a_websocket_ends_its_account_only(browser, ada, grace, sign_in):
    await meanwhile(sign_in, browser, grace)
    await meanwhile(sign_in, browser, ada)
    async with Socket(browser) as socket:
        assert await socket.ask("log out") is None
    assert await meanwhile(browser.who) is None
    assert await meanwhile(browser.accounts) == {grace.email}


@story
async def test_logging_in_over_a_websocket_reaches_no_cookie(browser, ada, grace, sign_in):
    """It never did: a websocket cannot set one. The old account ends, as under Django's own."""
    await meanwhile(sign_in, browser, ada)
    async with Socket(browser) as socket:
        assert await socket.ask("log in", **{"as": grace.email}) == grace.email
    assert await meanwhile(browser.who) is None
    assert await meanwhile(browser.accounts) == set()
