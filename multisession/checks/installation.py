"""System checks of the engine, the middleware, the settings and the cookie.

storage.py has the checks of databases and cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings as django_settings
from django.contrib.sessions import middleware as stock
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.middleware.cache import UpdateCacheMiddleware
from django.utils.module_loading import import_string

from multisession.backends.db import SessionStore
from multisession.conf import settings
from multisession.middleware import SessionMiddleware
from multisession.paths import AccountPathMiddleware

from .classes import class_at, engine_is, is_a

MIDDLEWARE = "multisession.middleware.SessionMiddleware"
PATHS = "multisession.paths.AccountPathMiddleware"
STOCK_MIDDLEWARE = "django.contrib.sessions.middleware.SessionMiddleware"
#: Middleware that must come after ours, and why.
LATER = {
    "django.middleware.csrf.CsrfViewMiddleware": (
        "forms would be checked before it is known which account they were drawn for"
    ),
    "django.contrib.auth.middleware.AuthenticationMiddleware": "it needs request.session",
    "django.contrib.messages.middleware.MessageMiddleware": "it needs request.session",
}
#: Packages whose impersonated sessions ``multisession.contrib.impersonation`` ends.
IMPERSONATION = ("hijack", "loginas", "django_su")
IMPERSONATION_APP = "multisession.contrib.impersonation"
#: Keys of MULTISESSION that may hold the dotted path of a function.
FUNCTIONS = (
    "ASK_AT_SWITCH",
    "CLIENT_ADDRESS",
    "CONFIRMED_AT",
    "MENU_ITEMS",
    "USER_LABEL",
    "USER_PICTURE",
)


@register(Tags.compatibility)
def check_installation(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check the settings, and that engine and middleware are both ours."""
    found: list[CheckMessage] = []
    if not engine_is(SessionStore):
        found.append(
            Error(
                f"SESSION_ENGINE is {django_settings.SESSION_ENGINE!r}.",
                hint="Set SESSION_ENGINE = 'multisession.backends.db'.",
                id="multisession.E001",
            )
        )
    found += _check_middleware()
    for key in settings.valid_keys():
        try:
            getattr(settings, key)
        except ImproperlyConfigured as error:
            hint = f"Valid keys of MULTISESSION: {', '.join(settings.valid_keys())}."
            found.append(Error(str(error), hint=hint, id="multisession.E004"))
            return found
    for key in FUNCTIONS:
        path = getattr(settings, key)
        if not isinstance(path, str) or "." not in path:
            continue
        try:
            import_string(path)
        except ImportError as error:
            text = f"MULTISESSION[{key!r}] is {path!r}, which can't be imported: {error}."
            hint = "Give the dotted path of a function."
            found.append(Error(text, hint=hint, id="multisession.E004"))
    return found


def _check_middleware() -> Iterator[CheckMessage]:
    """Check that our middleware is the only session middleware and comes early enough."""
    classes = {path: class_at(path) for path in django_settings.MIDDLEWARE}
    handling = [path for path, found in classes.items() if is_a(found, stock.SessionMiddleware)]
    ours = [path for path in handling if is_a(classes[path], SessionMiddleware)]
    others = [path for path in handling if path not in ours]
    for path in others:
        what = "is" if path == STOCK_MIDDLEWARE else "is a subclass of"
        yield Error(
            f"MIDDLEWARE has {path!r}, which {what} Django's session middleware: a late answer, "
            "or one that failed, would sign the browser out of every account.",
            hint=(
                f"Remove it: MIDDLEWARE has {ours[0]!r}, too."
                if ours
                else f"Replace it by {MIDDLEWARE!r}, and make that the base of your own subclass."
            ),
            id="multisession.E002",
        )
    if others:
        return
    if not ours:
        yield Warning(
            f"MIDDLEWARE does not have {MIDDLEWARE!r}, so requests have no session of ours.",
            hint="Add it, in place of any other session middleware.",
            id="multisession.W007",
        )
        return
    before = list(classes.values())[: list(classes).index(ours[0])]
    with suppress(ImproperlyConfigured):  # multisession.E004
        yield from _check_account_paths(before)
    for path, found in list(classes.items())[: list(classes).index(ours[0])]:
        reason = next((why for later, why in LATER.items() if is_a(found, class_at(later))), None)
        if reason is not None:
            yield Error(
                f"{path!r} comes before the session middleware: {reason}.",
                hint=f"Move it below {ours[0]!r} in MIDDLEWARE.",
                id="multisession.E003",
            )
    for path, found in list(classes.items())[list(classes).index(ours[0]) :]:
        if is_a(found, UpdateCacheMiddleware):
            yield Warning(
                f"{path!r} comes after the session middleware: it stores pages before they are "
                "marked with 'Vary: Cookie', and may show one person's page to another.",
                hint=f"Move it above {ours[0]!r} in MIDDLEWARE.",
                id="multisession.W008",
            )


def _check_account_paths(before: list[Any]) -> Iterator[CheckMessage]:
    """Check that the middleware of ``ACCOUNT_PATHS`` is the first one.

    And that no rule for switches is set beside it: a path leads to its account without one.
    """
    if not settings.ACCOUNT_PATHS:
        return
    if settings.ASK_AT_SWITCH is not None:
        yield Error(
            "MULTISESSION['ASK_AT_SWITCH'] is set, and ACCOUNT_PATHS leads to every account of the "
            "browser without a switch.",
            hint="Remove one of them.",
            id="multisession.E006",
        )
    place = next((n for n, found in enumerate(before) if is_a(found, AccountPathMiddleware)), None)
    if place is None:
        yield Error(
            f"MULTISESSION['ACCOUNT_PATHS'] is on, and {PATHS!r} does not come before the session "
            "middleware: every link to another account leads to a page that does not exist.",
            hint=f"Put {PATHS!r} first in MIDDLEWARE.",
            id="multisession.E005",
        )
    elif place:
        yield Warning(
            f"{django_settings.MIDDLEWARE[0]!r} comes before {PATHS!r}: in the tab of an account "
            "it sees request.path_info with the prefix /u/N/.",
            hint=f"Put {PATHS!r} first in MIDDLEWARE.",
            id="multisession.W018",
        )


@register(Tags.compatibility)
def check_cookie_paths(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> Iterator[CheckMessage]:
    """Check that browsers send the cookies to ``/u/N/``, too."""
    try:
        if not settings.ACCOUNT_PATHS:
            return
    except ImproperlyConfigured:
        return  # multisession.E004
    root = (django_settings.FORCE_SCRIPT_NAME or "").rstrip("/")
    for name in ("SESSION_COOKIE_PATH", "CSRF_COOKIE_PATH", "LANGUAGE_COOKIE_PATH"):
        path = getattr(django_settings, name)
        if path.rstrip("/") not in ("", root):
            yield Warning(
                f"{name} is {path!r}: browsers don't send that cookie to the pages below /u/N/.",
                hint=(
                    f"Set {name} to '/'. If the server mounts the site at {path!r}, silence this "
                    "warning."
                ),
                id="multisession.W019",
            )


@register(Tags.security)
def check_messages(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that no cookie stores messages: another account of the browser would read them."""
    session_storage = "django.contrib.messages.storage.session.SessionStorage"
    if not apps.is_installed("django.contrib.messages") or not engine_is(SessionStore):
        return []
    storage = django_settings.MESSAGE_STORAGE
    if not storage.startswith("django.contrib.messages.storage.") or storage == session_storage:
        return []
    return [
        Warning(
            "Messages are stored in a cookie, which all accounts of the browser share.",
            hint=f"Set MESSAGE_STORAGE = {session_storage!r}.",
            id="multisession.W001",
        )
    ]


@register(Tags.security)
def check_impersonation(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that the impersonation app is installed beside a package for "login as"."""
    installed = [name for name in IMPERSONATION if apps.is_installed(name)]
    if not installed or not engine_is(SessionStore) or apps.is_installed(IMPERSONATION_APP):
        return []
    return [
        Warning(
            f"{installed[0]!r} signs administrators in as other people, who stay signed in on the "
            "administrator's browser afterwards.",
            hint=f"Add {IMPERSONATION_APP!r} to INSTALLED_APPS.",
            id="multisession.W009",
        )
    ]


@register(Tags.security, deploy=True)
def check_cookie(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check the attributes of the cookie, which gives access to every account of the browser."""
    if not engine_is(SessionStore):
        return []
    name = django_settings.SESSION_COOKIE_NAME
    advice = [
        (
            not django_settings.SESSION_COOKIE_SECURE,
            "SESSION_COOKIE_SECURE is not True.",
            "Set it, so that browsers send the cookie over HTTPS only.",
            "multisession.W003",
        ),
        (
            not django_settings.SESSION_COOKIE_HTTPONLY,
            "SESSION_COOKIE_HTTPONLY is not True.",
            "Set it, so that no script can read the cookie.",
            "multisession.W004",
        ),
        (
            django_settings.SESSION_COOKIE_SAMESITE not in ("Lax", "Strict"),
            "SESSION_COOKIE_SAMESITE is neither 'Lax' nor 'Strict'.",
            "Set it to 'Lax'. With 'Strict', links from other sites open pages signed out.",
            "multisession.W005",
        ),
        (
            not name.startswith("__Host-")
            or django_settings.SESSION_COOKIE_DOMAIN is not None
            or django_settings.SESSION_COOKIE_PATH != "/",
            f"SESSION_COOKIE_NAME is {name!r}, which a subdomain can set.",
            "Set SESSION_COOKIE_NAME = '__Host-sessionid', with no SESSION_COOKIE_DOMAIN and "
            "SESSION_COOKIE_PATH '/'. Then browsers accept the cookie from this host only.",
            "multisession.W006",
        ),
    ]
    return [Warning(text, hint=hint, id=id_) for wrong, text, hint, id_ in advice if wrong]
