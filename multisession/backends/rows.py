"""The rows behind a session store: finding them, and the few statements that change them."""

from __future__ import annotations

import datetime
import ipaddress
from typing import TYPE_CHECKING, Any

from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.db import IntegrityError, router, transaction
from django.utils import timezone
from django.utils.functional import cached_property

from multisession import signals, tokens
from multisession.conf import settings

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

    from multisession.models import Session, Token


class Rows(SessionBase):
    """A store's token and session row, its *pinned* ones: never looked up again when it writes."""

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

    def exists(self, session_key: str | None) -> bool:
        """Whether something is stored under this key, and no newer one has taken its place."""
        if not tokens.is_token(session_key):
            return False
        found = self._models.Token.objects.valid().filter(digest=tokens.digest(str(session_key)))
        return bool(found.filter(children__isnull=True, client__sessions__isnull=False).exists())

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
        except get_user_model().DoesNotExist:
            return None

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
