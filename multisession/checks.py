"""System checks: what a project may have overlooked, each with what to change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.utils.module_loading import import_string

from .conf import settings

MIDDLEWARE = "multisession.middleware.SessionMiddleware"
STOCK_MIDDLEWARE = "django.contrib.sessions.middleware.SessionMiddleware"
#: What reads ``request.session`` or ``request.user`` and so has to come after our middleware.
LATER = (
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
)


@register(Tags.compatibility)
def check_installation(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """The engine and the middleware, which only work together, and the settings."""
    found: list[CheckMessage] = []
    ours = _engine_is_ours()
    position = _position_of_middleware()
    if not ours:
        found.append(
            Error(
                f"SESSION_ENGINE is {django_settings.SESSION_ENGINE!r}.",
                hint="Set SESSION_ENGINE = 'multisession.backends.db'.",
                id="multisession.E001",
            )
        )
    if STOCK_MIDDLEWARE in django_settings.MIDDLEWARE:
        found.append(
            Error(
                "MIDDLEWARE has Django's session middleware: a late answer, or one that failed, "
                "would sign the browser out of every account.",
                hint=f"Put {MIDDLEWARE!r} in the place of {STOCK_MIDDLEWARE!r}.",
                id="multisession.E002",
            )
        )
    elif position is None:
        found.append(
            Warning(
                "There is no session middleware in MIDDLEWARE: requests have no session.",
                hint=f"Add {MIDDLEWARE!r}.",
                id="multisession.W007",
            )
        )
    else:
        found += [
            Error(
                f"{path!r} comes before the session middleware.",
                hint=f"Move it below {MIDDLEWARE!r} in MIDDLEWARE.",
                id="multisession.E003",
            )
            for path in LATER
            if path in django_settings.MIDDLEWARE[:position]
        ]
    for key in settings.valid_keys():
        try:
            getattr(settings, key)
        except ImproperlyConfigured as error:
            hint = f"Valid keys of MULTISESSION: {', '.join(settings.valid_keys())}."
            found.append(Error(str(error), hint=hint, id="multisession.E004"))
            break
    return found


@register(Tags.security)
def check_messages(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Messages in a cookie belong to the browser: another account would read them."""
    session_storage = "django.contrib.messages.storage.session.SessionStorage"
    if not apps.is_installed("django.contrib.messages") or not _engine_is_ours():
        return []
    storage = django_settings.MESSAGE_STORAGE
    if not storage.startswith("django.contrib.messages.storage.") or storage == session_storage:
        return []
    return [
        Warning(
            "Messages are stored in a cookie, which follows the browser from account to account.",
            hint=f"Set MESSAGE_STORAGE = {session_storage!r}.",
            id="multisession.W001",
        )
    ]


@register(Tags.compatibility)
def check_sqlite(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """In SQLite's deferred mode two requests at once end in "database is locked"."""
    from .models import Session

    alias = router.db_for_write(Session)
    connection = connections[alias]
    if not _engine_is_ours() or connection.vendor != "sqlite":
        return []
    if connection.settings_dict.get("OPTIONS", {}).get("transaction_mode") in (
        "IMMEDIATE",
        "EXCLUSIVE",
    ):
        return []
    return [
        Warning(
            f"The SQLite database {alias!r} begins its transactions in deferred mode.",
            hint=(
                f"Set DATABASES[{alias!r}]['OPTIONS']['transaction_mode'] = 'IMMEDIATE': "
                "otherwise concurrent sign-ins fail with 'database is locked'."
            ),
            id="multisession.W002",
        )
    ]


@register(Tags.security, deploy=True)
def check_cookie(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """The one cookie opens every account of the browser: it deserves every protection."""
    if not _engine_is_ours():
        return []
    name = django_settings.SESSION_COOKIE_NAME
    advice = [
        (
            not django_settings.SESSION_COOKIE_SECURE,
            "SESSION_COOKIE_SECURE is not True.",
            "Set it, so that the cookie is never sent in the clear.",
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
            "Set it to 'Lax'; 'Strict' signs out whoever follows a link from elsewhere.",
            "multisession.W005",
        ),
        (
            not name.startswith("__Host-")
            or django_settings.SESSION_COOKIE_DOMAIN is not None
            or django_settings.SESSION_COOKIE_PATH != "/",
            f"SESSION_COOKIE_NAME is {name!r}, which a subdomain can set.",
            "Set SESSION_COOKIE_NAME = '__Host-sessionid', with no SESSION_COOKIE_DOMAIN and "
            "SESSION_COOKIE_PATH '/': browsers then take the cookie from this host alone.",
            "multisession.W006",
        ),
    ]
    return [Warning(text, hint=hint, id=id_) for wrong, text, hint, id_ in advice if wrong]


def _engine_is_ours() -> bool:
    from .backends.db import SessionStore

    try:
        store = import_string(f"{django_settings.SESSION_ENGINE}.SessionStore")
    except ImportError:
        return False
    return isinstance(store, type) and issubclass(store, SessionStore)


def _position_of_middleware() -> int | None:
    from .middleware import SessionMiddleware

    for index, path in enumerate(django_settings.MIDDLEWARE):
        try:
            middleware = import_string(path)
        except ImportError:
            continue
        if isinstance(middleware, type) and issubclass(middleware, SessionMiddleware):
            return index
    return None
