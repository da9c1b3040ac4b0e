"""``{% load multisession %}``: the UserButton, and what one needs to build another."""

from __future__ import annotations

import secrets
from typing import Any

from django import template
from django.template import Context
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from multisession.menu import Options, account_list_context, menu_context, on_site
from multisession.models import Session
from multisession.profiles import Profile, profile_of
from multisession.request import MultiSessionRequest

register = template.Library()

PLACEMENTS = ("bottom-end", "bottom-start", "top-end", "top-start")


@register.inclusion_tag("multisession/user_button.html", takes_context=True)
def user_button(
    context: Context,
    *,
    show_name: bool = False,
    default_open: bool = False,
    placement: str = "bottom-end",
    sign_in_url: str | None = None,
    after_switch_url: str | None = None,
    after_sign_out_url: str | None = None,
    after_sign_out_one_url: str | None = None,
    profile_url: str | None = None,
    sign_in_partial: bool = False,
) -> dict[str, Any]:
    """The active account's avatar with its menu; a link to sign in while there is none.

    Costs no query beyond the one for ``request.user``: the list of accounts is loaded when
    somebody is about to open the menu. Without a request in the context it renders nothing.

    ``sign_in_partial``: the project's sign-in view answers htmx with its form alone, so *Add
    account* may open it inside the menu.
    """
    if placement not in PLACEMENTS:
        raise template.TemplateSyntaxError(
            f"user_button: placement is {placement!r}; it must be one of {', '.join(PLACEMENTS)}."
        )
    request: MultiSessionRequest | None = context.get("request")
    if request is None:  # a bare error page
        return {}
    options = Options(
        sign_in_url=sign_in_url,
        after_switch_url=after_switch_url,
        after_sign_out_url=after_sign_out_url,
        after_sign_out_one_url=after_sign_out_one_url,
        profile_url=profile_url,
        sign_in_partial=sign_in_partial,
    )
    return menu_context(request, options) | {
        "show_name": show_name,
        "default_open": default_open,
        "placement": placement,
        # Several buttons may share a page, and a page may fetch another one later.
        "button_id": f"ms-button-{secrets.token_hex(4)}",
    }


@register.inclusion_tag("multisession/_account_list.html", takes_context=True)
def account_list(context: Context, *, next: str = "") -> dict[str, Any]:
    """The list of the chooser, for a sign-in page: above a form that adds one more account.

    Accounts to switch to, and those that are signed out, to sign in again or to forget; nothing
    for a browser that knows none. ``next``: the page to go on to.
    """
    request: MultiSessionRequest | None = context.get("request")
    if request is None:  # a bare error page
        return {}
    return account_list_context(request, on_site(request, next))


@register.simple_tag(takes_context=True)
def session_list(context: Context) -> list[Session]:
    """``{% session_list as sessions %}``: the accounts signed in on this browser (one query)."""
    return list(context["request"].multisession.sessions)


@register.simple_tag(takes_context=True)
def active_session(context: Context) -> Session | None:
    """``{% active_session as session %}``: the session of ``request.user``, or None."""
    session: Session | None = context["request"].multisession.session
    return session


@register.simple_tag(takes_context=True)
def page_attributes(context: Context) -> SafeString | str:
    """``<body {% page_attributes %}>``: whose page this is, for ``notice.js``.

    ``{% user_button %}`` has said it already; this is for pages without one. Nothing without a
    request in the context.
    """
    request: MultiSessionRequest | None = context.get("request")
    if request is None:
        return ""
    session = request.multisession.session
    return format_html(
        'data-multisession-page="{}" data-multisession-notice="{}"',
        session.public_id if session else "",
        reverse("multisession:notice"),
    )


@register.filter
def account_profile(user: Any) -> Profile:
    """``{% with profile=session.user|account_profile %}``: name, identifier, initials, hue."""
    return profile_of(user)
