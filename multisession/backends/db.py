"""The session engine: Django's ``SessionStore`` contract on our tables.

``SessionStore(cookie)`` alone, with no request and no middleware, is the session of the account
that the cookie's token denotes. So everything that knows Django's sessions works: ``login()``,
``logout()``, the admin, the test client, jobs and websockets that keep a key.

How ``login()`` as a second user adds an account, and ``logout()`` signs out of one: both call
``flush()``, and neither says which it is. ``flush()`` therefore always ends the account, at once
and durably. Only if it was not announced by ``user_logged_out``, and ``user_logged_in`` follows in
the same request without a ``cycle_key()`` between, was it ``login()`` making room: then
``confirm_login()`` takes the account back. Whatever is not understood signs out.
"""

from __future__ import annotations

import datetime
import ipaddress
from typing import TYPE_CHECKING, Any, Literal

from asgiref.sync import sync_to_async
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.db import IntegrityError, router, transaction
from django.utils import timezone
from django.utils.functional import cached_property

from multisession import serialization, signals, tokens
from multisession.backends import adoption
from multisession.conf import settings

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

    from multisession.models import Session, Token

#: All that a view may still say to the person after it signed the account out. Everything else
#: that it writes then would end up in somebody else's session.
CARRIED_OVER = ("_messages", "_language")
#: In a visitor's data: under "next", another account follows the one that signed out.
NEXT = "_multisession_next"
#: In a visitor's data: written after an account had signed out.
LEFT = "_multisession_left"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")


class SessionStore(SessionBase):
    """The active account's own session, found by the value of the browser's one cookie."""

    #: "add": a further sign-in adds an account. "replace": it ends the one it replaces, for
    #: impersonation and shared terminals. Set it before ``login()``.
    login_mode: Literal["add", "replace"] = "add"

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        #: The request that this store serves, if any: set by the middleware.
        self.request: HttpRequest | None = None
        #: The cookie has to be sent: this store made the token that ``session_key`` is now.
        self.rotated = False
        #: The new token was made within somebody else's transaction, which may be rolled back.
        self.may_be_undone = False
        #: flush() was called, and nothing has taken the account's place since.
        self.flushed = False
        #: After such a flush() nothing is left on the client: its cookie may go.
        self.emptied = False
        #: The token turned out to be superseded: nothing may be written through it.
        self.superseded = False
        self._token: Token | None = None
        self._row: Session | None = None
        self._announced = False
        self._actor: AbstractBaseUser | None = None
        #: What of the data written after flush() is kept: these keys; None: everything.
        self._carried_over: tuple[str, ...] | None = None
        #: Whom the flushed session was; whoever is next on the client follows him.
        self._left: Session | None = None
        self._changed_client = False
        #: What flush() closed without a sign-out, and the key it was under.
        self._made_room: tuple[Session, str | None] | None = None
        self._may_return = False

    if TYPE_CHECKING:  # Django has it; its stubs do not.

        def _get_session(self, no_load: bool = False) -> dict[str, Any]: ...

    # Imported when used: an engine is imported before the app registry is ready.

    @cached_property
    def _models(self) -> Any:
        from multisession import models

        return models

    @cached_property
    def using(self) -> str:
        """The alias of the database that holds the sessions."""
        return router.db_for_write(self._models.Session)

    @classmethod
    def get_model_class(cls) -> type[Session]:
        """The model behind the store, as Django's database engine offers it."""
        from multisession.models import Session

        return Session

    # What the rest of the package asks of a store

    @property
    def token(self) -> Token | None:
        """The token of the client, or None for a browser that we do not know."""
        self._get_session()
        return self._token

    @property
    def row(self) -> Session | None:
        """The session row whose data this is, a visitor's included."""
        self._get_session()
        return self._row

    @property
    def is_sendable(self) -> bool:
        """Whether the browser may be given the new key: it has to open something.

        Not if the transaction was rolled back in which it was made, nor if an answer to a
        request beside this one has made it superseded already.
        """
        alone = self._token is not None and self._token.parent_id is None
        return (alone and not self.may_be_undone) or self.exists(self.session_key)

    @property
    def has_unsaved_sign_in(self) -> bool:
        """``login()`` has written an account into the data, and it has no session row yet."""
        data = self._get_session()
        return self._account_of(data) is not None and self._account_of_row() is None

    @property
    def ip_address(self) -> str | None:
        """Where the request came from, if that is an address at all (it may be a socket)."""
        if self.request is None:
            return None
        try:
            return str(ipaddress.ip_address(self.request.META.get("REMOTE_ADDR", "")))
        except ValueError:
            return None

    def cookie_age(self) -> int | None:
        """Seconds that the browser shall keep the cookie; None: until it closes.

        One cookie serves all accounts of the client: as soon as one of them asked to be
        forgotten when the browser closes, all are.
        """
        if self.get_expire_at_browser_close():
            return None
        token = self._token
        if token is not None and token.parent_id is not None:
            live = self._sessions.filter(client_id=token.client_id).live()
            if live.filter(expire_at_browser_close=True).exists():
                return None
        return max(self.get_expiry_age(), settings.COOKIE_AGE)

    # Django's contract

    def encode(self, session_dict: dict[str, Any]) -> str:
        return serialization.dumps(session_dict)

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        return serialization.loads(str(session_data))

    def exists(self, session_key: str | None) -> bool:
        """Whether something is stored under this key, and no newer one has taken its place."""
        if not tokens.is_token(session_key):
            return False
        found = self._models.Token.objects.valid().filter(digest=tokens.digest(str(session_key)))
        return bool(found.filter(children__isnull=True, client__sessions__isnull=False).exists())

    def load(self) -> dict[str, Any]:
        """One query: the data of the account that the token denotes, ``{}`` if it is nobody.

        For an unknown or a superseded key, ``session_key`` becomes None.
        """
        self._row = None
        self._token = self._find(self._session_key)
        if self._token is None and not self.superseded and settings.ADOPT_FROM:
            self._adopt(settings.ADOPT_FROM)
        if self._token is None:
            self._session_key = None
            return {}
        row = self._row = self._token.live_session()
        data = self._session_cache = row.get_decoded() if row is not None else {}
        if row is None or row.user_id is None:
            if self._is_next_due(data):
                self._activate_next()
        elif self._has_twin(data) and self._twin_is_gone():
            row.end()
            self._row, self._session_cache = None, {}
        return self._session_cache

    def create(self) -> None:
        """A session of its own under a new key: on this browser's client if there is one."""
        data = self._get_session()
        self._note_transaction()
        if self._token is None:
            self._create(data)
        elif self._row is not None:
            self.cycle_key()
        elif self._account_of(data) is not None:
            # In the middle of login() somebody wants to know the key: the sign-in is saved now.
            self._place(data)
        else:
            self._row = self._rotate(None, data=data)
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        """Write the data to the row it was loaded from, and to no other.

        One conditional UPDATE: the row must still be active and the token still valid. Raises
        UpdateError if not, CreateError if ``must_create`` meets a key that is taken.
        """
        data = self._get_session(no_load=must_create)
        self._note_transaction()
        if must_create:
            if self._find(self._session_key, present=False) is not None:
                raise CreateError
            self._create(data)
        elif self.flushed and not data and self._token is None:
            pass
        elif self.superseded:
            raise UpdateError
        elif self._token is None:
            self._create(data)
        elif self._row is None or self._account_of(data) != self._account_of_row():
            self._place(data)
        else:
            self._update(self._row, data)

    def delete(self, session_key: str | None = None) -> None:
        """End what the key opens: every account of the client, for its current key.

        That is what other code means by it ("sign out that browser"). For one account, see
        ``multisession.actions``. Through an old key only the account it denotes ends; through a
        superseded or unknown one, nobody.
        """
        models = self._models
        token = self._find(self.session_key if session_key is None else session_key, present=False)
        if token is None:
            return
        with transaction.atomic(using=self.using):
            client = models.Client.lock(token.client_id, using=self.using)
            if token.children.exists():
                self._sessions.filter(pk=token.session_id).close(models.Session.Status.REVOKED)
                return
            self._sessions.filter(client=client).close(models.Session.Status.REVOKED)
            self._sessions.filter(client=client, user__isnull=True).delete()
            client.tokens.all().delete()

    def flush(self) -> None:
        """End the account at once and durably; the rest of the request has an empty session.

        The account's data is kept in memory until the end of the request, in case this is
        ``login()`` making room for another account (see ``confirm_login``).
        """
        self._get_session()
        row, announced, by = self._row, self._announced, self._actor
        if row is not None and self._has_twin(row.get_decoded()):
            adoption.sign_out(str(settings.ADOPT_FROM), str(self._session_key))
        self._leave(row)
        if row is None:
            return
        if row.user_id is None:
            self._sessions.filter(pk=row.pk).delete()
            return
        if announced:
            status = row.Status.ENDED
        elif row.is_current_for(row.user):
            status = row.Status.REMOVED
        else:
            # get_user() found the password changed elsewhere: nobody signed it out here.
            status = row.Status.REVOKED
        closed = self._sessions.filter(pk=row.pk).close(status, by=by, making_room=not announced)
        if closed and not announced:
            self._made_room = (closed[0], self._flushed_key)
            self._may_return = status == row.Status.REMOVED
            if self.request is None:
                closed[0].announce_end()

    def cycle_key(self) -> None:
        """A new key for the same data. The old one goes on only for what it already showed."""
        data = self._get_session()
        self._note_transaction()
        self._may_return = False
        if self.superseded:
            return
        if self._token is None:
            self._create(data)
        elif self._account_of_row() is not None:
            self._rotate(self._row)
        else:
            self._cycle_visitor(data)
        self._session_cache = data
        self.modified = True

    async def aflush(self) -> None:
        return await sync_to_async(self.flush)()

    async def acycle_key(self) -> None:
        return await sync_to_async(self.cycle_key)()

    @classmethod
    def clear_expired(cls) -> None:
        """Remove what has no further use (``manage.py clearsessions``)."""
        from multisession.purge import purge

        purge()

    # Signing in and out, told by Django's signals (see receivers.py), and by the verbs

    def announce_sign_out(self, by: AbstractBaseUser | None) -> None:
        """The flush() that follows is meant as a sign-out, by this user."""
        self._announced, self._actor = True, by

    @property
    def is_making_room(self) -> bool:
        """flush() has closed an account, and whether it comes back is still to be confirmed."""
        return self._made_room is not None and self._may_return

    def leaving_for(self, user: AbstractBaseUser) -> Session | None:
        """The session that ``login()`` has just closed to make room for this user's."""
        if self._made_room is None or not self._may_return:
            return None
        row = self._made_room[0]
        return row if row.user_id != user.pk else None

    @property
    def _is_adding(self) -> bool:
        """Whether a sign-in leaves the others signed in."""
        return self.login_mode == "add" and settings.MULTIPLE

    def make_way(self, user: AbstractBaseUser) -> list[Session]:
        """Before an account is added: end what there is no place for beside it.

        Returns those that ended. Raises AccountLimitReached if the settings want that instead.
        """
        if self.token is None:
            return []
        live = self._sessions.visible_to(self.token).live().accounts().exclude(user_id=user.pk)
        others = list(live.most_recently_used())
        leaving = self.leaving_for(user)
        if not self._is_adding:
            surplus = others
        else:
            places = settings.MAX_ACCOUNTS - 1 - (leaving is not None)
            surplus = others[max(places, 0) :]
            known = self._sessions.visible_to(self.token).live().filter(user_id=user.pk)
            if surplus and known.exists():
                return []
            if surplus and settings.AT_LIMIT == "refuse":
                raise self._models.AccountLimitReached(
                    f"This browser is signed in to {settings.MAX_ACCOUNTS} accounts already."
                )
        keys = [row.pk for row in surplus]
        replaced = self._models.Session.Status.REPLACED
        return list(self._sessions.filter(pk__in=keys).close(replaced, by=user)) if keys else []

    def confirm_login(self, user: AbstractBaseUser) -> None:
        """The flush() before this was ``login()`` making room for ``user``.

        The account that had to make room is signed in again, unless it is the same user's (then
        its password has changed, and the new session replaces it) or ``login_mode`` says so.
        """
        made_room, self._made_room = self._made_room, None
        if made_room is None:
            return
        row = made_room[0]
        if row.user_id == user.pk or (self._may_return and not self._is_adding):
            row.status = row.Status.REPLACED
            self._sessions.filter(pk=row.pk, updated_at=row.updated_at).update(
                status=row.status, session_data=""
            )
        elif self._may_return and row.reopen(row.session_data):
            return
        row.announce_end()

    def refuse_login(self) -> None:
        """``login()`` was refused: everything is as it was before it."""
        if self._row is not None and self._row.user_id is not None:
            # An earlier receiver of user_logged_in has saved the new session already.
            self._row.remove()
            self._row, self._token, self.rotated = None, None, False
        made_room, self._made_room = self._made_room, None
        if (
            made_room is not None
            and self._may_return
            and made_room[0].reopen(made_room[0].session_data)
        ):
            self._row, self._session_key = made_room
            self._session_cache = self._row.get_decoded()
            self.flushed = self.modified = False
        else:
            for key in (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY):
                self._session_cache.pop(key, None)

    def finish(self) -> None:
        """The request is over: what flush() closed, and login() did not take back, has ended."""
        made_room, self._made_room = self._made_room, None
        if made_room is not None:
            self._sessions.filter(pk=made_room[0].pk, session_data=self._models.MADE_ROOM).update(
                session_data=""
            )
            made_room[0].announce_end()

    def set_active(self, row: Session) -> None:
        """Go over to another live session of this client, with a new key.

        Unsaved data of the present one is saved to it first. Raises UpdateError if the token is
        superseded.
        """
        self._note_transaction()
        if self.modified and self._row is not None:
            self.save()
        self._rotate(row)
        self._row = row
        self._session_cache = row.get_decoded()
        self.accessed, self.modified = True, False

    def leave_active(self, *, forget: bool = False, stay: bool = False) -> None:
        """The active session has been closed by a verb: nobody is active any more.

        ``forget``: nothing at all is carried over to the next page. ``stay``: nobody becomes
        active unless the person chooses.
        """
        self._get_session()
        self._leave(self._row)
        self._changed_client = True
        if forget:
            self._carried_over = ()
        if stay:
            self._left = None

    # Inside

    @property
    def _base(self) -> Token:
        """The token of the client, where there is one for certain."""
        if self._token is None:
            raise UpdateError
        return self._token

    @property
    def _sessions(self) -> Any:
        return self._models.Session.objects.using(self.using)

    def _leave(self, row: Session | None) -> None:
        self._flushed_key = self._session_key
        left_account = row is not None and row.user_id is not None
        self._carried_over = CARRIED_OVER if left_account else None
        self._left = row if left_account else None
        self._changed_client = row is not None
        self._row, self._made_room, self._may_return = None, None, False
        self._announced, self._actor = False, None
        self.clear()
        self._session_key = None
        self.flushed = True

    def _find(self, session_key: str | None, *, present: bool = True) -> Token | None:
        """The valid token of this key: one query, and none for what cannot be a token."""
        if not tokens.is_token(session_key):
            return None
        token = self._fetch(tokens.digest(str(session_key)))
        if token is None:
            return None
        if present and token.is_unseen and not token.present():
            token.client.refresh_from_db()
        if token.is_valid:
            return token
        self.superseded = not token.is_forgotten
        return None

    def _fetch(self, digest: str) -> Token | None:
        """The token with its client and its session: the one query of a page."""
        tokens_ = self._models.Token.objects.select_related("client", "session")
        token: Token | None = tokens_.filter(digest=digest).first()
        return token

    def _create(self, data: dict[str, Any], *, secret: str | None = None) -> None:
        """A client of its own, with a session for ``data``: for a browser that has none."""
        secret = secret or tokens.new_token()
        models = self._models
        try:
            with transaction.atomic(using=self.using):
                client = models.Client.objects.using(self.using).create(user_agent=self._user_agent)
                row = self._new_row(data, client=client)
                token = models.Token.objects.using(self.using).create(
                    digest=tokens.digest(secret), client=client, session=row
                )
        except IntegrityError as error:
            raise CreateError from error
        self._row = row
        self._use(token, secret)

    def _rotate(
        self,
        row: Session | None,
        *,
        data: dict[str, Any] | None = None,
        adding: bool = False,
        unasked: bool = False,
    ) -> Session | None:
        """A new key that denotes ``row`` or, with ``data``, a new row for it. Returns the row.

        ``adding``: an account is about to be added, so an old key leaves for a client of its own.
        ``unasked``: the person did nothing, so an old key stays as it is. Raises UpdateError if
        the token is superseded, or old and nobody asked.
        """
        token = self._base
        models = self._models
        secret = tokens.new_token()
        try:
            with transaction.atomic(using=self.using):
                if self.rotated:
                    # Nobody has seen the key that this store made: it may simply change.
                    client, through = token.client, token.parent_id
                else:
                    client = token.claim(adding=adding, unasked=unasked)
                    through = token.pk
                if data is not None:
                    row = self._new_row(data, client=client, added_through_id=through)
                if self.rotated:
                    token.digest, token.session = tokens.digest(secret), row
                    token.save(update_fields=["digest", "session"])
                else:
                    token = token.succeed(secret, row)
        except models.SupersededToken as error:
            self.superseded = not unasked
            raise UpdateError from error
        self._use(token, secret)
        return row

    def _note_transaction(self) -> None:
        """Whether what is about to be written is somebody else's to commit."""
        self.may_be_undone |= transaction.get_connection(self.using).in_atomic_block

    def _use(self, token: Token, secret: str) -> None:
        """``secret`` is the browser's new cookie."""
        self._token = token
        self._session_key = secret
        self.rotated = True
        self.flushed = self.emptied = False

    def _new_row(self, data: dict[str, Any], **fields: Any) -> Session:
        now = timezone.now()
        row: Session = self._models.Session(
            user_id=self._user_id(data),
            session_data=self.encode(data),
            ip_address=self.ip_address,
            created_at=now,
            updated_at=now,
            last_active_at=now,
            **fields,
        )
        for name, value in self._expiry(row, saved_at=now).items():
            setattr(row, name, value)
        row.save(using=self.using, force_insert=True)
        if row.user_id is not None:
            self._announce_added(row)
        return row

    def _announce_added(self, row: Session) -> None:
        self._models.announce(signals.session_created, self.using, session=row)
        self._models.announce(signals.session_activated, self.using, session=row)

    def _adopt(self, engine: str) -> None:
        """Take over a session of the engine that the project used before."""
        old_key = self._session_key
        adopted = adoption.load(engine, old_key)
        if adopted is None or old_key is None:
            return
        try:
            with transaction.atomic(using=self.using):
                self._session_cache = adopted
                self._create(adopted, secret=old_key)
                # The old value works on until the browser shows the new one, like any other.
                self.rotated = False
                self._rotate(self._row)
                adoption.hand_over(engine, old_key, str(self._session_key), adopted)
                if self._row is not None and self._token is not None:
                    self._update(self._row, {**adopted, adoption.TWIN: self._token.pk})
        except CreateError:
            # A request beside this one was quicker: the old value is now a token of ours.
            del self._session_cache
            self._token = self._find(old_key)

    def _has_twin(self, data: dict[str, Any]) -> bool:
        """Whether the old engine knows a session under this very key, too."""
        if not settings.ADOPT_FROM or self._token is None:
            return False
        return data.get(adoption.TWIN) == self._token.pk

    def _twin_is_gone(self) -> bool:
        """Whether an old worker signed it out."""
        return adoption.is_signed_out(str(settings.ADOPT_FROM), str(self._session_key))

    def _cycle_visitor(self, data: dict[str, Any]) -> None:
        """A new key for a visitor's data, in a row that only the new key denotes.

        ``login()`` is about to make an account of it, which the old key must never show. On a
        client without accounts the old key has nothing to lose, and stays behind alone.
        """
        row = self._row
        data.pop(NEXT, None)
        if data.pop(LEFT, None):
            # Of what a sign-out left behind, only what this request has written is for the next.
            before = row.get_decoded() if row is not None else {}
            for key in [key for key in data if key in before and key not in CARRIED_OVER]:
                del data[key]
        if self.rotated or self._sessions.visible_to(self._token).accounts().exists():
            self._row = self._rotate(None, data=data, adding=True)
        else:
            self._create(data)
        if row is not None:
            self._sessions.filter(pk=row.pk, user__isnull=True).delete()

    def _place(self, data: dict[str, Any]) -> None:
        """Data that belongs to no row yet, or to another account than the row it came from."""
        row = self._row
        with transaction.atomic(using=self.using):
            if row is not None and row.user_id is not None:
                # Somebody rewrote or removed the user by hand: a row never changes hands.
                row.remove()
                row = self._row = None
            if self._account_of(data) is None:
                self._place_visitor(data)
            elif (known := self._known_session(data)) is not None:
                self._renew(known, data)
            elif row is not None:
                # The row that cycle_key() made for this sign-in: only the new key denotes it.
                row.user_id = self._user_id(data)
                self._update(row, data)
                if row.user_id is not None:
                    self._announce_added(row)
            else:
                self._row = self._rotate(None, data=data, adding=True)

    def _place_visitor(self, data: dict[str, Any]) -> None:
        """Nobody is signed in, or nobody any more."""
        token, left = self._base, self._left
        if self.flushed:
            if token.children.exists():
                return  # An old key: its browser has, or will have, a newer one.
            if self._carried_over is not None:
                data = self._after_sign_out(data)
                self._session_cache = data
            accounts = self._sessions.visible_to(token).accounts()
            if data:
                self._row = self._rotate(None, data=self._with_next(data, left is not None))
            elif accounts.remembered().exists():
                self._rotate(left)
            else:
                self.emptied = self._changed_client
        elif data and token.session is not None and not token.children.exists():
            left_account = token.session.user_id is not None
            self._row = self._rotate(None, data=self._with_next(data, left_account))
        elif data:
            # A token that denotes nobody may come to denote a visitor, without a new key.
            self._row = self._new_row(data, client=token.client, added_through_id=token.parent_id)
            token.session = self._row
            token.save(update_fields=["session"])

    def _after_sign_out(self, data: dict[str, Any]) -> dict[str, Any]:
        """What is kept of the data that was written after an account signed out.

        It is for the visitor who is left, and for no account: if one is to follow by itself, only
        what may be shown to anybody is kept; otherwise the rest is marked, and goes no further
        than to the next sign-in (see ``_cycle_visitor``).
        """
        if settings.AFTER_SIGN_OUT == "next" or not self._carried_over:
            return {key: data[key] for key in self._carried_over or () if key in data}
        return {**data, LEFT: True} if set(data) - set(CARRIED_OVER) else data

    def _with_next(self, data: dict[str, Any], due: bool) -> dict[str, Any]:
        """A visitor's data, with the mark that an account is to follow the one that left."""
        return {**data, NEXT: True} if due and settings.AFTER_SIGN_OUT == "next" else data

    def _known_session(self, data: dict[str, Any]) -> Session | None:
        """The live session that this user has on this client already.

        One whose password has changed since is replaced.
        """
        token, user_id = self._base, self._user_id(data)
        if user_id is None or (self.rotated and token.parent_id is None):
            return None  # A client made for this very sign-in holds nobody else.
        self._models.Client.lock(token.client_id, using=self.using)
        active = self._sessions.visible_to(token).filter(user_id=user_id, status="active")
        found: Session | None = None
        for candidate in active.select_related("user").order_by("-pk"):
            if found is None and candidate.is_live and candidate.is_current_for(candidate.user):
                found = candidate
            else:
                candidate.close(candidate.Status.REPLACED, by=candidate.user)
        return found

    def _renew(self, known: Session, data: dict[str, Any]) -> None:
        """Signing in again activates the session that the user has here, and keeps its data."""
        visitor = self._row
        self._rotate(known)
        if visitor is not None:
            self._sessions.filter(pk=visitor.pk, user__isnull=True).delete()
        self._row = known
        self._session_cache = {**known.get_decoded(), **data}
        self._update(known, self._session_cache, in_use=True)
        self._models.announce(signals.session_activated, self.using, session=known)

    def _update(self, row: Session, data: dict[str, Any], *, in_use: bool = False) -> None:
        """The one statement that writes session data: into this row, if it is still active.

        Within a request it notes the activity, too, if that is due.
        """
        token = self._base
        valid = self._models.Token.objects.using(self.using).valid().filter(pk=token.pk)
        text, now = self.encode(data), timezone.now()
        changed = {"user_id": row.user_id, "session_data": text, "updated_at": now}
        if in_use or (self.request is not None and row.is_touch_due):
            changed |= {"last_active_at": now, "ip_address": self.ip_address or row.ip_address}
            row.last_active_at = now
        with transaction.atomic(using=self.using):
            written = self._sessions.filter(
                pk=row.pk, status=row.Status.ACTIVE, client_id__in=valid.values("client_id")
            ).update(**changed, **self._expiry(row, saved_at=now))
            self._models.clients_changed([token.client_id], self.using)
        if not written:
            raise UpdateError
        row.session_data = text

    def _is_next_due(self, data: dict[str, Any]) -> bool:
        """Nothing that the person did not do changes the active account.

        So only after an account has gone, not outside a request, not for a write, which was meant
        for somebody else, and not for a page that the browser only fetches in advance.
        """
        token = self._base
        gone = self._row is None and token.session_id is not None
        return (
            (gone or NEXT in data)
            and self.request is not None
            and self.request.method in SAFE_METHODS
            and "HTTP_SEC_PURPOSE" not in self.request.META
            and settings.AFTER_SIGN_OUT == "next"
        )

    def _activate_next(self) -> None:
        """Make the most recently used live account active, in place of one that is gone."""
        models, token = self._models, self._base
        visitor, written = self._row, self._session_cache
        candidates = self._sessions.visible_to(token).live().accounts()
        row: Session
        for row in candidates.select_related("user").most_recently_used():
            if not row.is_current_for(row.user):
                continue
            answers = signals.active_session_changing.send_robust(
                sender=models.Session, request=self.request, leaving=None, entering=row
            )
            if any(isinstance(answer, Exception) for _receiver, answer in answers):
                return  # Refused: then nobody is active. Nobody had asked for it.
            try:
                self._rotate(row, unasked=True)
            except UpdateError:
                return  # A page beside this one was quicker.
            self._row, self._session_cache = row, row.get_decoded()
            for key in CARRIED_OVER:
                if visitor is not None and key in written and key not in self._session_cache:
                    self._session_cache[key] = written[key]
                    self.modified = True
            if visitor is not None:
                self._sessions.filter(pk=visitor.pk, user__isnull=True).delete()
            models.announce(signals.session_activated, self.using, session=row)
            return

    def _expiry(self, row: Session, *, saved_at: datetime.datetime) -> dict[str, Any]:
        custom = self.get("_session_expiry")
        deadlines = row.deadlines(saved_at=saved_at, active_at=row.last_active_at, custom=custom)
        return {**deadlines, "expire_at_browser_close": self.get_expire_at_browser_close()}

    def _account_of(self, data: dict[str, Any]) -> str | None:
        """Whose data it is, as ``login()`` wrote it; None for a visitor's."""
        account = data.get(SESSION_KEY)
        return None if account is None else str(account)

    def _account_of_row(self) -> str | None:
        return None if self._row is None else self._account_of(self._row.get_decoded())

    def _user_id(self, data: dict[str, Any]) -> Any:
        """The user's primary key, or None if nobody, or a user of another model, is signed in."""
        account = self._account_of(data)
        user_model = get_user_model()
        if account is None or self._models.Session.user.field.related_model is not user_model:
            return None
        return user_model._meta.pk.to_python(account)

    @property
    def _user_agent(self) -> str:
        if self.request is None:
            return ""
        return str(self.request.META.get("HTTP_USER_AGENT", "")).replace("\x00", "")[:256]
