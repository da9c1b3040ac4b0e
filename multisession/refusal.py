"""The answer to a request from a page of another account: 409, and nothing was executed.

What was sent is kept in the answer itself, as a form: *Switch to A and send* posts it again, once,
as A. Nothing of it is stored. Files cannot be kept so, and passwords should not.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urldefrag

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from .asking import wants_json
from .conf import settings
from .guard import PAGE_HEADER, WrongAccount, can_act, token_for
from .menu import after_switch_url, link_to, sign_in_link, url_of
from .models import Session
from .profiles import profile_of

#: More than this is not worth a page full of hidden fields (bytes).
LARGEST_KEPT = 256 * 1024


def answer(request: HttpRequest, wrong: WrongAccount, *, to: str | None = None) -> HttpResponse:
    """A page, a partial for htmx and for what ``notice.js`` saw sent, or JSON.

    ``to``: where the request was going, if that is not its own URL: then it comes from the page
    that this function made, and the sign-in that it asked for is still missing.
    """
    if wants_json(request):
        response: HttpResponse = JsonResponse(as_json(wrong), status=409)
    else:
        sheet = request.headers.get("HX-Request") == "true" or PAGE_HEADER in request.headers
        template = f"multisession/{'_' if sheet else ''}wrong_account.html"
        values = {**context(request, wrong, to), "sheet": sheet}
        response = render(request, template, values, status=409)
        if sheet:
            # On top of what the person looks at, whatever the request was going to replace.
            response["HX-Retarget"] = "body"
            response["HX-Reswap"] = "afterbegin"
    response["X-Multisession"] = "wrong-account"  # for notice.js, and other scripts
    # What is sent from this page may lead back to where it came from, and this address takes POST
    # alone. (A referrer there has to be, for Django's CSRF check over HTTPS.)
    response["Referrer-Policy"] = "origin"
    add_never_cache_headers(response)
    patch_vary_headers(response, ("Cookie", "HX-Request", "Accept", PAGE_HEADER))
    return response


def as_json(wrong: WrongAccount) -> dict[str, Any]:
    return {
        "error": "wrong_account",
        "detail": sentence(wrong),
        "page_session": wrong.page.public_id if wrong.page else None,
        "active_session": wrong.active.public_id if wrong.active else None,
    }


def sentence(wrong: WrongAccount) -> str:
    page, active = wrong.page, wrong.active
    if page is None and active is None:
        return _(
            "This page belongs to an account that is not signed in here any more. "
            "Nobody is signed in now."
        )
    if page is None:
        text = _(
            "This page belongs to an account that is not signed in here any more. "
            "You are now using %(active)s."
        )
    elif active is None:
        text = _("This page belongs to %(page)s. Nobody is signed in now.")
    else:
        text = _("This page belongs to %(page)s. You are now using %(active)s.")
    return text % {"page": page and name(page), "active": active and name(active)}


def context(request: HttpRequest, wrong: WrongAccount, to: str | None) -> dict[str, Any]:
    page = wrong.page
    here = to or request.get_full_path()
    live = page is not None and can_act(page)
    kept = None if page is None else kept_fields(request)
    return {
        "page": page,
        "page_name": short_names(page, wrong.active)[0],
        "active": wrong.active,
        "sentence": sentence(wrong),
        "still_signed_out": to is not None,
        "has_files": bool(request.FILES),
        "is_live": live,
        "kept": kept,
        "send_url": link_to("multisession:send", session=page.public_id, to=here) if page else "",
        "token": token_for(page) if page else "",
        "sign_in_url": sign_in_link(None, session=page.public_id if page else ""),
        "add_account_url": url_of("multisession:add_account"),
        "choose_url": url_of(settings.CHOOSE_URL),
        "set_active_url": url_of("multisession:set_active"),
        "discard_url": page_url(request) or after_switch_url(),
    }


def kept_fields(request: HttpRequest) -> list[tuple[str, str]] | None:
    """What was sent, to send it again; None if it cannot be kept whole."""
    if request.method != "POST" or request.FILES:
        return None
    fields = [
        (field, str(value))
        for field, values in request.POST.lists()
        for value in values
        if field != "csrfmiddlewaretoken"
    ]
    if any("password" in field.lower() for field, _value in fields):
        return None
    size = sum(len(field) + len(value) for field, value in fields)
    return fields if size <= LARGEST_KEPT else None


def name(session: Session) -> str:
    return profile_of(session.user).label


def short_names(*sessions: Session | None) -> list[str]:
    """What buttons call these accounts: by their names, unless two have the same one."""
    profiles = [profile_of(session.user) if session else None for session in sessions]
    names = [profile.name for profile in profiles if profile]
    alike = len(set(names)) < len(names)
    return [(profile.label if alike else profile.name) if profile else "" for profile in profiles]


def page_url(request: HttpRequest) -> str:
    """The page that the request came from, to load it again; empty if that is not known.

    Without the fragment: a link that differs in nothing else would only scroll.
    """
    sent_from = request.headers.get("HX-Current-URL") or request.headers.get("Referer")
    return urldefrag(on_site(request, sent_from) or "").url


def on_site(request: HttpRequest, url: str | None) -> str | None:
    allowed = {request.get_host()}
    if url and url_has_allowed_host_and_scheme(url, allowed, require_https=request.is_secure()):
        return url
    return None
