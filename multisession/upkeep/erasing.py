"""Erase what is kept of one person: when the user is deleted, or on the person's request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import router
from django.db.models import Exists, OuterRef, Q

from multisession.ground.attempts import attempt
from multisession.ground.impersonation import SOMEBODY
from multisession.models import Client, Event, Session
from multisession.models.clients import clients_changed
from multisession.models.events import short_name
from multisession.models.nicknames import Nickname
from multisession.models.session_sets import SessionQuerySet
from multisession.models.user_locks import UserLock


@dataclass(frozen=True)
class Erased:
    """The number of rows that an erasure changed or deleted."""

    #: The person's sessions, live or ended: deleted.
    sessions: int = 0
    #: Browsers that no other account has been on: their user agent is erased.
    browsers: int = 0
    #: Events about the person or by the person: anonymous from now on.
    events: int = 0


def erase(user_id: Any, *, by: Any = None) -> Erased:
    """Erase what is kept of the user with this key. Its live sessions are revoked, ``by`` whom.

    One transaction; the clients are locked first. The audit trail keeps the events without user,
    name, address and user agent; the fact that a session began or ended stays. Sessions of other
    people that the person opened as an administrator end, too.
    """
    using = router.db_for_write(Session)
    sessions = Session.objects.using(using)
    mine = sessions.filter(user_id=user_id)
    acted = sessions.filter(actor_id=str(user_id)).exclude(user_id=user_id)

    def step() -> Erased:
        clients = _lock_clients(mine, acted, using)
        UserLock.take_if_used(user_id, using=using)
        mine.close(Session.Status.REVOKED, by=by)
        acted.close(Session.Status.REVOKED, by=by)
        acted.update(actor_id=SOMEBODY)
        # (Tokens keep pointing to the session: so another account may follow, with "next".)
        deleted = mine.delete()[0]
        browsers = _erase_browsers(clients, using)
        events = _erase_events(short_name(user_id), using)
        Nickname.objects.using(using).filter(user_id=user_id).delete()
        UserLock.objects.using(using).filter(user_key=short_name(user_id)).delete()
        clients_changed(clients, using)
        return Erased(int(deleted), browsers, events)

    return attempt(using, step)


def is_known(user_id: Any) -> bool:
    """Return True if a session of this user is kept."""
    using = router.db_for_write(Session)
    return Session.objects.using(using).filter(user_id=user_id).exists()


def count(user_id: Any) -> Erased:
    """Return what ``erase`` would do. Changes nothing."""
    using, key = router.db_for_write(Session), short_name(user_id)
    mine = Session.objects.using(using).filter(user_id=user_id)
    clients = list(mine.values_list("client_id", flat=True).distinct())
    others = Session.objects.using(using).filter(client_id=OuterRef("pk")).accounts()
    alone = Client.objects.using(using).filter(~Exists(others.exclude(user_id=user_id)))
    events = Event.objects.using(using).filter(Q(user_id=key) | Q(actor_id=key))
    return Erased(
        mine.count(), alone.filter(pk__in=clients).exclude(user_agent="").count(), events.count()
    )


def _lock_clients(mine: SessionQuerySet, acted: SessionQuerySet, using: str) -> list[int]:
    """Lock the clients of these sessions, in the one order. Return their keys."""
    keys = {*mine.values_list("client_id", flat=True), *acted.values_list("client_id", flat=True)}
    found = Client.objects.using(using).filter(pk__in=keys).order_by("pk").select_for_update()
    return list(found.values_list("pk", flat=True))


def _erase_browsers(clients: list[int], using: str) -> int:
    """Erase the user agent of those clients that no account is left on. The purge deletes them."""
    others = Session.objects.using(using).filter(client_id=OuterRef("pk")).accounts()
    found = Client.objects.using(using).filter(pk__in=clients).exclude(user_agent="")
    alone = list(found.filter(~Exists(others)).values_list("pk", flat=True))
    return Client.objects.using(using).filter(pk__in=alone).update(user_agent="")


def _erase_events(key: str, using: str) -> int:
    """Make the events about this person, and by this person, anonymous. Return their number.

    The address and the user agent are those of whoever acted; that of an administrator stays.
    """
    events = Event.objects.using(using)
    nowhere: dict[str, Any] = {"ip_address": None, "user_agent": ""}
    about = events.filter(user_id=key)
    number = about.count() + events.filter(actor_id=key).exclude(user_id=key).count()
    about.filter(actor="").update(**nowhere)
    events.filter(actor_id=key).update(actor_id="", actor=SOMEBODY, **nowhere)
    # The client, too: it may lead to another person who uses the same browser.
    about.update(user_id="", account="", organization="", client_id="")
    return int(number)
