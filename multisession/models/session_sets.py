"""Sessions, many at a time: questions to ask of them, and the doors to their end."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Unpack

from django.db import connections, models, router, transaction
from django.db.models import F, Max, OuterRef, Q, Subquery, prefetch_related_objects
from django.utils import timezone
from django.utils.translation import pgettext_lazy

from multisession.conf import settings

from .clients import Client, clients_changed
from .events import Cause, Event
from .managers import prefetched_users, users_to_read

if TYPE_CHECKING:
    from .sessions import Session
    from .tokens import Token

#: In place of the data of a session that ``login()`` has closed and may take back, and how long.
MADE_ROOM = "-"
MAKING_ROOM = datetime.timedelta(minutes=1)


class Status(models.TextChoices):
    """What a session can be."""

    # The words of Clerk's API; what reaches each is in docs/concepts.md.
    ACTIVE = "active", pgettext_lazy("session status", "active")
    ENDED = "ended", pgettext_lazy("session status", "signed out")
    REMOVED = "removed", pgettext_lazy("session status", "removed")
    REPLACED = "replaced", pgettext_lazy("session status", "replaced")
    REVOKED = "revoked", pgettext_lazy("session status", "revoked")
    EXPIRED = "expired", pgettext_lazy("session status", "expired")
    ABANDONED = "abandoned", pgettext_lazy("session status", "abandoned")


#: Off the list of their client.
NOT_REMEMBERED = (Status.REMOVED, Status.REPLACED)


class SessionQuerySet(models.QuerySet["Session"]):
    """Questions to ask of sessions, in the words of the product."""

    def accounts(self) -> SessionQuerySet:
        """Sessions of accounts."""
        return self.filter(user__isnull=False)

    def visitors(self) -> SessionQuerySet:
        """The others: data of visitors who have not signed in."""
        return self.filter(user__isnull=True)

    def live(self) -> SessionQuerySet:
        """Signed in at this moment, whether or not a job has marked the expired ones."""
        return self.filter(_live(timezone.now()))

    def remembered(self) -> SessionQuerySet:
        """On the list of their client: signed in, or to be signed in again."""
        return self.filter(_remembered())

    def newest_of_each_user(self) -> SessionQuerySet:
        """The live ones among these, and of the others the newest of each user.

        A browser remembers each sign-in for months; somebody may sign in and out all day.
        """
        newest = self.order_by().values("user_id").annotate(newest=Max("pk")).values("newest")
        return self.filter(_live(timezone.now()) | Q(pk__in=newest))

    def visible_to(self, token: Token) -> SessionQuerySet:
        """What ``token`` may see of its client: all but what a newer, unseen token added."""
        return self.filter(client_id=token.client_id).exclude(added_through_id=token.pk)

    def hidden_from(self, token: Token) -> SessionQuerySet:
        """What a sign-in through ``token`` added: for the token that followed, not for it."""
        return self.accounts().filter(client_id=token.client_id, added_through_id=token.pk)

    def with_current_status(self, status: str) -> SessionQuerySet:
        """Those whose ``current_status`` is this one. No job has to run for it to be true."""
        now = timezone.now()
        marked = Q(status=status)
        if status == Status.ACTIVE:
            return self.live()
        if status == Status.EXPIRED:
            over = Q(status=Status.ACTIVE, expire_at__lte=now)
            return self.filter(over | marked, abandon_at__gt=now)
        if status == Status.ABANDONED:
            over = Q(status=Status.ACTIVE, expire_at__lte=now) | Q(status=Status.EXPIRED)
            return self.filter(over & Q(abandon_at__lte=now) | marked)
        return self.filter(marked)

    def most_recently_used(self) -> SessionQuerySet:
        return self.order_by("-last_active_at", "-pk")

    def with_users(self) -> SessionQuerySet:
        """Each with its user: by a join, or by one more statement from another database."""
        if self._has_users_beside():
            return self.select_related("user")
        return self.prefetch_related(prefetched_users(self._user_model))

    def of_ordinary_users(self) -> SessionQuerySet:
        """All but those of superusers."""
        if self._has_users_beside():
            return self.filter(user__is_superuser=False)
        superusers = users_to_read(self._user_model).filter(is_superuser=True)
        return self.exclude(user_id__in=list(superusers.values_list("pk", flat=True)))

    def named(self) -> SessionQuerySet:
        """Each with the names of its client and its account, for the trail.

        Without a join: rows that are locked through this lock no others.
        """
        client = Client._base_manager.filter(pk=OuterRef("client_id"))
        found = self.annotate(client_name=Subquery(client.values("public_id")))
        if not self._has_users_beside():
            return found
        user_model = self._user_model
        user = user_model._base_manager.filter(pk=OuterRef("user_id"))
        found = found.annotate(account_name=Subquery(user.values(user_model.USERNAME_FIELD)))
        if hasattr(user_model, "is_superuser"):
            found = found.annotate(account_is_superuser=Subquery(user.values("is_superuser")))
        return found

    def close(
        self, status: Status, *, making_room: bool = False, **cause: Unpack[Cause]
    ) -> list[Session]:
        """End the live ones among these, and forget their data. The only way a session ends.

        ``by`` and ``origin`` are who did it and from where, for the trail and for the signal
        ``session_ended``. ``making_room``: ``reopen`` may follow, so both are left to the caller.
        A constant number of statements for any number of rows. Returns the sessions that this
        call ended, with the data they had; what had ended before stays as it is.

        That is also true of what the clock has ended and nobody has marked yet: it becomes
        ``expired`` or ``abandoned``, as of the moment it did, and is not among those returned.
        Otherwise a revocation would seem to have thrown somebody out who had left long ago.
        """
        if status == Status.ACTIVE:
            raise ValueError("close() ends sessions; 'active' is not an end.")
        using = self._writing_alias()
        everything = self._everything()
        now = timezone.now()
        active = Q(status=Status.ACTIVE)
        with transaction.atomic(using=using):
            # The lock makes the read and the write agree; by primary key, as everywhere.
            found = self._locked(active if making_room else active | _making_room(now))
            rows = [row for row in found if row.is_live_at(now)]
            everything.filter(pk__in=[row.pk for row in rows]).update(
                status=status, session_data=MADE_ROOM if making_room else "", updated_at=now
            )
            taken = [row for row in found if row.status != Status.ACTIVE]
            if taken:
                # login() is about to take these back: not any more.
                everything.filter(pk__in=[row.pk for row in taken]).update(
                    status=status, session_data="", updated_at=now
                )
            told = [] if making_room else [*rows, *taken]
            events = (row.event(status, at=now, **cause) for row in told if row.user_id is not None)
            over = [row for row in found if row.is_over_at(now)]
            Event.record(chain(events, self._mark_over(over, now)), using)
            clients_changed([row.client_id for row in rows], using)
            if not making_room and (lineages := {row.lineage for row in [*rows, *taken]} - {""}):
                everything.filter(lineage__in=lineages).close(status, **cause)
            for row in rows:
                row.status = status
                row.updated_at = now
                if not making_room:
                    row.announce_end(cause.get("by"))
        return rows

    def remove_all(self, **cause: Unpack[Cause]) -> list[Session]:
        """Take these off their clients' lists: what is live ends, the rest is forgotten.

        Returns those that ended.
        """
        now, using = timezone.now(), self._writing_alias()
        everything = self._everything()
        with transaction.atomic(using=using):
            ending = self.filter(_live(now) | _making_room(now))
            closed = ending.close(Status.REMOVED, **cause)
            rest = self._locked(_remembered())
            ended = [row.pk for row in rest if row.status == Status.ENDED]
            if ended:
                everything.filter(pk__in=ended).update(status=Status.REMOVED, updated_at=now)
            # How a session ended stays on record: these have expired or were revoked.
            if others := [row.pk for row in rest if row.pk not in ended]:
                everything.filter(pk__in=others).update(forgotten=True)
            events = (
                row.event("forgotten", at=now, **cause) for row in rest if row.user_id is not None
            )
            Event.record(events, using)
        return closed

    def mark_over(self) -> int:
        """Note what the clock has ended among these. Returns of how many.

        No answer depends on it (see ``with_current_status``); it puts the fact on record.
        """
        using, now = self._writing_alias(), timezone.now()
        expired = Q(status=Status.ACTIVE, expire_at__lte=now)
        abandoned = Q(status=Status.EXPIRED, abandon_at__lte=now)
        with transaction.atomic(using=using):
            found = self._locked(expired | abandoned)
            Event.record(self._mark_over(found, now), using)
        return len(found)

    def _mark_over(self, rows: list[Session], now: datetime.datetime) -> Iterator[Event]:
        """Write what the clock has made of these, as of then. Returns what to record."""
        everything = self._everything()
        marked = []
        for status, moment in (("expired", "expire_at"), ("abandoned", "abandon_at")):
            found = [row for row in rows if (row.abandon_at <= now) == (status == "abandoned")]
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
        """Those of these that are so, locked until the transaction ends, named for the trail."""
        # These (self) may be joined to other tables, which must not be locked: hence pk__in.
        found = self._everything().filter(pk__in=self._keys()).filter(wanted)
        if not settings.AUDIT:
            return list(found.order_by("pk").select_for_update())
        rows = list(found.named().order_by("pk").select_for_update())
        if not self._has_users_beside():
            prefetch_related_objects(rows, prefetched_users(self._user_model))
        return rows

    def _keys(self) -> Iterable[int]:
        """Which rows these are, for a statement that locks no other row and no other index.

        MySQL and MariaDB lock whatever a locking statement looks at, its subqueries included.
        """
        keys = self.values_list("pk", flat=True)
        vendor = connections[self._writing_alias()].vendor
        return list(keys) if vendor == "mysql" else keys

    def _writing_alias(self) -> str:
        """The database that ``using()`` chose, or else the one that sessions are written to."""
        chosen: str | None = getattr(self, "_db", None)
        return chosen or router.db_for_write(self.model)

    def _everything(self) -> SessionQuerySet:
        """All the sessions there are, in that database."""
        return self.model.objects.using(self._writing_alias())

    @property
    def _user_model(self) -> Any:
        return self.model._meta.get_field("user").related_model

    def _has_users_beside(self) -> bool:
        """Whether users are in this database, too, so that one statement can ask for both."""
        return router.db_for_write(self._user_model) == self._writing_alias()


def _live(now: datetime.datetime) -> Q:
    return Q(status=Status.ACTIVE, expire_at__gt=now)


def _remembered() -> Q:
    return Q(forgotten=False) & ~Q(status__in=NOT_REMEMBERED)


def _making_room(now: datetime.datetime) -> Q:
    """Removed a moment ago, perhaps only because ``login()`` made room for another account."""
    return Q(status=Status.REMOVED, updated_at__gt=now - MAKING_ROOM, session_data=MADE_ROOM)
