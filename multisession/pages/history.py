"""A person's own history of sign-ins, from the audit trail.

Only events of the active account are read. Who else acted is not named, and the address and the
browser of somebody else's act are not shown: they are another person's data.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from multisession.conf import settings
from multisession.ground.browsers import device_kind
from multisession.ground.moments import in_utc
from multisession.models import Event, Session
from multisession.models.events import short_name

from .browsers import browser_name
from .links import url_of
from .places import place_of

#: How many events a page shows.
PAGE = 50
#: The largest primary key of any database.
LARGEST_KEY = 2**63 - 1

Kind = Event.Kind
#: The kinds of event that are shown. Switches are left out: they are many, and end nothing.
WORDS: dict[str, Any] = {
    Kind.SIGNED_IN: _("Signed in"),
    Kind.ENDED: _("Signed out"),
    Kind.REMOVED: _("Signed out"),
    Kind.REPLACED: _("Signed out, because another sign-in took its place"),
    Kind.REVOKED: _("Signed out from another browser"),
    Kind.EXPIRED: _("Signed out, because the time was up"),
    Kind.ABANDONED: _("Signed out, because the time was up"),
    Kind.REUSED: _("An outdated cookie was used. It may have been copied."),
    Kind.BROWSER: _("The cookie was used by another browser. It may have been copied."),
}
BY_ADMINISTRATOR: dict[str, Any] = {
    Kind.SIGNED_IN: _("Signed in by an administrator"),
    Kind.REVOKED: _("Signed out by an administrator"),
}
WARNINGS = (Kind.REUSED, Kind.BROWSER)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as its account's person may see it."""

    event: Event
    #: The session is somebody else's, who acts as this person.
    is_by_administrator: bool

    @property
    def words(self) -> str:
        kind = self.event.kind
        if kind in BY_ADMINISTRATOR and _is_by_another(self.event):
            return str(BY_ADMINISTRATOR[kind])
        return str(WORDS[kind])

    @property
    def is_warning(self) -> bool:
        return self.event.kind in WARNINGS

    @property
    def has_origin(self) -> bool:
        """True if the address and the browser are this person's, or those of a stranger."""
        return not (self.is_by_administrator or _is_by_another(self.event))

    @property
    def kind(self) -> str:
        """The kind of device: the name of its picture."""
        return (self.has_origin and device_kind(self.event.user_agent)) or "browser"

    @property
    def browser(self) -> str:
        agent = self.event.user_agent if self.has_origin else ""
        return browser_name(agent) if agent else ""

    @property
    def ip_address(self) -> str:
        return (self.has_origin and self.event.ip_address) or ""

    @property
    def place(self) -> str:
        return place_of(self.ip_address)

    @property
    def at(self) -> datetime.datetime:
        return in_utc(self.event.at)


@dataclass(frozen=True, slots=True)
class History:
    """One page. ``older``: the value of ``before`` for the next page; None on the last."""

    entries: list[Entry]
    older: int | None


def is_kept() -> bool:
    return settings.AUDIT


def history_url() -> str:
    """Return the page's URL; "" if no audit trail is kept."""
    return url_of("multisession:history") if is_kept() else ""


def history_of(session: Session, before: int = LARGEST_KEY) -> History:
    """Return a page of events of this session's user, the newest first. Two queries.

    ``before``: the key of an event; the page begins with the one before it, so that new events move
    nothing. Of another user's key nothing is read but its number.
    """
    key = short_name(session.user_id)
    mine = Event.objects.filter(user_id=key, kind__in=WORDS)
    rows = list(mine.filter(pk__lt=before).order_by("-pk")[: PAGE + 1])
    shown = rows[:PAGE]
    acted = Event.objects.filter(
        user_id=key, kind=Kind.SIGNED_IN, session_id__in={event.session_id for event in shown}
    )
    others = set(acted.exclude(actor="").exclude(actor_id=key).values_list("session_id", flat=True))
    entries = [Entry(event, event.session_id in others) for event in shown]
    return History(entries, shown[-1].pk if len(rows) > PAGE else None)


def _is_by_another(event: Event) -> bool:
    return event.actor != "" and event.actor_id != event.user_id
