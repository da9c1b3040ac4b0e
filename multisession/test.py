"""Helpers for the tests of a project: several accounts in Django's test client.

Like ``force_login()``, they need no password, form or URL. Each takes a ``Client``; the twins whose
names begin with ``a`` are for coroutines and take an ``AsyncClient``. A client of another package
works if it has ``cookies`` like Django's.

``client.force_login(user)`` adds an account, too. ``client.logout()`` does not sign out of one
account: it discards the cookies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import load_backend, login
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory

from . import actions
from .middleware import SessionMiddleware
from .models import Session
from .request import MultiSession

__all__ = [
    "aactive_user",
    "aassert_active",
    "aassert_signed_in",
    "active_user",
    "aset_active",
    "asign_in",
    "asign_out",
    "asign_out_all",
    "asigned_in_users",
    "assert_active",
    "assert_signed_in",
    "set_active",
    "sign_in",
    "sign_out",
    "sign_out_all",
    "signed_in_users",
]

Result = TypeVar("Result")
AnyClient = Client | AsyncClient


def sign_in(client: AnyClient, *users: AbstractBaseUser, backend: str | None = None) -> None:
    """Sign in these users, one after the other. The last one is the active account.

    ``backend`` is the dotted path of the authentication backend; by default the first one that
    can load users, as in ``force_login()``.
    """
    path = backend or _first_backend()
    for user in users:
        # The default argument binds the user of this iteration.
        def view(request: HttpRequest, user: Any = user) -> None:
            login(request, user, path)

        _visit(client, view)


def set_active(client: AnyClient, user: AbstractBaseUser) -> None:
    """Switch to an account that is signed in on this client."""
    _visit(client, lambda request: actions.set_active(request, _session_of(request, user)))


def sign_out(client: AnyClient, user: AbstractBaseUser) -> None:
    """Sign out of one account. The others stay signed in."""
    _visit(client, lambda request: actions.sign_out(request, _session_of(request, user)))


def sign_out_all(client: AnyClient) -> None:
    """Sign out of every account of this client."""
    _visit(client, actions.sign_out_all)


def active_user(client: AnyClient) -> AbstractBaseUser | None:
    """Return the user of the active account, or None."""

    def view(request: HttpRequest) -> AbstractBaseUser | None:
        active = _accounts(request).session
        return None if active is None else active.user

    return _visit(client, view)


def signed_in_users(client: AnyClient) -> list[AbstractBaseUser]:
    """Return the users signed in on this client, the most recently used first."""

    def view(request: HttpRequest) -> list[AbstractBaseUser]:
        return [row.user for row in _accounts(request).sessions if row.user is not None]

    return _visit(client, view)


def assert_active(client: AnyClient, user: AbstractBaseUser | None) -> None:
    """Fail unless this user's account is active, or, for None, if any account is active."""
    found = active_user(client)
    if found != user:
        raise AssertionError(f"The active account is {found}, not {user}.")


def assert_signed_in(client: AnyClient, *users: AbstractBaseUser) -> None:
    """Fail unless exactly these users are signed in, in any order."""
    found = signed_in_users(client)
    if set(found) != set(users):
        raise AssertionError(f"Signed in: {_names(found)}. Expected: {_names(users)}.")


async def asign_in(
    client: AsyncClient, *users: AbstractBaseUser, backend: str | None = None
) -> None:
    """Do what ``sign_in()`` does, in a coroutine."""
    await sync_to_async(sign_in)(client, *users, backend=backend)


async def aset_active(client: AsyncClient, user: AbstractBaseUser) -> None:
    """Do what ``set_active()`` does, in a coroutine."""
    await sync_to_async(set_active)(client, user)


async def asign_out(client: AsyncClient, user: AbstractBaseUser) -> None:
    """Do what ``sign_out()`` does, in a coroutine."""
    await sync_to_async(sign_out)(client, user)


async def asign_out_all(client: AsyncClient) -> None:
    """Do what ``sign_out_all()`` does, in a coroutine."""
    await sync_to_async(sign_out_all)(client)


async def aactive_user(client: AsyncClient) -> AbstractBaseUser | None:
    """Do what ``active_user()`` does, in a coroutine."""
    return await sync_to_async(active_user)(client)


async def asigned_in_users(client: AsyncClient) -> list[AbstractBaseUser]:
    """Do what ``signed_in_users()`` does, in a coroutine."""
    return await sync_to_async(signed_in_users)(client)


async def aassert_active(client: AsyncClient, user: AbstractBaseUser | None) -> None:
    """Do what ``assert_active()`` does, in a coroutine."""
    await sync_to_async(assert_active)(client, user)


async def aassert_signed_in(client: AsyncClient, *users: AbstractBaseUser) -> None:
    """Do what ``assert_signed_in()`` does, in a coroutine."""
    await sync_to_async(assert_signed_in)(client, *users)


def _visit(client: AnyClient, view: Callable[[Any], Result]) -> Result:
    """Run a view behind our middleware with the client's cookies, and update them.

    So the cookie is made, sent and replaced by the same code as on the site.
    """
    results = []

    def get_response(request: HttpRequest) -> HttpResponse:
        results.append(view(request))
        return HttpResponse()

    header = client.cookies.output(attrs=[], header="", sep=";").strip()
    request = RequestFactory().get("/", headers={"cookie": header} if header else None)
    response = SessionMiddleware(AuthenticationMiddleware(get_response))(request)
    client.cookies.update(response.cookies)
    return results[0]


def _accounts(request: Any) -> MultiSession:
    accounts: MultiSession = request.multisession
    return accounts


def _session_of(request: HttpRequest, user: AbstractBaseUser) -> Session:
    sessions = _accounts(request).sessions
    for session in sessions:
        if session.user == user:
            return session
    raise AssertionError(
        f"{user} is not signed in on this client. Signed in: "
        f"{_names([session.user for session in sessions])}."
    )


def _names(users: Any) -> str:
    return ", ".join(sorted(str(user) for user in users)) or "nobody"


def _first_backend() -> str:
    for path in settings.AUTHENTICATION_BACKENDS:
        if hasattr(load_backend(path), "get_user"):
            return path
    raise AssertionError("No backend in AUTHENTICATION_BACKENDS has get_user().")
