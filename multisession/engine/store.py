"""The session engine: Django's ``SessionStore`` contract on our tables.

``SessionStore(cookie)`` alone, with no request and no middleware, is the session of the active
account. So everything that knows Django's sessions works: ``login()``, ``logout()``, the admin, the
test client, jobs and websockets that keep a key.

How ``login()`` as a second user adds an account, and ``logout()`` signs out of one: both call
``flush()``, and neither says which it is. After ``user_logged_out`` it is a sign-out, and done at
once. Any other ``flush()`` only notes the departure; ``user_logged_in`` drops the note, because the
account was to stay. Whatever else follows carries it out: a save of nobody's data,
``cycle_key()``, another ``flush()``, the end of the request. Whatever is not understood signs out.
"""

from __future__ import annotations

import asyncio
import datetime
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.db import router, transaction
from django.middleware.csrf import CSRF_SESSION_KEY
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import ngettext

from multisession.conf import settings
from multisession.ground import impersonation, serialization, tokens
from multisession.ground.browsers import kind_of
from multisession.ground.origin import Origin, is_prefetch, user_agent_of

from . import next_account, placing, users
from .attempts import Busy, attempt
from .cookie import Cookie, cookie_of, is_wearing_out
from .leaving import Departure, Leaving, said_without_request
from .opening import Fetched, Opened, fetch, opened_by
from .placing import ASIDE, CARRIED_OVER, Step, decide

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

    from multisession.models import Session
    from multisession.models.session_sets import SessionQuerySet
    from multisession.models.status import Status
    from multisession.models.tokens import Token

    from .steps import Act, Entering


class Announced(NamedTuple):
    """A sign-out that was announced, and the user to name for it in the audit trail."""

    by: AbstractBaseUser | None


class SessionStore(SessionBase):
    """The active account's own session, found by the value of the browser's one cookie."""

    #: "add": a further sign-in adds an account. "replace": it ends the one it replaces, for
    #: impersonation and shared terminals. Set it before ``login()``.
    login_mode: Literal["add", "replace"] = "add"

    # Per-request state. Class attributes are the defaults, so most stores allocate none.

    #: The request that this store serves, if any: set by the middleware.
    request: HttpRequest | None = None
    #: What the key opens; None until it is looked up.
    _opened: Opened | None = None
    #: True between the look-up and the first ``load()``, which need not look up again.
    _is_fresh = False
    #: The number in a key of the form ``<token>.<number>``.
    _number: int | None = None
    #: The token that the browser presented, ended or not, and when it was read: a slow request
    #: says nothing about what the browser holds when it ends.
    _presented: Token | None = None
    _presented_at: datetime.datetime | None = None
    #: The primary key of the session row that this store created.
    _made: int | None = None
    #: The sessions that this request leaves; None if it leaves none.
    _left: Leaving | None = None
    #: ``cycle_key()`` was called: the next save makes a new key.
    _cycled = False
    #: This store created the current token, and no browser has seen it yet.
    is_issued = False
    #: That token was created in an outer transaction, which may be rolled back.
    may_be_undone = False
    #: Send the cookie again: its lifetime has changed, or is half over.
    renews_cookie = False
    #: ``flush()`` was called, and no data has been placed since.
    flushed = False
    #: After that the client has no accounts left: delete its cookie.
    emptied = False
    #: The request is over; a streaming response may still use the store.
    is_over = False
    #: The next ``flush()`` is a sign-out, by this user.
    _announced: Announced | None = None
    #: The latest ``login()``.
    _entering: Entering | None = None
    #: The name of the program that signs the user in, instead of a person.
    _program: str | None = None
    _csrf_digest = ""

    if TYPE_CHECKING:  # Django has it; its stubs do not.
        _session_cache: dict[str, Any]

        def _get_session(self, no_load: bool = False) -> dict[str, Any]: ...

    @classmethod
    def get_model_class(cls) -> type[Session]:
        """Return the model behind the store, as Django's database engine offers it."""
        from multisession.models import Session

        return Session

    # What is open

    @cached_property
    def using(self) -> str:
        """Return the alias of the database that holds the sessions."""
        return router.db_for_write(self.get_model_class())

    @cached_property
    def origin(self) -> Origin:
        """Return where the request comes from."""
        return Origin.of(self.request)

    @property
    def token(self) -> Token | None:
        """The living token of the client, or None for a browser that we do not know."""
        self.accessed = True
        return self._open().token

    @property
    def row(self) -> Session | None:
        """The session row whose data this is, a visitor's included."""
        self.accessed = True
        return self._open().row

    @property
    def is_opened(self) -> bool:
        """Return True if the key has been looked up."""
        return self._opened is not None

    @property
    def is_ended(self) -> bool:
        """Return True if the key was a token that has ended."""
        return self._open().ended is not None

    @property
    def had_accounts(self) -> bool:
        """Return True if somebody has ever signed in on this client."""
        return self._open().had_accounts

    @property
    def found_user(self) -> AbstractBaseUser | None:
        """The session's user, unless the auth backend has to find it.

        It does not say whether the user may act: request_user.py checks that.
        """
        opened = self._open()
        if opened.row is None or opened.row.user_id is None:
            return None
        if opened.is_user_missing:
            found = users.find(opened.row)
            self._opened = opened._replace(user=found, is_user_missing=False)
        else:
            found = opened.user
        return found if found is not None and opened.row.user_id == found.pk else None

    @property
    def has_unsaved_sign_in(self) -> bool:
        """``login()`` has written an account into the data, and it has no session row yet."""
        opened, data = self._open(), self._get_session()
        return users.account_of(data) is not None and _account(opened.row) is None

    @property
    def session_key(self) -> str | None:
        """The key of the account, or of the visitor: ``<token>.<number>``, or the bare token.

        Code that keeps it can find or end this session later. An unfinished sign-in is saved
        first, except in a coroutine, which must not query the database.
        """
        if self._opened is None:
            if not tokens.may_be_key(self._session_key) or _in_event_loop():
                return self._session_key
            self._open()
        is_loaded = "_session_cache" in vars(self)
        if is_loaded and (self._cycled or self.has_unsaved_sign_in) and not _in_event_loop():
            self.save()
        opened = self._open()
        if opened.row is None:
            return None
        number = opened.row.number
        return opened.secret if number is None else f"{opened.secret}.{number}"

    @property
    def cookie_value(self) -> str | None:
        """The value of the browser's cookie: the token alone."""
        return self._open().secret

    @property
    def _began(self) -> datetime.datetime:
        return self._presented_at or timezone.now()

    def cookie(self) -> Cookie | None:
        """Return the cookie to send; None if the browser is to keep what it has."""
        return cookie_of(
            self._open(),
            self.using,
            is_certain=self.is_issued and not self.may_be_undone,
            began=self._began,
            closes_with_browser=self.get_expire_at_browser_close(),
            age=self.get_expiry_age(),
        )

    def _open(self) -> Opened:
        """Return what the key opens. One statement, once, and none for what can't be a key."""
        if self._opened is None:
            self._opened = Opened()  # what callbacks of the look-up see
            secret, number = tokens.split(self._session_key) or (None, None)
            if number is not None:
                self._number = number
            opened = self._look_up(secret, self._number)
            if self.request is not None:
                self._presented, self._presented_at = opened.token or opened.ended, timezone.now()
            if opened.token is None and opened.ended is None:
                opened = self._adopt() or opened
            self._opened, self._is_fresh = opened, True
            self._session_key = opened.secret
            if self._number is None and next_account.is_due(self.request, opened):
                self._follow(next_account.activate(self._act({}), opened, self.request))
        return self._opened

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

    def _follow(self, opened: Opened | None) -> None:
        """Continue as the account that became active by itself; keep messages and language."""
        if opened is None or opened.row is None:
            return
        said = _data_of(self._opened)
        self._opened, self._session_cache = opened, opened.row.get_decoded()
        for key in CARRIED_OVER:
            if key in said and key not in self._session_cache:
                self._session_cache[key] = said[key]
                self.modified = True

    # Django's contract

    def encode(self, session_dict: dict[str, Any]) -> str:
        return serialization.dumps(session_dict)

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        return serialization.loads(str(session_data))

    def load(self) -> dict[str, Any]:
        """One query: the data of the account that the key denotes, ``{}`` if it is nobody.

        ``session_key`` becomes None for an unknown key, and for one whose account has ended.
        """
        if self.flushed:
            return {}
        if not self._is_fresh:  # Django asks for the current state
            self._opened = None
            vars(self).pop("_session_cache", None)
        opened = self._open()
        self._is_fresh = False
        data: dict[str, Any] = vars(self).get("_session_cache", _data_of(opened))
        return data

    def exists(self, session_key: str | None) -> bool:
        """Return True if something would be loaded under this key."""
        parts = tokens.split(session_key)
        return parts is not None and self._look_up(*parts).row is not None

    def create(self) -> None:
        """Make a session under a new key, on this browser's client if there is one."""
        self._open()
        self._cycled = True
        self._place(self._get_session())
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        """Write the data to the row that it was loaded from, or to where it belongs.

        If the account ended during the request, the data is dropped and the request may finish.
        Raises UpdateError if a visitor's row was deleted, CreateError if ``must_create`` meets a
        key that is taken, Busy.
        """
        if must_create:
            data = self._get_session(no_load=True)
            parts = tokens.split(self._session_key)
            if parts is not None and self._look_up(*parts).token is not None:
                raise CreateError
            self._opened = Opened()
            self._take(self._steps.begin(self._act(data), data, Opened()))
            return
        opened, data = self._open(), self._get_session()
        row = opened.row
        if row is not None and not self._cycled and _account(row) == users.account_of(data):
            self._save_to_row(row, data)
        else:
            self._place(data)

    def delete(self, session_key: str | None = None) -> None:
        """End what the key opens: the account that it names, or every account of that browser.

        A bare token stands for a browser. A key with a number is good for this as long as its token
        is remembered, also after that has ended.
        """
        parts = tokens.split(self.session_key if session_key is None else session_key)
        if parts is None:
            return
        secret, number = parts
        token = self._fetch(tokens.digest(secret)).token
        if token is None:
            return
        model = self.get_model_class()
        sessions: Any = model.objects.using(self.using).filter(client_id=token.client_id)
        if number is not None:
            sessions = sessions.filter(number=number)
        elif not token.is_living:
            return
        status: Any = model.Status.REVOKED
        Departure(sessions, token.client_id, status, {"origin": self.origin}).carry_out(self.using)
        sessions.visitors().delete()

    def flush(self) -> None:
        """Leave the account; the rest of the request has an empty session.

        After ``user_logged_out`` it ends at once. Otherwise its departure is noted.
        """
        if "_session_cache" in vars(self) and self.has_unsaved_sign_in:
            self.save()  # The account that just signed in leaves, not the one before it.
        opened = self._open()
        self._carry_out_noted()
        row, announced = opened.row, self._announced
        left = self._leave(opened)
        if row is None:
            return
        if row.user_id is None:
            self._steps.drop_visitor(self.using, row)
            return
        if self.request is None and said_without_request.get() == ("out", row.user_id):
            said_without_request.set(None)
            announced = Announced(None)
        user: Any = self._user_of(opened)
        if user is not None and row.is_of(user):
            row.user = user
        if announced is not None:
            self._depart(row, row.Status.ENDED, announced.by)
        elif user is None or not row.has_password_of(user):
            # get_user() found that the password was changed elsewhere. That is no sign-out, and
            # another tab of this browser may have changed it.
            left.opened, left.outdated = None, opened
        elif self.is_over:
            self._depart(row, row.Status.REMOVED, None)
        else:
            departure = self._departure_of(row, row.Status.REMOVED, None)
            left.note(departure, self if self.request is None else None)

    def cycle_key(self) -> None:
        """Give the data a new key at the next save; at once outside a request."""
        opened, data = self._open(), self._get_session()
        self._carry_out_noted()
        if opened.row is not None and _account(opened.row) not in (None, users.account_of(data)):
            data = self._part_with_row(data)
            opened = self._open()
        if opened.row is None or opened.row.user_id is None:
            before = opened.row.get_decoded() if opened.row is not None else None
            if CSRF_SESSION_KEY in data:
                self._csrf_digest = _digest_of(data[CSRF_SESSION_KEY])
            impersonation.take_marks_from(data)
            kept = placing.for_sign_in(data, before)
            data.clear()
            data.update(kept)
        self._cycled = self.modified = True
        if self.request is None:
            self.save()

    async def aflush(self) -> None:
        return await sync_to_async(self.flush)()

    async def acycle_key(self) -> None:
        return await sync_to_async(self.cycle_key)()

    @classmethod
    def clear_expired(cls) -> None:
        """Delete what is no longer needed (``manage.py clearsessions``)."""
        from multisession.upkeep.purge import purge

        purge()

    # Saving

    def _save_to_row(self, row: Session, data: dict[str, Any]) -> None:
        before = serialization.loads(self._steps.as_loaded(row))
        closed_with_it = row.expire_at_browser_close
        self._undo_hash(row, data)
        last_active_at = row.last_active_at
        in_use = self.request is not None and row.is_touch_due and not is_prefetch(self.request)
        act = self._act(data)
        write = partial(self._steps.write, act, row, data, in_use=in_use)
        if not attempt(self.using, write, row, atomic=False):
            self._row_has_ended(row, data)
            return
        if before.get(HASH_SESSION_KEY) != data.get(HASH_SESSION_KEY) and self.is_issued:
            with transaction.atomic(using=self.using):
                self._steps.keep_to_new_password(act, self._open().base, row, before, data)
        if before.get(serialization.EXPIRY) != data.get(serialization.EXPIRY):
            # The cookie of an account lives COOKIE_AGE, unless it has to be longer or shorter.
            self.renews_cookie |= (
                row.user_id is None
                or row.expire_at_browser_close != closed_with_it
                or self.get_expiry_age() > settings.COOKIE_AGE
            )
        if row.user_id is None or row.last_active_at != last_active_at:
            # For an account, checking once in ACTIVITY_INTERVAL is enough.
            self.renews_cookie |= is_wearing_out(self._open(), self.get_expiry_age())

    def _undo_hash(self, row: Session, data: dict[str, Any]) -> None:
        """Take back a new password's hash if the change of the password was rolled back."""
        if not self.may_be_undone:
            return
        loaded = serialization.loads(self._steps.as_loaded(row))
        known = loaded.get(HASH_SESSION_KEY)
        if known is None or known == data.get(HASH_SESSION_KEY):
            return
        old = type(row)(session_data=serialization.dumps(loaded))
        if old.is_current_for(users.fresh(row)):
            data[HASH_SESSION_KEY] = known

    def _row_has_ended(self, row: Session, data: dict[str, Any]) -> None:
        """Keep new messages and the language of an account that ended during the request."""
        if row.number is None:
            raise UpdateError  # As Django's: a visitor's data was deleted.
        said = placing.said_since(row.get_decoded(), data)
        left, opened = self._leaving, self._open()
        left.opened, left.kept = opened, CARRIED_OVER
        self._opened = opened._replace(row=None, user=None)
        self._session_cache = said
        if said:
            self._carry_out(Step.VISIT, self._opened, self._kept_of(said))

    def _kept_of(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return what a visitor keeps of this data; less if an account has left before."""
        left = self._left
        if left is None or left.kept is None or left.opened is None:
            return data
        follows = settings.AFTER_SIGN_OUT == "next"
        return placing.after_sign_out(data, left.kept, follows=follows)

    def _place(self, data: dict[str, Any]) -> None:
        """Save data that has no row yet, or whose row belongs to another account."""
        opened, account = self._open(), users.account_of(data)
        row = opened.row
        if row is not None and row.user_id is not None and _account(row) != account:
            data = self._part_with_row(data)
            opened = self._open()
        for mark in placing.MARKS if account is not None else ():
            data.pop(mark, None)
        if account is None:
            self._carry_out_noted()
            self._session_cache = data = self._kept_of(data)
        was = None if opened.row is None else "visitor" if opened.row.user_id is None else "same"
        step = decide(
            is_known=opened.token is not None,
            had_accounts=opened.had_accounts,
            was=was,
            account=account is not None,
            data=bool(data) or (self.request is None and not self.flushed),
            cycled=self._cycled,
        )
        self._carry_out(step, opened, data)
        if account is not None and self.request is None:
            said, row = said_without_request.get(), self._open().row
            if row is not None and said == ("in", row.user_id):
                said_without_request.set(None)
                self._carry_out_noted()  # Without a request, no signal could drop the note.

    def _part_with_row(self, data: dict[str, Any]) -> dict[str, Any]:
        """End the account whose user a view rewrote in the data: a row never changes its user.

        Return the part of the data that may be kept: what was written since, and the new user.
        """
        opened = self._open()
        row = opened.row
        if row is None:
            return data
        written = placing.written_since(row.get_decoded(), data)
        if users.account_of(data) is not None:
            auth = (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY)
            written |= {key: data[key] for key in auth if key in data}
        for key in (placing.PROVEN, placing.SIGNED_IN):
            written.pop(key, None)
        self._leave(opened)
        self._depart(row, row.Status.REMOVED, None)
        self._session_cache = written
        return written

    def _carry_out(self, step: Step, opened: Opened, data: dict[str, Any]) -> None:
        act, steps = self._act(data), self._steps
        issued = opened.token if self.is_issued else None
        if step is Step.BEGIN:
            placed = steps.begin(act, data, opened)
            self._made = placed.row.pk
            self._take(placed)
        elif step is Step.SIGN_IN:
            placed = steps.sign_in(act, data, opened, issued)
            if placed.row.created_at == placed.row.last_active_at:
                self._made = placed.row.pk
            self._take(placed)
            self._session_cache = {**_data_of(self._opened), **data}
        elif step is Step.REISSUE and opened.row is not None:
            try:
                self._take(steps.reissue(act, data, opened, opened.row, issued))
            except UpdateError:
                self._cycled = False  # The token has ended; the row may still be written.
                before = opened.row.get_decoded()
                self._save_to_row(opened.row, data)
                with transaction.atomic(using=self.using):
                    steps.keep_to_new_password(act, None, opened.row, before, data)
        elif step is Step.VISIT:
            beside = self._number is not None  # It does not change who is active.
            try:
                placed = steps.visit(act, data, opened, issued, cycled=self._cycled, beside=beside)
                self._take(placed)
            except UpdateError:
                self._session_cache = {}  # Another account became active: not for its eyes.
        elif step is Step.WRITE and opened.row is not None:
            self._save_to_row(opened.row, data)
        elif step is Step.STEP_DOWN:
            self._step_down()

    def _take(self, placed: Opened) -> None:
        """Become a store of what a step has saved."""
        before = self._open()
        if placed.secret != before.secret or self.is_issued:
            self.is_issued = True
            self.may_be_undone |= transaction.get_connection(self.using).in_atomic_block
        self._opened, self._session_key, self._number = placed, placed.secret, None
        if placed.row is not None and placed.base.session_id != placed.row.pk:
            self._number = placed.row.number  # It goes on as an account beside the active one.
        self._is_fresh = False
        self._cycled = self.flushed = self.emptied = False
        if self._left is not None:
            if placed.row is not None:
                self._left.came_back(placed.row)
            if not self._left.may_stay:
                self._left.opened = None
        if self._entering is not None:
            self._entering.surplus = []
        self.modified = True

    def _step_down(self) -> None:
        """End the token if its client has no active and no remembered account."""
        opened, left = self._open(), self._left
        if opened.token is None or left is None or left.opened is None:
            return
        session = left.session
        if session is not None and session.status == session.Status.ENDED and session.is_remembered:
            return  # The account is remembered, to sign in again.
        if opened.had_accounts:
            sessions: Any = self.get_model_class().objects.using(self.using)
            if sessions.visible_to(opened.token).accounts().remembered().exists():
                return
        self.emptied = self._steps.forget(self._act({}), opened.token)

    @cached_property
    def _steps(self) -> Any:
        from . import steps  # an engine is imported before the app registry is ready

        return steps

    def _act(self, data: dict[str, Any]) -> Act:
        act: Act = self._steps.Act(
            using=self.using,
            origin=self.origin,
            actor_id=self._actor_in(data) if self._may_name_actor else "",
            began=self._began,
            entering=self._entering,
            program=self._program,
            csrf_digest=self._visitor_csrf_digest(),
        )
        return act

    @property
    def _may_name_actor(self) -> bool:
        """Return True if a sign-in is under way, and not into a session that was there before."""
        row = self._open().row
        return self._entering is not None and (
            row is None or row.user_id is None or row.pk == self._made
        )

    def _visitor_csrf_digest(self) -> str:
        """Return the hash of the CSRF secret that the browser's pages have had, or "".

        Once a browser has accounts, it is needed under ``CSRF_USE_SESSIONS`` alone: otherwise
        guard/page_tokens.py can derive it.
        """
        if django_settings.CSRF_USE_SESSIONS:
            return self._csrf_digest
        if self.request is None or self._open().had_accounts:
            return ""
        return _digest_of(self.request.COOKIES.get(django_settings.CSRF_COOKIE_NAME))

    # Leaving

    @property
    def _leaving(self) -> Leaving:
        if self._left is None:
            self._left = Leaving(self.using)
        return self._left

    def _leave(self, opened: Opened) -> Leaving:
        """Become a store of an empty session that belongs to nobody."""
        left = self._leaving
        if opened.row is not None:
            left.opened = opened
            if opened.row.user_id is not None:
                left.kept = CARRIED_OVER
        self._opened = opened._replace(row=None, user=None)
        self._announced, self._cycled = None, False
        self.clear()
        self._session_key = None
        self.flushed = True
        return left

    def _departure_of(self, row: Session, status: Status | None, by: Any) -> Departure:
        sessions: Any = self.get_model_class().objects.using(self.using)
        cause: Any = {"by": by, "origin": self.origin}
        return Departure(sessions.filter(pk=row.pk), row.client_id, status, cause, row.pk)

    def _depart(self, row: Session, status: Any, by: Any) -> None:
        """End the account now, and again after the request if the transaction is rolled back."""
        from multisession.models import Client

        token = self.token
        self.renews_cookie |= row.expire_at_browser_close
        departure = self._departure_of(row, status, by)

        def step() -> None:
            client = Client.lock(row.client_id, using=self.using)
            if client is not None:
                row.client = client
                if token is not None:
                    token.client = client
            row.close(status, **departure.cause)

        self._leaving.insist(departure)
        attempt(self.using, step, row)

    def end_other(self, row: Session, *, by: Any) -> None:
        """Sign out of an account of this browser that is not the active one."""
        self._depart(row, row.Status.ENDED, by)

    def take_off(self, sessions: SessionQuerySet, *, by: Any) -> list[Session]:
        """Take these sessions of this client off its list. Return those that this call ended."""
        token = self.token
        if token is None:
            return []
        departure = Departure(sessions, token.client_id, None, {"by": by, "origin": self.origin})
        self._leaving.insist(departure)
        ended = departure.carry_out(self.using)
        self.renews_cookie |= any(row.expire_at_browser_close for row in ended)
        return ended

    def _carry_out_noted(self) -> None:
        if self._left is not None:
            self._left.carry_out_noted()

    def conclude(self) -> None:
        """Finish what had to wait for the end of the request and of its transactions.

        Safe to call more than once, whatever the response was.
        """
        opened = self._opened
        if opened is None:
            self.is_over = True
            return
        left = self._left
        if left is not None:
            left.carry_out_noted()
            left.carry_out_again()
            if self._opened is not None and self._opened.row is None and not self.emptied:
                self._step_down()
            self._leave_outdated(left)
        self._note_presentation()
        self._note_kind()
        self.is_over = True

    def _leave_outdated(self, left: Leaving) -> None:
        """Make nobody active where ``get_user()`` found an earlier password.

        The row stays: the request that changed the password may be about to write it.
        """
        outdated, left.outdated = left.outdated, None
        if outdated is None or outdated.token is None or outdated.row is None:
            return
        if outdated.row.is_current_for(users.fresh(outdated.row)):
            # The new password was rolled back, so the flushed session had the right one.
            self._depart(outdated.row, outdated.row.Status.REMOVED, None)
            return
        if next_account.may_follow(self.request):
            next_account.activate(self._act({}), outdated, self.request)
        elif self._open().row is None:
            outdated.token.point_to(None, unless_moved=True)

    def _note_presentation(self) -> None:
        """Note that the browser presented this token: its ancestors end (models/tokens.py)."""
        token, self._presented = self._presented, None
        if token is None:
            return
        if not token.is_living:
            with suppress(Busy):
                attempt(self.using, partial(token.note_reuse, self.origin))
        elif token.is_to_be_noted(self._began):
            with suppress(Busy):  # the next request tries again
                attempt(self.using, partial(token.note_presentation, self._began), token)

    def _note_kind(self) -> None:
        """Note that another kind of browser than at the sign-in presented the cookie."""
        row = self._open().row
        if self.request is None or row is None or not row.browsers or not settings.KEEP_USER_AGENTS:
            return
        # Not self.origin: most pages need no address.
        kind = kind_of(user_agent_of(self.request))
        if row.browsers != kind and row.user_id is not None and row.is_on_another_browser(kind):
            with suppress(Busy):  # the next request tries again
                attempt(self.using, partial(row.note_browser, kind, origin=self.origin), row)

    # Called by Django's signals (receivers.py) and by the verbs (actions.py)

    def announce_sign_out(self, by: AbstractBaseUser | None) -> None:
        """Announce that the flush() that follows is a sign-out, by this user."""
        self._announced = Announced(self.acting(by))

    def holds_login_of(self, user: Any) -> bool:
        """Return True if ``login()`` has written this user into the session, in this request."""
        field = getattr(getattr(user, "_meta", None), "pk", None)
        data = self._get_session()
        return (
            self.modified
            and field is not None
            and data.get(SESSION_KEY) == field.value_to_string(user)
        )

    @property
    def leaving(self) -> Session | None:
        """The session that ``login()`` has just flushed for another user."""
        return self._left.session if self._left is not None and self._left.may_stay else None

    @property
    def _is_adding(self) -> bool:
        """Return True if a sign-in leaves the others signed in."""
        only_one = settings.MAX_ACCOUNTS == 1 and settings.AT_LIMIT == "replace"
        return self.login_mode == "add" and not only_one

    def make_way(self, user: AbstractBaseUser) -> list[Session]:
        """Return the accounts beyond ``MAX_ACCOUNTS`` that end when this user's session begins.

        Raises AccountLimitReached if ``AT_LIMIT`` is "refuse".
        """
        from multisession.models import AccountLimitReached

        entering = self._entering = self._steps.Entering(timezone.now())
        token = self.token
        if token is None or not self._open().had_accounts:
            return []
        visible: Any = self.get_model_class().objects.using(self.using).visible_to(token).live()
        others = list(visible.accounts().exclude(user_id=user.pk).most_recently_used())
        mine = visible.filter(user_id=user.pk).exclude(pk=self._made or 0)
        if self.leaving in others:  # the most recently used of all
            others = [self.leaving, *(row for row in others if row != self.leaving)]
        if not self._is_adding:
            entering.surplus = others
            return others
        places = settings.MAX_ACCOUNTS - 1
        surplus = others[max(places, 0) :]
        is_full = bool(surplus) or places < 0
        if is_full and mine.exists():
            return []
        if is_full and settings.AT_LIMIT == "refuse":
            text = ngettext(
                "This browser is signed in to %(count)d account already.",
                "This browser is signed in to %(count)d accounts already.",
                settings.MAX_ACCOUNTS,
            )
            raise AccountLimitReached(text % {"count": settings.MAX_ACCOUNTS})
        entering.surplus = surplus
        return surplus

    def confirm_login(self, user: AbstractBaseUser) -> None:
        """Keep the account signed in that ``flush()`` left: ``login()`` called it."""
        if self._left is not None:
            self._left.drop_note()
        entering = self._entering
        if entering is None:
            return
        entering.user = user
        if self._made is not None and entering.surplus:
            # An earlier receiver had the session saved already, so they end now.
            model = self.get_model_class()
            keys = [row.pk for row in entering.surplus if row.pk != self._made]
            found = model.objects.using(self.using).filter(pk__in=keys)
            found.close(model.Status.REPLACED, by=self.acting(user), origin=self.origin)
            entering.surplus = []

    def signed_in_again(self, user: Any) -> None:
        """Record a ``login()`` as the account that is active already."""
        from multisession.models import Event

        row = self.row
        if row is not None:
            row.user = user
            self[placing.SIGNED_IN] = int(timezone.now().timestamp())
            event = row.event("signed-in", by=self.acting(user), origin=self.origin)
            Event.record([event], self.using)

    def refuse_login(self) -> None:
        """Undo a ``login()`` that a receiver refused."""
        opened = self._open()
        if self.is_issued and opened.row is not None and opened.row.user_id is not None:
            # An earlier receiver of user_logged_in has saved the new session already.
            opened.row.remove(origin=self.origin)
            self.is_issued = False
        self._cycled = False
        left, before = self._left, self.leaving
        if left is not None and left.opened is not None and before is not None:
            left.drop_note()
            self._opened, left.opened = left.opened, None
            self._session_key = self._opened.secret
            self._session_cache = before.get_decoded()
            self.flushed = self.modified = False
        else:
            for key in (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY):
                self._session_cache.pop(key, None)

    def sign_out_active(self) -> None:
        """Sign out of the active account, as ``logout()`` does, or drop a visitor's data.

        Messages and the language that this request has set are kept.
        """
        opened, data = self._open(), self._get_session()
        row = opened.row
        if row is None:
            return
        said = placing.said_since(row.get_decoded(), data) if row.user_id is not None else {}
        self.announce_sign_out(self._user_of(opened))
        self.flush()
        self.update(said)

    def set_active(
        self,
        row: Session,
        *,
        organization: str | None = None,
        by: AbstractBaseUser | None = None,
    ) -> None:
        """Make another live session of this client the active one.

        Unsaved data is saved to the present one first. ``organization``: its new organization, or
        None if that stays. ``by`` is the user who asked for it. Raises UpdateError if the token or
        the session has ended meanwhile.
        """
        opened = self._open()
        if opened.token is None:
            raise UpdateError
        if self.modified and opened.row is not None:
            self.save()
            opened = self._open()
        placed = self._steps.switch(self._act({}), opened, row, by=by, organization=organization)
        self._take(placed)
        self._session_cache = row.get_decoded()
        self._steps.discard_visitor(self.using, opened.row)
        self.accessed, self.modified = True, False

    def enter_organization(
        self, row: Session, organization: str, *, by: AbstractBaseUser | None = None
    ) -> None:
        """Put the active session into this organization; "" for none. Raises UpdateError."""
        opened = self._open()
        if opened.token is None:
            raise UpdateError
        placed = self._steps.enter_organization(self._act({}), opened, row, organization, by=by)
        if placed is not opened:
            self._take(placed)
        self.accessed = True

    def step_aside(self, page: str = "") -> None:
        """Make nobody active; the account that was stays signed in.

        Unsaved data is saved to it first. From here on the data is a visitor's; it names the
        account that stepped aside, and its page. Raises UpdateError.
        """
        opened = self._open()
        row = opened.row
        if row is None or row.user_id is None:
            return
        if self.modified:
            self.save()
        data = {ASIDE: {"session": row.public_id, "page": page}}
        gone = self._open()._replace(row=None, user=None)
        self._take(self._steps.visit(self._act(data), data, gone, None, cycled=False))
        self._session_cache = data
        self.accessed, self.modified = True, False

    def leave_active(self, *, forget: bool = False, stay: bool = False) -> None:
        """Make nobody active, after a verb has closed the active session.

        ``forget``: carry nothing over to the next page. ``stay``: no other account follows by
        itself.
        """
        opened = self._open()
        left = self._leave(opened)
        left.opened = left.opened or opened
        if forget:
            left.kept = ()
        if stay and opened.token is not None:
            opened.token.point_to(None, unless_moved=True)
            left.kept = None

    def touch(self, row: Session) -> bool:
        """Note activity (see ``Session.touch``) and the browser's name."""
        if not row.is_touch_due:
            return False

        def step() -> bool:
            self._steps.note_browser(self._act({}), row)
            return row.touch(origin=self.origin)

        return attempt(self.using, step, row, atomic=False)

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
        return self._left.session if self._left is not None else None

    def _user_of(self, opened: Opened) -> AbstractBaseUser | None:
        """Return the user; None if the user has been deleted meanwhile."""
        if opened.row is None:
            return None
        return opened.user if opened.user is not None else users.of(opened.row)


def _data_of(opened: Opened | None) -> dict[str, Any]:
    return opened.row.get_decoded() if opened is not None and opened.row is not None else {}


def _account(row: Session | None) -> str | None:
    return None if row is None else users.account_of(row.get_decoded())


def _digest_of(secret: object) -> str:
    text = str(secret or "")
    return tokens.digest(text) if text and text.isascii() else ""


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
