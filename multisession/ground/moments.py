"""Datetimes for other programs, independent of the project's ``USE_TZ``."""

from __future__ import annotations

import datetime


def in_utc(moment: datetime.datetime) -> datetime.datetime:
    """Return the datetime in UTC.

    With ``USE_TZ = False`` it is naive and in local time. Django sets the process's time zone to
    ``TIME_ZONE``, and ``astimezone()`` reads naive datetimes in the process's time zone.
    """
    return moment.astimezone(datetime.UTC)
