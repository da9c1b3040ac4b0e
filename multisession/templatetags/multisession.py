"""``{% load multisession %}``: the UserButton, and what one needs to build another."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context, NodeList
from django.template.base import FilterExpression, Parser, Token, token_kwargs
from django.utils.html import format_html
from django.utils.safestring import SafeString

from multisession.conf import settings
from multisession.models import Session
from multisession.pages.items import MenuItem, as_items
from multisession.pages.links import on_site, url_of
from multisession.pages.menu import Options, account_list_context, button_context
from multisession.pages.profiles import Profile, profile_of
from multisession.request import MultiSessionRequest

register = template.Library()

#: Where the tags inside ``{% user_button_with %}`` put their items.
ITEMS = "multisession_menu_items"


@register.inclusion_tag("multisession/user_button.html", takes_context=True)
def user_button(context: Context, **options: Any) -> dict[str, Any]:
    """Show the active account's avatar with its menu.

    While nobody is active: a link to sign in; to the chooser, if accounts are signed in on this
    browser; and the way back to the account that stepped aside.

    ``options``: the fields of ``multisession.pages.menu.Options``, each with its default.
    ``items``: more lines for the menu, as in the setting ``MENU_ITEMS``.
    ``sign_in_partial``: the project's sign-in view answers htmx with its form alone, so *Add
    account* may open it inside the menu.

    Costs no query beyond the one for ``request.user``: the list of accounts is loaded when
    somebody is about to open the menu. While nobody is active it costs one, on a browser that we
    have met. Without a request in the context it renders nothing.
    """
    return _button_context(context, _options("user_button", options))


@register.tag
def user_button_with(parser: Parser, token: Token) -> UserButtonNode:
    """``{% user_button_with … %}`` … ``{% enduser_button_with %}``: with lines of the project's.

    Takes what ``user_button`` takes. Between the two stand ``menu_link`` and ``menu_action``, and
    whatever decides which of them, such as ``if`` and ``for``; nothing else is shown.
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
    """``{% menu_link _("Help") "help" place="before" icon="help" %}``: a line that leads on."""
    return _add_item(context, "menu_link", label=label, url=url, **more)


@register.simple_tag(takes_context=True)
def menu_action(context: Context, label: str, url: str, **more: str) -> str:
    """``{% menu_action _("Archive") "archive" %}``: a line that posts, with the CSRF token."""
    return _add_item(context, "menu_action", label=label, url=url, post=True, **more)


@register.inclusion_tag("multisession/user_button_mount.html", takes_context=True)
def user_button_mount(context: Context, **options: Any) -> dict[str, Any]:
    """Show an empty element that fetches the button, for pages that a cache may keep.

    Takes what ``user_button`` takes. Touches neither session nor user, so a cache may keep it.
    """
    button_url = url_of("multisession:button")
    return {
        "button_url": button_url and button_url + _options("user_button_mount", options).query(),
        "choose_url": url_of(settings.CHOOSE_URL),
    }


def _options(tag: str, given: dict[str, Any]) -> Options:
    try:
        return Options(**{**given, "items": as_items(given.get("items") or ())})
    except (TypeError, ValueError) as error:
        raise template.TemplateSyntaxError(f"{tag}: {error}") from error


def _button_context(context: Context, options: Options) -> dict[str, Any]:
    request: MultiSessionRequest | None = context.get("request")
    return {} if request is None else button_context(request, options)  # none on a bare error page


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
        url_of("multisession:notice"),
    )


@register.filter
def account_profile(user: Any) -> Profile:
    """``{% with profile=session.user|account_profile %}``: name, identifier, initials, hue."""
    return profile_of(user)
