"""The current session of a request: what the browser's key opens, and what it becomes.

``CurrentSession`` is the part of the store below Django's contract. saving.py, login.py, verbs.py
and conclusion.py change it: each is a way in which a request goes on as another session.
"""

from __future__ import annotations

import asyncio
import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from django.conf import settings as django_settings
from django.contrib.sessions.backends.base import SessionBase
from django.db import router, transaction
from django.utils import timezone
from django.utils.functional import cached_property

from multisession.ground import impersonation, tokens
from multisession.ground.attempts import attempt
from multisession.ground.origin import Origin

from . import next_account, users
from .act import Act
from .cookie import Cookie, cookie_of
from .departures import Departure, Departures
from .opening import Fetched, Opened, fetch, opened_by
from .placing import CARRIED_OVER

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

    from multisession.models import Session
    from multisession.models.status import Status
    from multisession.models.tokens import Token

    from .act import Entering


class Announced(NamedTuple):
    """A sign-out that was announced, and the user to name for it in the audit trail."""

    by: AbstractBaseUser | None


class CurrentSession(SessionBase):
    """What the key opens, and whatever else the request has to know until it ends."""

    #: "add": a further sign-in adds an account. "replace": it ends the one it replaces, for
    #: impersonation and shared terminals. Set it before ``login()``.
    login_mode: Literal["add", "replace"] = "add"

    # Class attributes are the defaults, so most stores allocate none.

    #: The request that this store serves, if any: set by the middleware.
    request: HttpRequest | None = None

    # The key
    #: What it opens; None until it is looked up.
    _opened: Opened | None = None
    #: True between the look-up and the first ``load()``, which need not look up again.
    _is_fresh = False
    #: The number in a key of the form ``<token>.<number>``.
    number: int | None = None
    #: The token that the browser presented, ended or not, and when it was read: a slow request
    #: says nothing about what the browser holds when it ends.
    presented: Token | None = None
    _presented_at: datetime.datetime | None = None
    #: ``cycle_key()`` was called: the next save makes a new key.
    is_cycled = False

    # The cookie
    #: This store created the current token, and no browser has seen it yet.
    is_issued = False
    #: That token was created in an outer transaction, which may be rolled back.
    may_be_undone = False
    #: Send the cookie again: its lifetime has changed, or is half over.
    renews_cookie = False
    #: After ``flush()`` the client has no accounts left: delete its cookie.
    emptied = False

    # Signing in
    #: The latest ``login()``.
    entering: Entering | None = None
    #: The primary key of the session row that this store created.
    made_session_id: int | None = None
    #: The name of the program that signs the user in, instead of a person.
    _program: str | None = None
    #: The hash of the CSRF secret in the data that ``cycle_key()`` has moved.
    csrf_digest = ""

    # Departures
    #: The sessions that this request leaves; None if it leaves none.
    departures: Departures | None = None
    #: The next ``flush()`` is a sign-out, by this user.
    announced: Announced | None = None
    #: ``flush()`` was called, and no data has been placed since.
    flushed = False
    #: The request is over; a streaming response may still use the store.
    is_over = False

    if TYPE_CHECKING:  # Django has it; its stubs do not.
        _session_cache: dict[str, Any]

        def _get_session(self, no_load: bool = False) -> dict[str, Any]: ...

    @classmethod
    def get_model_class(cls) -> type[Session]:
        """Return the model behind the store, as Django's database engine offers it."""
        from multisession.models import Session

        return Session

    @cached_property
    def using(self) -> str:
        """Return the alias of the database that holds the sessions."""
        return router.db_for_write(self.get_model_class())

    @cached_property
    def origin(self) -> Origin:
        """Return where the request comes from."""
        return Origin.of(self.request)

    @property
    def began(self) -> datetime.datetime:
        """Return when the request read its session."""
        return self._presented_at or timezone.now()

    # What the key opens

    @property
    def opened(self) -> Opened:
        """What the key opens. One statement, once, and none for what can't be a key."""
        if self._opened is None:
            self._opened = Opened()  # what callbacks of the look-up see
            secret, number = tokens.split(self._session_key) or (None, None)
            if number is not None:
                self.number = number
            opened = self._look_up(secret, self.number)
            if self.request is not None:
                self.presented, self._presented_at = opened.token or opened.ended, timezone.now()
            if opened.token is None and opened.ended is None:
                opened = self._adopt() or opened
            self._opened, self._is_fresh = opened, True
            self._session_key = opened.secret
            if self.number is None and next_account.is_due(self.request, opened):
                self._follow(next_account.activate(self.act({}), opened, self.request))
        return self._opened

    @property
    def is_opened(self) -> bool:
        """Return True if the key has been looked up."""
        return self._opened is not None

    @property
    def is_loaded(self) -> bool:
        """Return True if the data has been loaded."""
        return "_session_cache" in vars(self)

    @property
    def token(self) -> Token | None:
        """The living token of the client, or None for a browser that we do not know."""
        self.accessed = True
        return self.opened.token

    @property
    def row(self) -> Session | None:
        """The session row whose data this is, a visitor's included."""
        self.accessed = True
        return self.opened.row

    @property
    def is_ended(self) -> bool:
        """Return True if the key was a token that has ended."""
        return self.opened.ended is not None

    @property
    def had_accounts(self) -> bool:
        """Return True if somebody has ever signed in on this client."""
        return self.opened.had_accounts

    @property
    def found_user(self) -> AbstractBaseUser | None:
        """The session's user, unless the auth backend has to find it.

        It does not say whether the user may act: request_user.py checks that.
        """
        opened = self.opened
        if opened.row is None or opened.row.user_id is None:
            return None
        if opened.is_user_missing:
            found = users.find(opened.row)
            self._opened = opened._replace(user=found, is_user_missing=False)
        else:
            found = opened.user
        return found if found is not None and opened.row.user_id == found.pk else None

    @property
    def user(self) -> AbstractBaseUser | None:
        """The session's user, however it has to be found; None if it has been deleted meanwhile."""
        row = self.opened.row
        return None if row is None else self.found_user or users.of(row)

    @property
    def has_unsaved_sign_in(self) -> bool:
        """``login()`` has written an account into the data, and it has no session row yet."""
        opened, data = self.opened, self._get_session()
        return users.account_of(data) is not None and account_in(opened.row) is None

    @property
    def session_key(self) -> str | None:
        """The key of the account, or of the visitor: ``<token>.<number>``, or the bare token.

        Code that keeps it can find or end this session later. An unfinished sign-in is saved
        first, except in a coroutine, which must not query the database.
        """
        if self._opened is None and (not tokens.may_be_key(self._session_key) or _in_event_loop()):
            return self._session_key
        _ = self.opened  # Another account may follow by itself, and its data is loaded then.
        is_due = self.is_loaded and (self.is_cycled or self.has_unsaved_sign_in)
        if is_due and not _in_event_loop():
            self.save()
        opened = self.opened
        if opened.row is None:
            return None
        number = opened.row.number
        return opened.secret if number is None else f"{opened.secret}.{number}"

    @property
    def cookie_value(self) -> str | None:
        """The value of the browser's cookie: the token alone."""
        return self.opened.secret

    def cookie(self) -> Cookie | None:
        """Return the cookie to send; None if the browser is to keep what it has."""
        return cookie_of(
            self.opened,
            self.using,
            is_certain=self.is_issued and not self.may_be_undone,
            began=self.began,
            closes_with_browser=self.get_expire_at_browser_close(),
            age=self.get_expiry_age(),
        )

    def _look_up(self, secret: str | None, number: int | None) -> Opened:
        """Return what this token opens, or one account of it. Changes nothing."""
        if secret is None:
            return Opened()
        return opened_by(secret, self._fetch(tokens.digest(secret), number))

    def _fetch(self, digest: str, number: int | None = None) -> Fetched:
        """Find a token by its digest in the database; a subclass may ask a cache."""
        return fetch(self.using, digest, number)

    def _adopt(self) -> Opened | None:
        """Take over another engine's session; a hook for backends/adopting.py."""
        return None

    # Going on as another session

    def _follow(self, opened: Opened | None) -> None:
        """Continue as the account that became active by itself; keep messages and language."""
        if opened is None or opened.row is None:
            return
        said = data_of(self._opened)
        self._opened, self._session_cache = opened, opened.row.get_decoded()
        for key in CARRIED_OVER:
            if key in said and key not in self._session_cache:
                self._session_cache[key] = said[key]
                self.modified = True

    def become(self, placed: Opened) -> None:
        """Become a store of what a step has saved."""
        before = self.opened
        if placed.secret != before.secret or self.is_issued:
            self.is_issued = True
            self.may_be_undone |= transaction.get_connection(self.using).in_atomic_block
        self._opened, self._session_key, self.number = placed, placed.secret, None
        if placed.row is not None and placed.living_token.session_id != placed.row.pk:
            self.number = placed.row.number  # It goes on as an account beside the active one.
        self._is_fresh = False
        self.is_cycled = self.flushed = self.emptied = False
        if self.departures is not None:
            if placed.row is not None:
                self.departures.came_back(placed.row)
            if not self.departures.may_stay:
                self.departures.opened = None
        if self.entering is not None:
            self.entering.surplus = []
        self.modified = True

    def go_on_as(self, placed: Opened, data: dict[str, Any]) -> None:
        """Become a store of what a verb has saved, with this data, which needs no saving."""
        self.become(placed)
        self._session_cache = data
        self.accessed, self.modified = True, False

    def go_back_to(self, opened: Opened) -> None:
        """Become a store of the session that ``flush()`` has left, as it was loaded."""
        self._opened, self._session_key = opened, opened.secret
        self._session_cache = data_of(opened)
        self.flushed = self.modified = False

    def lose_row(self) -> None:
        """Go on as nobody on the same client."""
        self._opened = self.opened._replace(row=None, user=None)

    # Departures

    def note_departures(self) -> Departures:
        """Return what this request leaves, to note more."""
        if self.departures is None:
            self.departures = Departures(self.using)
        return self.departures

    def become_nobody(self) -> Departures:
        """Become a store of an empty session that belongs to nobody."""
        opened, departures = self.opened, self.note_departures()
        if opened.row is not None:
            departures.opened = opened
            if opened.row.user_id is not None:
                departures.kept = CARRIED_OVER
        self.lose_row()
        self.made_session_id, self.announced, self.is_cycled = None, None, False
        self.clear()
        self._session_key = None
        self.flushed = True
        return departures

    def announce_sign_out(self, by: AbstractBaseUser | None) -> None:
        """Announce that the flush() that follows is a sign-out, by this user."""
        self.announced = Announced(self.acting(by))

    def departure_of(self, row: Session, status: Status | None, by: Any) -> Departure:
        """Return the end of this session, to be carried out or noted."""
        sessions: Any = self.get_model_class().objects.using(self.using)
        cause: Any = {"by": by, "origin": self.origin}
        return Departure(sessions.filter(pk=row.pk), row.client_id, status, cause, row.pk)

    def depart(self, row: Session, status: Any, by: Any) -> None:
        """End the account now, and again after the request if the transaction is rolled back."""
        from multisession.models import Client

        token = self.token
        self.renews_cookie |= row.expire_at_browser_close
        departure = self.departure_of(row, status, by)

        def step() -> None:
            client = Client.lock(row.client_id, using=self.using)
            if client is not None:
                row.client = client
                if token is not None:
                    token.client = client
            row.close(status, **departure.cause)

        self.note_departures().carry_out_again_if_undone(departure)
        attempt(self.using, step, row)

    def carry_out_noted(self) -> None:
        """End the session whose departure was noted, if any."""
        if self.departures is not None:
            self.departures.carry_out_noted()

    # Who acts

    def act(self, data: dict[str, Any]) -> Act:
        """Return who acts, from where, and in which ``login()``, for a step with this data."""
        row = self.opened.row
        # A sign-in is under way, and not into a session that was there before.
        is_new = self.entering is not None and (
            row is None or row.user_id is None or row.pk == self.made_session_id
        )
        return Act(
            using=self.using,
            origin=self.origin,
            actor_id=self._actor_in(data) if is_new else "",
            began=self.began,
            entering=self.entering,
            program=self._program,
            csrf_digest=self._visitor_csrf_digest(),
        )

    def acting(self, by: Any) -> Any:
        """Return whom to name for what ``by`` does: an impersonating administrator, if any."""
        row = self.row or self._left_session
        if by is None or row is None or not row.actor_id or by.pk != row.user_id:
            return by
        return row.actor

    def _actor_in(self, data: dict[str, Any]) -> str:
        """Return the key of the administrator who acts through a session with this data, or "".

        From one impersonated session to another, and back, it stays the first administrator.
        """
        account = users.account_of(data)
        if account is None:
            return ""
        named = impersonation.named_in(data)
        left = self._left_session
        if left is not None and left.actor_id:
            came_from = impersonation.named_in(left.get_decoded())
            if named == str(left.user_id) or (not named and account == came_from):
                named = left.actor_id
        return "" if named == account else named

    @property
    def _left_session(self) -> Session | None:
        return self.departures.session if self.departures is not None else None

    def _visitor_csrf_digest(self) -> str:
        """Return the hash of the CSRF secret that the browser's pages have had, or "".

        Once a browser has accounts, it is needed under ``CSRF_USE_SESSIONS`` alone: otherwise
        guard/page_tokens.py can derive it.
        """
        if django_settings.CSRF_USE_SESSIONS:
            return self.csrf_digest
        if self.request is None or self.opened.had_accounts:
            return ""
        return digest_of(self.request.COOKIES.get(django_settings.CSRF_COOKIE_NAME))


def data_of(opened: Opened | None) -> dict[str, Any]:
    """Return the data of the row that is open, as it was loaded; ``{}`` for nobody."""
    return opened.row.get_decoded() if opened is not None and opened.row is not None else {}


def account_in(row: Session | None) -> str | None:
    """Return the user's key in the data of this row; None for a visitor and for no row."""
    return None if row is None else users.account_of(row.get_decoded())


def digest_of(secret: object) -> str:
    """Return the hash of a CSRF secret; "" for anything that can't be one."""
    text = str(secret or "")
    return tokens.digest(text) if text and text.isascii() else ""


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
