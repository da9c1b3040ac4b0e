"""System checks of the databases and the cache. Their ids begin at 010, except W002.

None of them connects to a database or a cache, so every ``manage.py check`` runs them; except
``check_purge``, which runs with ``--database`` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings as django_settings
from django.contrib.sessions.backends import signed_cookies
from django.core.cache import DEFAULT_CACHE_ALIAS
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections, router, transaction

from multisession.backends import cached_db, db
from multisession.conf import settings
from multisession.engine import adoption, prepared
from multisession.upkeep import purge

from .classes import class_at, engine_is, is_a


@register(Tags.compatibility)
def check_databases(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that the models are in one database that exists, and that SQLite locks early."""
    if not engine_is(db.SessionStore):
        return []
    writing: set[str] = set()
    for model in apps.get_app_config("multisession").get_models():
        try:
            reading = router.db_for_read(model)
            writing.add(router.db_for_write(model))
        except Exception as error:
            return [
                Error(
                    f"DATABASE_ROUTERS can't say where {model._meta.label} is: {error!r}.",
                    hint="Correct the router. It is called with the model only, without hints.",
                    id="multisession.E010",
                )
            ]
        for alias in {reading, *writing}:
            if alias not in connections:
                return [
                    Error(
                        f"DATABASE_ROUTERS puts {model._meta.label} into the database {alias!r}, "
                        "which is not in DATABASES.",
                        hint=f"Define DATABASES[{alias!r}], or correct the router.",
                        id="multisession.E010",
                    )
                ]
    if len(writing) > 1:
        return [
            Error(
                f"DATABASE_ROUTERS writes sessions to several databases: {sorted(writing)}.",
                hint="Route the whole app 'multisession' to one database.",
                id="multisession.E011",
            )
        ]
    checks = (_check_sqlite, _check_preparing)
    return [message for alias in writing for check in checks for message in check(alias)]


def _check_sqlite(alias: str) -> list[CheckMessage]:
    """Check SQLite's transaction mode: concurrent writes fail in the deferred mode."""
    try:
        connection = connections[alias]
    except ImproperlyConfigured:
        return []  # Its driver is missing, which the first connection reports.
    given = connection.settings_dict
    mode = str(given.get("OPTIONS", {}).get("transaction_mode") or "").upper()
    if (
        connection.vendor != "sqlite"
        or mode in ("IMMEDIATE", "EXCLUSIVE")
        or _is_in_memory(str(given.get("NAME", "")))
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


def _check_preparing(alias: str) -> list[CheckMessage]:
    """Check that the database can prepare statements if ``PREPARE`` is on."""
    try:
        if not settings.PREPARE:
            return []
        connection = connections[alias]
    except ImproperlyConfigured:
        return []  # The setting is invalid (multisession.E004), or the driver is missing.
    reason = prepared.reason_against(connection)
    if reason is None:
        return []
    text = f"MULTISESSION['PREPARE'] does nothing: the database {alias!r} {reason}."
    hint = "Remove it, or see docs/explanation/performance.md for what it needs."
    return [Warning(text, hint=hint, id="multisession.W011")]


@register(Tags.caches, Tags.security)
def check_cache(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that all processes share the cache of ``cached_db``, so that a sign-out reaches all."""
    if not engine_is(cached_db.SessionStore):
        return []
    alias = django_settings.SESSION_CACHE_ALIAS
    without = "set SESSION_ENGINE = 'multisession.backends.db', which needs no cache."
    if alias not in django_settings.CACHES:
        if alias == DEFAULT_CACHE_ALIAS:
            return []  # Django's own check reports it.
        return [
            Error(
                f"SESSION_CACHE_ALIAS is {alias!r}, which is not in CACHES.",
                hint=f"Define CACHES[{alias!r}], or {without}",
                id="multisession.E012",
            )
        ]
    cache = class_at(django_settings.CACHES[alias].get("BACKEND"))
    if is_a(cache, LocMemCache):
        text = (
            f"The sessions are cached in CACHES[{alias!r}], which processes don't share. A session "
            "that one process ends stays valid in the others for up to a minute."
        )
    elif is_a(cache, DummyCache):
        text = f"The sessions are cached in CACHES[{alias!r}], which stores nothing."
    else:
        return []
    hint = f"Use a cache that all processes share, such as Redis, or {without}"
    return [Error(text, hint=hint, id="multisession.E014")]


@register(Tags.compatibility, Tags.security)
def check_adoption(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that the sessions of the engine in ``ADOPT_FROM`` can be read and ended."""
    try:
        path = settings.ADOPT_FROM
    except ImproperlyConfigured:
        return []  # multisession.E004
    if path is None:
        return []
    hint = "Set it to the SESSION_ENGINE that the project used before."
    try:
        store = adoption.store_class(path)
        if hasattr(store, "get_model_class"):
            store.get_model_class()
    except Exception as error:
        text = f"MULTISESSION['ADOPT_FROM'] is {path!r}, which can't be used: {error}"
        hint += " Keep its app ('django.contrib.sessions') in INSTALLED_APPS during the move."
    else:
        if is_a(store, signed_cookies.SessionStore):
            text = (
                "MULTISESSION['ADOPT_FROM'] can't be signed cookies. The server can't end such a "
                "session, so an old copy of the cookie would sign in again after a sign-out."
            )
            hint = "Leave ADOPT_FROM out. Everybody signs in once more."
        elif is_a(store, db.SessionStore):
            text = f"MULTISESSION['ADOPT_FROM'] is {path!r}, which is the engine in use."
        else:
            return []
    return [Error(text, hint=hint, id="multisession.E013")]


def _is_in_memory(name: str) -> bool:
    """Return True for an in-memory database, whose threads share one connection."""
    return ":memory:" in name or "mode=memory" in name


@register(Tags.database)
def check_purge(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """Check that ``clearsessions`` runs: it leaves no rows that were due a week ago."""
    if not databases or not engine_is(db.SessionStore):
        return []
    try:
        using = router.db_for_write(apps.get_model("multisession", "Session"))
    except Exception:
        return []  # multisession.E010
    overdue = 0
    if using in databases:
        # (No table yet, or one from before a migration: nothing to say about its rows.)
        with suppress(DatabaseError), transaction.atomic(using=using):
            overdue = purge.overdue(using)
    if overdue < purge.MANY:
        return []
    return [
        Warning(
            f"At least {purge.MANY:,} rows were to be deleted or erased more than a week ago: "
            "'manage.py clearsessions' does not run.",
            hint="Run it once a day; docs/howto/privacy.md shows how.",
            id="multisession.W017",
        )
    ]
