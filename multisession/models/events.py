"""The audit trail: one row for each change of a session.

An event is written in the transaction of the change: neither exists without the other. It holds
the names of that time as plain text and no foreign key, so it outlives the session and the client,
and does not prevent the deletion of the user, which makes it anonymous (upkeep/erasing.py). It
holds no secret.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypedDict

from django.db import models, transaction
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from multisession import signals
from multisession.conf import settings
from multisession.ground.origin import LONGEST_USER_AGENT, NOWHERE, Origin

from .clients import now
from .managers import PrimaryManager

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

LONGEST_NAME = 255


class Cause(TypedDict, total=False):
    """Who did it, and from where.

    ``by`` is a user or the name of a program; None for a timeout, or for the engine itself.
    """

    by: AbstractBaseUser | str | None
    origin: Origin


class Event(models.Model):
    """A change of a session, with the names of that time."""

    class Kind(models.TextChoices):
        SIGNED_IN = "signed-in", pgettext_lazy("event", "signed in")
        SWITCHED = "switched", pgettext_lazy("event", "switched to")
        #: The session is in another organization, or in none.
        ORGANIZATION = "organization", pgettext_lazy("event", "changed organization")
        # The ends have the names of the statuses that they lead to.
        ENDED = "ended", pgettext_lazy("event", "signed out")
        REMOVED = "removed", pgettext_lazy("event", "removed")
        REPLACED = "replaced", pgettext_lazy("event", "replaced")
        REVOKED = "revoked", pgettext_lazy("event", "revoked")
        EXPIRED = "expired", pgettext_lazy("event", "expired")
        ABANDONED = "abandoned", pgettext_lazy("event", "abandoned")
        #: Taken off the list of its client, long after it had ended.
        FORGOTTEN = "forgotten", pgettext_lazy("event", "forgotten")
        #: A value of the cookie was presented that had ended: perhaps a stolen copy.
        REUSED = "reused", pgettext_lazy("event", "old cookie used")
        #: The cookie came from another kind of browser than at the sign-in: perhaps a stolen copy.
        BROWSER = "browser", pgettext_lazy("event", "used by another browser")

    kind = models.CharField(_("what"), max_length=12, choices=Kind.choices, editable=False)
    at = models.DateTimeField(
        _("when"),
        default=now,
        editable=False,
        help_text=_("For sessions that timed out: when the time was up."),
    )
    session_id = models.CharField(_("session"), max_length=40, editable=False)
    client_id = models.CharField(_("client"), max_length=40, editable=False)
    user_id = models.CharField(_("user"), max_length=LONGEST_NAME, editable=False)
    account = models.CharField(_("account"), max_length=LONGEST_NAME, editable=False)
    #: The user was a superuser then: only superusers may read these.
    superuser = models.BooleanField(_("superuser"), default=False, editable=False)
    #: The id of the organization that was entered; empty for none, and for other events.
    organization = models.CharField(_("organization"), max_length=64, blank=True, editable=False)
    #: The primary key of the user who did it; empty for a program or a timeout.
    actor_id = models.CharField(_("by user"), max_length=LONGEST_NAME, blank=True, editable=False)
    actor = models.CharField(_("by"), max_length=LONGEST_NAME, blank=True, editable=False)
    ip_address = models.GenericIPAddressField(_("IP address"), null=True, editable=False)
    user_agent = models.CharField(
        _("browser"), max_length=LONGEST_USER_AGENT, blank=True, editable=False
    )

    objects = PrimaryManager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("event")
        verbose_name_plural = _("audit trail")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["session_id", "-id"], name="multisession_ev_session"),
            models.Index(fields=["client_id", "-id"], name="multisession_ev_client"),
            models.Index(fields=["user_id", "-id"], name="multisession_ev_user"),
            models.Index(fields=["actor_id", "-id"], name="multisession_ev_actor"),
            models.Index(fields=["account", "-id"], name="multisession_ev_account"),
            models.Index(fields=["ip_address", "-id"], name="multisession_ev_address"),
            models.Index(fields=["kind", "-at", "-id"], name="multisession_ev_kind"),
            models.Index(fields=["at"], name="multisession_ev_at"),
        ]

    def __str__(self) -> str:
        return f"{self.session_id} {self.kind}"

    @classmethod
    def of(
        cls,
        kind: str,
        *,
        session_id: str,
        client_id: str,
        user_id: object,
        account: object,
        superuser: bool,
        at: datetime.datetime,
        organization: str = "",
        by: AbstractBaseUser | str | None = None,
        origin: Origin = NOWHERE,
    ) -> Event:
        """Return an unsaved event. Names are cut off at ``LONGEST_NAME``."""
        return cls(
            kind=kind,
            at=at,
            session_id=session_id,
            client_id=client_id,
            user_id=short_name(user_id),
            account=short_name(account),
            superuser=superuser,
            organization=organization,
            **cls.actor_fields(by),
            ip_address=origin.ip_address,
            user_agent=origin.user_agent,
        )

    @staticmethod
    def actor_fields(by: AbstractBaseUser | str | None) -> dict[str, str]:
        """Return the fields that name ``by``."""
        if by is None or isinstance(by, str):
            return {"actor_id": "", "actor": short_name(by)}
        return {"actor_id": short_name(by.pk), "actor": short_name(by.get_username())}

    @staticmethod
    def record(events: Iterable[Event], using: str) -> None:
        """Write events, 1,000 in a statement; ``event_recorded`` follows after the commit.

        Call it in the transaction of the change. It does nothing if ``AUDIT`` is off.
        """
        recorded = list(events) if settings.AUDIT else []
        if not recorded:
            return
        Event.objects.using(using).bulk_create(recorded, batch_size=1000)
        if signals.event_recorded.has_listeners(Event):
            transaction.on_commit(lambda: _tell(recorded), using=using, robust=True)


def _tell(events: list[Event]) -> None:
    for event in events:
        signals.event_recorded.send_robust(sender=Event, event=event)


def short_name(value: Any) -> str:
    """Return the text of a name or key as the trail stores it."""
    return str("" if value is None else value)[:LONGEST_NAME]
