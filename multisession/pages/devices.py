"""List and end the active user's sessions, on this browser and on others.

Only here can a person reach sessions of other browsers, and only those of the active user. Any
other id is treated as unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from multisession import actions
from multisession.ground.browsers import device_kind
from multisession.ground.origin import Origin
from multisession.models import Session
from multisession.models.session_sets import SessionQuerySet
from multisession.request import MultiSessionRequest

from .browsers import browser_name, family_and_system
from .places import place_of

if TYPE_CHECKING:
    import datetime

#: The most other browsers that the page shows, the most recently used ones. A person has fewer; a
#: program that signs in repeatedly may have more.
MOST_SHOWN = 100

# Whole phrases, because in many languages "3 days" changes its form in "3 days ago".
AGO: dict[str, Any] = {
    "year": ngettext_lazy("%(num)d year ago", "%(num)d years ago", "num"),
    "month": ngettext_lazy("%(num)d month ago", "%(num)d months ago", "num"),
    "week": ngettext_lazy("%(num)d week ago", "%(num)d weeks ago", "num"),
    "day": ngettext_lazy("%(num)d day ago", "%(num)d days ago", "num"),
    "hour": ngettext_lazy("%(num)d hour ago", "%(num)d hours ago", "num"),
    "minute": ngettext_lazy("%(num)d minute ago", "%(num)d minutes ago", "num"),
}

KINDS: dict[str, Any] = {
    "phone": gettext_lazy("Phone"),
    "tablet": gettext_lazy("Tablet"),
    "computer": gettext_lazy("Computer"),
    "program": gettext_lazy("Program"),
}

_SESSION_ID = re.compile(r"sess_[A-Za-z0-9]{1,35}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Device:
    """A browser on which the account is signed in, as the page shows it."""

    session: Session
    is_here: bool

    @property
    def browser(self) -> str:
        return browser_name(self.session.client.user_agent)

    @property
    def kind(self) -> str:
        """The kind of device: the name of its picture."""
        return device_kind(self.session.client.user_agent) or "browser"

    @property
    def kind_name(self) -> str:
        """The kind of device in words; "" if it is unknown."""
        return str(KINDS.get(self.kind, ""))

    @property
    def system(self) -> str:
        return family_and_system(self.session.client.user_agent)[1]

    @property
    def is_by_administrator(self) -> bool:
        """True if an administrator acts as the user there."""
        return self.session.actor_id != ""

    @property
    def ip_address(self) -> str:
        return self.session.ip_address or ""

    @property
    def place(self) -> str:
        """The place of the address, if the project knows it (``PLACE_OF``)."""
        return place_of(self.session.ip_address)

    @property
    def last_active(self) -> str:
        """The time of last activity, in words."""
        return in_words(self.session.last_active_at)

    @property
    def signed_in(self) -> str:
        """The time of the sign-in, in words."""
        return in_words(self.session.created_at)


@dataclass(frozen=True, slots=True)
class Group:
    """Browsers that look like the same device: of one kind, system and address."""

    devices: list[Device]

    @property
    def first(self) -> Device:
        return self.devices[0]

    @property
    def is_one(self) -> bool:
        return len(self.devices) == 1


def grouped(devices: Iterable[Device]) -> list[Group]:
    """Group the browsers of the same device, in the order of the first of each.

    A browser whose system or address is unknown stands alone.
    """
    groups: dict[Any, Group] = {}
    for device in devices:
        looks = (device.kind, device.system, device.ip_address)
        key = looks if all(looks) else device.session.pk
        groups.setdefault(key, Group([])).devices.append(device)
    return list(groups.values())


def in_words(moment: datetime.datetime) -> str:
    """Say how long ago that was: "3 hours ago"."""
    now = timezone.now()
    if (now - moment).total_seconds() < 60:
        return _("just now")
    return timesince(moment, now, time_strings=AGO, depth=1)


def sessions_of(session: Session) -> SessionQuerySet:
    """Return the live sessions of this session's user, on every browser."""
    return Session.objects.filter(user_id=session.user_id).live()


def here(session: Session) -> Device:
    """Return the browser at hand."""
    return Device(session=session, is_here=True)


def elsewhere(session: Session) -> list[Device]:
    """List the user's other browsers, the most recently used first. One query.

    Leaves out sessions that can't act any more because the password has changed.
    """
    others = sessions_of(session).exclude(pk=session.pk).select_related("client")
    newest = others.most_recently_used()[:MOST_SHOWN]
    return [
        Device(session=row, is_here=False) for row in newest if row.is_current_for(session.user)
    ]


def sign_out_device(request: MultiSessionRequest, session_id: str) -> Session:
    """Sign the active account out of one browser. Returns the session that ended.

    On this browser it is an ordinary sign-out, on another one a revocation. Raises SessionNotFound
    for an unknown id and for another user's.
    """
    active = request.multisession.session
    if active is None:
        raise actions.SessionNotFound("Nobody is active in this browser.")
    if session_id == active.public_id:
        return actions.sign_out(request, active)
    found = None
    if _SESSION_ID.fullmatch(session_id):
        found = sessions_of(active).filter(public_id=session_id).select_related("client").first()
    by = request.session.acting(active.user)
    if found is None or not actions.revoke(found, by=by, origin=Origin.of(request)):
        raise actions.SessionNotFound("This account has no such session.")
    return found


def sign_out_elsewhere(request: MultiSessionRequest) -> int:
    """Sign the active account out of all other browsers. Returns how many sessions ended.

    Costs a constant number of queries for each ``actions.BATCH`` sessions. Other accounts stay
    signed in everywhere.
    """
    active = request.multisession.session
    if active is None:
        return 0
    others = sessions_of(active).exclude(pk=active.pk)
    by = request.session.acting(active.user)
    batches = actions.revoke_in_batches(others, by=by, origin=Origin.of(request))
    return sum(len(ended) for ended in batches)
