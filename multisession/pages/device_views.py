"""The pages *Devices*, with its buttons, and *Sign-in history*.

They belong to the active account, so the guard protects them: a form drawn for one account never
signs out another. Without scripts each button loads a page; with htmx only the list.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from multisession import actions, passwords
from multisession.conf import settings
from multisession.ground.asking import is_htmx
from multisession.ground.attempts import in_steps_of_its_own
from multisession.models import Session
from multisession.request import MultiSessionRequest

from . import devices
from .browsers import browser_name
from .history import LARGEST_KEY, History, history_of, history_url, is_kept
from .links import sign_in_link, url_of
from .views import after_sign_out_url, go_to, personal, requested_next

UNPROCESSABLE = 422

_KEY = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)

View = Callable[[MultiSessionRequest, Session], HttpResponse]


def of_the_active_account(view: View) -> Callable[..., HttpResponse]:
    """Make a view that gets the active session; without one it redirects to the sign-in page."""

    @wraps(view)
    def with_session(request: MultiSessionRequest) -> HttpResponse:
        active = request.multisession.session
        if active is None:
            return go_to(request, sign_in_link(None, next=sessions_url()))
        return view(request, active)

    return personal(with_session)


@require_safe
@csrf_protect  # the forms in it need the cookie, whatever middleware the project has
@of_the_active_account
def sessions(request: MultiSessionRequest, active: Session) -> HttpResponse:
    """Show where the active account is signed in: this browser first."""
    return render(request, "multisession/sessions.html", page_context(request, active))


@require_safe
@csrf_protect
@of_the_active_account
def history(request: MultiSessionRequest, active: Session) -> HttpResponse:
    """Show the sign-ins of the active account and how they ended, a page at a time.

    ``before``: the page begins with the event before the one of this key.
    """
    before = request.GET.get("before", "")
    if before and not (_KEY.fullmatch(before) and int(before) <= LARGEST_KEY):
        raise Http404("No such page.")
    found = history_of(active, int(before or LARGEST_KEY)) if is_kept() else History([], None)
    context = {"session": active, "history": found, "sessions_url": sessions_url()}
    return render(request, "multisession/history.html", context)


@require_POST
@csrf_protect
@of_the_active_account
def sign_out_device(request: MultiSessionRequest, active: Session) -> HttpResponse:
    """Sign the active account out of one of its browsers."""
    try:
        ended = devices.sign_out_device(request, request.POST.get("session", ""))
    except actions.SessionNotFound:
        if not is_htmx(request):
            raise
        # The page is out of date. htmx 2 ignores a 404, so load the current list.
        return HttpResponse(status=404, headers={"HX-Redirect": sessions_url()})
    if ended.pk == active.pk:
        return go_to(request, after_sign_out_url(request))
    name = browser_name(ended.client.user_agent)
    return show_list(request, active, _("Signed out of %(browser)s.") % {"browser": name})


@in_steps_of_its_own
@sensitive_post_parameters("password")
@require_POST
@csrf_protect
@of_the_active_account
def sign_out_others(request: MultiSessionRequest, active: Session) -> HttpResponse:
    """Sign the active account out of all its other browsers, once the password is confirmed."""
    if passwords.is_needed(request):
        password = request.POST.get("password")
        if not password or not passwords.confirm(request, password):
            return ask_for_password(request, active, is_wrong=password is not None)
    count = devices.sign_out_elsewhere(request)
    text = ngettext(
        "Signed out of %(count)d other browser.", "Signed out of %(count)d other browsers.", count
    )
    return show_list(request, active, text % {"count": count})


def ask_for_password(
    request: MultiSessionRequest, active: Session, *, is_wrong: bool
) -> HttpResponse:
    context = {"session": active, "is_wrong": is_wrong, "next": requested_next(request)}
    context["sessions_url"] = sessions_url()
    if is_htmx(request):
        # 200 even for a wrong password: by default htmx swaps no error answer.
        return render(request, "multisession/_confirm_password.html", context)
    status = UNPROCESSABLE if is_wrong else 200
    return render(request, "multisession/confirm_password.html", context, status=status)


def show_list(request: MultiSessionRequest, active: Session, text: str) -> HttpResponse:
    """Show the current list with a message."""
    next_url = requested_next(request)
    if is_htmx(request) and not next_url:
        context = page_context(request, active) | {"text": text}
        return render(request, "multisession/_sessions.html", context)
    messages.success(request, text, fail_silently=True)
    return go_to(request, next_url or sessions_url())


def page_context(request: MultiSessionRequest, active: Session) -> dict[str, Any]:
    """Return the page's context. Two queries: this browser's accounts, and the other browsers."""
    return {
        "session": active,
        "here": devices.here(active),
        "elsewhere": devices.grouped(devices.elsewhere(active)),
        "other_sessions": request.multisession.other_sessions,
        "sessions_url": sessions_url(),
        "password_url": password_url(),
        "history_url": history_url(),
        "next": "",
    }


def sessions_url() -> str:
    return resolve_url(settings.SESSIONS_URL)


def password_url() -> str:
    """Return where a person changes the password: Django's page, or the account's own."""
    return url_of("password_change") or url_of(settings.PROFILE_URL)
