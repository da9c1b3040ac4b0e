"""The project's own lines in the menu: links, and buttons that post."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.module_loading import import_string

from multisession.conf import settings
from multisession.request import MultiSessionRequest

PLACES = ("before", "after")


@dataclass(frozen=True, kw_only=True)
class MenuItem:
    """One line of the menu. Raises ``ImproperlyConfigured`` if it can't be shown."""

    label: str
    #: A URL or URL name.
    url: str
    #: Show a button that posts instead of a link. The URL must be on this site, as the form has the
    #: CSRF token.
    post: bool = False
    #: The place of the line: before or after *Manage account* and *Sign out*.
    place: Literal["before", "after"] = "after"
    #: The name of an icon in ``multisession/_icon.html``.
    icon: str = "arrow"

    def __post_init__(self) -> None:
        # Labels and URLs may be lazy strings, which can't be serialised into the menu's URL.
        object.__setattr__(self, "label", str(self.label))
        object.__setattr__(self, "url", resolve_url(self.url))
        if self.place not in PLACES:
            raise ImproperlyConfigured(
                f"The place of the menu item {self.label!r} is {self.place!r}; it must be one of "
                f"{', '.join(PLACES)}."
            )
        if urlsplit(self.url).scheme not in {"", "http", "https", "mailto", "tel"}:
            raise ImproperlyConfigured(f"The menu item {self.label!r} leads to {self.url!r}.")
        if self.post and not url_has_allowed_host_and_scheme(self.url, allowed_hosts=None):
            raise ImproperlyConfigured(
                f"The menu item {self.label!r} posts to {self.url!r}; it must be a path here."
            )


def as_items(given: Iterable[MenuItem | Mapping[str, Any]]) -> tuple[MenuItem, ...]:
    """Return the items, made from dictionaries if needed. Raises TypeError for an unknown field."""
    return tuple(item if isinstance(item, MenuItem) else MenuItem(**item) for item in given)


def items_of_setting(request: MultiSessionRequest) -> tuple[MenuItem, ...]:
    """Return the items of the setting ``MENU_ITEMS``."""
    given = settings.MENU_ITEMS
    return as_items(import_string(given)(request) if isinstance(given, str) else given)
