"""Answer a request from another account's page with a 409. The view has not run.

The form of the answer depends on the sender (ground/asking.py): a page that keeps the sent fields
for a navigation, a sheet (a dialog on top of the page) for htmx and Turbo, a short JSON object for
scripts. docs/explanation/wrong-account.md has the table.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urldefrag

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.crypto import get_random_string
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from multisession import organizations
from multisession.conf import settings
from multisession.ground import django_private
from multisession.ground.asking import (
    PAGE_HEADER,
    TURBO_STREAM,
    VARY,
    Sender,
    address_of,
    sender_of,
)
from multisession.guard import guard, page_tokens
from multisession.guard.guard import REASON_HEADER, SEND_FIELD, WrongAccount, can_act
from multisession.models import Session
from multisession.organizations import Keep, Organization

from .kept_fields import Kept, kept_fields
from .links import after_switch_url, sign_in_link, url_of
from .profiles import Profile, organization_profile, profile_of

STATUS = 409

#: Parameter of the URL from which the page of a refusal loads its UserButton.
QUIET = "quiet"


def answer(request: HttpRequest, wrong: WrongAccount) -> HttpResponse:
    """Return the 409 in the right form for its sender."""
    sender = sender_of(request)
    if sender is Sender.FORM:
        keep_quiet(request)
        said = page_context(request, wrong)
        response = render(request, "multisession/wrong_account.html", said, status=STATUS)
    elif sender is Sender.TURBO and PAGE_HEADER not in request.headers:
        template = "multisession/_wrong_account_stream.html"
        response = render(request, template, context(request, wrong), TURBO_STREAM, STATUS)
    elif sender is Sender.HTMX and PAGE_HEADER not in request.headers:
        response = sheet(request, wrong, status=STATUS)
        # Put the sheet on top of the page, whatever the request was going to replace.
        response["HX-Retarget"] = "body"
        response["HX-Reswap"] = "afterbegin"
    else:
        # For scripts. If notice.js has marked the request, it shows the sheet itself.
        response = few_words(request, wrong)
        response["HX-Reswap"] = "none"
    return _finished(response)


def keep_quiet(request: HttpRequest) -> None:
    """Give ``notice.js`` nothing to say on this page, because the page itself says what happened.

    The server decides that: a mark in the page could as well come from user content.
    """
    request._multisession_is_quiet = True  # type: ignore[attr-defined]


def is_quiet(request: HttpRequest) -> bool:
    return getattr(request, "_multisession_is_quiet", False)


def sent_already(request: HttpRequest) -> HttpResponse:
    """Return the page for a form that is sent again a second time."""
    said = {"url": page_url(request) or after_switch_url()}
    return _finished(render(request, "multisession/sent_already.html", said, status=STATUS))


def sheet(request: HttpRequest, wrong: WrongAccount, *, status: int = 200) -> HttpResponse:
    """Return the sheet alone, to be put on top of a page."""
    template = "multisession/_wrong_account_sheet.html"
    return render(request, template, context(request, wrong), status=status)


def few_words(request: HttpRequest, wrong: WrongAccount) -> HttpResponse:
    """Return JSON, or plain text if the script's ``Accept`` header excludes JSON."""
    if request.accepts("application/json"):
        return JsonResponse(as_json(wrong), status=STATUS)
    return HttpResponse(sentence(wrong), "text/plain; charset=utf-8", STATUS)


def as_json(wrong: WrongAccount) -> dict[str, Any]:
    told = {
        "error": "wrong_organization" if wrong.is_of_same_user else "wrong_account",
        "detail": sentence(wrong),
        "page_session": wrong.page.public_id if wrong.page else None,
        "active_session": wrong.active.public_id if wrong.active else None,
    }
    if wrong.is_of_same_user or wrong.organization or wrong.active_organization:
        told["page_organization"] = _id(wrong.organization)
        told["active_organization"] = _id(wrong.active_organization)
    return told


def sentence(wrong: WrongAccount) -> str:
    page, active = wrong.page, wrong.active
    if wrong.is_of_same_user:
        return _sentence_of_organizations(wrong)
    if page is None and active is None:
        return _(
            "This page belongs to an account that is no longer signed in here. "
            "No account is active."
        )
    if page is None:
        text = _(
            "This page belongs to an account that is no longer signed in here. "
            "You are now using %(active)s."
        )
    elif active is None:
        text = _("This page belongs to %(page)s. No account is active.")
    else:
        text = _("This page belongs to %(page)s. You are now using %(active)s.")
    return text % {"page": page and name(page), "active": active and name(active)}


def _sentence_of_organizations(wrong: WrongAccount) -> str:
    if wrong.is_left:
        text = _(
            "This page belongs to an organization that you are no longer a member of. "
            "You are now using %(active)s."
        )
    else:
        text = _("This page belongs to %(page)s. You are now using %(active)s.")
    page, active = place_names(wrong)
    return text % {"page": page, "active": active}


def place_names(wrong: WrongAccount) -> list[str]:
    """Return the names of the page's and the active organization, for sentences and buttons."""
    places = (wrong.organization, wrong.active_organization)
    return [place.name if place else _("Personal account") for place in places]


def _id(organization: Organization | None) -> str | None:
    return organization.id if organization else None


def _token(request: HttpRequest, wrong: WrongAccount) -> str:
    """Return the CSRF token with which the form is sent again."""
    if wrong.page is None:
        return browser_token(request)
    if wrong.secret is not None and organizations.is_on():
        return django_private.mask(wrong.secret)  # It names the organization, too.
    return page_tokens.token_for(wrong.page)


def context(request: HttpRequest, wrong: WrongAccount) -> dict[str, Any]:
    """Return the context that page and sheet share."""
    page, active = wrong.page, wrong.active
    if wrong.is_of_same_user:
        page_name, active_name = place_names(wrong)
    else:
        page_name, active_name = short_names(page, active)
    to_enter = wrong.organization_to_enter
    return {
        "page": page,
        "active": active,
        "page_name": page_name,
        "active_name": active_name,
        "page_profile": _profile(wrong, page, wrong.organization),
        "active_profile": _profile(wrong, active, wrong.active_organization),
        # The id that a switch to the page has to enter; None to leave the organization alone.
        "page_organization": None if isinstance(to_enter, Keep) else _id(to_enter) or "",
        "is_left": wrong.is_left and wrong.is_of_same_user,
        "sentence": sentence(wrong),
        "is_live": page is not None and can_act(page),
        "token": _token(request, wrong),
        "sign_in_url": sign_in_link(None, session=page.public_id if page else ""),
        "add_account_url": url_of("multisession:add_account"),
        "set_active_url": url_of("multisession:set_active"),
    }


def page_context(request: HttpRequest, wrong: WrongAccount) -> dict[str, Any]:
    """Return the context of the page, with the fields that were sent.

    The fields are kept only if they come from a page of this host. Browsers send at least an Origin
    header with a form from another site, so a request without one is accepted.
    """
    kept: Kept | None = kept_fields(request) if guard.is_from_here(request) else None
    said = context(request, wrong)
    is_again = guard.is_sent_again(request)
    as_active = wrong.active is not None and ((wrong.page is None and is_again) or said["is_left"])
    if as_active and wrong.active is not None:
        said["token"] = page_tokens.token_for(wrong.active)
    return said | {
        "kept": kept,
        "has_files": bool(request.FILES),
        "send_field": SEND_FIELD,
        "send_number": guard.number_of(request) or get_random_string(22),
        "send_url": address_of(request),
        "as_active": as_active,
        "still_signed_out": is_again and not said["is_live"] and not as_active,
        "discard_url": page_url(request) or after_switch_url(),
        "choose_url": url_of(settings.CHOOSE_URL),
    }


def browser_token(request: HttpRequest) -> str:
    """Return a CSRF token that stays valid on this browser when an account signs in."""
    return page_tokens.token_of_nobody(request) or get_token(request)


def name(session: Session) -> str:
    return profile_of(session).label


def _profile(
    wrong: WrongAccount, session: Session | None, organization: Organization | None
) -> Profile | None:
    """Return how the account is shown, or the organization if only that is another."""
    if session is None:
        return None
    if organization is not None and wrong.is_of_same_user:
        return organization_profile(organization)
    return profile_of(session)


def short_names(*sessions: Session | None) -> list[str]:
    """Return the accounts' names for buttons; with identifiers if two have the same name."""
    profiles = [profile_of(session) if session else None for session in sessions]
    names = [profile.name for profile in profiles if profile]
    alike = len(set(names)) < len(names)
    return [(profile.label if alike else profile.name) if profile else "" for profile in profiles]


def page_url(request: HttpRequest) -> str:
    """Return the URL of the page that sent the request, to load it again; "" if it is unknown.

    Drops the fragment: a link to the same page with a fragment would only scroll.
    """
    sent_from = request.headers.get("HX-Current-URL") or request.headers.get("Referer")
    return urldefrag(on_site(request, sent_from) or "").url


def on_site(request: HttpRequest, url: str | None) -> str | None:
    allowed = {request.get_host()}
    if url and url_has_allowed_host_and_scheme(url, allowed, require_https=request.is_secure()):
        return url
    return None


def _finished(response: HttpResponse) -> HttpResponse:
    response[REASON_HEADER] = "wrong-account"
    # The view may redirect to the referrer of the form that is sent again, and this URL may accept
    # POST only. Django's CSRF check over HTTPS needs a referrer, so send the origin.
    response["Referrer-Policy"] = "origin"
    add_never_cache_headers(response)
    patch_vary_headers(response, ("Cookie", *VARY))
    return response
