"""Answer a sign-in beyond ``MAX_ACCOUNTS``, if ``AT_LIMIT`` is ``"refuse"``.

``login()`` raises AccountLimitReached, so the answer is the same for every sign-in view.
"""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render, resolve_url
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.views.decorators.csrf import requires_csrf_token

from multisession.conf import settings
from multisession.ground.asking import is_htmx, wants_json
from multisession.models import AccountLimitReached
from multisession.request import MultiSessionRequest

from .menu import account_list_context

STATUS = 403


def answer(request: HttpRequest, exception: Exception) -> HttpResponse | None:
    """Answer with the accounts of this browser; None for any other exception."""
    if not isinstance(exception, AccountLimitReached):
        return None
    response = _answer(request, str(exception))
    add_never_cache_headers(response)
    patch_vary_headers(response, ("Cookie", "HX-Request", "Accept"))
    return response


def _answer(request: HttpRequest, sentence: str) -> HttpResponse:
    if wants_json(request):
        values = {"error": "account_limit", "detail": sentence}
        return JsonResponse(values, status=STATUS)
    if is_htmx(request):
        # htmx swaps no 403 into the page, but it follows this header.
        messages.error(request, sentence, fail_silently=True)
        url = resolve_url(settings.CHOOSE_URL)
        return HttpResponse(status=STATUS, headers={"HX-Redirect": url})
    return page(request, sentence)  # type: ignore[arg-type]


@requires_csrf_token
def page(request: MultiSessionRequest, sentence: str) -> HttpResponse:
    """Show the accounts of this browser with buttons to sign out, which lead back here."""
    context = account_list_context(request, "") | {"sentence": sentence}
    return render(request, "multisession/limit_reached.html", context, status=STATUS)
