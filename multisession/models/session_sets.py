"""Queries for sessions, and the two ways in which a session ends."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Unpack

from django.db import connections, models, router
from django.db.models import Exists, F, Max, OuterRef, Q, prefetch_related_objects
from django.utils import timezone

from multisession.conf import settings
from multisession.ground.attempts import attempt

from . import status as clock
from .clients import clients_changed
from .events import Cause, Event
from .managers import prefetched_users, users_to_read
from .status import Status

if TYPE_CHECKING:
    from .sessions import Session
    from .tokens import Token


#: How many accounts a browser remembers: of those signed out, the ones that came last.
MOST_LISTED = 50

#: How many users a search reads from a database that has no sessions.
MOST_USERS_READ = 1000


class SessionQuerySet(models.QuerySet["Session"]):
    """Queries for sessions."""

    def accounts(self) -> SessionQuerySet:
        """Keep the sessions of accounts."""
        return self.filter(user__isnull=False)

    def visitors(self) -> SessionQuerySet:
        """Keep the data of visitors."""
        return self.filter(user__isnull=True)

    def live(self) -> SessionQuerySet:
        """Keep those that are signed in now, whether or not a job has marked the expired ones."""
        return self.filter(clock.live(timezone.now()))

    def remembered(self) -> SessionQuerySet:
        """Keep those on their client's list: signed in, or remembered."""
        return self.filter(clock.remembered(timezone.now()))

    def listed(self) -> SessionQuerySet:
        """Keep what the list of a client shows: active sessions, and the newest other of each user.

        Two conditions that each use an index: for one with OR, databases read every row of the
        client.
        """
        remembered = clock.remembered(timezone.now())
        if not settings.REMEMBER_ACCOUNTS:
            return self.filter(remembered)
        # (Django writes ``forgotten=False`` as NOT forgotten, for which SQLite has no index.)
        others = self.filter(remembered, forgotten__in=[False])
        others = others.exclude(status=Status.ACTIVE)
        newest = others
        if connections[self._writing_alias()].vendor != "mysql":
            # MySQL has no LIMIT in a subquery. (A sign-in leaves no more than that on the list.)
            keys = others.order_by("-pk")[:MOST_LISTED].values("pk")
            newest = self._everything().filter(pk__in=keys)
        of_each_user = newest.values("user_id").annotate(newest=Max("pk")).values("newest")
        active = self.filter(remembered, status=Status.ACTIVE)
        found = active.values("pk").union(of_each_user, all=True)
        return self._everything().filter(pk__in=found)

    def visible_to(self, token: Token) -> SessionQuerySet:
        """Keep the sessions of the token's client that it and its ancestors added."""
        mine = Q(added_by=None) | Q(added_by_id__in=token.family)
        return self.filter(mine, client_id=token.client_id)

    def with_current_status(self, status: str) -> SessionQuerySet:
        """Keep those whose ``current_status`` is this one, without a job having run."""
        return self.filter(clock.is_status(timezone.now(), status))

    def most_recently_used(self) -> SessionQuerySet:
        return self.order_by("-last_active_at", "-pk")

    def with_users(self) -> SessionQuerySet:
        """Load the users too: by a join, or by one more statement from another database."""
        if self._has_users_beside():
            return self.select_related("user")
        return self.prefetch_related(prefetched_users(self._user_model))

    def of_ordinary_users(self) -> SessionQuerySet:
        """Leave out superusers' sessions."""
        if self._has_users_beside():
            return self.filter(user__is_superuser=False)
        superusers = users_to_read(self._user_model).filter(is_superuser=True)
        return self.exclude(user_id__in=list(superusers.values_list("pk", flat=True)))

    def users_among(self, wanted: Q) -> Any:
        """Return the keys of the users of these sessions who match a condition on users."""
        users = self._user_model._base_manager.filter(wanted).order_by()
        if self._has_users_beside():
            theirs = self.order_by().filter(user_id=OuterRef("pk"))
            found = users.using(self._writing_alias()).filter(Exists(theirs))
            return found.values_list("pk", flat=True)
        called = users_to_read(self._user_model).filter(wanted)
        keys = list(called.values_list("pk", flat=True)[:MOST_USERS_READ])
        theirs = self.order_by().filter(user_id__in=keys)
        return theirs.values_list("user_id", flat=True).distinct()

    def close(self, status: Status, **cause: Unpack[Cause]) -> list[Session]:
        """End the live sessions among these and delete their data.

        ``by`` and ``origin``: who did it and from where, for the trail and for ``session_ended``. A
        constant number of statements for any number of rows. Return the sessions that this call
        ended, with the data they had. Raises Busy.

        Sessions that have timed out are marked ``expired`` or ``abandoned``, as of that moment, and
        not returned: a revocation did not sign those people out.
        """
        using, now = self._writing_alias(), timezone.now()

        def step() -> list[Session]:
            found = self._locked(Q(status=Status.ACTIVE))
            rows = [row for row in found if row.is_live_at(now)]
            self._write_end(rows, status, now)
            # (Made only if the trail is on: without it, the names were not loaded.)
            events = (row.event(status, at=now, **cause) for row in rows if row.user_id is not None)
            over = [row for row in found if not row.is_live_at(now)]
            Event.record(chain(events, self._mark_over(over, now)), using)
            clients_changed([row.client_id for row in rows], using)
            for row in rows:
                row.status, row.updated_at = status, now
                row.announce_end(cause.get("by"))
            return rows

        return attempt(using, step, savepoint=False)

    def close_one(self, row: Session, status: Status, **cause: Unpack[Cause]) -> bool:
        """End this session as ``close`` does. Return True if this call ended it."""
        using, now = self._writing_alias(), timezone.now()

        def step() -> bool:
            if not self._write_end([row], status, now):  # the row at hand may be outdated
                self.filter(pk=row.pk).mark_over()
                return False
            row.status, row.updated_at = status, now
            if row.user_id is not None:
                Event.record([row.event(status, at=now, **cause)], using)
            clients_changed([row.client_id], using)
            row.announce_end(cause.get("by"))
            return True

        return attempt(using, step, row, savepoint=False)

    def _write_end(self, rows: list[Session], status: Status, now: datetime.datetime) -> int:
        """Write the end of these sessions, as far as they are live. Return their number."""
        if status == Status.ACTIVE:
            raise ValueError("close() ends sessions; 'active' is not an end.")
        if not rows:
            return 0
        live = self._everything().filter(clock.live(now), pk__in=[row.pk for row in rows])
        return live.update(status=status, session_data="", updated_at=now)

    def remove_all(self, **cause: Unpack[Cause]) -> list[Session]:
        """Take these off their clients' lists: live ones end, the others are forgotten.

        Return those that this call ended.
        """
        now, using = timezone.now(), self._writing_alias()
        everything = self._everything()

        def step() -> list[Session]:
            closed = self.filter(clock.live(now)).close(Status.REMOVED, **cause)
            rest = self._locked(clock.listed())
            ended = [row.pk for row in rest if row.status == Status.ENDED]
            if ended:
                everything.filter(pk__in=ended).update(status=Status.REMOVED, updated_at=now)
            # Keep the status of those that expired or were revoked: it says how they ended.
            if others := [row.pk for row in rest if row.pk not in ended]:
                everything.filter(pk__in=others).update(forgotten=True)
            events = (
                row.event("forgotten", at=now, **cause) for row in rest if row.user_id is not None
            )
            Event.record(events, using)
            return closed

        return attempt(using, step, savepoint=False)

    def mark_over(self) -> int:
        """Mark and record the sessions among these that timed out. Return their number.

        No query depends on the mark (see status.py).
        """
        using, now = self._writing_alias(), timezone.now()

        def step() -> int:
            found = self._locked(clock.expired_unmarked(now) | clock.abandoned_unmarked(now))
            Event.record(self._mark_over(found, now), using)
            return len(found)

        return attempt(using, step, savepoint=False)

    def _mark_over(self, rows: list[Session], now: datetime.datetime) -> Iterator[Event]:
        """Mark those that timed out, as of that moment. Return the events to record."""
        everything = self._everything()
        marked = []
        for status, moment in ((Status.EXPIRED, "expire_at"), (Status.ABANDONED, "abandon_at")):
            found = [row for row in rows if row._status_at(now) == status]
            if not found:
                continue
            everything.filter(pk__in=[row.pk for row in found]).update(
                status=status, session_data="", updated_at=F(moment)
            )
            marked += [
                (row, status, getattr(row, moment)) for row in found if row.user_id is not None
            ]
        return (row.event(status, at=at) for row, status, at in marked)

    def _locked(self, wanted: Q) -> list[Session]:
        """Lock the wanted rows until the transaction ends, and load the names for the trail."""
        # pk__in, because self may be joined to other tables, which must not be locked.
        found = self._everything().filter(pk__in=self._keys()).filter(wanted)
        rows = list(found.order_by("pk").select_for_update())
        if rows and settings.AUDIT:
            self._name(rows)
        return rows

    def _name(self, rows: list[Session]) -> None:
        """Load the names of clients and accounts for locked rows.

        In a statement of its own: the locking one reads joined tables as they were before it waited
        for the locks.
        """
        names: dict[str, Any] = {"client_name": F("client__public_id")}
        if self._has_users_beside():
            names["account_name"] = F(f"user__{self._user_model.USERNAME_FIELD}")
            if hasattr(self._user_model, "is_superuser"):
                names["account_is_superuser"] = F("user__is_superuser")
        else:
            prefetch_related_objects(rows, prefetched_users(self._user_model))
        known = self._everything().filter(pk__in=[row.pk for row in rows])
        found: Any = {row["pk"]: row for row in known.values("pk", **names)}
        for row in rows:
            vars(row).update({name: found[row.pk][name] for name in names if row.pk in found})

    def _keys(self) -> Iterable[int]:
        """Return the keys of these rows, for a statement that locks no others.

        MySQL and MariaDB also lock the rows that a locking statement's subqueries read.
        """
        keys = self.values_list("pk", flat=True)
        vendor = connections[self._writing_alias()].vendor
        return list(keys) if vendor == "mysql" else keys

    def _writing_alias(self) -> str:
        """Return the database that ``using()`` chose, or the one that sessions are written to."""
        chosen: str | None = getattr(self, "_db", None)
        return chosen or router.db_for_write(self.model)

    def _everything(self) -> SessionQuerySet:
        """Return all sessions in that database."""
        return self.model.objects.using(self._writing_alias())

    @property
    def _user_model(self) -> Any:
        return self.model._meta.get_field("user").related_model

    def _has_users_beside(self) -> bool:
        """Return True if users are in this database, so that a join can read them."""
        return router.db_for_write(self._user_model) == self._writing_alias()
