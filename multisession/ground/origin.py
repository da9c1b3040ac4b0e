"""Where a request comes from: the client's IP address and user agent.

Untrusted data, kept for display only. It never decides whether a request is allowed.
"""

from __future__ import annotations

import ipaddress
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.module_loading import import_string

from multisession.conf import settings

if TYPE_CHECKING:
    from django.http import HttpRequest

#: The length of the columns that store a user agent.
LONGEST_USER_AGENT = 256
#: Longer than any address with its zone and port. A header may be of any length.
LONGEST_ADDRESS = 100
#: How many bits of an address, by its version, ``KEEP_ADDRESSES = "shortened"`` keeps.
NETWORK_BITS = {4: 24, 6: 48}

logger = logging.getLogger("multisession")


@dataclass(frozen=True, slots=True)
class Origin:
    """The address and the user agent of a client, as far as they are known and to be kept."""

    ip_address: str | None = None
    user_agent: str = ""

    @classmethod
    def of(cls, request: HttpRequest | None) -> Origin:
        """Return the origin of a request; NOWHERE for None."""
        if request is None:
            return NOWHERE
        user_agent = user_agent_of(request) if settings.KEEP_USER_AGENTS else ""
        address = client_address(request) if settings.KEEP_ADDRESSES else None
        if settings.KEEP_ADDRESSES == "shortened":
            address = shortened(address)
        return cls(address, user_agent)


#: The origin of changes without a request: a command, a job, an expiry.
NOWHERE = Origin()


def user_agent_of(request: HttpRequest) -> str:
    """Return the user agent as it is stored: cut, and without NUL, which PostgreSQL refuses."""
    return str(request.META.get("HTTP_USER_AGENT", "")).replace("\x00", "")[:LONGEST_USER_AGENT]


def client_address(request: HttpRequest) -> str | None:
    """Return the whole address of the client, found as the setting ``CLIENT_ADDRESS`` says.

    None if it is unknown. What is stored of it is in ``Origin.of``.
    """
    source = settings.CLIENT_ADDRESS
    if isinstance(source, int):
        return ip_address(_after_hops(request, source))
    find = import_string(source)
    try:
        return ip_address(find(request))
    except Exception:
        # An unknown address must not break the page.
        logger.exception("MULTISESSION['CLIENT_ADDRESS'] (%s) failed.", source)
        return None


def ip_address(value: Any) -> str | None:
    """Return the IP address in ``value`` in the one spelling that is stored, or None.

    Drops brackets, port and zone, which databases refuse or lose. An IPv4 address that is written
    as IPv6 (``::ffff:192.0.2.1``) becomes IPv4.
    """
    text = str(value or "")[:LONGEST_ADDRESS].strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def shortened(address: str | None) -> str | None:
    """Return the network of this address, which many people share; None for None."""
    if address is None:
        return None
    bits = NETWORK_BITS[ipaddress.ip_address(address).version]
    network = ipaddress.ip_network(f"{address}/{bits}", strict=False)
    return str(network.network_address)


def is_prefetch(request: HttpRequest) -> bool:
    """Return True if the browser fetches the page in advance, without a click."""
    meta = request.META
    return "HTTP_SEC_PURPOSE" in meta or any(
        meta.get(name, "").strip().lower() in ("prefetch", "preview", "prerender")
        for name in ("HTTP_PURPOSE", "HTTP_X_PURPOSE", "HTTP_X_MOZ")  # older browsers
    )


def _after_hops(request: HttpRequest, hops: int) -> str:
    """Return the peer address that the outermost of ``hops`` trusted proxies saw.

    Each proxy appends its peer to X-Forwarded-For, so this counts from the right; the client may
    have sent everything further left. With fewer entries the request did not pass all proxies, and
    only the address of the connection itself can be trusted.
    """
    forwarded = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    if 0 < hops <= len(forwarded) and forwarded != [""]:
        return forwarded[-hops]
    return str(request.META.get("REMOTE_ADDR", ""))
