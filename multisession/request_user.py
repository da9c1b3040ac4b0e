"""Find ``request.user`` without a second query, if the session's query has found the user.

Django finds ``request.user`` with ``django.contrib.auth.get_user``. This module makes the same
checks on the row that is loaded already: is the backend of the sign-in still in use, does it let
this user in, is the password hash the one of the sign-in? If so, the user is put where Django's
middleware looks first. If not, or if a backend finds users in its own way, Django's function runs
as usual: it signs out, tries fallback keys and so on.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    load_backend,
    middleware,
)
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from django.utils.functional import SimpleLazyObject

from .backends.db import SessionStore
from .conf import django_settings
from .engine import users
from .ground import django_private
from .request import MultiSession


def install(request: HttpRequest) -> None:
    """Make ``request.user`` and ``request.auser`` look here first, if they are Django's own.

    Costs nothing until they are used.
    """
    django_private.find_user_with(request, _user, _auser)


def become(request: HttpRequest, user: Any) -> None:
    """Make ``user`` the user of the rest of this request, also for coroutines.

    ``request.auser()`` then follows ``request.user``, as Django 5.2's ``login()`` sets only
    ``request.user``.
    """

    async def auser() -> Any:
        return request.user

    request.user = user
    request.auser = auser


def read_ahead(request: HttpRequest) -> None:
    """Read session and user before a coroutine view runs, because its templates can't.

    Costs one query if the browser has sent a cookie. It does not count as a use of the session:
    neither ``Vary`` nor ``last_active_at`` change.
    """
    store = request.session
    if not isinstance(store, SessionStore):
        return
    accounts: MultiSession = request.multisession  # type: ignore[attr-defined]
    accounts._serves_coroutine = True
    if store.session_key is None:
        return
    accessed = store.accessed
    if isinstance(request.__dict__.get("auser"), partial):
        django_private.set_auser_read(request, _user(request))
    else:
        _ = store.row
    _ = accounts.organization  # A form needs it. Costs nothing in none.
    store.accessed = accessed


def _user(request: HttpRequest) -> Any:
    if django_private.user_read(request) is None and (found := _found(request)) is not None:
        django_private.set_user_read(request, found)
    return middleware.get_user(request)


async def _auser(request: HttpRequest) -> Any:
    user = request.__dict__.get("user")
    if user is not None and type(user) is not SimpleLazyObject:
        return user  # Set by login() or logout(), which in Django 5.2 change only request.user.
    if django_private.auser_read(request) is None:
        found = await sync_to_async(_found)(request)
        if found is not None:
            django_private.set_auser_read(request, found)
    return await middleware.auser(request)


def _found(request: HttpRequest) -> Any:
    """Return the user that was read with the session; None if Django has to look itself."""
    store = request.session
    if not isinstance(store, SessionStore):
        return None
    path: Any = store.get(BACKEND_SESSION_KEY)
    if path not in django_settings.AUTHENTICATION_BACKENDS:
        return None
    backend = load_backend(path)
    if (
        not isinstance(backend, ModelBackend)
        or type(backend).get_user is not ModelBackend.get_user
        or type(backend).aget_user is not ModelBackend.aget_user
    ):
        return None
    user: Any = store.found_user
    if (
        user is None
        or store.get(SESSION_KEY) != user._meta.pk.value_to_string(user)
        or not hasattr(user, "get_session_auth_hash")
    ):
        return None
    of_the_sign_in = store.get(HASH_SESSION_KEY) or ""
    is_current = constant_time_compare(of_the_sign_in, user.get_session_auth_hash())
    if is_current and backend.user_can_authenticate(user):
        return user
    return _refused(store, user, is_current) if users.may_lag() else None


def _refused(store: SessionStore, user: Any, is_current: bool) -> Any:
    """Sign out a user who was deactivated or has a new password, as Django would.

    ``user`` is from the primary database. Django would read a replica, which may lag behind. Return
    None if Django has to try its fallback keys.
    """
    found = store.get(HASH_SESSION_KEY) or ""
    if is_current:
        return AnonymousUser()
    if any(constant_time_compare(found, old) for old in user.get_session_auth_fallback_hash()):
        return None
    store.flush()
    return AnonymousUser()
