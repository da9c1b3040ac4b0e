"""Where a request comes from: the address, and what the browser calls itself."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.http import HttpRequest

#: As long as the columns in which a user agent is kept.
LONGEST_USER_AGENT = 256


@dataclass(frozen=True, slots=True)
class Origin:
    """Nothing of it is believed; it is kept for people to look at."""

    ip_address: str | None = None
    user_agent: str = ""

    @classmethod
    def of(cls, request: HttpRequest | None) -> Origin:
        """That of a request. Without one, and for a socket instead of an address, unknown."""
        if request is None:
            return NOWHERE
        user_agent = str(request.META.get("HTTP_USER_AGENT", "")).replace("\x00", "")
        try:
            address = str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
        except ValueError:
            address = None
        return cls(address, user_agent[:LONGEST_USER_AGENT])


#: Of what no request has asked for: a command, a job, the clock.
NOWHERE = Origin()
