"""A page that names its account, the same as JSON, and two forms."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from multisession.request import MultiSessionRequest

from .models import Note

#: Seconds after which ``expire`` lets an account expire.
SOON = 2


def seen(request: MultiSessionRequest) -> dict[str, Any]:
    """Return the accounts of this browser, for ``tools.load.web.Seen``."""
    active = request.multisession.session
    accounts: list[Any] = request.multisession.sessions
    return {
        "user": request.user.get_username(),
        "session": active.public_id if active else "",
        "accounts": {row.public_id: row.user.get_username() for row in accounts},
        "note": request.session.get("note", ""),
    }


@never_cache
def home(request: MultiSessionRequest) -> HttpResponse:
    return render(request, "load/home.html", {"seen": seen(request)})


@never_cache
def whoami(request: MultiSessionRequest) -> HttpResponse:
    return JsonResponse(seen(request))


@require_POST
@login_required
def note(request: MultiSessionRequest) -> HttpResponse:
    """Write to the database and to the account's session."""
    author, number = request.user.get_username(), request.POST["number"]
    Note.objects.create(number=number, author=author, drawn_for=request.POST["drawn_for"])
    request.session["note"] = f"{author} {number}"
    return done(request)


@require_POST
@login_required
def expire(request: MultiSessionRequest) -> HttpResponse:
    """Let the active account expire soon. Each later write to its session extends the time."""
    request.session.set_expiry(SOON)
    return done(request)


def done(request: MultiSessionRequest) -> HttpResponse:
    active = request.multisession.session
    session = active.public_id if active else ""
    return JsonResponse({"user": request.user.get_username(), "session": session})
