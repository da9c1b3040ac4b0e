"""Remove what has no further use: the work of ``manage.py clearsessions``.

In batches, each a transaction of its own, so that nobody waits for a million rows; what was done
before an interruption is done, and the next run goes on from there.
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
from multisession.models import Client, Event, Session
from multisession.models.sent_forms import SentForm
from multisession.models.status import ended_before, left, over
from multisession.models.tokens import Token

#: Rows that one transaction deletes or changes.
BATCH = 10_000

#: How long a form that was sent again can't be sent once more by going back to its page.
FORMS = datetime.timedelta(days=1)

#: How long a value of the cookie that has ended is remembered, so that its use can be told.
ENDED_TOKENS = datetime.timedelta(days=30)
#: How old a client has to be before it goes: a request may be making it a session just now.
YOUNG = datetime.timedelta(minutes=15)

#: Called with a step, its rows so far, and how many there were when it began.
Progress = Callable[[str, int, int], None]


#: Keys: those above the first one, and up to the second if there is one.
Span = tuple[int, int | None]


@dataclass(frozen=True)
class Step:
    """Some rows, and the work on them.

    ``work`` takes the rows within a span and returns of how many it was done; one transaction.
    ``through`` is what the spans are made of, where to search for the rows would take longer
    than to pass others, too.
    """

    rows: QuerySet[Any]
    work: Callable[[Span], int]
    through: QuerySet[Any]

    def count(self) -> int:
        """Return how many rows there are to be worked on, or at most."""
        return self.rows.count()


@dataclass
class Purged:
    """How many rows each step found, in the order of the steps."""

    #: Visitors' data that has expired: deleted.
    visitors: int = 0
    #: Sessions that ended long ago: deleted.
    sessions: int = 0
    #: Sessions that the clock has ended: their status says so, and it is on record.
    marked: int = 0
    #: Sessions of an earlier password, or of somebody who may not sign in any more: revoked.
    outdated: int = 0
    #: Sessions that ended a while ago: what was left of their data and their address is erased.
    details: int = 0
    #: Clients on which nothing has happened since: what the browser called itself is erased.
    browsers: int = 0
    #: Values of cookies that ended long ago: deleted.
    tokens: int = 0
    #: Clients without any session, such as a visitor's whose data has expired: deleted.
    clients: int = 0
    #: The audit trail, after its time: deleted.
    events: int = 0
    #: Events a while ago: where they came from is erased.
    origins: int = 0
    #: Marks of forms that were sent again after a refusal: deleted.
    forms: int = 0


def purge(
    *,
    dry_run: bool = False,
    batch: int = BATCH,
    progress: Progress | None = None,
) -> Purged:
    """Delete visitors' expired data, sessions that ended long ago, and clients without any.

    Earlier, the IP address and whatever data is left of an ended session are erased, and what the
    clock has ended is marked so. ``batch`` is the most rows of one transaction. ``dry_run`` only
    counts.
    """
    using = router.db_for_write(Session)
    purged = Purged()
    steps = _steps(using)
    for field in fields(Purged):
        step = steps[field.name]
        if dry_run:
            setattr(purged, field.name, step.count())
            continue
        # Only who watches wants to know how much there is to do.
        total = step.count() if progress is not None else 0
        for done in _batches(step, batch):
            setattr(purged, field.name, done)
            if progress is not None:
                progress(field.name, done, total)
    return purged


def _steps(using: str) -> dict[str, Step]:
    """For each step the rows that it is about, and what it does with some of them."""
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
        "marked": _step(kept.filter(over(now) | left(now)), lambda rows: rows.mark_over()),
        "outdated": _Outdated(sessions.accounts().live(), _revoke_outdated),
        "details": _step(
            kept.filter(ended_before(stale)).exclude(ip_address=None, session_data=""),
            lambda rows: rows.update(ip_address=None, session_data=""),
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
        "events": _step(events.filter(at__lte=old_event), _delete),
        "origins": _step(
            events.filter(at__lte=stale, at__gt=old_event).exclude(ip_address=None, user_agent=""),
            lambda rows: rows.update(ip_address=None, user_agent=""),
        ),
        "forms": _step(SentForm.objects.using(using).filter(created_at__lte=now - FORMS), _delete),
    }


def _step(rows: QuerySet[Any], work: Callable[[Any], int]) -> Step:
    return Step(rows, lambda span: work(rows.filter(**_within(span))), rows)


class _Outdated(Step):
    """Sessions that only their users' passwords can tell: the database can't."""

    def __init__(self, rows: QuerySet[Any], work: Callable[[Any], int]) -> None:
        super().__init__(rows, lambda span: work(rows.filter(**_within(span))), rows)

    def count(self) -> int:
        return sum(len(_outdated(self.rows.filter(**_within(s)))) for s in _spans(self.rows, BATCH))


def _outdated(rows: Any) -> list[int]:
    """Return the keys of those sessions through which nobody can act any more.

    A page that presents one writes nothing (see ``SessionStore.flush``), so they are ended here.
    """
    return [row.pk for row in rows.with_users() if not row.is_current_for(row.user)]


def _revoke_outdated(rows: Any) -> int:
    over = _outdated(rows)
    return len(rows.filter(pk__in=over).close(Session.Status.REVOKED)) if over else 0


def _delete_visitors(rows: Any) -> int:
    """Let what pointed to these point to nobody, where accounts are beside them."""
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
    """Return the same rows, by key: MySQL and MariaDB lock whatever a change looks at."""
    if connections[rows.db].vendor != "mysql":
        return rows
    keys = list(rows.values_list("pk", flat=True))
    named: QuerySet[Any] = rows.model._base_manager.using(rows.db).filter(pk__in=keys)
    return named


def _without_session(clients: QuerySet[Client], span: Span) -> QuerySet[Client]:
    """Keep the clients that have no session.

    That the sessions are within the same span goes without saying; but the database is told.
    """
    sessions = Session.objects.using(clients.db).filter(client_id=OuterRef("pk"))
    found = sessions.filter(**_within(span, "client_id"))
    return clients.filter(~Exists(found), **_within(span))


def _delete_clients(clients: QuerySet[Client], span: Span) -> int:
    """Delete the clients that have no session, and their tokens.

    They are locked first, as for every change of a client, so that nobody signs in meanwhile.
    Then there is nothing else to cascade to, which Django would find out row by row.
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
    """Tokens that ended long ago, and lead to no other."""
    return Token.objects.using(using).filter(ends_at__lte=now - ENDED_TOKENS, children=None)


def _batches(step: Step, batch: int) -> Iterator[int]:
    """Do a step's work; yield how many have been done after each batch.

    What is kept is passed once, not once for every batch.
    """
    done = 0
    for span in _spans(step.through, batch):
        number = step.work(span)
        done += number
        if number:
            yield done


def _spans(rows: QuerySet[Any], batch: int) -> Iterator[Span]:
    """So many of the rows each, by their keys, which stay in the database."""
    last: int | None = 0
    while last is not None:
        first = last
        keys = rows.filter(pk__gt=first).order_by("pk").values_list("pk", flat=True)
        last = next(iter(keys[batch - 1 : batch]), None)
        yield first, last


def _within(span: Span, name: str = "pk") -> dict[str, int]:
    first, last = span
    return {f"{name}__gt": first} | ({} if last is None else {f"{name}__lte": last})
