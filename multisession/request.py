"""``request.multisession``: the accounts of the browser that sent the request, when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from django.utils.functional import cached_property

from .backends.db import SessionStore
from .engine.placing import ASIDE
from .ground import coroutines, django_private
from .models import Session

if TYPE_CHECKING:
    from .models import Client

__all__ = [
    "MultiSession",
    "MultiSessionRequest",
]


class MultiSessionRequest(HttpRequest):
    """What the middleware makes of a request, for type checkers."""

    session: SessionStore
    multisession: MultiSession


class MultiSession:
    """Lazy: each answer costs nothing until it is asked for, and one query once."""

    #: The active account, while the view sees nobody in its place: see guard/guard.py.
    _beneath: Session | None = None
    #: The view is a coroutine, which can't ask the database.
    _serves_coroutine = False

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @property
    def client(self) -> Client | None:
        """The browser, or None for one that we have not met."""
        token = self._store.token
        return None if token is None else coroutines.ask(lambda: token.client)

    @property
    def client_id(self) -> int | None:
        """The primary key of the browser, which costs no statement of its own."""
        token = self._store.token
        return None if token is None else token.client_id

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
        """List the accounts signed in here, the most recently used first. One query.

        An account that could not act, because its password has changed or it was deactivated,
        is not among them; it is one of ``signed_out_sessions``.
        """
        return [row for row in self._known if row.is_live and row.is_current_for(row.user)]

    @property
    def other_sessions(self) -> list[Session]:
        """``sessions`` without the active one."""
        active = self.session
        return [row for row in self.sessions if active is None or row.pk != active.pk]

    @property
    def stepped_aside(self) -> Session | None:
        """The account that stepped aside for a sign-in (``actions.step_aside``), to go back to.

        None as soon as an account is active, and if that one could not act any more. Costs
        ``sessions``, once an account has stepped aside, and nothing otherwise.
        """
        said = self._left_by_step_aside.get("session")
        return next((row for row in self.sessions if row.public_id == said), None) if said else None

    @property
    def page_left(self) -> str:
        """The page that it stepped aside on; empty if that is not known."""
        return str(self._left_by_step_aside.get("page") or "")

    @cached_property
    def signed_out_sessions(self) -> list[Session]:
        """List the accounts that this browser remembers though signed out, newest first.

        One for each user, none for a user who is signed in here.
        """
        seen = {row.user_id for row in self.sessions}
        found = []
        for row in sorted(self._known, key=lambda row: row.pk, reverse=True):
            if row.user_id not in seen:
                seen.add(row.user_id)
                found.append(row)
        return found

    def read_again(self) -> None:
        """Ask the database again at the next look: something has changed."""
        for name in ("_known", "sessions", "signed_out_sessions"):
            self.__dict__.pop(name, None)

    async def asessions(self) -> list[Session]:
        """``sessions``, for a coroutine; once awaited, its templates may ask for them, too."""
        return await sync_to_async(lambda: self.sessions)()

    @property
    def _left_by_step_aside(self) -> dict[str, Any]:
        said = self._store.get(ASIDE) if self.session is None else None
        return said if isinstance(said, dict) else {}

    @property
    def _user(self) -> Any:
        """``request.user``; in a coroutine, what ``await request.auser()`` has found."""
        user = getattr(self._request, "user", None)
        if not django_private.is_unread(user):
            return user
        found = django_private.auser_read(self._request)
        return user if found is None else found

    @property
    def _store(self) -> SessionStore:
        return self._request.session  # type: ignore[return-value]

    @cached_property
    def _known(self) -> list[Session]:
        token = self._store.token
        if token is None:
            return []

        def query() -> list[Session]:
            if not self._store.had_accounts:
                return []
            known = Session.objects.visible_to(token).accounts().listed()
            known = known.with_users().select_related("client")
            return list(known.most_recently_used())

        return coroutines.ask(query)
