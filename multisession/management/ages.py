"""Ages in the arguments of commands: ``90m``, ``12h``, ``30d``, ``4w``."""

from __future__ import annotations

import datetime
import re

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"([0-9]{1,6})([mhdw])", re.ASCII)


def parse(text: str) -> datetime.timedelta | None:
    """Return the age, more than nothing. None if this is no age."""
    found = _AGE.fullmatch(text)
    if found is None or int(found[1]) == 0:
        return None
    return datetime.timedelta(**{UNITS[found[2]]: int(found[1])})
