"""``{% load multisession %}``: the UserButton, and tags for building your own."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import template
from django.template import Context, NodeList
from django.template.base import FilterExpression, Parser, Token, token_kwargs
from django.utils.html import format_html
from django.utils.safestring import SafeString

from multisession import paths
from multisession.conf import settings
from multisession.guard import page_tokens
from multisession.models import Session
from multisession.pages.items import MenuItem, as_items
from multisession.pages.links import (
    after_switch_url,
    current_page,
    on_site,
    page_to_keep,
    script_url,
    url_of,
)
from multisession.pages.menu import Options, account_list_context, button_context
from multisession.pages.organization_menu import SwitcherOptions, switcher_context
from multisession.pages.profiles import Profile, profile_of
from multisession.pages.refusal import QUIET, is_quiet
from multisession.pages.views import SWITCHED
from multisession.request import MultiSessionRequest

register = template.Library()

#: The context variable in which tags inside ``{% user_button_with %}`` collect their items.
ITEMS = "multisession_menu_items"


@register.inclusion_tag("multisession/user_button.html", takes_context=True)
def user_button(context: Context, **options: Any) -> dict[str, Any]:
    """Show the active account's avatar with its menu.

    While no account is active, show a link to the sign-in page, or to the chooser if accounts are
    signed in on this browser, and a button back to the account that stepped aside.

    ``options``: the fields of ``multisession.pages.menu.Options``, each with its default.
    ``items``: more lines for the menu, as in the setting ``MENU_ITEMS``.
    ``sign_in_partial``: True if the project's sign-in view answers htmx with only its form, so that
    *Add account* may open it inside the menu.

    Costs no query beyond the one for ``request.user``, as the list of accounts is loaded when the
    menu is about to be opened. While no account is active, it costs one query on a browser that
    has a client. Without a request in the context it renders nothing.
    """
    return _button_context(context, _options("user_button", options))


@register.tag
def user_button_with(parser: Parser, token: Token) -> UserButtonNode:
    """``{% user_button_with … %}`` … ``{% enduser_button_with %}``: add lines to the menu.

    Takes the options of ``user_button``. Put ``menu_link`` and ``menu_action`` between the two
    tags, with ``if`` and ``for`` as needed; any other output is dropped.
    """
    name, *words = token.split_contents()
    options = token_kwargs(words, parser)
    if words:
        raise template.TemplateSyntaxError(f"{name} takes keywords only, not {words[0]!r}.")
    nodes = parser.parse((f"end{name}",))
    parser.delete_first_token()
    return UserButtonNode(nodes, options)


class UserButtonNode(template.Node):
    def __init__(self, nodelist: NodeList, options: dict[str, FilterExpression]) -> None:
        self.nodelist = nodelist
        self.options = options

    def render(self, context: Context) -> SafeString:
        given = {name: value.resolve(context) for name, value in self.options.items()}
        items: list[MenuItem] = []
        with context.push(**{ITEMS: items}):
            self.nodelist.render(context)
        options = _options("user_button_with", given | {"items": [*given.get("items", ()), *items]})
        values = context.new(_button_context(context, options))
        values["csrf_token"] = context.get("csrf_token")
        button = context.template.engine.get_template("multisession/user_button.html")  # type: ignore[union-attr]
        return button.render(values)


@register.simple_tag(takes_context=True)
def menu_link(context: Context, label: str, url: str, **more: str) -> str:
    """``{% menu_link _("Help") "help" place="before" icon="help" %}``: add a link to the menu."""
    return _add_item(context, "menu_link", label=label, url=url, **more)


@register.simple_tag(takes_context=True)
def menu_action(context: Context, label: str, url: str, **more: str) -> str:
    """``{% menu_action _("Archive") "archive" %}``: add a button that posts, with a CSRF token."""
    return _add_item(context, "menu_action", label=label, url=url, post=True, **more)


@register.inclusion_tag("multisession/user_button_mount.html", takes_context=True)
def user_button_mount(context: Context, **options: Any) -> dict[str, Any]:
    """Show an empty element that loads the button, for cached pages.

    Takes the options of ``user_button``. Reads neither session nor user, so the page may be cached.
    """
    button_url = url_of("multisession:button")
    request = context.get("request")
    more = {QUIET: "1"} if request is not None and is_quiet(request) else {}
    query = _options("user_button_mount", options).query(**more)
    return {
        "button_url": button_url and button_url + query,
        "choose_url": url_of(settings.CHOOSE_URL),
    }


def _options(tag: str, given: dict[str, Any]) -> Options:
    try:
        return Options(**{**given, "items": as_items(given.get("items") or ())})
    except (TypeError, ValueError) as error:
        raise template.TemplateSyntaxError(f"{tag}: {error}") from error


def _button_context(context: Context, options: Options) -> dict[str, Any]:
    request: MultiSessionRequest | None = context.get("request")
    # A bare error page has no request.
    return {} if request is None else button_context(request, options)


def _add_item(context: Context, tag: str, **fields: Any) -> str:
    if ITEMS not in context:
        raise template.TemplateSyntaxError(
            f"{tag} belongs between user_button_with and enduser_button_with."
        )
    context[ITEMS].append(MenuItem(**fields))
    return ""


@register.inclusion_tag("multisession/_account_list.html", takes_context=True)
def account_list(context: Context, *, next: str = "") -> dict[str, Any]:
    """Show the list of the chooser, above a sign-in form that adds one more account.

    It has the accounts to switch to and the signed-out ones, to sign in again or to forget. Renders
    nothing if the browser has none. ``next``: the page to go to after the choice.
    """
    request: MultiSessionRequest | None = context.get("request")
    if request is None:  # A bare error page has none.
        return {}
    return account_list_context(request, on_site(request, next))


@register.inclusion_tag("multisession/organization_switcher.html", takes_context=True)
def organization_switcher(context: Context, **options: Any) -> dict[str, Any]:
    """Show the active account's organization with a menu of the others.

    ``options``: the fields of ``multisession.pages.organization_menu.SwitcherOptions``. Renders
    nothing while no account is active, without organizations, and on a bare error page. Costs the
    provider's two answers.
    """
    try:
        given = SwitcherOptions(**options)
    except (TypeError, ValueError) as error:
        raise template.TemplateSyntaxError(f"organization_switcher: {error}") from error
    request: MultiSessionRequest | None = context.get("request")
    return {} if request is None else switcher_context(request, given)


@register.inclusion_tag("multisession/_switch_back.html", takes_context=True)
def switch_back(context: Context, message: Any) -> dict[str, Any]:
    """``{{ message }} {% switch_back message %}``: after a switch, show a button back.

    Renders nothing for any other message, and if the account before has signed out since. Costs the
    query for the accounts of this browser, on the page after a switch only.
    """
    request: MultiSessionRequest | None = context.get("request")
    tag, _space, before = str(getattr(message, "extra_tags", "") or "").partition(" ")
    if request is None or tag != SWITCHED:
        return {}
    others = request.multisession.other_sessions
    found = next((row for row in others if row.public_id == before), None)
    return {"session": found, "next": page_to_keep(request)}


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
    """``<body {% page_attributes %}>``: name the page's account, for ``notice.js``.

    Only for pages without ``{% user_button %}``, which names it, too. Renders nothing without a
    request in the context.
    """
    request: MultiSessionRequest | None = context.get("request")
    if request is None:
        return ""
    notice_url = "" if is_quiet(request) else url_of("multisession:notice")
    return format_html(
        'data-multisession-page="{}" {}data-multisession-more="{}"',
        page_tokens.page_name(page_tokens.effective_session(request)),
        notice_url and format_html('data-multisession-notice="{}" ', notice_url),
        script_url("multisession/more.js"),
    )


@register.filter
def account_profile(account: Any) -> Profile:
    """``{% with profile=session|account_profile %}``: name, identifier, initials, hue.

    Also for a user alone, who then has neither the nickname nor the chosen colour.
    """
    return profile_of(account)


@register.simple_tag(takes_context=True)
def account_link(context: Context, session: Session, page: str = "") -> str:
    """Return the URL of a page as this account, under ``ACCOUNT_PATHS``; else "".

    ``page``: by default the current one, and on a sign-in page or the chooser the one that it
    leads to.
    """
    request = context.get("request")
    if not settings.ACCOUNT_PATHS or request is None or not session.number:
        return ""
    page = page or current_page(request) or after_switch_url()
    return paths.account_url(request, session.number, page)


@register.simple_tag(takes_context=True)
def tab_title(context: Context) -> str:
    """Return "Ada Lovelace · " in a tab of an account (``ACCOUNT_PATHS``), else ""."""
    active = _active_in_tab(context)
    return f"{profile_of(active).name} · " if active else ""


@register.simple_tag(takes_context=True)
def tab_icon(context: Context) -> SafeString | str:
    """Render a ``<link>`` to the account's icon in a tab of an account, else nothing."""
    active = _active_in_tab(context)
    if active is None:
        return ""
    # Browsers keep icons whatever the headers say, so the URL changes with the picture.
    profile = profile_of(active)
    version = urlencode({"of": f"{active.public_id} {profile.hue} {profile.initials}"})
    icon = '<link rel="icon" type="image/svg+xml" href="{}?{}">'
    return format_html(icon, url_of("multisession:icon"), version)


def _active_in_tab(context: Context) -> Session | None:
    request: MultiSessionRequest | None = context.get("request")
    if request is None or paths.number_of(request) is None:
        return None
    return request.multisession.session


@register.simple_tag(takes_context=True)
def share_url(context: Context, url: str) -> str:
    """Return a URL of this site without an account's number, for a link that leaves the browser."""
    return paths.share_url(context.get("request"), url)
