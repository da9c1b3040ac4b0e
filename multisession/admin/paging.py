"""Cursor pagination, where every page costs the same, and cheap totals.

A page starts after the last row of the page before it; no query skips rows with an offset. Rows are
sorted by primary key. Expired and abandoned sessions are sorted by the time at which they timed
out, because an index can start there; by primary key, the query would first pass all live rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings as django_settings
from django.db import connections
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from multisession.models import Session

#: Totals are counted up to this number.
MOST_COUNTED = 1_000


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a list: by ``field``, then by primary key; descending, or ``ascending``.

    "Newer" below is towards the first page, whatever the direction.
    ``statuses``: query each one separately, because an index on (status, field) is sorted by the
    field within one status only.
    """

    field: str = "pk"
    statuses: tuple[str, ...] = ()
    ascending: bool = False


BY_KEY = Order()
#: The order of ``get_session_list``. All sessions have an index for it, and a user's have one.
BY_SIGN_IN = Order("created_at")
#: The order of live sessions that expire soon.
BY_EXPIRY = Order("expire_at", ascending=True)
#: The order of events of one kind, or of one time.
BY_TIME = Order("at")
BY_CLOCK = {
    Session.Status.EXPIRED.value: Order("expire_at", ("active", "expired")),
    Session.Status.ABANDONED.value: Order("abandon_at", ("active", "expired", "abandoned")),
}


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of a page and the cursors of the adjacent pages; "" if there is none."""

    rows: list[Any]
    newer: str = ""
    older: str = ""

    @property
    def is_all(self) -> bool:
        return not self.newer and not self.older


def page_of(
    found: QuerySet[Any], size: int, *, order: Order = BY_KEY, before: str = "", after: str = ""
) -> Page:
    """Return the page of older rows before a cursor, or of newer rows after it.

    Without a valid cursor, return the first page.
    """
    if (place := _read(order, after)) is not None:
        rows = _nearest(found, order, size + 1, place, newer=True)
        if len(rows) > size:
            shown = rows[:size][::-1]
            return Page(shown, newer=cursor(order, shown[0]), older=cursor(order, shown[-1]))
        # This is the first page. Fill it up.
    place = _read(order, before)
    rows = _nearest(found, order, size + 1, place)
    shown = rows[:size]
    return Page(
        shown,
        newer=cursor(order, shown[0]) if shown and place is not None else "",
        older=cursor(order, shown[-1]) if len(rows) > size else "",
    )


def cursor(order: Order, row: Any) -> str:
    """Return the cursor of a row."""
    if order.field == "pk":
        return str(row.pk)
    return f"{row.pk}~{getattr(row, order.field).isoformat()}"


Place = tuple[Any, int]


def _read(order: Order, given: str) -> Place | None:
    key, _, moment = given.partition("~")
    if not (key.isascii() and key.isdigit() and len(key) < 19):
        return None
    if order.field == "pk":
        return int(key), int(key)
    try:
        at = parse_datetime(moment)
    except ValueError:
        return None
    if at is None or timezone.is_aware(at) != django_settings.USE_TZ:
        return None
    return at, int(key)


def _nearest(
    found: QuerySet[Any], order: Order, size: int, place: Place | None, *, newer: bool = False
) -> list[Any]:
    """Return the ``size`` rows next to a position, the nearest first."""
    sign, side = ("", "gt") if newer != order.ascending else ("-", "lt")
    if place is not None:
        found = found.filter(_beyond(order, place, side))
    parts = [_of_status(found, order, status) for status in order.statuses] or [found]
    sorting = [f"{sign}{order.field}"] + ([] if order.field == "pk" else [f"{sign}pk"])
    rows = [row for part in parts for row in part.order_by(*sorting)[:size]]
    if len(parts) > 1:
        rows.sort(key=lambda row: (getattr(row, order.field), row.pk), reverse=sign == "-")
    return rows[:size]


def _of_status(found: QuerySet[Any], order: Order, status: str) -> QuerySet[Any]:
    part = found.filter(status=status)
    if status in ("active", "expired"):
        # Implied by the filter, but lets the database start in the index at the current time.
        part = part.filter(**{f"{order.field}__lte": timezone.now()})
    return part


def _beyond(order: Order, place: Place, side: str) -> Q:
    value, key = place
    if order.field == "pk":
        return Q(**{f"pk__{side}": key})
    # The index serves the first condition; the second one settles ties.
    tie = Q(**{f"{order.field}__{side}": value}) | Q(**{f"pk__{side}": key})
    return Q(**{f"{order.field}__{side}e": value}) & tie


@dataclass(frozen=True, slots=True)
class Total:
    """A total: exact, approximate (``is_about``) or a lower bound (``is_more``)."""

    number: int
    is_about: bool = False
    is_more: bool = False


def total_of(everything: QuerySet[Any], *, may_estimate: bool = True) -> Total:
    """Return the total of the whole list: PostgreSQL's estimate, or a count up to a limit.

    The estimate is of the table: it includes visitors' sessions, and what a narrowed list leaves
    out.
    """
    believed = _believed_rows(everything) if may_estimate else 0
    if believed > MOST_COUNTED:
        return Total(believed, is_about=True)
    counted = everything.order_by("-pk")[: MOST_COUNTED + 1].count()
    return Total(min(counted, MOST_COUNTED), is_more=counted > MOST_COUNTED)


def _believed_rows(everything: QuerySet[Any]) -> int:
    connection = connections[everything.db]
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as db:
        db.execute(
            "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass",
            [connection.ops.quote_name(everything.model._meta.db_table)],
        )
        row = db.fetchone()
    return int(row[0]) if row else 0
