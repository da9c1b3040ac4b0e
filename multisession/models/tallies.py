"""Sums of the audit trail by hour and by day, for the pictures in the admin.

``clearsessions`` keeps them (upkeep/counting.py); no request writes here. They name nobody, so the
erasure of a person leaves them as they are.
"""

from __future__ import annotations

import datetime

from django.db import models
from django.utils import timezone

from .managers import PrimaryManager

HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)


class Tally(models.Model):
    """How often something happened in one hour or day of the site's time zone."""

    class Unit(models.TextChoices):
        HOUR = "hour"
        DAY = "day"
        #: The key of the last row that is counted, in ``number``. ``start`` is always the same.
        MARK = "mark"

    class What(models.TextChoices):
        """What is counted, beside the kinds of events."""

        BROWSER = "browser"  # sign-ins by browser
        SYSTEM = "system"  # sign-ins by operating system
        LIVE = "live"  # live sessions when they were counted last in this hour or day
        EVENT = "event"  # only as a mark
        FAILED = "failed"  # failed sign-ins, from django-axes

    unit = models.CharField(max_length=4, choices=Unit.choices, editable=False)
    start = models.DateTimeField(editable=False)
    what = models.CharField(max_length=12, editable=False)
    name = models.CharField(max_length=40, blank=True, editable=False)
    #: Superusers have sums of their own, as other staff may not see what superusers do.
    superuser = models.BooleanField(default=False, editable=False)
    number = models.BigIntegerField(default=0, editable=False)

    objects = PrimaryManager()

    class Meta:
        base_manager_name = "objects"
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["unit", "start", "what", "name", "superuser"],
                name="multisession_one_tally",
            )
        ]

    def __str__(self) -> str:
        return f"{self.what} {self.name} {self.unit}"


def start_of(unit: str, moment: datetime.datetime) -> datetime.datetime:
    """Return when the hour or day of this moment began, in the site's time zone.

    In UTC, or naive if ``USE_TZ`` is off. Not in the reader's time zone: sums have only one.
    """
    local = moment
    if timezone.is_aware(moment):
        local = moment.astimezone(timezone.get_default_timezone())
    if unit == Tally.Unit.DAY:
        local = local.replace(hour=0, fold=0)
    local = local.replace(minute=0, second=0, microsecond=0)
    return local.astimezone(datetime.UTC) if timezone.is_aware(local) else local


def last_starts(unit: str, count: int, now: datetime.datetime) -> list[datetime.datetime]:
    """Return the starts of the last hours or days, the current one at the end."""
    starts = [start_of(unit, now)]
    # A day may have 23 or 25 hours, so step back from its start by less than that.
    step = HOUR if unit == Tally.Unit.HOUR else datetime.timedelta(hours=12)
    while len(starts) < count:
        starts.append(start_of(unit, starts[-1] - step))
    return starts[::-1]


def end_of(unit: str, start: datetime.datetime) -> datetime.datetime:
    """Return when the hour or day that began at ``start`` ends."""
    step = HOUR if unit == Tally.Unit.HOUR else datetime.timedelta(hours=30)
    return start_of(unit, start + step)
