"""An overview of sign-ins and ends, as pictures and as tables.

It reads the sums that ``clearsessions`` keeps, and adds the events after them. The sums of 30 days
are about a thousand rows at any size of the site, and at most ``MOST_ADDED`` events are added, so
the page costs four statements and about the same with ten thousand sessions as with ten million.

Sums tell of everybody, so only those see them whose list of sessions is not narrowed.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.contrib.admin.exceptions import NotRegistered
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, path, reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.http import urlencode
from django.utils.translation import gettext

from multisession.conf import settings
from multisession.ground.moments import in_utc
from multisession.models import Event
from multisession.models.tallies import Tally, end_of, last_starts
from multisession.upkeep import counting

from .lists import PagedAdmin, during

HOURS, DAYS = 24, 30
#: The most events that a page adds to the sums. ``clearsessions`` counts the others.
MOST_ADDED = 5_000
#: Live sessions are counted up to this number; beyond it, the last sum is shown.
MOST_LIVE = 200
#: The most names among browsers and systems.
MOST_NAMES = 8

#: The coordinates of a picture: each hour or day is so wide, and the highest bar so high.
SLOT, HEIGHT = 12, 100


@dataclass(frozen=True)
class Bar:
    """One number of a picture. ``x``, ``y``, ``width`` and ``height`` are coordinates."""

    series: str
    label: str
    number: int
    link: str
    x: float
    y: float
    width: float
    height: float

    @property
    def text(self) -> str:
        return number_format(self.number, force_grouping=True)


@dataclass(frozen=True)
class Row:
    """One hour or day: a row of the table, and a group of bars."""

    label: str
    bars: list[Bar]


@dataclass(frozen=True)
class Chart:
    """A picture and its table."""

    title: str
    heading: str
    series: list[tuple[str, str]]
    rows: list[Row]
    ticks: list[str]
    #: The number at the top of the picture.
    top: int

    @property
    def width(self) -> int:
        return len(self.rows) * SLOT

    @property
    def height(self) -> int:
        return HEIGHT

    @property
    def scale(self) -> list[str]:
        return [number_format(part, force_grouping=True) for part in (self.top, self.top // 2, 0)]


@dataclass(frozen=True)
class Share:
    """A line of a ranking: a browser or a system."""

    name: str
    number: int
    percent: int
    width: float
    link: str

    @property
    def text(self) -> str:
        return number_format(self.number, force_grouping=True)


@dataclass
class Sums:
    """Everything that the page shows, by unit, start and what was counted."""

    numbers: Counter[tuple[str, datetime.datetime, str]] = field(default_factory=Counter)
    names: dict[str, Counter[str]] = field(default_factory=dict)
    live: dict[tuple[str, datetime.datetime], int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    #: Later events are not in the sums; None if all are.
    counted_until: datetime.datetime | None = None

    def add(self, key: counting.Key, number: int) -> None:
        unit, start, what, name, _superuser = key
        if what in (Tally.What.BROWSER, Tally.What.SYSTEM):
            if unit == Tally.Unit.DAY:
                self.names.setdefault(what, Counter())[name] += number
            return
        self.numbers[unit, in_utc(start), what] += number


class PicturesAdmin(PagedAdmin):
    """The part of ``SessionAdmin`` that draws the overview."""

    pictures_template = "multisession/admin/pictures.html"

    def sees_all_sums(self, request: HttpRequest) -> bool:
        """Return True if this user may see the sums of all sessions.

        By default, where neither the list of sessions nor the audit trail is narrowed. A project
        that narrows them may let some users see the sums. Superusers' sums are left out for those
        who do not see superusers.
        """
        try:
            trail = self.admin_site.get_model_admin(Event)
        except NotRegistered:
            return not self.is_narrowed()
        return not self.is_narrowed() and isinstance(trail, PagedAdmin) and not trail.is_narrowed()

    def may_see_pictures(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and self.sees_all_sums(request)

    def pictures(self, request: HttpRequest) -> HttpResponse:
        if not self.may_see_pictures(request):
            raise PermissionDenied
        now = timezone.now()
        hours = last_starts(Tally.Unit.HOUR, HOURS, now)
        days = last_starts(Tally.Unit.DAY, DAYS, now)
        sums = self._sums(request, hours[0], days[0])
        failures = sums.marks.get(Tally.What.FAILED) is not None
        live, is_exact = self._live(request, sums)
        draw = partial(self._chart, request, sums, with_failures=failures)
        charts = [
            draw(gettext("Past 24 hours"), gettext("Hour"), Tally.Unit.HOUR, hours, every=6),
            draw(gettext("Past 30 days"), gettext("Day"), Tally.Unit.DAY, days, every=5),
        ]
        if len(sums.live) > 1:
            charts.append(self._live_chart(sums, days))
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Overview"),
            "opts": self.opts,
            "media": self.media,
            "live": number_format(live, force_grouping=True),
            "live_is_exact": is_exact,
            "live_link": self.url("session", "changelist") + "?status=active",
            "today": charts[1].rows[-1].bars,
            "charts": charts,
            "rankings": [
                (
                    gettext("Browsers"),
                    self._ranking(sums, Tally.What.BROWSER, self._link_of_browser),
                ),
                (gettext("Systems"), self._ranking(sums, Tally.What.SYSTEM, lambda name: "")),
            ],
            "counted_until": sums.counted_until and timezone.localtime(in_utc(sums.counted_until)),
            "zone": timezone.get_default_timezone_name(),
            "is_off": not settings.AUDIT,
        }
        return TemplateResponse(request, self.pictures_template, context)

    # What is read

    def _sums(
        self, request: HttpRequest, since: datetime.datetime, since_day: datetime.datetime
    ) -> Sums:
        with_superusers = self.sees_superusers(request)
        wanted = Q(unit=Tally.Unit.HOUR, start__gte=since) | Q(unit=Tally.Unit.MARK)
        found = Tally.objects.filter(wanted | Q(unit=Tally.Unit.DAY, start__gte=since_day))
        if not with_superusers:
            found = found.filter(superuser=False)
        sums = Sums()
        for row in found.values_list("unit", "start", "what", "name", "superuser", "number"):
            *key, number = row
            unit, start, what = key[:3]
            if unit == Tally.Unit.MARK:
                sums.marks[what] = number
            elif what == Tally.What.LIVE:
                place = unit, in_utc(start)
                sums.live[place] = sums.live.get(place, 0) + number
            else:
                sums.add((unit, start, what, key[3], key[4]), number)
        self._add_new(sums, counting.events(found.db), with_superusers)
        failures = counting.failures(found.db)
        if failures is not None and with_superusers:  # Nobody knows whom they were meant for.
            sums.marks.setdefault(Tally.What.FAILED, 0)
            self._add_new(sums, failures, with_superusers)
        else:
            sums.marks.pop(Tally.What.FAILED, None)
        return sums

    def _add_new(self, sums: Sums, source: counting.Source, with_superusers: bool) -> None:
        """Add what happened after the mark."""
        rows = source.rows.filter(pk__gt=sums.marks.get(source.mark, 0)).order_by("pk")
        if not with_superusers:
            rows = rows.filter(superuser=False)
        happened = source.happened(rows[:MOST_ADDED])
        for key, number in counting.sums_of(happened).items():
            sums.add(key, number)
        if len(happened) == MOST_ADDED:
            sums.counted_until = happened[-1][1]

    def _live(self, request: HttpRequest, sums: Sums) -> tuple[int, bool]:
        """Return the number of live sessions, and if it is exact."""
        found: Any = self.get_queryset(request)
        counted = found.order_by().live()[: MOST_LIVE + 1].count()
        if counted <= MOST_LIVE or not sums.live:
            return min(counted, MOST_LIVE), counted <= MOST_LIVE
        counted_last = sums.live[max(sums.live, key=lambda place: place[1])]
        return max(counted_last, MOST_LIVE), False

    # What is drawn

    def _chart(
        self,
        request: HttpRequest,
        sums: Sums,
        title: str,
        heading: str,
        unit: str,
        starts: list[datetime.datetime],
        *,
        every: int,
        with_failures: bool,
    ) -> Chart:
        series = [("in", gettext("Sign-ins")), ("out", gettext("Ends"))]
        kinds: list[tuple[str, ...]] = [(Event.Kind.SIGNED_IN,), counting.ENDS]
        links = [self._link_of_sign_ins, self._link_of_ends(request)]
        if with_failures:
            series.append(("failed", gettext("Failed sign-ins")))
            kinds.append((Tally.What.FAILED,))
            links.append(self._link_of_failures(request))
        numbers = [
            [sum(sums.numbers[unit, in_utc(start), kind] for kind in those) for those in kinds]
            for start in starts
        ]
        spans = [(start, end_of(unit, start)) for start in starts]
        return _chart(title, heading, series, numbers, spans, unit, every, links)

    def _live_chart(self, sums: Sums, days: list[datetime.datetime]) -> Chart:
        numbers = [[sums.live.get((Tally.Unit.DAY, in_utc(day)), 0)] for day in days]
        spans = [(day, end_of(Tally.Unit.DAY, day)) for day in days]
        return _chart(
            gettext("Live sessions, when they were counted last"),
            gettext("Day"),
            [("live", gettext("Live sessions"))],
            numbers,
            spans,
            Tally.Unit.DAY,
            5,
            [lambda start, end: ""],
        )

    def _ranking(self, sums: Sums, what: str, link: Callable[[str], str]) -> list[Share]:
        found = sums.names.get(what, Counter())
        total = sum(found.values())
        ranked = sorted(found.items(), key=lambda item: (item[0] == "", -item[1], item[0]))
        shown, rest = ranked[:MOST_NAMES], ranked[MOST_NAMES:]
        if rest:
            others = sum(number for _name, number in rest)
            shown = [*shown[:-1], ("", others + shown[-1][1])]
        most = max((number for _name, number in shown), default=1)
        return [
            Share(
                name or gettext("Others"),
                number,
                round(100 * number / total),
                round(100 * number / most, 2),
                link(name) if name else "",
            )
            for name, number in shown
        ]

    # Where the bars lead

    def _link_of_sign_ins(self, start: datetime.datetime, end: datetime.datetime) -> str:
        return f"{self.url('session', 'changelist')}?{urlencode({'during': during(start, end)})}"

    def _link_of_browser(self, name: str) -> str:
        query = urlencode({"browser": name, "since": str(DAYS)})
        return f"{self.url('session', 'changelist')}?{query}"

    def _link_of_ends(self, request: HttpRequest) -> Callable[..., str]:
        if not request.user.has_perm("multisession.view_event"):
            return _nowhere
        try:
            url = self.url("event", "changelist")
        except NoReverseMatch:
            return _nowhere
        return lambda start, end: (
            f"{url}?{urlencode({'kind': 'ends', 'during': during(start, end)})}"
        )

    def _link_of_failures(self, request: HttpRequest) -> Callable[..., str]:
        if not request.user.has_perm("axes.view_accessfailurelog"):
            return _nowhere
        try:
            name = "admin:axes_accessfailurelog_changelist"
            url = reverse(name, current_app=self.admin_site.name)
        except NoReverseMatch:
            return _nowhere
        return lambda start, end: (
            f"{url}?{urlencode({'attempt_time__gte': str(start), 'attempt_time__lt': str(end)})}"
        )

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.pictures)
        own = path("overview/", view, name="multisession_session_pictures")
        return [own, *super().get_urls()]


def _nowhere(start: datetime.datetime, end: datetime.datetime) -> str:
    return ""


def _chart(
    title: str,
    heading: str,
    series: list[tuple[str, str]],
    numbers: list[list[int]],
    spans: list[tuple[datetime.datetime, datetime.datetime]],
    unit: str,
    every: int,
    links: list[Callable[..., str]],
) -> Chart:
    top = _round_up(max(max(row) for row in numbers))
    width = (SLOT - 2) / len(series)
    rows = []
    for place, (counts, (start, end)) in enumerate(zip(numbers, spans, strict=True)):
        label = _label(unit, start)
        bars = []
        for number_of, ((name, text), number) in enumerate(zip(series, counts, strict=True)):
            # Even a single one is visible.
            height = max(round(HEIGHT * number / top, 2), 1) if number else 0
            bars.append(
                Bar(
                    name,
                    f"{label}: {text}, {number_format(number, force_grouping=True)}",
                    number,
                    links[number_of](start, end) if number else "",
                    round(place * SLOT + 1 + number_of * width, 2),
                    HEIGHT - height,
                    round(width - 0.5, 2),
                    height,
                )
            )
        rows.append(Row(label, bars))
    ticks = [_tick(unit, start) for start, _end in spans[::every]]
    return Chart(title, heading, series, rows, ticks, top)


def _round_up(number: int) -> int:
    """Return a round number from ``number`` on: 2, 4, 10, 20, 40, 100 and so on."""
    size = 1
    while True:
        for factor in (2, 4, 10):
            if number <= factor * size:
                return factor * size
        size *= 10


def _local(moment: datetime.datetime) -> datetime.datetime:
    return timezone.localtime(in_utc(moment), timezone.get_default_timezone())


def _label(unit: str, start: datetime.datetime) -> str:
    return date_format(_local(start), "DATETIME_FORMAT" if unit == "hour" else "DATE_FORMAT")


def _tick(unit: str, start: datetime.datetime) -> str:
    return date_format(_local(start), "TIME_FORMAT" if unit == "hour" else "MONTH_DAY_FORMAT")
