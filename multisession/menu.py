"""What the UserButton and its menu show, and where their buttons lead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core import signing
from django.http import QueryDict
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme

from .conf import settings
from .request import MultiSessionRequest

#: A Location header much longer than this is refused somewhere on the way (and by Django).
LONGEST_URL = 2000

SALT = "multisession.menu"


@dataclass(frozen=True, kw_only=True)
class Options:
    """The keywords of ``{% user_button %}`` that the menu, loaded later, must know too.

    Each is a URL, a URL name or None; None stands for the setting.
    """

    sign_in_url: str | None = None
    after_switch_url: str | None = None
    after_sign_out_url: str | None = None
    after_sign_out_one_url: str | None = None
    profile_url: str | None = None
    sign_in_partial: bool = False

    def query(self) -> str:
        """These options for the menu's URL: signed, so that no link can make up its own menu."""
        given = {name: value for name, value in asdict(self).items() if value}
        return "?" + urlencode({"options": signing.dumps(given, salt=SALT)}) if given else ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Options:
        """The options that ``query()`` wrote; the defaults for anything else."""
        try:
            given = signing.loads(query.get("options", ""), salt=SALT)
        except signing.BadSignature:
            return cls()
        # A deployment may serve a menu whose button an older release rendered.
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in given.items() if name in known})


def is_htmx(request: MultiSessionRequest) -> bool:
    """Whether htmx sent the request and will place the answer itself."""
    return request.headers.get("HX-Request") == "true"


def on_site(request: MultiSessionRequest, url: str | None) -> str:
    """``url`` if it stays on this site, else the empty string."""
    if not url or not url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return ""
    encoded = iri_to_uri(url)  # leaves no control character that could split a header
    return encoded if len(encoded) <= LONGEST_URL else ""


def current_page(request: MultiSessionRequest) -> str:
    """The page the person is looking at, to come back to; empty where that makes no sense.

    The sign-in page and the chooser are not places to come back to: there it is the page that
    they themselves were asked to lead to.
    """
    url = request.headers.get("HX-Current-URL") if is_htmx(request) else request.get_full_path()
    page = urlsplit(on_site(request, url))
    if page.path in (_path(settings.SIGN_IN_URL), _path(settings.CHOOSE_URL)):
        return on_site(request, QueryDict(page.query).get(REDIRECT_FIELD_NAME))
    return page._replace(scheme="", netloc="", fragment="").geturl()


def sign_in_link(url: str | None, **parameters: str) -> str:
    """The sign-in page (``url``, or the setting) with those parameters that are not empty."""
    page = urlsplit(resolve_url(url or settings.SIGN_IN_URL))
    query = QueryDict(page.query, mutable=True)
    for name, value in parameters.items():
        if value:
            query[name] = value
    return page._replace(query=query.urlencode(safe="/")).geturl()


def menu_context(request: MultiSessionRequest, options: Options) -> dict[str, Any]:
    """What every part of the menu needs. Touches the active session only: no query."""
    profile_url = options.profile_url or settings.PROFILE_URL
    return {
        "request": request,
        "session": request.multisession.session,
        "multiple": settings.MULTIPLE,
        "menu_url": reverse("multisession:menu") + options.query(),
        "choose_url": resolve_url(settings.CHOOSE_URL),
        "profile_url": resolve_url(profile_url) if profile_url else "",
        "add_account_url": sign_in_link(options.sign_in_url, next=current_page(request)),
        "sign_in_partial": options.sign_in_partial,
        "after_switch_url": _resolved(options.after_switch_url),
        "after_sign_out_url": _resolved(options.after_sign_out_url),
        "sign_out_next": _resolved(options.after_sign_out_one_url),
    }


def account_list_context(request: MultiSessionRequest, next_url: str) -> dict[str, Any]:
    """The accounts of this browser, signed in and signed out, to choose from. One query."""
    accounts = request.multisession
    return {
        "request": request,
        "session": accounts.session,
        "sessions": accounts.sessions,
        "signed_out": [
            {
                "session": session,
                "sign_in_url": sign_in_link(None, session=session.public_id, next=next_url),
            }
            for session in accounts.signed_out_sessions
        ],
        "next": next_url,
        "continue_url": next_url or resolve_url(settings.AFTER_SWITCH_URL),
        "here": on_site(request, request.get_full_path()),
    }


def _resolved(url: str | None) -> str:
    return resolve_url(url) if url else ""


def _path(url: str) -> str:
    return urlsplit(resolve_url(url)).path
