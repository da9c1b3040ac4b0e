"""A session: one account signed in on one client."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from django.db import models, router, transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from multisession import signals
from multisession.conf import settings
from multisession.ground import serialization, tokens
from multisession.ground.impersonation import LONGEST_KEY, SOMEBODY
from multisession.ground.origin import Origin

from . import session_sets
from . import status as clock
from .clients import Client, clients_changed, now
from .events import Cause, Event
from .managers import PrimaryManager, UserOfSession
from .nicknames import LONGEST_NICKNAME

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.dispatch import Signal


#: A session is abandoned this long after the sign-in, or when it expires if that is later (Clerk's
#: ``abandon_at``).
ABANDON_AGE = datetime.timedelta(days=30)


#: So many kinds of browser are noted for one session.
MOST_KINDS = 5
LONGEST_KINDS = 255


class AccountLimitReached(PermissionDenied):
    """The browser is signed in to as many accounts as it may be (``MAX_ACCOUNTS``)."""


class SessionLimitReached(PermissionDenied):
    """The account is signed in on as many browsers as it may be (``MAX_SESSIONS_PER_USER``)."""


class Session(models.Model):
    """One account signed in on one client; or, without a user, a visitor's data."""

    Status: TypeAlias = clock.Status
    #: For the answer at hand, set by pages/badges.py; not stored.
    badge = ""

    public_id = models.CharField(
        _("id"), max_length=40, default=tokens.new_session_id, editable=False
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
        # Projects may keep users in another database (decisions.md), where Django would look for
        # the sessions too when it deletes a user. upkeep/user_changes.py does it in the right one.
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="multisession_sessions",
        editable=False,
    )
    user.forward_related_accessor_class = UserOfSession
    #: The account's number on its client: 1, 2 and so on, the same whenever its user signs in
    #: there. 0 for a visitor's data; None for that on a client that never had an account.
    number = models.PositiveIntegerField(null=True, editable=False)
    #: The token that added it: that one and its followers see it. None: all of the client's do.
    added_by = models.ForeignKey(
        "Token",
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
    #: The primary key of the administrator who signed in as the user (ground/impersonation.py);
    #: mostly empty. Not a foreign key, so that it outlives that account.
    actor_id = models.CharField(_("by user"), max_length=LONGEST_KEY, blank=True, editable=False)
    #: The provider's id of the organization that it is in, or "". Not a foreign key: the project
    #: owns organizations. ``request.multisession.organization`` asks if the user is still a member.
    organization = models.CharField(_("organization"), max_length=64, blank=True, editable=False)
    #: How the person tells the account from others: a copy of its Nickname, or a colour of its own.
    nickname = models.CharField(max_length=LONGEST_NICKNAME, blank=True, editable=False)
    hue = models.PositiveSmallIntegerField(null=True, editable=False)
    ip_address = models.GenericIPAddressField(_("IP address"), null=True, editable=False)
    #: The kinds of browser that used it, one in a line, the one of the sign-in first. Empty if the
    #: sign-in had no user agent, or KEEP_USER_AGENTS is off.
    browsers = models.CharField(max_length=LONGEST_KINDS, blank=True, editable=False)
    created_at = models.DateTimeField(_("signed in"), default=now, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=now, editable=False)
    last_active_at = models.DateTimeField(_("last active"), default=now, editable=False)
    expire_at = models.DateTimeField(_("expires"), editable=False)
    abandon_at = models.DateTimeField(_("abandoned"), editable=False)
    expire_at_browser_close = models.BooleanField(_("until the browser closes"), default=False)

    objects = PrimaryManager.from_queryset(session_sets.SessionQuerySet)()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        indexes = [
            models.Index(fields=["client", "-id"], name="multisession_of_client"),
            models.Index(fields=["user", "-created_at", "-id"], name="multisession_of_user"),
            models.Index(fields=["user", "status", "expire_at"], name="multisession_live_of_user"),
            models.Index(fields=["-created_at", "-id"], name="multisession_by_sign_in"),
            models.Index(fields=["status", "expire_at"], name="multisession_by_expiry"),
            models.Index(fields=["status", "abandon_at"], name="multisession_by_abandon"),
            models.Index(fields=["ip_address", "-id"], name="multisession_by_address"),
            models.Index(fields=["client", "forgotten", "-id"], name="multisession_remembered"),
            models.Index(fields=["client", "status"], name="multisession_in_client"),
            models.Index(fields=["actor_id"], name="multisession_of_actor"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["public_id"], name="multisession_session_public_id")
        ]
        permissions = [("revoke_session", "Can revoke session")]

    def __str__(self) -> str:
        return self.public_id

    @property
    def is_remembered(self) -> bool:
        """Return True if it is on its client's list, as ``remembered()`` finds them."""
        is_listed = not self.forgotten and self.status not in clock.NOT_REMEMBERED
        return is_listed and (settings.REMEMBER_ACCOUNTS or self.is_live)

    @property
    def is_live(self) -> bool:
        """Return True if it is signed in now."""
        return self.is_live_at(timezone.now())

    def is_live_at(self, moment: datetime.datetime) -> bool:
        return clock.is_live_at(moment, self.status, self.expire_at)

    @property
    def current_status(self) -> clock.Status:
        """Return the status at this moment: see status.py."""
        return self._status_at(timezone.now())

    def _status_at(self, moment: datetime.datetime) -> clock.Status:
        return clock.status_at(moment, self.status, self.expire_at, self.abandon_at)

    def deadlines(
        self, *, saved_at: datetime.datetime, active_at: datetime.datetime, custom: Any
    ) -> dict[str, Any]:
        """Return when this session expires and is abandoned: Django's answer, within our limits.

        ``saved_at`` and ``active_at`` are the moments of the last save and the last activity,
        ``custom`` is what ``set_expiry()`` was given, if anything.
        """
        expire_at = SessionBase().get_expiry_date(modification=saved_at, expiry=custom)
        limits = [(settings.LIFETIME, self.created_at), (settings.INACTIVITY, active_at)]
        if self.user_id is None and custom is None:
            limits.append((settings.VISITOR_AGE, saved_at))
        for seconds, since in limits:
            if seconds is not None:
                expire_at = min(expire_at, since + datetime.timedelta(seconds=seconds))
        abandon_at = self.created_at + ABANDON_AGE
        return {"expire_at": expire_at, "abandon_at": max(abandon_at, expire_at)}

    def get_decoded(self) -> dict[str, Any]:
        """Return the session's data, as ``request.session`` shows it."""
        return serialization.loads(self.session_data)

    def is_of(self, user: Any) -> bool:
        """Return True if this is a session of ``user``.

        A user of another model, which a backend or a test may sign in, can have the same key.
        """
        users: Any = self._meta.get_field("user").related_model
        return isinstance(user, users._meta.concrete_model) and user.pk == self.user_id

    def is_current_for(self, user: Any) -> bool:
        """Return True if ``user`` may still act through this session.

        The checks of ``django.contrib.auth.get_user``: the backend admits the user (not a
        deactivated one), and the password is the one of the sign-in. Keys in SECRET_KEY_FALLBACKS
        are accepted, so a rotated SECRET_KEY signs nobody out.
        """
        return is_current(self.get_decoded(), user)

    def has_password_of(self, user: Any) -> bool:
        """Return True if the password of ``user`` is still the one of the sign-in here."""
        return _has_password(self.get_decoded(), user)

    def admits(self, user: Any) -> bool:
        """Return True if the backend of the sign-in still admits ``user``."""
        return _admits(self.get_decoded(), user)

    @cached_property
    def actor(self) -> AbstractBaseUser | str | None:
        """Return the administrator who signed in as the user, or None: see ``actor_with``."""
        return actor_with(self.actor_id)

    @property
    def is_touch_due(self) -> bool:
        """Return True if the last note of activity is older than ``ACTIVITY_INTERVAL``."""
        interval = datetime.timedelta(seconds=settings.ACTIVITY_INTERVAL)
        return self.last_active_at <= timezone.now() - interval

    def touch(self, *, origin: Origin | None = None) -> bool:
        """Note activity in ``last_active_at``, at most once in ``ACTIVITY_INTERVAL``.

        ``origin``: the address to note. One conditional UPDATE: a session that has ended meanwhile
        does not come back. Return True if it was written.
        """
        if not self.is_touch_due:
            return False
        changed = self.activity(origin)
        mine = Session.objects.live().filter(pk=self.pk)
        written = mine.filter(last_active_at__lte=self.last_active_at).update(**changed)
        if written:
            self.last_active_at = changed["last_active_at"]
            clients_changed([self.client_id], self._state.db)
        return bool(written)

    def activity(self, origin: Origin | None) -> dict[str, Any]:
        """Return the values to write for activity now."""
        now = timezone.now()
        changed: dict[str, Any] = {"last_active_at": now}
        if origin is not None:
            changed["ip_address"] = origin.ip_address
        if settings.INACTIVITY is not None:
            custom = self.get_decoded().get(serialization.EXPIRY)
            changed |= self.deadlines(saved_at=self.updated_at, active_at=now, custom=custom)
        return changed

    def is_on_another_browser(self, kind: str) -> bool:
        """Return True if no browser of this kind has used the session, as far as is known.

        Only the first ``MOST_KINDS`` are noted, so that nobody can fill the trail.
        """
        known = self.browsers.split("\n")
        return self.browsers != "" and kind not in known and len(known) < MOST_KINDS

    def note_browser(self, kind: str, *, origin: Origin) -> bool:
        """Record that a browser of another kind used it. Return True if this call did.

        It ends nothing: the header proves nothing, and a thief can send any.
        """
        using, before = self._state.db or router.db_for_write(Session), self.browsers
        same = Session.objects.using(using).live().filter(pk=self.pk, browsers=before)
        known = f"{before}\n{kind}"[:LONGEST_KINDS]
        with transaction.atomic(using=using, savepoint=False):
            if not same.update(browsers=known):
                return False
            Event.record([self.event("browser", origin=origin)], using)
            clients_changed([self.client_id], using)
            self.browsers, kinds = known, before.split("\n")
            announce(signals.browser_changed, using, session=self, browser=kind, before=kinds)
        return True

    def event(
        self,
        kind: str,
        *,
        at: datetime.datetime | None = None,
        organization: str = "",
        **cause: Unpack[Cause],
    ) -> Event:
        """Return an event of this session, for ``Event.record``."""
        return Event.of(
            kind,
            at=at or timezone.now(),
            organization=organization,
            session_id=self.public_id,
            client_id=self._name("client_name", lambda: self.client.public_id),
            user_id=self.user_id,
            account=self._name("account_name", lambda: self._of_user("get_username")),
            superuser=bool(
                self._name("account_is_superuser", lambda: self._of_user("is_superuser"))
            ),
            **cause,
        )

    def _name(self, annotation: str, ask: Callable[[], Any]) -> Any:
        """Return the value that a query has set on the row, or else ask."""
        return vars(self)[annotation] if annotation in vars(self) else ask()

    def _of_user(self, name: str) -> Any:
        """Return an attribute of the user; None if there is no user, or it was deleted."""
        try:
            value = getattr(self.user, name, None)
        except ObjectDoesNotExist:
            return None
        return value() if callable(value) else value

    def announce_end(self, by: AbstractBaseUser | str | None = None) -> None:
        """Send ``session_ended`` after the commit, if this was an account's."""
        if self.user_id is not None:
            using = self._state.db or router.db_for_write(Session)
            announce(signals.session_ended, using, session=self, status=self.status, by=by)

    def close(self, status: clock.Status, **cause: Unpack[Cause]) -> bool:
        """End this session (see ``SessionQuerySet.close``). Return True if this call ended it.

        Two statements, if its user and its client are loaded.
        """
        using = self._state.db or router.db_for_write(Session)
        return Session.objects.using(using).close_one(self, status, **cause)

    def end(self, **cause: Unpack[Cause]) -> bool:
        """Sign out; the account stays remembered on the client."""
        return self.close(self.Status.ENDED, **cause)

    def revoke(self, **cause: Unpack[Cause]) -> bool:
        """End it from outside: an administrator, a program, another client."""
        return self.close(self.Status.REVOKED, **cause)

    def remove(self, **cause: Unpack[Cause]) -> bool:
        """Take the account off the client's list, signed in or remembered."""
        closed = bool(Session.objects.filter(pk=self.pk).remove_all(**cause))
        self.refresh_from_db(fields=["status", "updated_at", "forgotten"])
        return closed


def actor_with(actor_id: str) -> AbstractBaseUser | str | None:
    """Return the administrator with this key; None for "".

    "erased" once that account is deleted; the key if that was done without Django's signals.
    """
    if not actor_id:
        return None
    if actor_id == SOMEBODY:  # Not a key, though a user may have this one.
        return SOMEBODY
    user_model: Any = Session._meta.get_field("user").related_model
    try:
        found = user_model._base_manager.filter(pk=actor_id).first()
    except (ValueError, ValidationError):
        found = None
    return found or actor_id


def is_current(data: dict[str, Any], user: Any) -> bool:
    """Return True if ``user`` may still act through a session with this data."""
    return user is not None and _admits(data, user) and _has_password(data, user)


def _has_password(data: dict[str, Any], user: Any) -> bool:
    if not hasattr(user, "get_session_auth_hash"):
        return True
    found = data.get(HASH_SESSION_KEY, "")
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any(constant_time_compare(found, valid) for valid in hashes)


def _admits(data: dict[str, Any], user: Any) -> bool:
    from django.contrib.auth import load_backend  # its models need the app registry

    backend_path = data.get(BACKEND_SESSION_KEY)
    if backend_path not in django_settings.AUTHENTICATION_BACKENDS:
        return False
    may_sign_in = getattr(load_backend(backend_path), "user_can_authenticate", None)
    return may_sign_in is None or bool(may_sign_in(user))


def announce(signal: Signal, using: str, **arguments: Any) -> None:
    """Send ``signal`` once the transaction is committed; a failing receiver breaks nothing."""
    transaction.on_commit(
        lambda: signal.send_robust(sender=Session, **arguments), using=using, robust=True
    )
