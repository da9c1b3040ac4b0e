"""The statuses of a session, and which of them follow from the time.

No job has to run for them: an active session expires at ``expire_at``, and is abandoned at
``abandon_at`` if nobody came back to it. That rule is here alone, as a condition for the database
and as a function for a row.
"""

from __future__ import annotations

import datetime

from django.db import models
from django.db.models import Q
from django.utils.translation import pgettext_lazy

from multisession.conf import settings


class Status(models.TextChoices):
    """The states of a session, in Clerk's words (docs/explanation/concepts.md)."""

    ACTIVE = "active", pgettext_lazy("session status", "active")
    ENDED = "ended", pgettext_lazy("session status", "signed out")
    REMOVED = "removed", pgettext_lazy("session status", "removed")
    REPLACED = "replaced", pgettext_lazy("session status", "replaced")
    REVOKED = "revoked", pgettext_lazy("session status", "revoked")
    EXPIRED = "expired", pgettext_lazy("session status", "expired")
    ABANDONED = "abandoned", pgettext_lazy("session status", "abandoned")


_ACTIVE = str(Status.ACTIVE)

#: The statuses of sessions that are off their client's list.
NOT_REMEMBERED = (Status.REMOVED, Status.REPLACED)

#: The statuses whose end is ``expire_at``; any other status has its end in ``updated_at``.
BY_CLOCK = (Status.ACTIVE, Status.EXPIRED, Status.ABANDONED)


def is_live_at(now: datetime.datetime, status: str, expire_at: datetime.datetime) -> bool:
    """Return True if a row with these values is signed in at this moment. Asked for every page."""
    return status == _ACTIVE and expire_at > now


def status_at(
    now: datetime.datetime,
    status: str,
    expire_at: datetime.datetime,
    abandon_at: datetime.datetime,
) -> Status:
    """Return the status at this moment of a row with these values."""
    current = Status(status)
    if current == Status.ACTIVE and not is_live_at(now, status, expire_at):
        current = Status.EXPIRED
    if current == Status.EXPIRED and abandon_at <= now:
        current = Status.ABANDONED
    return current


def is_status(now: datetime.datetime, status: str) -> Q:
    """Return the condition for rows whose status at this moment is this one."""
    if status == Status.ACTIVE:
        return live(now)
    if status == Status.EXPIRED:
        return (expired_unmarked(now) | Q(status=status)) & Q(abandon_at__gt=now)
    if status == Status.ABANDONED:
        return abandoned_unmarked(now) | Q(status=status)
    return Q(status=status)


def live(now: datetime.datetime) -> Q:
    """Return the condition for rows that are signed in at this moment."""
    return Q(status=Status.ACTIVE, expire_at__gt=now)


def expired_unmarked(now: datetime.datetime) -> Q:
    """Return the condition for rows that have expired and are not marked so."""
    return Q(status=Status.ACTIVE, expire_at__lte=now)


def abandoned_unmarked(now: datetime.datetime) -> Q:
    """Return the condition for rows that are abandoned and not marked so."""
    return (expired_unmarked(now) | Q(status=Status.EXPIRED)) & Q(abandon_at__lte=now)


def listed() -> Q:
    """Return the condition for rows that nobody has taken off the list of their client."""
    return Q(forgotten=False) & ~Q(status__in=NOT_REMEMBERED)


def remembered(now: datetime.datetime) -> Q:
    """Return the condition for rows on the list of their client at this moment."""
    return listed() if settings.REMEMBER_ACCOUNTS else listed() & live(now)


def ended_before(moment: datetime.datetime) -> Q:
    """Return the condition for rows that had ended by then, marked or not."""
    by_clock = Q(status__in=BY_CLOCK)
    return by_clock & Q(expire_at__lte=moment) | ~by_clock & Q(updated_at__lte=moment)
