"""``request.multisession``: the accounts of the browser that sent the request, read lazily."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from django.utils.functional import cached_property

from . import organizations
from .backends.db import SessionStore
from .conf import settings
from .engine.placing import ASIDE
from .ground import coroutines, django_private
from .models import Session
from .organizations import Organization

if TYPE_CHECKING:
    from .models import Client

__all__ = [
    "MultiSession",
    "MultiSessionRequest",
]


class MultiSessionRequest(HttpRequest):
    """The request with the attributes that the middleware adds, for type checkers."""

    session: SessionStore
    multisession: MultiSession
    #: The account's number in the path (``multisession.paths``), or None.
    account_number: int | None


class MultiSession:
    """The browser's accounts. Each attribute is lazy and costs at most one query."""

    #: The active account while the guard runs the view without a user; see guard/guard.py.
    _beneath: Session | None = None
    #: The organization that the active session is in, after the provider was asked for this key.
    _organization: Organization | None = None
    _organization_of: tuple[int, str] | None = None
    #: True if the user is no longer a member of the organization that the session names.
    _lost_organization = False
    #: True if the view is a coroutine, which can't query the database.
    _serves_coroutine = False

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @property
    def client(self) -> Client | None:
        """The browser's client, or None for a browser without one."""
        token = self._store.token
        return None if token is None else coroutines.ask(lambda: token.client)

    @property
    def client_id(self) -> int | None:
        """The client's primary key, which costs no query of its own."""
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

        An account that has been deactivated or has a new password is in ``signed_out_sessions``
        instead.
        """
        return [row for row in self._known if row.is_live and row.is_current_for(row.user)]

    @property
    def other_sessions(self) -> list[Session]:
        """``sessions`` without the active one."""
        active = self.session
        return [row for row in self.sessions if active is None or row.pk != active.pk]

    @property
    def organization(self) -> Organization | None:
        """The organization that the active session is in, or None.

        The provider is asked once, and only for a session that is in one. None also if the user is
        no longer a member: then ``session.organization`` is "" for the rest of this request.
        """
        session = self.session
        if session is None or not session.organization:
            return None
        key = (session.pk, session.organization)
        if self._organization_of != key:
            user: Any = session.user
            self._organization = coroutines.ask(lambda: organizations.find(user, key[1]))
            self._organization_of = key
            self._lost_organization = False
        if self._organization is None:
            # Whatever is drawn and checked from here on is in none.
            session.organization = ""
            self._lost_organization = True
        return self._organization

    @cached_property
    def organizations(self) -> list[Organization]:
        """List the organizations of the active account, in the provider's order."""
        session = self.session
        if session is None:
            return []
        user: Any = session.user
        return coroutines.ask(lambda: organizations.listed(user))

    async def aorganization(self) -> Organization | None:
        """Return ``organization`` in a coroutine."""
        return await sync_to_async(lambda: self.organization)()

    async def aorganizations(self) -> list[Organization]:
        """Return ``organizations`` in a coroutine. Afterwards its templates can use them, too."""
        return await sync_to_async(lambda: self.organizations)()

    @property
    def stepped_aside(self) -> Session | None:
        """The account that stepped aside for a sign-in (``actions.step_aside``), to go back to.

        None if an account is active, or if this one can't act any more. Costs the query of
        ``sessions`` if an account has stepped aside, and nothing otherwise.
        """
        said = self._left_by_step_aside.get("session")
        return next((row for row in self.sessions if row.public_id == said), None) if said else None

    @property
    def page_left(self) -> str:
        """The URL of the page on which it stepped aside, or ""."""
        return str(self._left_by_step_aside.get("page") or "")

    @cached_property
    def signed_out_sessions(self) -> list[Session]:
        """List the signed-out accounts that this browser remembers, newest first.

        One session for each user who is not signed in here. Empty without ``REMEMBER_ACCOUNTS``.
        """
        if not settings.REMEMBER_ACCOUNTS:
            return []
        seen = {row.user_id for row in self.sessions}
        found = []
        for row in sorted(self._known, key=lambda row: row.pk, reverse=True):
            if row.user_id not in seen:
                seen.add(row.user_id)
                found.append(row)
        return found

    def _enter(self, session: Session, organization: Organization | None) -> None:
        """Note the provider's answer for the active session, which has just entered this one."""
        self._organization = organization
        self._organization_of = (session.pk, session.organization)
        self._lost_organization = False

    def read_again(self) -> None:
        """Forget the lists, so that the next access reads them again."""
        for name in ("_known", "sessions", "signed_out_sessions", "organizations"):
            self.__dict__.pop(name, None)

    async def asessions(self) -> list[Session]:
        """Return ``sessions`` in a coroutine. Afterwards its templates can use the lists, too."""
        return await sync_to_async(lambda: self.sessions)()

    @property
    def _left_by_step_aside(self) -> dict[str, Any]:
        said = self._store.get(ASIDE) if self.session is None else None
        return said if isinstance(said, dict) else {}

    @property
    def _user(self) -> Any:
        """``request.user``; in a coroutine, the result of ``await request.auser()``."""
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
