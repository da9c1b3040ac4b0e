"""Ask the person again who they are, in the place of a page, and go on there.

The form posts to the page's own URL, with the fields that were sent there, so nothing typed is
lost. Its CSRF token is that of the active account, so the guard lets it run as no other account.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings as django_settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.views.decorators.csrf import requires_csrf_token
from django.views.decorators.debug import sensitive_variables

from multisession import actions, passwords
from multisession.conf import settings
from multisession.ground.asking import is_htmx, wants_json
from multisession.models import Session
from multisession.request import MultiSessionRequest

from .kept_fields import Kept, kept_fields
from .links import link_to, on_site, sign_in_link

#: The fields that the page adds.
PASSWORD = "multisession-password"  # noqa: S105
#: "get": the page was asked for by a link; load it again.
AGAIN = "multisession-again"
UNPROCESSABLE = 422


def ask(request: MultiSessionRequest, seconds: int) -> HttpResponse | None:
    """Return the page that asks; None if the view may run, with the fields that are for it."""
    typed, again = _take(request)
    if not passwords.is_recent(request, seconds) and (
        typed is None or not passwords.confirm(request, typed)
    ):
        return _page(request, is_wrong=bool(typed), again=again)
    return HttpResponseRedirect(request.get_full_path()) if again else None


def answer(request: MultiSessionRequest, exception: Exception) -> HttpResponse | None:
    """Answer a switch that needs the account's password; None for other exceptions."""
    if not isinstance(exception, actions.ConfirmationNeeded):
        return None
    if wants_json(request):
        return JsonResponse({"error": "confirmation_needed"}, status=403)
    parameters = request.POST if request.method == "POST" else request.GET
    url = link_to(
        "multisession:confirm_switch",
        session=exception.session.public_id,
        next=on_site(request, parameters.get(REDIRECT_FIELD_NAME)),
    )
    if exception.organization is not None:
        url += "&" + urlencode({"organization": exception.organization})
    if is_htmx(request):
        # htmx swaps no 403 into the page, but it follows this header.
        return HttpResponse(status=403, headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def switch_page(
    request: HttpRequest, session: Session, fields: dict[str, str], *, is_wrong: bool = False
) -> HttpResponse:
    """Show the form that asks for the password of an account, to switch to it."""
    user: Any = session.user
    next_url = fields.get(REDIRECT_FIELD_NAME, "")
    context = {
        "account": user.get_username(),
        "has_password": user.has_usable_password(),
        "is_wrong": is_wrong,
        "here_url": reverse("multisession:set_active"),
        "kept": Kept([("session", session.public_id), *fields.items()]),
        "password_field": PASSWORD,
        "other_way": sign_in_link(None, session=session.public_id, next=next_url),
    }
    if is_htmx(request):
        return render(request, "multisession/_confirm_identity.html", context)
    status = UNPROCESSABLE if is_wrong else 200
    return render(request, "multisession/confirm_identity.html", context, status=status)


@sensitive_variables("typed")
def _take(request: MultiSessionRequest) -> tuple[str | None, bool]:
    """Take our two fields out of the form. Return the password, and if the page is to be loaded."""
    if request.method != "POST" or PASSWORD not in request.POST:
        return None, False
    fields: QueryDict = request.POST.copy()
    typed, again = fields.get(PASSWORD), fields.get(AGAIN)
    for name in (PASSWORD, AGAIN):
        fields.pop(name, None)
    fields._mutable = False
    request.POST = fields  # type: ignore[assignment]
    return str(typed), again == "get"


def _page(request: MultiSessionRequest, *, is_wrong: bool, again: bool) -> HttpResponse:
    """Answer with the form. htmx swaps it into the place that the answer was for."""
    if wants_json(request):
        response: HttpResponse = JsonResponse({"error": "confirmation_needed"}, status=403)
    else:
        response = _form(request, is_wrong, again or request.method != "POST")
    add_never_cache_headers(response)
    patch_vary_headers(response, ("Cookie", "HX-Request", "Accept"))
    return response


@requires_csrf_token
def _form(request: HttpRequest, is_wrong: bool, again: bool) -> HttpResponse:
    user: Any = request.user
    here = request.get_full_path()
    kept: Kept | None = Kept() if again else kept_fields(request)
    context = {
        "account": user.get_username(),
        "has_password": user.has_usable_password(),
        "is_wrong": is_wrong,
        "here_url": here,
        "kept": kept,
        "again": again,
        "password_field": PASSWORD,
        "again_field": AGAIN,
        "other_way": _other_way(here),
    }
    if is_htmx(request):
        return render(request, "multisession/_confirm_identity.html", context)
    status = UNPROCESSABLE if is_wrong else 200
    return render(request, "multisession/confirm_identity.html", context, status=status)


def _other_way(here: str) -> str:
    """Return where people go who have no password, or don't want to type it."""
    if settings.CONFIRM_URL is not None:
        return link_to(settings.CONFIRM_URL, next=here)
    return sign_in_link(str(django_settings.LOGIN_URL), next=here)
