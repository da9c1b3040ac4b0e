"""The rows behind a session store: finding them, and the few statements that change them."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings as django_settings
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.core.exceptions import ObjectDoesNotExist
from django.db import IntegrityError, router, transaction
from django.db.models import Exists, OuterRef
from django.middleware.csrf import CSRF_SESSION_KEY
from django.utils import timezone
from django.utils.functional import cached_property

from multisession import impersonation, signals, tokens
from multisession.backends import quick
from multisession.conf import settings
from multisession.origin import Origin, is_prefetch

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

    from multisession.models import Client, Event, Session, Token


class Cookie(NamedTuple):
    """The client's cookie: its value, and for how many seconds; None: until the browser closes."""

    value: str
    max_age: int | None


class Rows(SessionBase):
    """A store's token and session row, its *pinned* ones: never looked up again when it writes."""

    #: There are copies outside the database, which have to hear of a change before it is seen.
    has_copies = False

    # What is the same in most stores, which never come to need it, is said here, once.

    #: The request that this store serves, if any: set by the middleware.
    request: HttpRequest | None = None
    #: The cookie has to be sent: this store made the token that ``session_key`` is now.
    rotated = False
    #: ``set_expiry()`` has changed how long the browser keeps the cookie, or it wears out.
    renews_cookie = False
    #: The new token was made within somebody else's transaction, which may be rolled back.
    may_be_undone = False
    #: flush() was called, and nothing has taken the account's place since.
    flushed = False
    #: After such a flush() nothing is left on the client: its cookie may go.
    emptied = False
    #: The token and the row have been looked up.
    _is_open = False
    #: A change through the token was refused, because it has been superseded meanwhile.
    _was_refused = False
    #: The new token is on a client of its own, with copies of the accounts of before.
    _forked = False
    #: The token that the key had been, found to be valid no more.
    _outdated: Token | None = None
    _token: Token | None = None
    _row: Session | None = None
    _found_user: AbstractBaseUser | None = None
    #: The session was found without its user, and a statement for the user is ours to ask.
    _user_is_to_be_found = False
    _announced = False
    _actor: AbstractBaseUser | None = None
    #: Who is signing in, as ``login()`` has said: saves asking for the name.
    _entering: Any = None
    #: Since when ``login()`` is under way.
    _entering_since: datetime.datetime | None = None
    #: The program that brought the account in, where it was not a person who signed in.
    _brought_by: str | None = None
    #: What of the data written after flush() is kept: these keys; None: everything.
    _carried_over: tuple[str, ...] | None = None
    #: Whom the flushed session was; whoever is next on the client follows him.
    _left: Session | None = None
    _changed_client = False
    #: Ends that were written in a transaction which has not been committed: see ``insist``.
    _insisted: list[Callable[[], object]] = []
    #: What flush() closed without a sign-out, and the key it was under.
    _made_room: tuple[Session, str | None] | None = None
    _may_return = False
    #: Outside a request: what flush() has put on record of it, perhaps too early.
    _told: Event | None = None

    if TYPE_CHECKING:  # Django has it; its stubs do not.
        _session_cache: dict[str, Any]

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

    def _open(self) -> dict[str, Any]:
        """The data, once the token and the row behind it are known.

        ``clear()`` replaces the data without loading it.
        """
        if not self._is_open and self._session_key is not None and "_session_cache" in vars(self):
            data = vars(self).pop("_session_cache")
            self._get_session()
            self._session_cache = data
        return self._get_session()

    @property
    def token(self) -> Token | None:
        """The token of the client, or None for a browser that we do not know."""
        self._open()
        return self._token

    @property
    def row(self) -> Session | None:
        """The session row whose data this is, a visitor's included."""
        self._open()
        return self._row

    @property
    def superseded(self) -> bool:
        """The token turned out to be superseded: nothing may be written through it.

        One statement, once, for a key that had been a token; so a page that only reads is spared.
        """
        return self._was_refused or (self._outdated is not None and not self._outdated.is_forgotten)

    @property
    def found_user(self) -> AbstractBaseUser | None:
        """The session's user, unless the auth backend has to find it.

        Whether the user may act is still to be asked: see request_user.py.
        """
        row = self.row
        if row is None or row.user_id is None:
            return None
        if self._user_is_to_be_found:
            self._user_is_to_be_found = False
            self._found_user = self._find_user(row)
        user = self._found_user
        return user if user is not None and row.user_id == user.pk else None

    @property
    def has_unsaved_sign_in(self) -> bool:
        """``login()`` has written an account into the data, and it has no session row yet."""
        data = self._open()
        return self._account_of(data) is not None and self._account_of_row() is None

    @cached_property
    def origin(self) -> Origin:
        """Where the request comes from."""
        return Origin.of(self.request)

    def touch(self, row: Session, *, at_once: bool = False) -> bool:
        """Note that the account is in use (see ``Session.touch``), and on which browser."""
        if at_once or row.is_touch_due:
            self._note_browser(self._base.client)
        return row.touch(origin=self.origin, at_once=at_once)

    def _note_browser(self, client: Client) -> None:
        """Keep the name of a browser up to date: a statement only when it has changed.

        Called before the session is written: a client is changed before its sessions.
        """
        name = self.origin.user_agent
        if name and name != client.user_agent:
            client.user_agent = name
            self._models.Client.objects.using(self.using).filter(pk=client.pk).update(
                user_agent=name
            )

    def cookie(self) -> Cookie | None:
        """What the browser may be given: a key that opens something. Else None.

        Not if the transaction was rolled back in which it was made, nor if an answer to a
        request beside this one has made it superseded already. One statement; none for the key
        of a browser that is new.

        One cookie serves all accounts of the client: as soon as one of them asked to be
        forgotten when the browser closes, all are. It lives ``COOKIE_AGE`` if the client
        remembers an account. For a visitor it lives as long as Django's, and half as long again:
        in the first half of that time it is not renewed (see ``_is_wearing_out``).
        """
        token, key = self._token, self._session_key
        found: Any = (False, self._row is not None and self._row.user_id is not None)
        is_new = token is not None and token.parent_id is None and self.rotated
        is_new = is_new and not self._forked
        if not is_new or self.may_be_undone:
            sessions = self._sessions.filter(client_id=OuterRef("client_id"))
            closing = sessions.live().filter(expire_at_browser_close=True)
            remembered = sessions.accounts().remembered()
            found = self._current(key).values_list(Exists(closing), Exists(remembered)).first()
        if key is None or found is None:
            return None
        until_it_closes, is_remembered = found
        if until_it_closes or self.get_expire_at_browser_close():
            return Cookie(key, None)
        age = self.get_expiry_age()
        return Cookie(key, max(age, settings.COOKIE_AGE) if is_remembered else age * 3 // 2)

    def _is_wearing_out(self, row: Session) -> bool:
        """The cookie's value was made so long ago that the browser may soon drop it."""
        age = self.get_expiry_age() if row.user_id is None else settings.COOKIE_AGE
        return self._base.created_at <= timezone.now() - datetime.timedelta(seconds=age) / 2

    def exists(self, session_key: str | None) -> bool:
        """Whether something is stored under this key, and no newer one has taken its place."""
        return bool(self._current(session_key).exists())

    def _current(self, session_key: str | None) -> Any:
        """The token of this key, if it opens something and no newer one has taken its place."""
        tokens_ = self._models.Token.objects
        if not tokens.is_token(session_key):
            return tokens_.none()
        found = tokens_.valid().filter(digest=tokens.digest(str(session_key)))
        return found.filter(children__isnull=True, client__sessions__isnull=False)

    def acting(self, by: Any) -> Any:
        """Return whom to name for what the user ``by`` does here: who signed in as them, if so."""
        row = self.row or self._left
        if by is None or row is None or not row.actor_id or by.pk != row.user_id:
            return by
        return row.actor

    def _actor_in(self, data: dict[str, Any]) -> str:
        """Return the key of the administrator who acts through a session with this data, or "".

        From one impersonated session to another, and back to it, it is the one behind the first.
        """
        account = self._account_of(data)
        if account is None:
            return ""
        named, left = impersonation.named_in(data), self._left
        if left is not None and left.actor_id:
            came_from = impersonation.named_in(left.get_decoded())
            if named == str(left.user_id) or (not named and account == came_from):
                named = left.actor_id
        return "" if named == account else named

    def _name_actor(self, row: Session) -> None:
        """Correct the record: ``login()`` did not say yet who was behind it."""
        if self._entering_since is None or not settings.AUDIT:
            return
        told = self._models.Event.objects.using(self.using).filter(
            client_id=row.client.public_id,
            actor_id=str(row.user_id),
            at__gte=self._entering_since,
        )
        told.update(**self._models.Event.actor_fields(row.actor))

    @property
    def _base(self) -> Token:
        """The token of the client, where there is one for certain."""
        if self._token is None:
            raise UpdateError
        return self._token

    @property
    def _sessions(self) -> Any:
        return self._models.Session.objects.using(self.using)

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
        self._outdated = token
        return None

    def _fetch(self, digest: str) -> Token | None:
        """The token with its client and its session: the one query of a page."""
        if quick.is_sure(self.using):
            found = quick.find(self.using, digest)
            self._found_user = found.user
            self._user_is_to_be_found = found.user is None and _users_lag()
            return found.token
        self._user_is_to_be_found = _users_lag()
        tokens_ = self._models.Token.objects.select_related("client", "session")
        token: Token | None = tokens_.filter(digest=digest).first()
        return token

    def _create(self, data: dict[str, Any], *, secret: str | None = None) -> None:
        """A client of its own, with a session for ``data``: for a browser that has none."""
        secret = secret or tokens.new_token()
        models = self._models
        try:
            with transaction.atomic(using=self.using):
                client = models.Client.objects.using(self.using).create(
                    user_agent=self.origin.user_agent,
                    visitor_csrf_digest=self._visitor_csrf_digest(data),
                )
                row = self._new_row(data, client=client)
                token = models.Token.objects.using(self.using).create(
                    digest=tokens.digest(secret), client=client, session=row
                )
        except IntegrityError as error:
            raise CreateError from error
        self._row = row
        self._use(token, secret)

    def _note_visitor_csrf(self, data: dict[str, Any]) -> None:
        """Remember the CSRF secret of nobody's pages, which this session's data takes along.

        Needed under ``CSRF_USE_SESSIONS`` alone: otherwise it can be found again (page_tokens.py).
        """
        if django_settings.CSRF_USE_SESSIONS and (digest := self._visitor_csrf_digest(data)):
            self._base.client.visitor_csrf_digest = digest
            self._base.client.save(using=self.using, update_fields=["visitor_csrf_digest"])

    def _visitor_csrf_digest(self, data: dict[str, Any]) -> str:
        """The hash of the CSRF secret that the browser's pages have had; empty if there is none."""
        if django_settings.CSRF_USE_SESSIONS:
            secret = data.get(CSRF_SESSION_KEY)
        elif self.request is not None:
            secret = self.request.COOKIES.get(django_settings.CSRF_COOKIE_NAME)
        else:
            secret = None
        return tokens.digest(str(secret)) if secret and str(secret).isascii() else ""

    def _rotate(
        self,
        row: Session | None,
        *,
        data: dict[str, Any] | None = None,
        adding: bool = False,
        unasked: bool = False,
        kind: str | None = None,
        by: AbstractBaseUser | None = None,
    ) -> Session | None:
        """A new key that denotes ``row`` or, with ``data``, a new row for it. Returns the row.

        ``adding``: an account is about to be added; with an old key that is on a client of its
        own, with copies of what there is (see ``Token.fork``). Then the row returned is a copy.
        ``unasked``: the person did nothing, so an old key stays as it is. ``kind`` and ``by``: put
        it on record as this. Raises UpdateError if the token is superseded, or old and nobody
        asked.
        """
        token = self._base
        models = self._models
        secret = tokens.new_token()
        try:
            with transaction.atomic(using=self.using):
                forks = False
                if self.rotated:
                    # Nobody has seen the key that this store made: it may simply change.
                    client, through = token.client, token.parent_id
                elif token.claim(adding=adding, unasked=unasked):
                    client, through = token.client, token.pk
                else:
                    forks, through = True, None
                    client, copies = token.fork()
                    row = row and copies.get(row.pk)
                if data is not None:
                    row = self._new_row(data, client=client, added_through_id=through)
                if self.rotated:
                    token.digest, token.session = tokens.digest(secret), row
                    token.save(update_fields=["digest", "session"])
                elif forks:
                    token = models.Token.objects.using(self.using).create(
                        digest=tokens.digest(secret), client=client, session=row
                    )
                    self._forked = True
                else:
                    token = token.succeed(secret, row)
                if kind is not None and row is not None:
                    self._record(kind, row, client, by=by)
        except models.SupersededToken as error:
            self._was_refused = not unasked
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
        self._is_open = self.rotated = True
        self.flushed = self.emptied = False

    def _new_row(self, data: dict[str, Any], **fields: Any) -> Session:
        now = timezone.now()
        row: Session = self._models.Session(
            user_id=self._user_id(data),
            session_data=self.encode(data),
            actor_id=self._actor_in(data),
            ip_address=self.origin.ip_address,
            created_at=now,
            updated_at=now,
            last_active_at=now,
            **fields,
        )
        for name, value in self._expiry(row, saved_at=now).items():
            setattr(row, name, value)
        row.save(using=self.using, force_insert=True)
        self._note_browser(row.client)
        if row.user_id is not None:
            self._signed_in(row, row.client)
        if row.actor_id:
            self._name_actor(row)
        return row

    def _signed_in(self, row: Session, client: Client, *, anew: bool = True) -> None:
        """An account was added, within the transaction of this call; or only activated."""
        if row.is_of(self._entering):
            row.user = self._entering
        self._record(
            "signed-in", row, client, by=self._brought_by or row.actor or self._user_of(row)
        )
        if anew:
            self._models.announce(signals.session_created, self.using, session=row)
        self._models.announce(signals.session_activated, self.using, session=row)

    def _record(
        self,
        kind: str,
        row: Session,
        client: Client | None = None,
        *,
        by: AbstractBaseUser | str | None = None,
    ) -> Event | None:
        """Put on record what this store has done to the row: one statement, if all is known."""
        if not settings.AUDIT:
            return None
        if client is not None:
            row.client = client
        event = row.event(kind, by=by, origin=self.origin)
        self._models.Event.record([event], self.using)
        return event

    def _update(
        self, row: Session, data: dict[str, Any], *, in_use: bool = False, late: bool = False
    ) -> None:
        """The one statement that writes session data: into this row, if it is still active.

        ``late``: also if the token has been superseded since it was read.

        Within a request it notes the activity, too, if that is due; and if it is not, what is
        there already is not written again.
        """
        token = self._base
        text, now = self.encode(data), timezone.now()
        changed = {"user_id": row.user_id, "session_data": text, "updated_at": now}
        is_active = in_use or (
            self.request is not None and row.is_touch_due and not is_prefetch(self.request)
        )
        if is_active:
            changed |= {"last_active_at": now, "ip_address": self.origin.ip_address}
            row.last_active_at = now
            self._note_browser(token.client)
        is_entering = self._entering_since is not None
        if is_entering and not row.actor_id and (actor_id := self._actor_in(data)):
            changed["actor_id"] = actor_id
        expiry = self._expiry(row, saved_at=now)
        changed |= expiry
        if self.request is not None and not is_active and _is_saved(row, text, expiry, now):
            return
        if self.has_copies or self._locks_what_it_reads:
            with transaction.atomic(using=self.using):
                if self._locks_what_it_reads:
                    self._models.Client.lock(token.client_id, using=self.using)
                written = self._write(row, token, changed)
        else:
            written = self._write(row, token, changed)
        if not written and not (late and self._write_late(row, changed)):
            raise UpdateError
        for name, value in changed.items():
            setattr(row, name, value)
        if "actor_id" in changed:
            vars(row).pop("actor", None)
            self._name_actor(row)

    def _write(self, row: Session, token: Token, changed: dict[str, Any]) -> bool:
        """Whether the row could be written."""
        if quick.is_sure(self.using) and quick.takes(changed):
            written = quick.write(self.using, row.pk, token.pk, changed)
        else:
            written = bool(quick.writable(self.using, row.pk, token.pk).update(**changed))
        self._models.clients_changed([token.client_id], self.using)
        return written

    def _write_late(self, row: Session, changed: dict[str, Any]) -> bool:
        """Write the row without asking for the token. It may have moved to another client."""
        found = self._sessions.filter(pk=row.pk, status=row.Status.ACTIVE)
        client_id = found.values_list("client_id", flat=True).first()
        if client_id is None or not found.update(**changed):
            return False
        self._models.clients_changed([client_id], self.using)
        return True

    @property
    def _locks_what_it_reads(self) -> bool:
        """Whether the database locks the rows of a subquery, too, and in an order of its own.

        So do MariaDB and MySQL at any isolation but the one that Django asks them for.
        """
        connection = transaction.get_connection(self.using)
        level = getattr(connection, "isolation_level", None)
        return connection.vendor == "mysql" and level != "read committed"

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

    def _user_of(self, row: Session) -> AbstractBaseUser | None:
        """None if the user has been deleted meanwhile."""
        try:
            return row.user
        except ObjectDoesNotExist:
            return None

    def _find_user(self, row: Session) -> AbstractBaseUser | None:
        """One statement, in the database that users are written to.

        A replica lags behind: there the password would still be the old one, and sign out the very
        person who has just changed it; or the user would still be active.
        """
        key: Any = row.user_id
        user = quick.find_user(key)
        if user is None and _users_lag():
            user_model = get_user_model()
            users = user_model._default_manager.using(router.db_for_write(user_model))
            user = users.filter(pk=key).first()
            if user is not None:
                user._state.db = router.db_for_read(user_model)
        return user

    def _user_id(self, data: dict[str, Any]) -> Any:
        """The user's primary key, or None if nobody, or a user of another model, is signed in."""
        account = self._account_of(data)
        user_model = get_user_model()
        if account is None or self._models.Session.user.field.related_model is not user_model:
            return None
        return user_model._meta.pk.to_python(account)


def _users_lag() -> bool:
    """Whether the project reads users elsewhere than it writes them: from a replica."""
    user_model = get_user_model()
    return router.db_for_read(user_model) != router.db_for_write(user_model)


def _is_saved(row: Session, text: str, expiry: dict[str, Any], now: datetime.datetime) -> bool:
    """Whether the row says all of this already, but for a deadline that would hardly move.

    Hardly is less than ``ACTIVITY_INTERVAL``, and less than a tenth of the time that is left: a
    session of half a minute has to be prolonged too.
    """
    interval = datetime.timedelta(seconds=settings.ACTIVITY_INTERVAL)
    return (
        text == row.session_data
        and expiry["expire_at_browser_close"] == row.expire_at_browser_close
        and all(
            abs(expiry[name] - getattr(row, name)) < min(interval, (row.expire_at - now) / 10)
            for name in ("expire_at", "abandon_at")
        )
    )
