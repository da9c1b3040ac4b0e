"""Who is signed in where: three tables, and the two doors through which they change.

A **Client** is a browser. A **Session** is one account signed in on it. A **Token** is one value
that the browser's cookie has had; each denotes at most one session, for good.

The cookie gets a new value whenever the active account changes, so tokens form a chain in which
each names its ``parent``, and the client points to the last one that its browser has shown:
``presented_token``. Everything else follows from these two facts:

* A token is **valid** if it is the presented one, or a child of it whose answer is perhaps still
  on its way. All others are superseded: they show nobody and change nothing.
* Presenting a child moves the pointer, in one conditional UPDATE, and so supersedes its parent.
  Until then the parent works: an answer that got lost costs nobody an account.
* The parent meanwhile sees only what it always saw: a session **added through** it belongs to its
  children and is hidden from it. So a token that somebody planted never gains the victim's
  account.
* An add through a parent that has children takes the parent, and what it sees, to a client of
  its own (``Token.leave``); it never joins the accounts of the newer token.

The doors: ``SessionQuerySet.close`` for every end of a session, ``Token.succeed`` for every
change of the active account.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import PermissionDenied
from django.db import models, router, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _

from . import serialization, signals, tokens
from .conf import settings

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

#: How long a superseded token is remembered. Longer than the longest request, so that a late
#: write through it is not mistaken for a new visitor's; then it is as unknown as any other value.
SUPERSEDED_MEMORY = datetime.timedelta(minutes=15)

#: In place of the data of a session that ``login()`` has closed and may take back, and how long.
MADE_ROOM = "-"
MAKING_ROOM = datetime.timedelta(minutes=1)


def now() -> datetime.datetime:
    """The default of every time here: asked anew each time, so that a test can set the clock."""
    return timezone.now()


class SupersededToken(Exception):
    """The browser has already shown a newer token: this one can no longer change anything."""


class AccountLimitReached(PermissionDenied):
    """The browser is signed in to as many accounts as it may be (``MAX_ACCOUNTS``)."""


class Client(models.Model):
    """A browser, known by its one cookie."""

    public_id = models.CharField(
        _("id"), max_length=40, unique=True, default=tokens.new_client_id, editable=False
    )
    presented_token = models.ForeignKey(
        "Token",
        verbose_name=_("presented token"),
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        editable=False,
    )
    user_agent = models.CharField(_("browser"), max_length=256, blank=True)
    created_at = models.DateTimeField(_("created"), default=now, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=now, editable=False)

    class Meta:
        verbose_name = _("client")
        verbose_name_plural = _("clients")

    def __str__(self) -> str:
        return self.public_id

    @classmethod
    def lock(cls, pk: int, *, using: str) -> Client:
        """The row, locked until the transaction ends: every change of a client begins here.

        Session rows are locked after it, in order of primary key, so that no two changes can
        wait for each other. Raises DoesNotExist.
        """
        return cls.objects.using(using).select_for_update().get(pk=pk)


class SessionQuerySet(models.QuerySet["Session"]):
    """Questions to ask of sessions, in the words of the product."""

    def accounts(self) -> SessionQuerySet:
        """Sessions of accounts."""
        return self.filter(user__isnull=False)

    def visitors(self) -> SessionQuerySet:
        """The others: data of visitors who have not signed in."""
        return self.filter(user__isnull=True)

    def live(self) -> SessionQuerySet:
        """Signed in at this moment, whether or not a job has marked the expired ones."""
        return self.filter(status=Session.Status.ACTIVE, expire_at__gt=timezone.now())

    def remembered(self) -> SessionQuerySet:
        """On the list of their client: signed in, or to be signed in again."""
        gone = [Session.Status.REMOVED, Session.Status.REPLACED]
        return self.exclude(status__in=gone).filter(forgotten=False)

    def visible_to(self, token: Token) -> SessionQuerySet:
        """What ``token`` may see of its client: all but what a newer, unseen token added."""
        return self.filter(client_id=token.client_id).exclude(added_through_id=token.pk)

    def hidden_from(self, token: Token) -> SessionQuerySet:
        """What a sign-in through ``token`` added: for the token that followed, not for it."""
        return self.accounts().filter(client_id=token.client_id, added_through_id=token.pk)

    def with_current_status(self, status: str) -> SessionQuerySet:
        """Those whose ``current_status`` is this one. No job has to run for it to be true."""
        now, Status = timezone.now(), Session.Status
        marked = Q(status=status)
        if status == Status.ACTIVE:
            return self.live()
        if status == Status.EXPIRED:
            over = Q(status=Status.ACTIVE, expire_at__lte=now)
            return self.filter(over | marked, abandon_at__gt=now)
        if status == Status.ABANDONED:
            over = Q(status=Status.ACTIVE, expire_at__lte=now) | Q(status=Status.EXPIRED)
            return self.filter(over & Q(abandon_at__lte=now) | marked)
        return self.filter(marked)

    def most_recently_used(self) -> SessionQuerySet:
        return self.order_by("-last_active_at", "-pk")

    def close(
        self,
        status: Session.Status,
        *,
        by: AbstractBaseUser | None = None,
        making_room: bool = False,
    ) -> list[Session]:
        """End the active ones among these, and forget their data. The only way a session ends.

        ``by`` is who did it, for the signal ``session_ended``. ``making_room``: ``reopen`` may
        follow, so the signal is left to the caller. A constant number of statements for any
        number of rows. Returns the sessions that this call ended, with the data they had; what
        had ended before stays as it is.
        """
        if status == Session.Status.ACTIVE:
            raise ValueError("close() ends sessions; 'active' is not an end.")
        using = self._writing_alias()
        everything = Session.objects.using(using)
        now = timezone.now()
        active = Q(status=Session.Status.ACTIVE)
        with transaction.atomic(using=using):
            # The lock makes the read and the write agree; by primary key, as everywhere.
            # These (self) may be joined to other tables, which must not be locked: hence pk__in.
            found = list(
                everything.filter(pk__in=self.values("pk"))
                .filter(active if making_room else active | _making_room(now))
                .order_by("pk")
                .select_for_update()
            )
            rows = [row for row in found if row.status == Session.Status.ACTIVE]
            everything.filter(pk__in=[row.pk for row in rows]).update(
                status=status, session_data=MADE_ROOM if making_room else "", updated_at=now
            )
            if others := [row.pk for row in found if row.status != Session.Status.ACTIVE]:
                # login() is about to take these back: not any more.
                everything.filter(pk__in=others).update(
                    status=status, session_data="", updated_at=now
                )
            clients_changed([row.client_id for row in rows], using)
            for row in rows:
                row.status = status
                row.updated_at = now
                if not making_room:
                    row.announce_end(by)
        return rows

    def _writing_alias(self) -> str:
        """The database that ``using()`` chose, or else the one that sessions are written to."""
        chosen: str | None = getattr(self, "_db", None)
        return chosen or router.db_for_write(Session)

    def remove_all(self, *, by: AbstractBaseUser | None = None) -> list[Session]:
        """Take these off their clients' lists: what is live ends, the rest is forgotten.

        Returns those that ended.
        """
        now = timezone.now()
        live = Q(status=Session.Status.ACTIVE, expire_at__gt=now)
        closed = self.filter(live | _making_room(now)).close(Session.Status.REMOVED, by=by)
        rest = self.using(self._writing_alias())
        rest.filter(status=Session.Status.ENDED).update(
            status=Session.Status.REMOVED, updated_at=timezone.now()
        )
        # How a session ended stays on record: these have expired or were revoked.
        rest.remembered().update(forgotten=True)
        return closed


def _making_room(now: datetime.datetime) -> Q:
    """Removed a moment ago, perhaps only because ``login()`` made room for another account."""
    return Q(
        status=Session.Status.REMOVED, updated_at__gt=now - MAKING_ROOM, session_data=MADE_ROOM
    )


class Session(models.Model):
    """One account signed in on one client; or, without a user, a visitor's data."""

    class Status(models.TextChoices):
        # The words of Clerk's API; what reaches each is in docs/concepts.md.
        ACTIVE = "active", _("active")
        ENDED = "ended", _("signed out")
        REMOVED = "removed", _("removed")
        REPLACED = "replaced", _("replaced")
        REVOKED = "revoked", _("revoked")
        EXPIRED = "expired", _("expired")
        ABANDONED = "abandoned", _("abandoned")

    public_id = models.CharField(
        _("id"), max_length=40, unique=True, default=tokens.new_session_id, editable=False
    )
    client = models.ForeignKey(
        Client,
        verbose_name=_("client"),
        on_delete=models.CASCADE,
        db_index=False,
        related_name="sessions",
        editable=False,
    )
    user = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        on_delete=models.CASCADE,
        # Projects may keep users in another database (decisions.md); the index below serves it.
        db_constraint=False,
        db_index=False,
        related_name="multisession_sessions",
        editable=False,
    )
    added_through = models.ForeignKey(
        "Token",
        verbose_name=_("added through"),
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        editable=False,
    )
    status = models.CharField(
        _("status"), max_length=9, choices=Status.choices, default=Status.ACTIVE, editable=False
    )
    forgotten = models.BooleanField(_("forgotten"), default=False, editable=False)
    session_data = models.TextField(_("data"), blank=True, editable=False)
    ip_address = models.GenericIPAddressField(_("IP address"), null=True, editable=False)
    created_at = models.DateTimeField(_("signed in"), default=now, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=now, editable=False)
    last_active_at = models.DateTimeField(_("last active"), default=now, editable=False)
    expire_at = models.DateTimeField(_("expires"), editable=False)
    abandon_at = models.DateTimeField(_("abandoned"), editable=False)
    expire_at_browser_close = models.BooleanField(_("until the browser closes"), default=False)

    objects = SessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        indexes = [
            models.Index(fields=["client", "-id"], name="multisession_of_client"),
            models.Index(fields=["user", "-id"], name="multisession_of_user"),
            models.Index(fields=["user", "status", "expire_at"], name="multisession_live_of_user"),
            models.Index(fields=["status", "expire_at"], name="multisession_by_expiry"),
            models.Index(fields=["status", "abandon_at"], name="multisession_by_abandon"),
            models.Index(fields=["ip_address", "-id"], name="multisession_by_address"),
        ]
        permissions = [("revoke_session", "Can revoke session")]

    def __str__(self) -> str:
        return self.public_id

    @property
    def is_live(self) -> bool:
        """Signed in at this moment."""
        return self.status == self.Status.ACTIVE and self.expire_at > timezone.now()

    @property
    def current_status(self) -> Status:
        """The status at this moment.

        A session that was never closed has expired when its time was over, and is abandoned when
        nobody came back to it by ``abandon_at``.
        """
        status, now = self.Status(self.status), timezone.now()
        if status == self.Status.ACTIVE and self.expire_at <= now:
            status = self.Status.EXPIRED
        if status == self.Status.EXPIRED and self.abandon_at <= now:
            status = self.Status.ABANDONED
        return status

    def deadlines(
        self, *, saved_at: datetime.datetime, active_at: datetime.datetime, custom: Any
    ) -> dict[str, Any]:
        """When this session is over: Django's own answer, and our limits on top.

        ``saved_at`` and ``active_at`` are the moments of the last save and the last activity,
        ``custom`` is what ``set_expiry()`` was given, if anything.
        """
        expire_at = SessionBase().get_expiry_date(modification=saved_at, expiry=custom)
        limits = [(settings.LIFETIME, self.created_at), (settings.INACTIVITY, active_at)]
        for seconds, since in limits:
            if seconds is not None:
                expire_at = min(expire_at, since + datetime.timedelta(seconds=seconds))
        abandon_at = self.created_at + datetime.timedelta(seconds=settings.ABANDON_AGE)
        return {"expire_at": expire_at, "abandon_at": max(abandon_at, expire_at)}

    def get_decoded(self) -> dict[str, Any]:
        """The session's data, as ``request.session`` shows it."""
        return serialization.loads(self.session_data)

    def is_current_for(self, user: Any) -> bool:
        """Whether ``user`` may still act through this session.

        The same questions that ``django.contrib.auth.get_user`` asks: does the backend let the
        user in (a deactivated one is not), and is the password the one of the sign-in? The keys
        of SECRET_KEY_FALLBACKS count, so a rotated SECRET_KEY signs nobody out.
        """
        from django.contrib.auth import load_backend  # its models need the app registry

        data = self.get_decoded()
        backend_path = data.get(BACKEND_SESSION_KEY)
        if user is None or backend_path not in django_settings.AUTHENTICATION_BACKENDS:
            return False
        may_sign_in = getattr(load_backend(backend_path), "user_can_authenticate", None)
        if may_sign_in is not None and not may_sign_in(user):
            return False
        if not hasattr(user, "get_session_auth_hash"):
            return True
        found = data.get(HASH_SESSION_KEY, "")
        hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
        return any(constant_time_compare(found, valid) for valid in hashes)

    @property
    def is_touch_due(self) -> bool:
        """Whether the last note of activity is older than ``ACTIVITY_INTERVAL``."""
        interval = datetime.timedelta(seconds=settings.ACTIVITY_INTERVAL)
        return self.last_active_at <= timezone.now() - interval

    def touch(self, *, ip_address: str | None = None, at_once: bool = False) -> bool:
        """Note that the account is in use: ``last_active_at``, once in ``ACTIVITY_INTERVAL``.

        ``at_once``: now, whenever the last note was (a switch). One conditional UPDATE. Returns
        whether it was written.
        """
        if not at_once and not self.is_touch_due:
            return False
        now = timezone.now()
        stale = type(self).objects.filter(
            pk=self.pk, status=self.Status.ACTIVE, last_active_at__lte=self.last_active_at
        )
        changed: dict[str, Any] = {"last_active_at": now}
        changed["ip_address"] = ip_address or self.ip_address
        if settings.INACTIVITY is not None:
            custom = self.get_decoded().get("_session_expiry")
            changed |= self.deadlines(saved_at=self.updated_at, active_at=now, custom=custom)
        written = stale.update(**changed)
        if written:
            self.last_active_at = now
            clients_changed([self.client_id], self._state.db)
        return bool(written)

    def reopen(self, session_data: str) -> bool:
        """Take back a removal that ``login()`` caused when it made room for another account.

        Only for the engine, in the request that closed it. False if anything has happened to the
        session since.
        """
        reopened = Session.objects.filter(
            pk=self.pk, status=self.Status.REMOVED, updated_at=self.updated_at
        ).update(status=self.Status.ACTIVE, session_data=session_data, updated_at=timezone.now())
        clients_changed([self.client_id], self._state.db)
        if reopened:
            self.status = self.Status.ACTIVE
        return bool(reopened)

    def announce_end(self, by: AbstractBaseUser | None = None) -> None:
        """Send ``session_ended`` after the commit, if this was an account's."""
        if self.user_id is not None:
            using = self._state.db or router.db_for_write(Session)
            announce(signals.session_ended, using, session=self, status=self.status, by=by)

    def close(self, status: Status, *, by: AbstractBaseUser | None = None) -> bool:
        """End this session (see ``SessionQuerySet.close``). Returns whether this call did it."""
        closed = Session.objects.filter(pk=self.pk).close(status, by=by)
        if closed:
            self.status = closed[0].status
            self.session_data = ""
            self.updated_at = closed[0].updated_at
        return bool(closed)

    def end(self, *, by: AbstractBaseUser | None = None) -> bool:
        """Sign out; the account stays remembered on the client."""
        return self.close(self.Status.ENDED, by=by)

    def revoke(self, *, by: AbstractBaseUser | None = None) -> bool:
        """End it from outside: an administrator, a program, another client."""
        return self.close(self.Status.REVOKED, by=by)

    def remove(self, *, by: AbstractBaseUser | None = None) -> bool:
        """Take the account off the client: signed in or remembered, it is gone from its lists."""
        closed = bool(Session.objects.filter(pk=self.pk).remove_all(by=by))
        self.refresh_from_db(fields=["status", "updated_at", "forgotten"])
        return closed


class TokenQuerySet(models.QuerySet["Token"]):
    def valid(self) -> TokenQuerySet:
        """The presented token of each client, and those that may still take its place."""
        return self.filter(
            Q(client__presented_token_id=F("pk"))
            | Q(client__presented_token_id=F("parent_id"))
            | Q(client__presented_token__isnull=True)
        )


class Token(models.Model):
    """One value that the cookie of a client has had, as its hash."""

    digest = models.CharField(max_length=64, unique=True, editable=False)
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="tokens")
    session = models.ForeignKey(
        Session,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        editable=False,
    )
    parent = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="children",
        editable=False,
    )
    created_at = models.DateTimeField(default=now, editable=False)

    objects = TokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("token")
        verbose_name_plural = _("tokens")

    def __str__(self) -> str:
        return f"token {self.pk}"

    @property
    def is_valid(self) -> bool:
        """Presented, or about to be. (A client that points to no token has only ever had one.)"""
        presented = self.client.presented_token_id
        return presented is None or presented in (self.pk, self.parent_id)

    @property
    def is_unseen(self) -> bool:
        """Made for an answer that the browser has not yet shown to have received."""
        return self.parent_id is not None and self.client.presented_token_id == self.parent_id

    def live_session(self) -> Session | None:
        """The session that this token denotes, if it is still live and still on this client."""
        session = self.session
        if session is None or session.client_id != self.client_id or not session.is_live:
            return None
        return session

    def present(self) -> bool:
        """The browser has shown this token: its parent is superseded from now on.

        One conditional UPDATE. False if another child of the same parent came first.
        """
        moved = Client.objects.filter(pk=self.client_id, presented_token_id=self.parent_id).update(
            presented_token_id=self.pk
        )
        if moved:
            self.client.presented_token_id = self.pk
            clients_changed([self.client_id], self._state.db)
        return bool(moved)

    def lock(self) -> Client:
        """Lock the client of this token, to which it may have moved since it was read.

        To be called in a transaction. Raises SupersededToken.
        """
        using = self._state.db or router.db_for_write(Token)
        while True:
            self.client = Client.lock(self.client_id, using=using)
            if self.is_valid:
                return self.client
            row = Token.objects.using(using).filter(pk=self.pk).values("client_id").first()
            if row is None or row["client_id"] == self.client_id:
                raise SupersededToken
            self.client_id = row["client_id"]

    def claim(self, *, adding: bool = False, unasked: bool = False) -> Client:
        """Lock the client for a change through this token. ``adding``: of an account.

        To be called in a transaction, before ``succeed``. The client returned is this token's
        own, which may be a new one (see ``leave``). Raises SupersededToken; also for a token that
        has children, if the person did nothing (``unasked``): it goes on as it is.
        """
        using = self._state.db or router.db_for_write(Token)
        self.lock()
        followed = self.children.exists()
        if followed and unasked:
            raise SupersededToken
        if followed and (adding or Session.objects.using(using).hidden_from(self).exists()):
            self.leave()
        return self.client

    def succeed(self, secret: str, session: Session | None) -> Token:
        """A new token in place of this one: the only way the active account changes.

        ``secret`` is the new value for the cookie, ``session`` whom it denotes. Needs the lock
        of ``claim``.
        """
        using = self._state.db or router.db_for_write(Token)
        if self.client.presented_token_id != self.pk:
            self.client.presented_token_id = self.pk
            self.client.save(update_fields=["presented_token"])
        self.forget_ancestors()
        return Token.objects.using(using).create(
            digest=tokens.digest(secret), client=self.client, session=session, parent=self
        )

    def leave(self) -> None:
        """Take this token, and what it sees, to a client of its own.

        For a token whose successor was never shown: either the answer that carried it was lost,
        or somebody else holds it. The successor keeps what only it could see.
        """
        using = self._state.db or router.db_for_write(Token)
        left = self.client
        clients_changed([left.pk], using)
        successor = self.children.order_by("-pk").first()
        own = Client.objects.using(using).create(
            user_agent=left.user_agent, presented_token_id=self.pk
        )
        Session.objects.using(using).filter(
            pk__in=list(Session.objects.using(using).visible_to(self).values_list("pk", flat=True))
        ).update(client=own)
        Token.objects.using(using).filter(pk=self.pk).update(client=own)
        Client.objects.using(using).filter(pk=left.pk).update(presented_token=successor)
        self.children.update(parent=None)
        self.client = own

    def forget_ancestors(self) -> None:
        """Delete the superseded tokens of this client that no late request can still carry.

        All but the parent had been superseded when this token was made.
        """
        if self.created_at > timezone.now() - SUPERSEDED_MEMORY:
            return
        using = self._state.db or router.db_for_write(Token)
        ancestors = Token.objects.using(using).filter(client_id=self.client_id, pk__lt=self.pk)
        if self.parent_id is not None:
            ancestors = ancestors.exclude(pk=self.parent_id)
        ancestors._raw_delete(using)

    @property
    def is_forgotten(self) -> bool:
        """Superseded so long ago that it counts as unknown. (For a token that is not valid.)"""
        presented = self.client.presented_token
        return presented is None or presented.created_at < timezone.now() - SUPERSEDED_MEMORY


def clients_changed(client_ids: list[int], using: str | None) -> None:
    """Tell the caches, before the transaction ends and anybody else can see the change."""
    if signals.clients_changed.has_listeners(Client):
        alias = using or router.db_for_write(Client)
        signals.clients_changed.send(sender=Client, client_ids=client_ids, using=alias)


def announce(signal: Any, using: str, **arguments: Any) -> None:
    """Send ``signal`` once the transaction is committed; a failing receiver breaks nothing."""
    transaction.on_commit(
        lambda: signal.send_robust(sender=Session, **arguments), using=using, robust=True
    )


class ApiKey(models.Model):
    """A program that may use the HTTP API. Of its secret only the hash is kept (api/keys.py)."""

    #: How often the use of a key is noted.
    USE_INTERVAL = datetime.timedelta(minutes=1)

    name = models.CharField(_("name"), max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=now, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        default_permissions = ()  # Keys are made and revoked by the command alone.

    def __str__(self) -> str:
        return self.name

    def note_use(self) -> None:
        """Note that it is in use now, at most once in ``USE_INTERVAL``: one conditional UPDATE."""
        now = timezone.now()
        if self.last_used_at is not None and self.last_used_at > now - self.USE_INTERVAL:
            return
        same = type(self).objects.filter(pk=self.pk, last_used_at=self.last_used_at)
        if same.update(last_used_at=now):
            self.last_used_at = now

    def revoke(self) -> bool:
        """It opens nothing from now on. Returns whether this call did it."""
        now = timezone.now()
        revoked = type(self).objects.filter(pk=self.pk, revoked_at__isnull=True)
        return bool(revoked.update(revoked_at=now))
