"""Moments for other programs: the same whether or not the project uses time zones."""

from __future__ import annotations

import datetime


def in_utc(moment: datetime.datetime) -> datetime.datetime:
    """Return the moment in UTC.

    With ``USE_TZ = False`` it has no time zone. Django then takes the time from the system's clock,
    which it sets to ``TIME_ZONE``; Python takes such a moment for a time of that same clock.
    """
    return moment.astimezone(datetime.UTC)
