"""Helpers for the stories in the engine's tests.

A ``Browser`` is a person's browser with its one cookie. ``browser.late()`` stands for requests that
the same browser sent with its current cookie and that arrive later. An attacker who has planted or
stolen the cookie is the same.
"""

import datetime
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.conf import settings
from django.db import OperationalError
from django.db.models import F
from django.http import HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.utils import timezone

from accounts.models import User
from multisession.backends.db import SessionStore
from multisession.models import Session
from multisession.models.tokens import Token
from tests.engine_urls import name_of

COOKIE = settings.SESSION_COOKIE_NAME
NOBODY = ""

#: All that the engine works with. The rest of the demo's would only take time, above all in ASGI.
MIDDLEWARE = [
    "multisession.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

#: Marks for a module whose tests use the views of ``tests.engine_urls``.
with_engine_urls = [pytest.mark.django_db, pytest.mark.urls("tests.engine_urls")]


class Browser:
    """Somebody's browser. ``asynchronous``: it talks to the coroutines, over ASGI."""

    def __init__(
        self, cookie: str | None = None, *, asynchronous: bool = False, **options: Any
    ) -> None:
        self.asynchronous = asynchronous
        client = AsyncClient if asynchronous else Client
        self.client = client(raise_request_exception=False, **options)
        has_paths = settings.MULTISESSION.get("ACCOUNT_PATHS")
        paths = ["multisession.paths.AccountPathMiddleware"] if has_paths else []
        with override_settings(MIDDLEWARE=[*paths, *MIDDLEWARE]):
            self.client.handler.load_middleware(is_async=asynchronous)
        if cookie is not None:
            self.cookie = cookie

    @property
    def cookie(self) -> str | None:
        """The value of the one cookie, None if the browser has none."""
        morsel = self.client.cookies.get(COOKIE)
        return morsel.value or None if morsel is not None else None

    @cookie.setter
    def cookie(self, value: str | None) -> None:
        if value is None:
            self.client.cookies.pop(COOKIE, None)
        else:
            self.client.cookies[COOKIE] = value

    def late(self) -> "Browser":
        """The same browser as of now: what it sends later still carries this cookie."""
        return Browser(self.cookie, asynchronous=self.asynchronous)

    @contextmanager
    def no_answer(self) -> Iterator[None]:
        """The server does everything; the answers, and their cookies, get lost."""
        before = self.cookie
        yield
        self.cookie = before

    def get(self, path: str, query: dict[str, Any] | None = None, **extra: Any) -> HttpResponse:
        return self._send("get", path, query_params=query, **extra)

    def post(
        self, path: str, form: dict[str, Any] | None = None, query: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self._send("post", path, form or {}, query_params=query)

    def sign_in(self, user: User, **query: Any) -> HttpResponse:
        return self.post(f"/sign-in/{user.pk}/", query=query)

    def sign_out(self, **query: Any) -> HttpResponse:
        """Django's ``logout()``."""
        return self.post("/sign-out/", query=query)

    def flush(self, **query: Any) -> HttpResponse:
        return self.post("/flush/", query=query)

    def put(self, key: str, value: str = "1", **query: Any) -> HttpResponse:
        return self.post(f"/put/{key}/{value}/", query=query)

    def verb(self, name: str, session: str | None = None, **query: Any) -> HttpResponse:
        """One of the verbs in ``multisession.actions``, for the session with that id."""
        form = {} if session is None else {"session": session}
        return self.post(f"/verb/{name}/", form, query)

    def switch(self, user: User, **query: Any) -> HttpResponse:
        return self.verb("set_active", self.id_of(user), **query)

    def page(self) -> dict[str, Any]:
        """An ordinary signed-in page: the user, and the data in ``request.session``."""
        response = self.get("/who/")
        assert response.status_code == 200
        return response.json()

    def who(self) -> str:
        """As whom the next page is shown; NOBODY if as nobody."""
        return self.page()["user"]

    def listed(self) -> dict[str, Any]:
        """What ``request.multisession`` lists on this browser."""
        response = self.get("/list/")
        assert response.status_code == 200
        return response.json()

    def accounts(self) -> list[str]:
        """The names of the accounts signed in here, in alphabetical order."""
        return sorted(self.listed()["sessions"])

    def id_of(self, user: User) -> str:
        """The public id under which this browser lists the account."""
        return self.listed()["ids"][name_of(user)]

    def _send(self, method: str, path: str, *args: Any, **extra: Any) -> HttpResponse:
        send: Callable[..., Any] = getattr(self.client, method)
        if self.asynchronous:
            return async_to_sync(send)(f"/async{path}", *args, **extra)
        return send(path, *args, **extra)


def signed_in(*users: User, **options: Any) -> Browser:
    """A browser that signed in as these, one after the other, and has shown every cookie."""
    browser = Browser(**options)
    for user in users:
        browser.sign_in(user)
        assert browser.who() == name_of(user)
    return browser


def settled(browser: Any, page: str = "/who/") -> Any:
    """The same browser, a minute after its cookie was made: that has arrived for good."""
    minute = datetime.timedelta(seconds=61)
    times = {name: F(name) - minute for name in ("created_at", "presented_at")}
    Token.objects.update(**times)
    browser.get(page)
    return browser


class Deadlock(Exception):
    """What psycopg raises, as far as Django and we look at it."""

    sqlstate = "40P01"


def conflict() -> OperationalError:
    """The error of a statement that met another one halfway."""
    error = OperationalError("deadlock detected")
    error.__cause__ = Deadlock()
    return error


def silent(response: HttpResponse) -> bool:
    """The answer neither sets nor deletes the session cookie."""
    return COOKIE not in response.cookies


def shown_by(key: str | None) -> str:
    """Whom ``SessionStore(key)`` alone denotes, as for a websocket or a job that kept the key."""
    pk = SessionStore(key).get("_auth_user_id")
    return NOBODY if pk is None else name_of(User.objects.get(pk=pk))


def session_of(user: User) -> Session:
    """The newest session of this user, on whatever browser."""
    return Session.objects.filter(user=user).latest("pk")


def statuses(user: User) -> list[str]:
    """What became of each of the user's sessions, the oldest first."""
    return list(Session.objects.filter(user=user).order_by("pk").values_list("status", flat=True))


def count_rows() -> int:
    """Every row that the engine keeps."""
    return sum(model.objects.count() for model in apps.get_app_config("multisession").get_models())


def digests() -> list[str]:
    return list(Token.objects.values_list("digest", flat=True))


@contextmanager
def later(since: datetime.datetime | None = None, **delta: float) -> Iterator[None]:
    """Some time has passed, since then or since now: ``with later(minutes=5): …``"""
    now = (since or timezone.now()) + datetime.timedelta(**delta)
    with mock.patch("django.utils.timezone.now", return_value=now):
        yield


@contextmanager
def listening(signal: Any, receiver: Callable[..., Any]) -> Iterator[None]:
    """``receiver`` hears ``signal`` inside this block."""
    signal.connect(receiver, weak=False)
    try:
        yield
    finally:
        signal.disconnect(receiver)


class _AfterSignOut:
    @pytest.fixture(autouse=True)
    def then(self, settings, after_sign_out) -> Callable[[str], str]:
        """``then("ada")``: who is active once the active account, Grace, is gone.

        Ada if the setting is "next", and otherwise nobody.
        """
        settings.MULTISESSION = {"AFTER_SIGN_OUT": after_sign_out}
        return lambda name: name if after_sign_out == "next" else NOBODY


@pytest.mark.parametrize("after_sign_out", ["choose", "next"])
class EitherSetting(_AfterSignOut):
    """Stories that are told for both values of ``AFTER_SIGN_OUT``."""


@pytest.mark.parametrize(
    ("after_sign_out", "asynchronous"),
    [("choose", False), ("next", True)],
    ids=["choose-sync", "next-async"],
)
class EveryWay(_AfterSignOut):
    """The same, once through Django's functions and once through their async twins.

    In pairs: which functions are used and what the setting says have nothing to do with each other.
    """

    @pytest.fixture
    def browser(self, asynchronous) -> Browser:
        return Browser(asynchronous=asynchronous)
