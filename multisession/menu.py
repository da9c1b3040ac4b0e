"""What the UserButton and its menu show, and where their buttons lead."""

from __future__ import annotations

import secrets
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
from .items import MenuItem, as_items, items_of_setting
from .request import MultiSessionRequest

#: A Location header much longer than this is refused somewhere on the way (and by Django).
LONGEST_URL = 2000

SALT = "multisession.menu"


#: Where the panel opens, seen from its button.
PLACEMENTS = ("bottom-end", "bottom-start", "top-end", "top-start")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The keywords of ``{% user_button %}``, for what is loaded later and must know them too.

    Each URL is one, a URL name or None; None stands for the setting. Raises ``ValueError`` for a
    placement that does not exist.
    """

    show_name: bool = False
    default_open: bool = False
    placement: str = "bottom-end"
    sign_in_url: str | None = None
    after_switch_url: str | None = None
    after_sign_out_url: str | None = None
    after_sign_out_one_url: str | None = None
    profile_url: str | None = None
    sign_in_partial: bool = False
    items: tuple[MenuItem, ...] = ()

    def __post_init__(self) -> None:
        if self.placement not in PLACEMENTS:
            raise ValueError(
                f"user_button: placement is {self.placement!r}; "
                f"it must be one of {', '.join(PLACEMENTS)}."
            )

    def query(self, **more: str) -> str:
        """These options for a URL: signed, so that no link can make up its own menu.

        Without a time stamp, so that the same page has the same URL whenever it is drawn.
        ``more``: what else stands in that query.
        """
        unlike = asdict(type(self)())
        given = {name: value for name, value in asdict(self).items() if value != unlike[name]}
        if given:
            more["options"] = signing.Signer(salt=SALT).sign_object(given, compress=True)
        return "?" + urlencode(more) if more else ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Options:
        """The options that ``query()`` wrote; the defaults for anything else."""
        try:
            given = signing.Signer(salt=SALT).unsign_object(query.get("options", ""))
        except signing.BadSignature:
            return cls()
        # A deployment may serve a menu whose button an older release rendered.
        known = {field.name for field in fields(cls)}
        kept = {name: value for name, value in given.items() if name in known}
        try:
            return cls(**{**kept, "items": as_items(kept.get("items", ()))})
        except (TypeError, ValueError):
            return cls()  # Signed, but by a release in which it was right.


def is_htmx(request: MultiSessionRequest) -> bool:
    """Whether htmx sent the request and will place the answer itself."""
    return request.headers.get("HX-Request") == "true"


def on_site(request: MultiSessionRequest, url: str | None) -> str:
    """``url`` if it stays on this site, else the empty string.

    It must say where it leads: ``foo`` would depend on the page that it is used on.
    """
    if not url or not url.startswith(("/", "http://", "https://")):
        return ""
    if not url_has_allowed_host_and_scheme(
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
    session = request.multisession.session
    whose = {"session": session.public_id} if session else {}
    items = [*items_of_setting(request), *options.items] if session else []
    return {
        "request": request,
        "session": session,
        "multiple": settings.MULTIPLE,
        "menu_url": reverse("multisession:menu") + options.query(**whose),
        "choose_url": resolve_url(settings.CHOOSE_URL),
        "profile_url": resolve_url(profile_url) if profile_url else "",
        "add_account_url": sign_in_link(options.sign_in_url, next=current_page(request)),
        "sign_in_partial": options.sign_in_partial,
        "after_switch_url": _resolved(options.after_switch_url),
        "after_sign_out_url": _resolved(options.after_sign_out_url),
        "sign_out_next": _resolved(options.after_sign_out_one_url),
        "items_before": [item for item in items if item.place == "before"],
        "items_after": [item for item in items if item.place == "after"],
    }


def button_context(request: MultiSessionRequest, options: Options) -> dict[str, Any]:
    """What the button itself needs, with the part of its menu that stands in the page."""
    return menu_context(request, options) | {
        "show_name": options.show_name,
        "default_open": options.default_open,
        "placement": options.placement,
        # Several buttons may share a page, and a page may fetch another one later.
        "button_id": f"ms-button-{secrets.token_hex(4)}",
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
