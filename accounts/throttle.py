"""Settings functions of django-axes: what it counts, and its answer to too many attempts."""

import math
from datetime import timedelta
from typing import Any

from axes.helpers import get_client_username, get_cool_off
from axes.models import AccessAttempt
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

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


def _seconds_left(request: HttpRequest, credentials: dict[str, Any] | None) -> int:
    cool_off = get_cool_off(request)
    latest = AccessAttempt.objects.filter(
        username=get_client_username(request, credentials),
        ip_address=request.META.get("REMOTE_ADDR"),
    ).aggregate(latest=Max("attempt_time"))["latest"]
    if cool_off is None or latest is None:
        return 60
    left: timedelta = latest + cool_off - timezone.now()
    return max(1, math.ceil(left.total_seconds()))
