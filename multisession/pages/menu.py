"""The options and the template contexts of the UserButton and its menu."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import urlencode

from django.core import signing

from multisession import organizations, paths
from multisession.conf import settings
from multisession.ground.asking import SAFE_METHODS
from multisession.request import MultiSessionRequest

from .badges import note_badges
from .items import MenuItem, as_items, items_of_setting
from .links import (
    POSTED,
    after_switch_url,
    asks_to_sign_in,
    current_page,
    link_to,
    on_site,
    page_to_keep,
    sign_in_link,
    url_of,
    with_query,
)

SALT = "multisession.pages.menu"


#: Where the panel opens, relative to its button.
PLACEMENTS = ("bottom-end", "bottom-start", "top-end", "top-start")


_SHORTCUT = re.compile(
    r"(?=.*(Control|Alt|Meta)\+)(Control\+)?(Alt\+)?(Shift\+)?(Meta\+)?[A-Z][A-Za-z0-9]*", re.ASCII
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The keywords of ``{% user_button %}``, which the menu's URL passes on to the menu.

    URLs may also be URL names, or None for the setting's value. Raises ``ValueError`` for an
    unknown placement, and for a shortcut of one key, which people press by accident (WCAG 2.1.4).
    """

    show_name: bool = False
    #: None: as ``show_name``, so that two accounts of one name are told apart.
    show_identifier: bool | None = None
    #: Ask ``BADGES`` for the active account, on each page.
    show_badge: bool = False
    default_open: bool = False
    placement: str = "bottom-end"
    sign_in_url: str | None = None
    after_switch_url: str | None = None
    after_sign_out_url: str | None = None
    after_sign_out_one_url: str | None = None
    profile_url: str | None = None
    sign_in_partial: bool = False
    #: Keys that switch to the previous account, "Alt+Shift+KeyP". Needs shortcut.js.
    shortcut: str = ""
    items: tuple[MenuItem, ...] = ()

    def __post_init__(self) -> None:
        if self.placement not in PLACEMENTS:
            raise ValueError(
                f"user_button: placement is {self.placement!r}; "
                f"it must be one of {', '.join(PLACEMENTS)}."
            )
        if self.shortcut and not _SHORTCUT.fullmatch(self.shortcut):
            raise ValueError(
                f"user_button: shortcut is {self.shortcut!r}; it must be Control, Alt, Shift, "
                "Meta, in this order and at least one besides Shift, and the code of a key, joined "
                "by +: 'Alt+Shift+KeyP'."
            )

    def query(self, **more: str) -> str:
        """Return these options as a query string, signed, so that nobody can forge a menu.

        The signature has no time stamp, so that the same page always has the same URL.
        ``more``: further parameters of the query.
        """
        unlike = asdict(type(self)())
        given = {name: value for name, value in asdict(self).items() if value != unlike[name]}
        if given:
            more["options"] = signing.Signer(salt=SALT).sign_object(given, compress=True)
        return "?" + urlencode(more) if more else ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Options:
        """Return the options from ``query()``; the defaults if the signature is wrong."""
        try:
            given = signing.Signer(salt=SALT).unsign_object(query.get("options", ""))
        except signing.BadSignature:
            return cls()
        # The button may have been rendered by an older release of the project.
        known = {field.name for field in fields(cls)}
        kept = {name: value for name, value in given.items() if name in known}
        try:
            return cls(**{**kept, "items": as_items(kept.get("items", ()))})
        except (TypeError, ValueError):
            return cls()  # Signed by a release for which these options were valid.


def menu_context(request: MultiSessionRequest, options: Options) -> dict[str, Any]:
    """Return the context that every part of the menu needs.

    Costs no query while an account is active, except for the provider's answer in an organization.
    Otherwise it reads the list of accounts: one query, or none for a browser without a client.
    """
    profile_url = options.profile_url or settings.PROFILE_URL
    session = request.multisession.session
    whose = {"session": session.public_id} if session else {}
    page = page_to_keep(request)
    if not page and request.method not in SAFE_METHODS:
        whose[POSTED] = "1"
    items = [*items_of_setting(request), *options.items] if session else []
    return {
        "request": request,
        "session": session,
        "multiple": settings.MAX_ACCOUNTS > 1,
        "menu_url": with_query("multisession:menu", options.query(**whose)),
        "choose_url": link_to(settings.CHOOSE_URL, next=page),
        "profile_url": url_of(profile_url),
        **(_organization_line(request) if session else {}),
        "sign_in_partial": options.sign_in_partial,
        "after_switch_url": url_of(options.after_switch_url) or page,
        "after_sign_out_url": url_of(options.after_sign_out_url),
        "sign_out_next": url_of(options.after_sign_out_one_url),
        **(_add_account(request, options) if session else _nobody_is_active(request, options)),
        "items_before": [item for item in items if item.place == "before"],
        "items_after": [item for item in items if item.place == "after"],
    }


def _organization_line(request: MultiSessionRequest) -> dict[str, Any]:
    """Return the context of the line about the organization. Lists nothing."""
    if not organizations.is_on():
        return {}
    return {
        "organizations_url": url_of("multisession:organizations"),
        "organization": request.multisession.organization,
    }


def button_context(request: MultiSessionRequest, options: Options) -> dict[str, Any]:
    """Return the context of the button and of the part of its menu that is in the page."""
    session, shows = request.multisession.session, options.show_identifier
    if options.show_badge:
        note_badges([session])
    return menu_context(request, options) | {
        "show_name": options.show_name,
        "show_badge": options.show_badge,
        "show_identifier": options.show_name if shows is None else shows,
        "default_open": options.default_open,
        "placement": options.placement,
        "shortcut": options.shortcut if session else "",
        # A page may have several buttons, and may load another one later.
        "button_id": f"ms-button-{secrets.token_hex(4)}",
    }


def account_list_context(request: MultiSessionRequest, next_url: str) -> dict[str, Any]:
    """Return the context of the list of accounts, signed in and signed out. One query.

    The account that stepped aside for a sign-in comes first.
    """
    accounts = request.multisession
    back = accounts.stepped_aside
    note_badges([accounts.session, *accounts.sessions])
    return {
        "request": request,
        "session": accounts.session,
        "nobody_active": accounts.session is None,
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
    """Return the context of *Add account*, which keeps the page as a switch does.

    Not in the tab of an account: its page is the account's own, and the new one gets another tab.
    """
    sign_in_only = Options(sign_in_url=options.sign_in_url)
    page = url_of(options.after_switch_url) or page_to_keep(request)
    if paths.number_of(request) is not None:
        page = ""
    return {
        "add_account_url": with_query("multisession:add_account", sign_in_only.query()),
        "add_account_next": page,
        "page_to_leave": current_page(request),
        "sign_in_form_url": sign_in_link(options.sign_in_url, next=page),
    }


def _nobody_is_active(request: MultiSessionRequest, options: Options) -> dict[str, Any]:
    """Return the context of *Sign in* or *Choose an account*, while no account is active."""
    here = current_page(request)
    asked = here if asks_to_sign_in(request) else ""
    return {
        "sign_in_url": sign_in_link(options.sign_in_url, next=here),
        "choose_here_url": link_to(settings.CHOOSE_URL, next=here)
        if request.multisession.sessions
        else "",
        **_step_back(request, asked or url_of(options.after_switch_url)),
    }


def _step_back(request: MultiSessionRequest, next_url: str) -> dict[str, Any]:
    """Return the context of *Back to Ada*: to ``next_url``, or else to the page she left."""
    accounts = request.multisession
    back = accounts.stepped_aside if url_of("multisession:set_active") else None
    return {
        "stepped_aside": back,
        "back_next": (next_url or on_site(request, accounts.page_left)) if back else "",
    }
