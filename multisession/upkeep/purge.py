"""Delete or erase what is no longer needed: the work of ``manage.py clearsessions``.

Works in batches, each in its own transaction, so that no lock is held for a million rows. After an
interruption the next run continues with what is left.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from django.db import connections, router, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from multisession.conf import settings
from multisession.ground.attempts import attempt
from multisession.models import Client, Event, Session
from multisession.models.sent_forms import SentForm
from multisession.models.status import abandoned_unmarked, ended_before, expired_unmarked
from multisession.models.tokens import Token

from . import counting

#: Rows that one transaction deletes or changes.
BATCH = 10_000

#: How long a form that was sent again is protected from being sent twice (by the Back button).
FORMS = datetime.timedelta(days=1)

#: How long an ended cookie value is kept, so that its reuse can be detected.
ENDED_TOKENS = datetime.timedelta(days=30)
#: The least age of a client to be deleted: a running request may be about to give it a session.
YOUNG = datetime.timedelta(minutes=15)

#: So many rows that were due a week ago mean that no purge has run (checks/storage.py).
MANY = 1000
WEEK = datetime.timedelta(days=7)

#: Called with a step's name, the rows done so far, and the number of rows at its start.
Progress = Callable[[str, int, int], None]


#: A range of primary keys: above the first, up to the second. None: without an upper end.
Span = tuple[int, int | None]


@dataclass(frozen=True)
class Step:
    """Rows, and the work on them.

    ``work`` handles the rows within a span, in one transaction, and returns their number. The
    spans are taken from ``through``, which may have more rows if finding the right ones is slower
    than passing the others.
    """

    rows: QuerySet[Any]
    work: Callable[[Span], int]
    through: QuerySet[Any]

    def count(self) -> int:
        """Return the number of rows to work on, or an upper bound of it."""
        return self.rows.count()


@dataclass
class Purged:
    """The number of rows that each step handled, in the order of the steps."""

    #: Visitors' data that has expired: deleted.
    visitors: int = 0
    #: Sessions that ended long ago: deleted.
    sessions: int = 0
    #: Sessions that timed out: their status is updated, and the audit trail notes it.
    marked: int = 0
    #: Sessions of an earlier password or of a user who may no longer sign in: revoked.
    outdated: int = 0
    #: Sessions that ended a while ago: their remaining data and IP address are erased.
    details: int = 0
    #: Clients whose sessions all ended a while ago: their user agent is erased.
    browsers: int = 0
    #: Cookie values that ended long ago: deleted.
    tokens: int = 0
    #: Clients without any session, such as a visitor's whose data has expired: deleted.
    clients: int = 0
    #: Sign-ins, ends and failed sign-ins: added to the sums by hour and by day (counting.py).
    counted: int = 0
    failures: int = 0
    #: Events of the audit trail that are older than ``RETENTION``: deleted.
    events: int = 0
    #: Events older than ``DETAILS_RETENTION``: their address and user agent are erased.
    origins: int = 0
    #: Records of forms that were sent again after a refusal: deleted.
    forms: int = 0


def purge(
    *,
    dry_run: bool = False,
    batch: int = BATCH,
    progress: Progress | None = None,
) -> Purged:
    """Delete visitors' expired data, sessions that ended long ago, and clients without any.

    Also erase the IP address and the remaining data of ended sessions, and update the status of
    sessions that timed out. ``batch`` is the most rows of one transaction. ``dry_run`` only
    counts.
    """
    using = router.db_for_write(Session)
    purged = Purged()
    steps = _steps(using)
    if not dry_run:
        counting.begin(using)
    for field in fields(Purged):
        step = steps[field.name]
        if dry_run:
            setattr(purged, field.name, step.count())
            continue
        # Counting costs a query, and only a progress bar needs the total.
        total = step.count() if progress is not None else 0
        for done in _batches(step, batch):
            setattr(purged, field.name, done)
            if progress is not None:
                progress(field.name, done, total)
    if not dry_run:
        counting.finish(using)
    return purged


def overdue(using: str) -> int:
    """Return how many rows were due a week ago and are still there; at most ``MANY``."""
    due_then = timezone.now() - WEEK
    old = due_then - datetime.timedelta(seconds=settings.RETENTION)
    sessions, number = Session.objects.using(using), 0
    for rows in (
        sessions.visitors().filter(expire_at__lte=due_then),
        sessions.accounts().filter(ended_before(old)),
        Event.objects.using(using).filter(at__lte=old),
        Token.objects.using(using).filter(ends_at__lte=due_then - ENDED_TOKENS, children=None),
    ):
        number += rows.values("pk")[: MANY - number].count()
        if number >= MANY:
            break
    return number


def _steps(using: str) -> dict[str, Step]:
    """Return the steps by name: the fields of ``Purged``."""
    now = timezone.now()
    old = now - datetime.timedelta(seconds=settings.RETENTION)
    stale = now - datetime.timedelta(seconds=settings.DETAILS_RETENTION)
    old_event = now - datetime.timedelta(seconds=settings.RETENTION)
    sessions = Session.objects.using(using)
    kept = sessions.accounts().exclude(ended_before(old))
    clients = Client.objects.using(using)
    recent = sessions.filter(client_id=OuterRef("pk")).exclude(ended_before(stale))
    events = Event.objects.using(using)
    old_clients = clients.filter(created_at__lte=now - YOUNG)
    return {
        "visitors": _step(sessions.visitors().filter(expire_at__lte=now), _delete_visitors),
        "sessions": _step(sessions.accounts().filter(ended_before(old)), _delete),
        "marked": _step(
            kept.filter(expired_unmarked(now) | abandoned_unmarked(now)),
            lambda rows: rows.mark_over(),
        ),
        "outdated": _Outdated(sessions.accounts().live(), _revoke_outdated),
        "details": _step(
            kept.filter(ended_before(stale)).exclude(ip_address=None, session_data="", browsers=""),
            lambda rows: rows.update(ip_address=None, session_data="", browsers=""),
        ),
        "browsers": _step(
            clients.filter(~Exists(recent), created_at__lte=stale).exclude(user_agent=""),
            lambda rows: _by_key(rows).update(user_agent=""),
        ),
        "tokens": _step(_ended_tokens(using, now), lambda rows: _delete(_by_key(rows))),
        "clients": Step(
            _without_session(old_clients, (0, None)),
            partial(_delete_clients, old_clients),
            old_clients,
        ),
        "counted": _counting(counting.events(using)),
        "failures": _counting(counting.failures(using)),
        "events": _step(events.filter(at__lte=old_event), _delete),
        "origins": _step(
            events.filter(at__lte=stale, at__gt=old_event).exclude(ip_address=None, user_agent=""),
            lambda rows: rows.update(ip_address=None, user_agent=""),
        ),
        "forms": _step(SentForm.objects.using(using).filter(created_at__lte=now - FORMS), _delete),
    }


def _step(rows: QuerySet[Any], work: Callable[[Any], int]) -> Step:
    return Step(rows, lambda span: work(rows.filter(**_within(span))), rows)


def _counting(source: counting.Source | None) -> Step:
    if source is None:
        nothing = Event.objects.none()
        return Step(nothing, lambda span: 0, nothing)
    last = source.last_settled()
    rows = source.uncounted().filter(pk__lte=last)

    def work(span: Span) -> int:
        upto = last if span[1] is None else span[1]
        return counting.add(source, rows.filter(**_within(span)), upto) if upto else 0

    return Step(rows, work, rows)


class _Outdated(Step):
    """Sessions that can't be found by a query: each needs its user's password hash."""

    def __init__(self, rows: QuerySet[Any], work: Callable[[Any], int]) -> None:
        super().__init__(rows, lambda span: work(rows.filter(**_within(span))), rows)

    def count(self) -> int:
        return sum(len(_outdated(self.rows.filter(**_within(s)))) for s in _spans(self.rows, BATCH))


def _outdated(rows: Any) -> list[int]:
    """Return the keys of the sessions that no longer let their user in.

    A request that presents one writes nothing (see ``SessionStore.flush``), so the purge ends them.
    """
    return [row.pk for row in rows.with_users() if not row.is_current_for(row.user)]


def _revoke_outdated(rows: Any) -> int:
    over = _outdated(rows)
    return len(rows.filter(pk__in=over).close(Session.Status.REVOKED)) if over else 0


def _delete_visitors(rows: Any) -> int:
    """Delete visitors' sessions; where a client has accounts, clear its tokens' references."""
    beside = dict(rows.filter(number=0).values_list("pk", "client_id"))
    with transaction.atomic(using=rows.db):
        deleted = int(rows.delete()[0])
        if beside:
            tokens = Token.objects.using(rows.db).filter(client_id__in=set(beside.values()))
            tokens.filter(session_id__in=list(beside)).update(session=None)
    return deleted


def _delete(rows: Any) -> int:
    return int(rows.delete()[0])


def _by_key(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the same rows by key: MySQL and MariaDB lock every row that a change examines."""
    if connections[rows.db].vendor != "mysql":
        return rows
    keys = list(rows.values_list("pk", flat=True))
    named: QuerySet[Any] = rows.model._base_manager.using(rows.db).filter(pk__in=keys)
    return named


def _without_session(clients: QuerySet[Client], span: Span) -> QuerySet[Client]:
    """Return the clients within the span that have no session.

    The span also limits the sessions. It changes no result, but lets the database use its index.
    """
    sessions = Session.objects.using(clients.db).filter(client_id=OuterRef("pk"))
    found = sessions.filter(**_within(span, "client_id"))
    return clients.filter(~Exists(found), **_within(span))


def _delete_clients(clients: QuerySet[Client], span: Span) -> int:
    """Delete the clients that have no session, and their tokens.

    Locks the clients first, as every change of a client does, so that nobody signs in meanwhile.
    Nothing else refers to them, so the raw deletion spares Django's search for related rows.
    """
    using = clients.db
    rows = _without_session(clients, span)
    if connections[using].vendor == "mysql":
        return _delete_clients_by_key(rows)
    with transaction.atomic(using=using):
        if not len(rows.select_for_update().values_list("pk", flat=True)):
            return 0
        tokens = Token.objects.using(using).filter(**_within(span, "client_id"))
        tokens.filter(client__in=rows).delete()
        return int(rows._raw_delete(using))


def _delete_clients_by_key(rows: QuerySet[Client]) -> int:
    """Delete clients on MySQL and MariaDB: see ``_by_key``."""
    using = rows.db
    keys = list(rows.values_list("pk", flat=True))
    clients = Client.objects.using(using).filter(pk__in=keys)
    with transaction.atomic(using=using):
        len(clients.order_by("pk").select_for_update().values_list("pk", flat=True))
        found = Session.objects.using(using).filter(client_id__in=keys)
        gone = sorted(set(keys).difference(found.values_list("client_id", flat=True)))
        Token.objects.using(using).filter(client_id__in=gone).delete()
        return int(clients.filter(pk__in=gone)._raw_delete(using)) if gone else 0


def _ended_tokens(using: str, now: datetime.datetime) -> QuerySet[Token]:
    """Return tokens that ended long ago and have no successor."""
    return Token.objects.using(using).filter(ends_at__lte=now - ENDED_TOKENS, children=None)


def _batches(step: Step, batch: int) -> Iterator[int]:
    """Do a step's work in batches; yield the number of rows done so far.

    Goes through the table once, so rows that are kept are not examined again.
    """
    done = 0
    for span in _spans(step.through, batch):
        number = attempt(step.through.db, partial(step.work, span))
        done += number
        if number:
            yield done


def _spans(rows: QuerySet[Any], batch: int) -> Iterator[Span]:
    """Yield spans with ``batch`` rows each. Reads one key for each span, not all keys."""
    last: int | None = 0
    while last is not None:
        first = last
        keys = rows.filter(pk__gt=first).order_by("pk").values_list("pk", flat=True)
        last = next(iter(keys[batch - 1 : batch]), None)
        yield first, last


def _within(span: Span, name: str = "pk") -> dict[str, int]:
    first, last = span
    return {f"{name}__gt": first} | ({} if last is None else {f"{name}__lte": last})
