"""Count the audit trail by hour and by day: a part of ``clearsessions``.

Requests add events and never touch the sums, so they neither wait for each other nor write more.
The work goes through the trail once, by primary key, in batches: each adds its sums and moves the
mark in one transaction, so an event is counted once, however often it is interrupted. Timeouts
are recorded later than they happened; they are added to the hour and day in which they happened.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from multisession.conf import settings
from multisession.ground.attempts import attempt
from multisession.ground.browsers import common_names
from multisession.models import Event, Session
from multisession.models.tallies import DAY, Tally, start_of

#: The least age of an event to be counted. An older transaction may still commit a smaller key.
SETTLED = datetime.timedelta(minutes=15)
#: Sums by hour are kept for so long; sums by day as long as the trail (``RETENTION``).
HOURS_KEPT = 2 * DAY

#: The ways in which a session ends.
ENDS = (
    Event.Kind.ENDED,
    Event.Kind.REMOVED,
    Event.Kind.REPLACED,
    Event.Kind.REVOKED,
    Event.Kind.EXPIRED,
    Event.Kind.ABANDONED,
)
COUNTED = (Event.Kind.SIGNED_IN, *ENDS)

#: Something that happened: what, when, its user agent, and if it was a superuser's.
Happened = tuple[str, datetime.datetime, str, bool]
#: The unique fields of a Tally.
Key = tuple[str, datetime.datetime, str, str, bool]


@dataclass(frozen=True)
class Source:
    """A table whose rows are counted: the audit trail, or django-axes' log of failures."""

    mark: str
    rows: QuerySet[Any]
    time: str

    @property
    def last_counted(self) -> int:
        """Return the key of the last row that is counted; 0 for none."""
        marks = Tally.objects.using(self.rows.db).filter(unit=Tally.Unit.MARK, what=self.mark)
        return int(marks.values_list("number", flat=True).first() or 0)

    def last_settled(self) -> int:
        """Return the key up to which no transaction should still add rows."""
        old = self.rows.filter(**{f"{self.time}__lte": timezone.now() - SETTLED})
        if self.mark == Tally.What.EVENT:
            # A timeout is recorded with an earlier time than its own.
            old = old.exclude(kind__in=[Event.Kind.EXPIRED, Event.Kind.ABANDONED])
            old = old.order_by("-at", "-pk")
        else:
            old = old.order_by("-pk")
        return old.values_list("pk", flat=True).first() or 0

    def uncounted(self) -> QuerySet[Any]:
        return self.rows.filter(pk__gt=self.last_counted)

    def happened(self, rows: QuerySet[Any]) -> list[Happened]:
        if self.mark == Tally.What.EVENT:
            found = rows.values_list("kind", "at", "user_agent", "superuser")
            return [row for row in found if row[0] in COUNTED]
        return [(self.mark, at, "", False) for at in rows.values_list(self.time, flat=True)]


def events(using: str) -> Source:
    return Source(Tally.What.EVENT, Event.objects.using(using), "at")


def failures(using: str) -> Source | None:
    """Return django-axes' log of failed sign-ins; None without it, or in another database.

    Needs its setting ``AXES_ENABLE_ACCESS_FAILURE_LOG``.
    """
    is_on = getattr(django_settings, "AXES_ENABLE_ACCESS_FAILURE_LOG", False)
    if not is_on or not apps.is_installed("axes"):
        return None
    rows = apps.get_model("axes", "AccessFailureLog")._default_manager.order_by()
    return Source(Tally.What.FAILED, rows, "attempt_time") if rows.db == using else None


def begin(using: str) -> None:
    """Make the marks that are missing.

    Call it in no transaction, so that two runs at once make one of each.
    """
    # Always the same, for the unique constraint.
    start = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC if django_settings.USE_TZ else None)
    for source in filter(None, (events(using), failures(using))):
        marks = Tally.objects.using(using).filter(unit=Tally.Unit.MARK, what=source.mark)
        if not marks.exists():
            with suppress(IntegrityError), transaction.atomic(using=using):
                marks.create(unit=Tally.Unit.MARK, what=source.mark, start=start)


def add(source: Source, rows: QuerySet[Any], upto: int) -> int:
    """Add these rows to the sums, except those counted already. Return their number."""
    using = source.rows.db
    tallies = Tally.objects.using(using)
    with transaction.atomic(using=using):
        marks = tallies.filter(unit=Tally.Unit.MARK, what=source.mark)
        # Locks the mark, on SQLite too: two runs at once must not count the same rows.
        marks.update(number=F("number"))
        fresh = rows.filter(pk__gt=source.last_counted, pk__lte=upto)
        happened = source.happened(fresh)
        _write(sums_of(happened), using)
        marks.filter(number__lt=upto).update(number=upto)
    return len(happened)


def sums_of(happened: Iterable[Happened]) -> Counter[Key]:
    """Return the sums by hour and by day."""
    sums: Counter[Key] = Counter()
    starts: dict[datetime.datetime, list[tuple[str, datetime.datetime]]] = {}
    for what, at, user_agent, superuser in happened:
        minute = at.replace(second=0, microsecond=0)
        if minute not in starts:
            units = (Tally.Unit.HOUR, Tally.Unit.DAY)
            starts[minute] = [(unit.value, start_of(unit, minute)) for unit in units]
        named = [(what, "")]
        if what == Event.Kind.SIGNED_IN:
            # Only common names: people choose their user agents, and each name is a row.
            browser, system = common_names(user_agent)
            named += [(Tally.What.BROWSER.value, browser), (Tally.What.SYSTEM.value, system)]
        for unit, start in starts[minute]:
            for counted, name in named:
                sums[unit, start, str(counted), name, superuser] += 1
    return sums


def _write(sums: Counter[Key], using: str) -> None:
    tallies = Tally.objects.using(using)
    now = timezone.now()
    oldest = {Tally.Unit.HOUR: now - HOURS_KEPT, Tally.Unit.DAY: now - _kept()}
    kept = {key: number for key, number in sums.items() if key[1] > oldest[Tally.Unit(key[0])]}
    if not kept:
        return
    known = {}
    for row in tallies.filter(start__in={key[1] for key in kept}).exclude(unit=Tally.Unit.MARK):
        known[row.unit, _instant(row.start), row.what, row.name, row.superuser] = row
    changed, new = [], []
    for key, number in kept.items():
        if (row := known.get(key)) is not None:
            row.number += number
            changed.append(row)
        else:
            unit, start, what, name, superuser = key
            new.append(
                Tally(
                    unit=unit,
                    start=start,
                    what=what,
                    name=name,
                    superuser=superuser,
                    number=number,
                )
            )
    tallies.bulk_update(changed, ["number"], batch_size=500)
    tallies.bulk_create(new, batch_size=500)


def _instant(moment: datetime.datetime) -> datetime.datetime:
    return moment.astimezone(datetime.UTC) if timezone.is_aware(moment) else moment


def _kept() -> datetime.timedelta:
    return datetime.timedelta(seconds=settings.RETENTION) + DAY


def finish(using: str) -> None:
    """Note how many sessions are live now, and delete the sums that are too old."""
    now, tallies = timezone.now(), Tally.objects.using(using)
    live = Session.objects.using(using).accounts().live()
    everybody = live.count()
    has_superusers = hasattr(Session._meta.get_field("user").related_model, "is_superuser")
    ordinary = live.of_ordinary_users().count() if has_superusers else everybody
    for unit in (Tally.Unit.HOUR, Tally.Unit.DAY):
        for superuser, number in ((False, ordinary), (True, max(everybody - ordinary, 0))):
            note = partial(
                tallies.update_or_create,
                unit=unit,
                start=start_of(unit, now),
                what=Tally.What.LIVE,
                name="",
                superuser=superuser,
                defaults={"number": number},
            )
            attempt(using, note)
    tallies.filter(unit=Tally.Unit.HOUR, start__lte=now - HOURS_KEPT).delete()
    tallies.filter(unit=Tally.Unit.DAY, start__lte=now - _kept()).delete()
