"""Where an IP address is, in words (the setting ``PLACE_OF``)."""

from __future__ import annotations

import logging

from django.utils.module_loading import import_string

from multisession.conf import settings

from .profiles import one_line

#: The most characters of a place that are shown.
LONGEST = 60

logger = logging.getLogger("multisession")


def place_of(address: str | None) -> str:
    """Return the place of this address, such as "Paris, France"; "" if it is not known."""
    if not address or not settings.PLACE_OF:
        return ""
    try:
        return one_line(import_string(settings.PLACE_OF)(address))[:LONGEST]
    except Exception:
        # No place is worth a broken page.
        logger.warning("%s failed.", settings.PLACE_OF, exc_info=True)
        return ""
