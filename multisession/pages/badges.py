"""Badges: what waits for each account, such as its unread messages (the setting ``BADGES``)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.utils.module_loading import import_string

from multisession.conf import settings
from multisession.models import Session

from .profiles import one_line

#: The largest number that a badge shows; beyond it "99+".
MOST = 99
#: The most characters of a badge that is a text.
LONGEST = 8

logger = logging.getLogger("multisession")


def note_badges(sessions: Iterable[Session | None]) -> None:
    """Set ``session.badge`` of these sessions, which are signed in. The project is asked once."""
    rows = [row for row in sessions if row is not None]
    if not settings.BADGES or not rows:
        return
    users = {row.user_id: row.user for row in rows}
    try:
        found: Any = import_string(settings.BADGES)(list(users.values()))
        for row in rows:
            row.badge = badge(found.get(row.user_id))
    except Exception:
        logger.exception("%s failed.", settings.BADGES)


def badge(value: Any) -> str:
    """Return what a badge shows: "" for nothing, none below one, and a short text."""
    if isinstance(value, int):
        return f"{MOST}+" if value > MOST else str(int(value)) if value > 0 else ""
    return one_line(value)[:LONGEST] if value else ""
