"""Remove what has no further use: the work of ``manage.py clearsessions``.

In batches, each a transaction of its own, so that nobody waits for a million rows; what was done
before an interruption is done.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from django.db import router, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from .conf import settings
from .models import SUPERSEDED_MEMORY, Client, Session, Token

#: Rows that one transaction deletes or changes.
BATCH = 10_000


@dataclass
class Purged:
    """How many rows each step found."""

    visitors: int = 0
    sessions: int = 0
    details: int = 0
    tokens: int = 0
    clients: int = 0


def purge(
    *,
    dry_run: bool = False,
    batch: int = BATCH,
    progress: Callable[[str, int], None] | None = None,
) -> Purged:
    """Delete visitors' expired data, sessions that ended long ago, and clients without any.

    Earlier, the IP address and whatever data is left of an ended session are erased. ``batch`` is
    the most rows of one transaction, ``progress`` is called with a step and its rows so far.
    ``dry_run`` only counts.
    """
    now = timezone.now()
    old = now - datetime.timedelta(seconds=settings.RETENTION)
    stale = now - datetime.timedelta(seconds=settings.DETAILS_RETENTION)
    over = Q(status=Session.Status.ACTIVE, expire_at__lte=old)
    ended_before = Q(updated_at__lte=old) & ~Q(status=Session.Status.ACTIVE)
    erasable = Q(expire_at__lte=stale) | (
        Q(updated_at__lte=stale) & ~Q(status=Session.Status.ACTIVE)
    )
    using = router.db_for_write(Session)
    sessions = Session.objects.using(using)
    clients = Client.objects.using(using).filter(created_at__lte=old)
    steps: dict[str, tuple[QuerySet[Any], dict[str, Any] | None]] = {
        "visitors": (sessions.visitors().filter(expire_at__lte=now), None),
        "sessions": (sessions.accounts().filter(over | ended_before), None),
        "details": (
            sessions.accounts().filter(erasable).exclude(ip_address=None, session_data=""),
            {"ip_address": None, "session_data": ""},
        ),
        "tokens": (_superseded(using, now), None),
        "clients": (clients.filter(sessions__isnull=True), None),
    }
    purged = Purged()
    for field in fields(Purged):
        found, changes = steps[field.name]
        if dry_run:
            setattr(purged, field.name, found.count())
            continue
        for done in _batches(found, changes, batch, using):
            setattr(purged, field.name, done)
            if progress is not None:
                progress(field.name, done)
    return purged


def _superseded(using: str, now: datetime.datetime) -> QuerySet[Token]:
    """Tokens that no late request can carry any more."""
    tokens = Token.objects.using(using).filter(created_at__lte=now - SUPERSEDED_MEMORY)
    presented = tokens.filter(
        client__presented_token__isnull=False,
        client__presented_token__created_at__lte=now - SUPERSEDED_MEMORY,
    )
    return presented.exclude(pk__in=Token.objects.using(using).valid().values("pk"))


def _batches(found: QuerySet[Any], changes: dict[str, Any] | None, batch: int, using: str) -> Any:
    """Delete these rows, or change them; yield how many have been done after each batch."""
    done = 0
    rows = found.model._base_manager.using(using)
    while True:
        with transaction.atomic(using=using):
            keys = list(found.order_by("pk").values_list("pk", flat=True)[:batch])
            if not keys:
                return
            chosen = rows.filter(pk__in=keys)
            if changes is None:
                chosen.delete()
            else:
                chosen.update(**changes)
        done += len(keys)
        yield done
