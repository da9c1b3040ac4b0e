"""Views for every contender, and some that only ours has."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model, login, logout
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.module_loading import import_string


def empty(request: HttpRequest) -> HttpResponse:
    """Read neither session nor user."""
    return HttpResponse("empty")


def page(request: HttpRequest) -> HttpResponse:
    """Read session and user."""
    return render(request, "page.html", {"visits": request.session.get("visits", 0)})


def form(request: HttpRequest) -> HttpResponse:
    """Show the page with a form, so with a CSRF token."""
    return render(request, "form.html", {"visits": request.session.get("visits", 0)})


def write(request: HttpRequest) -> HttpResponse:
    """Show the page and write to the session."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    return page(request)


def rewrite(request: HttpRequest) -> HttpResponse:
    """Write the same value again."""
    request.session["visits"] = request.session.get("visits", 0)
    return page(request)


def own_sessions(request: Any) -> HttpResponse:
    """Show the number of sessions in the contender's own list."""
    rows = settings.OWN_SESSIONS(request)
    return JsonResponse({"user": request.user.email, "sessions": len(rows)})


def sign_in(request: HttpRequest, username: str) -> HttpResponse:
    user = get_user_model().objects.get(username=username)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse(user.email)


def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse("signed out")


def purge(request: HttpRequest) -> HttpResponse:
    """Do what ``manage.py clearsessions`` does."""
    import_string(f"{settings.SESSION_ENGINE}.SessionStore").clear_expired()
    return HttpResponse("purged")


def accounts(request: Any) -> HttpResponse:
    """Show the public ids of this browser's sessions, the active one first."""
    active = request.multisession.session
    others = sorted(row.public_id for row in request.multisession.other_sessions)
    return JsonResponse({"ids": [active.public_id, *others]})


def revoke_here(request: Any) -> HttpResponse:
    """Revoke the active session, as an administrator does."""
    from multisession.models import Session

    revoked = Session.objects.get(pk=request.multisession.session.pk).revoke()
    return HttpResponse(str(revoked))


def revoke(request: HttpRequest, count: int) -> HttpResponse:
    """Revoke ``count`` live sessions."""
    from multisession.actions import revoke_all
    from multisession.models import Session

    return HttpResponse(str(revoke_all(Session.objects.live().accounts()[:count])))
