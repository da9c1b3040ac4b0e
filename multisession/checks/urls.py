"""System checks of the URLs: ours are included, and the pages that our links lead to exist.

At run time a missing URL is no error: the link is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.core.checks import CheckMessage, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, is_valid_path, resolve
from django.utils import translation

from multisession.backends.db import SessionStore
from multisession.conf import settings
from multisession.pages.links import url_of

from .classes import engine_is

#: Settings of Django and keys of MULTISESSION that name a page, and the links that lead there.
PAGES = (
    ("LOGIN_URL", "'Sign in' and 'Add account' lead"),
    ("PROFILE_URL", "'Manage account' leads"),
    ("LOGIN_REDIRECT_URL", "A switch leads"),
    ("LOGOUT_REDIRECT_URL", "Signing out of all accounts leads"),
    ("CHOOSE_URL", "'Choose an account' leads"),
    ("SESSIONS_URL", "'Devices' leads"),
)


@register(Tags.urls)
def check_urls(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that our URLs are included, and that the pages named in the settings exist."""
    if not engine_is(SessionStore) or not getattr(django_settings, "ROOT_URLCONF", None):
        return []
    try:
        return [*_check_ours(), *_check_pages(), *_check_account_paths()]
    except ImproperlyConfigured:
        return []  # multisession.E004


def _check_ours() -> Iterator[CheckMessage]:
    if not url_of("multisession:set_active"):
        yield Warning(
            "The URLs of multisession are not included: nobody can switch, add an account or sign "
            "out from the menu.",
            hint="Add path('multisession/', include('multisession.urls')) to your urlpatterns.",
            id="multisession.W014",
        )


def _check_pages() -> Iterator[CheckMessage]:
    given = getattr(django_settings, "MULTISESSION", {})
    for key, what in PAGES:
        if key in given:
            name, value = f"MULTISESSION[{key!r}]", getattr(settings, key)
        else:
            name, value = key, getattr(django_settings, key, None)
        if value and (problem := _problem(value)):
            yield Warning(
                f"{name} is {str(value)!r}, {problem}. {what} there.",
                hint=f"Set {name} to a URL, or the name of a URL, of this project.",
                id="multisession.W015",
            )


def _check_account_paths() -> Iterator[CheckMessage]:
    """Check that ``/u/N/`` hides no page of the project."""
    if not settings.ACCOUNT_PATHS:
        return
    for path in ("/u/1/", "/u/1"):
        try:
            route = resolve(path).route.removeprefix("^")
        except Resolver404:
            continue
        if route.startswith("u/"):
            yield Warning(
                f"MULTISESSION['ACCOUNT_PATHS'] is on, and hides the URL pattern {route!r}: "
                f"{path} is this site as account 1.",
                hint="Give that pattern another beginning.",
                id="multisession.W020",
            )
            return


def _problem(value: Any) -> str:
    try:
        url = url_of(str(value))
    except NoReverseMatch:  # a lazy URL
        url = ""
    if not url:
        return "which is not the name of a URL"
    return "" if _may_exist(url) else "which matches no URL pattern"


def _may_exist(url: str) -> bool:
    """Return True if the project has a page at this URL, or if that can't be told."""
    parts = urlsplit(url)
    prefix = get_script_prefix()
    if parts.scheme or parts.netloc or not parts.path.startswith(prefix):
        return True
    path = f"/{parts.path.removeprefix(prefix)}"
    language = translation.get_language_from_path(path) or django_settings.LANGUAGE_CODE
    paths = [path]
    if is_language_prefix_patterns_used(django_settings.ROOT_URLCONF)[0]:
        paths.append(f"/{language}{path}")  # where Django's LocaleMiddleware redirects to
    if django_settings.APPEND_SLASH:
        paths += [f"{path}/" for path in paths]
    with translation.override(language):
        return any(is_valid_path(path) for path in paths)
