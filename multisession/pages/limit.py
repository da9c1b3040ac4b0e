"""Answer a sign-in beyond ``MAX_ACCOUNTS`` or ``MAX_SESSIONS_PER_USER`` that is to be refused.

``login()``, or saving its session, raises an exception, so the answer is the same for every
sign-in view.
"""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render, resolve_url
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.views.decorators.csrf import requires_csrf_token

from multisession.conf import settings
from multisession.ground.asking import is_htmx, wants_json
from multisession.models import AccountLimitReached, SessionLimitReached
from multisession.request import MultiSessionRequest

from .links import sign_in_link
from .menu import account_list_context

STATUS = 403


def answer(request: HttpRequest, exception: Exception) -> HttpResponse | None:
    """Answer with the accounts of this browser, or with a sentence; None for other exceptions."""
    is_ours = isinstance(exception, AccountLimitReached | SessionLimitReached)
    return refusal(request, exception) if is_ours else None


def refusal(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer one of the two exceptions."""
    response = _answer(request, exception)
    add_never_cache_headers(response)
    patch_vary_headers(response, ("Cookie", "HX-Request", "Accept"))
    return response


def _answer(request: HttpRequest, exception: Exception) -> HttpResponse:
    sentence, is_here = str(exception), isinstance(exception, AccountLimitReached)
    if wants_json(request):
        error = "account_limit" if is_here else "session_limit"
        return JsonResponse({"error": error, "detail": sentence}, status=STATUS)
    if is_htmx(request):
        # htmx swaps no 403 into the page, but it follows this header.
        messages.error(request, sentence, fail_silently=True)
        url = resolve_url(settings.CHOOSE_URL)
        return HttpResponse(status=STATUS, headers={"HX-Redirect": url})
    return (page if is_here else elsewhere)(request, sentence)  # type: ignore[arg-type]


@requires_csrf_token
def page(request: MultiSessionRequest, sentence: str) -> HttpResponse:
    """Show the accounts of this browser with buttons to sign out, which lead back here."""
    context = account_list_context(request, "") | {"sentence": sentence}
    return render(request, "multisession/limit_reached.html", context, status=STATUS)


@requires_csrf_token
def elsewhere(request: MultiSessionRequest, sentence: str) -> HttpResponse:
    """Say that the account is signed in on too many browsers."""
    context = {"sentence": sentence, "sign_in_url": sign_in_link(None)}
    return render(request, "multisession/session_limit_reached.html", context, status=STATUS)
