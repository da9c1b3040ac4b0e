"""What the UserButton and its menu show, and where their buttons lead."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core import signing
from django.http import QueryDict
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, get_script_prefix
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme

from .asking import is_htmx
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
    page = _page(request)
    if _asks_to_sign_in(request):
        return on_site(request, QueryDict(page.query).get(REDIRECT_FIELD_NAME))
    return page._replace(scheme="", netloc="", fragment="").geturl()


def _page(request: MultiSessionRequest) -> SplitResult:
    url = request.headers.get("HX-Current-URL") if is_htmx(request) else request.get_full_path()
    return urlsplit(on_site(request, url))


def _asks_to_sign_in(request: MultiSessionRequest) -> bool:
    """Whether that page is the sign-in page or the chooser."""
    return _page(request).path in (_path(settings.SIGN_IN_URL), _path(settings.CHOOSE_URL))


def url_of(to: str | None) -> str:
    """This URL, or that of this URL name; empty for a name that the project does not have.

    What has no URL is left out of a page; ``manage.py check`` says what is missing.
    """
    if not to:
        return ""
    try:
        return str(resolve_url(to))
    except NoReverseMatch:
        return ""


def after_switch_url() -> str:
    """The page of ``AFTER_SWITCH_URL``; the first one of the site if there is none."""
    return url_of(settings.AFTER_SWITCH_URL) or get_script_prefix()


def sign_in_link(url: str | None, **parameters: str) -> str:
    """The sign-in page: ``url``, or the setting. The same as ``link_to``."""
    return link_to(url or settings.SIGN_IN_URL, **parameters)


def link_to(url: str, **parameters: str) -> str:
    """This URL, or that of this name, with those parameters that are not empty; as ``url_of``."""
    page = urlsplit(url_of(url))
    if page == urlsplit(""):
        return ""
    query = QueryDict(page.query, mutable=True)
    for name, value in parameters.items():
        if value:
            query[name] = value
    return page._replace(query=query.urlencode(safe="/")).geturl()


def menu_context(request: MultiSessionRequest, options: Options) -> dict[str, Any]:
    """What every part of the menu needs.

    Touches the active session only: no query. While nobody is active, the list of accounts: one
    query, and none for a browser that we have not met.
    """
    profile_url = options.profile_url or settings.PROFILE_URL
    session = request.multisession.session
    whose = {"session": session.public_id} if session else {}
    items = [*items_of_setting(request), *options.items] if session else []
    return {
        "request": request,
        "session": session,
        "multiple": settings.MULTIPLE,
        "menu_url": _with_query("multisession:menu", options.query(**whose)),
        "choose_url": url_of(settings.CHOOSE_URL),
        "profile_url": url_of(profile_url),
        "sign_in_partial": options.sign_in_partial,
        "after_switch_url": url_of(options.after_switch_url),
        "after_sign_out_url": url_of(options.after_sign_out_url),
        "sign_out_next": url_of(options.after_sign_out_one_url),
        **(_add_account(request, options) if session else _nobody_is_active(request, options)),
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
    """The accounts of this browser, signed in and signed out, to choose from. One query.

    The one that stepped aside for a sign-in comes first.
    """
    accounts = request.multisession
    back = accounts.stepped_aside
    return {
        "request": request,
        "session": accounts.session,
        "sessions": sorted(accounts.sessions, key=lambda session: session != back),
        **_step_back(request, next_url),
        "set_active_url": url_of("multisession:set_active"),
        "add_account_url": url_of("multisession:add_account"),
        "signed_out": [
            {
                "session": session,
                "sign_in_url": sign_in_link(None, session=session.public_id, next=next_url),
            }
            for session in accounts.signed_out_sessions
        ],
        "next": next_url,
        "continue_url": next_url or after_switch_url(),
        "here": on_site(request, request.get_full_path()),
    }


def _add_account(request: MultiSessionRequest, options: Options) -> dict[str, Any]:
    """For *Add account*. Nothing of it leads back here: the page is the active account's."""
    sign_in_only = Options(sign_in_url=options.sign_in_url)
    return {
        "add_account_url": _with_query("multisession:add_account", sign_in_only.query()),
        "page_to_leave": current_page(request),
        "sign_in_form_url": sign_in_link(options.sign_in_url),
    }


def _nobody_is_active(request: MultiSessionRequest, options: Options) -> dict[str, Any]:
    """For the button of nobody: *Sign in*, or *Choose an account* if one is signed in here."""
    here = current_page(request)
    asked = here if _asks_to_sign_in(request) else ""
    return {
        "sign_in_url": sign_in_link(options.sign_in_url, next=here),
        "choose_here_url": link_to(settings.CHOOSE_URL, next=here)
        if request.multisession.sessions
        else "",
        **_step_back(request, asked or url_of(options.after_switch_url)),
    }


def _step_back(request: MultiSessionRequest, next_url: str) -> dict[str, Any]:
    """For *Back to Ada*: to ``next_url``, else to the page that she was on."""
    accounts = request.multisession
    back = accounts.stepped_aside if url_of("multisession:set_active") else None
    return {
        "stepped_aside": back,
        "back_next": (next_url or on_site(request, accounts.page_left)) if back else "",
    }


def _with_query(name: str, query: str) -> str:
    url = url_of(name)
    return url and url + query


def _path(url: str) -> str:
    return urlsplit(url_of(url)).path
