"""``request.multisession``: the accounts of the browser that sent the request, when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject, cached_property, empty

from .backends.db import SessionStore
from .models import Session

if TYPE_CHECKING:
    from .models import Client


class MultiSessionRequest(HttpRequest):
    """What the middleware makes of a request, for type checkers."""

    session: SessionStore
    multisession: MultiSession


class MultiSession:
    """Lazy: each answer costs nothing until it is asked for, and one query once."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @property
    def client(self) -> Client | None:
        """The browser, or None for one that we have not met."""
        token = self._store.token
        return None if token is None else token.client

    @property
    def session(self) -> Session | None:
        """The active session: the one that ``request.user`` is signed in with, or None."""
        row, user = self._store.row, self._user
        if row is None or row.user_id is None or user is None or not user.is_authenticated:
            return None
        if row.is_of(user):
            row.user = user
        return row

    @cached_property
    def sessions(self) -> list[Session]:
        """The accounts signed in on this browser, the most recently used first. One query.

        An account that could not act, because its password has changed or it was deactivated,
        is not among them; it is one of ``signed_out_sessions``.
        """
        return [row for row in self._known if row.is_live and row.is_current_for(row.user)]

    @property
    def other_sessions(self) -> list[Session]:
        """``sessions`` without the active one."""
        active = self.session
        return [row for row in self.sessions if active is None or row.pk != active.pk]

    @cached_property
    def signed_out_sessions(self) -> list[Session]:
        """The accounts that this browser remembers though they are signed out, newest first.

        One for each user, none for a user who is signed in here.
        """
        seen = {row.user_id for row in self.sessions}
        found = []
        for row in sorted(self._known, key=lambda row: row.pk, reverse=True):
            if row.user_id not in seen:
                seen.add(row.user_id)
                found.append(row)
        return found

    def forget(self) -> None:
        """Ask the database again: a verb has changed something."""
        for name in ("_known", "sessions", "signed_out_sessions"):
            self.__dict__.pop(name, None)

    @property
    def _user(self) -> Any:
        """``request.user``; in a coroutine, what ``await request.auser()`` has found."""
        user = getattr(self._request, "user", None)
        unread = isinstance(user, SimpleLazyObject) and user._wrapped is empty
        return getattr(self._request, "_acached_user", user) if unread else user

    @property
    def _store(self) -> SessionStore:
        return self._request.session  # type: ignore[return-value]

    @cached_property
    def _known(self) -> list[Session]:
        token = self._store.token
        if token is None:
            return []
        return list(
            Session.objects.visible_to(token)
            .accounts()
            .remembered()
            .with_users()
            .most_recently_used()
        )
