"""Tell django-axes what to count and how to answer too many attempts.

Two things are counted: wrong passwords of one account from one address, and how many accounts were
tried from one address (password spraying, where each account is tried once or twice).
"""

import math
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_ip_address, get_client_username, get_cool_off
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from multisession.ground.origin import client_address

TOO_MANY_REQUESTS = 429


def account_tried(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str | None:
    """Return the e-mail address of the attempt, in the stored spelling.

    Otherwise django-axes would count each capitalisation of an address separately.
    """
    tried = (credentials or request.POST).get("username")
    return str(tried).strip().lower() if tried else None


def too_many_attempts(
    request: HttpRequest,
    original_response: HttpResponse | None = None,
    credentials: dict[str, Any] | None = None,
) -> HttpResponse:
    """Answer with the time to wait, as text and in ``Retry-After``.

    The answer does not depend on whether the account exists.
    """
    seconds = _seconds_left(request, credentials)
    # htmx swaps this answer into the menu, like the partial of the sign-in form.
    partial = bool(request.headers.get("HX-Request"))
    response = render(
        request,
        "accounts/_too_many_attempts.html" if partial else "accounts/too_many_attempts.html",
        {"minutes": math.ceil(seconds / 60)},
        status=TOO_MANY_REQUESTS,
    )
    response["Retry-After"] = str(seconds)
    return response


class Handler(AxesDatabaseHandler):  # type: ignore[misc]
    """django-axes, which also slows an address that tries many accounts.

    Attempts during a lock-out are not recorded, so they prolong neither lock.
    """

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        return bool(super().is_locked(request, credentials)) or spraying_since(request) is not None


def address_of(request: HttpRequest) -> str | None:
    """Return the address to count by: behind proxies, that of the client (``CLIENT_ADDRESS``).

    An IPv6 address counts as its network of 64 bits: one customer has all addresses in it.
    """
    address = client_address(request)
    if address is None or ":" not in address:
        return address
    return str(ip_network(f"{address}/64", strict=False).network_address)


def spraying_since(request: HttpRequest) -> datetime | None:
    """Return when the last but ``SPRAY_LIMIT`` account was tried from this address.

    None if fewer were tried within the cool-off time.
    """
    cool_off = get_cool_off(request)
    if cool_off is None:
        return None
    tried = AccessAttempt.objects.filter(
        ip_address=get_client_ip_address(request), attempt_time__gt=timezone.now() - cool_off
    )
    names = tried.values("username").annotate(latest=Max("attempt_time")).order_by("-latest")
    limit = settings.SPRAY_LIMIT
    return next((name["latest"] for name in names[limit - 1 : limit]), None)


def _seconds_left(request: HttpRequest, credentials: dict[str, Any] | None) -> int:
    cool_off = get_cool_off(request)
    latest = AccessAttempt.objects.filter(
        username=get_client_username(request, credentials),
        ip_address=get_client_ip_address(request),
    ).aggregate(latest=Max("attempt_time"))["latest"]
    since = spraying_since(request) or latest
    if cool_off is None or since is None:
        return 60
    left: timedelta = since + cool_off - timezone.now()
    return max(1, math.ceil(left.total_seconds()))
