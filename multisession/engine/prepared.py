"""Prepare a page's one statement on PostgreSQL: ``MULTISESSION["PREPARE"]``.

Planning that statement takes a third of a page's time, and the plan is always the same. Django can
prepare all statements of a project (``server_side_binding`` and ``prepare_threshold``); this
prepares one.

Django's cursors write the values into the text of a statement. The cursor made here sends them
separately, so that psycopg prepares the statement when a connection executes it a second time. It
is still logged, counted and seen by ``execute_wrapper``.

PostgreSQL refuses a prepared statement that is lost (``DISCARD ALL``) or outdated (a migration
changed a column's type). It is then executed unprepared, and prepared again later. Such a refusal
aborts a transaction, so nothing is prepared inside one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any


def reason_against(connection: Any) -> str | None:
    """Return why this connection can prepare nothing, or None if it can."""
    if connection.vendor != "postgresql":
        return "is no PostgreSQL database"
    if not _is_psycopg_3():
        return "is reached by psycopg2, which prepares nothing"
    given = connection.settings_dict
    if given.get("DISABLE_SERVER_SIDE_CURSORS"):
        return "has DISABLE_SERVER_SIDE_CURSORS, as behind a pooler that shares out its connections"
    if given.get("CONN_MAX_AGE") == 0 and not given.get("OPTIONS", {}).get("pool"):
        return "has a new connection for each request, which would have to prepare it anew"
    return None


def cursor(connection: Any) -> Any:
    """Return ``connection.cursor()``, one that prepares if possible."""
    if connection.in_atomic_block or reason_against(connection):
        return connection.cursor()
    # Before the factory is changed, so that what these execute is not prepared.
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    raw = connection.connection
    ordinary = raw.cursor_factory
    if not raw.autocommit or not _is_djangos(ordinary):
        return connection.cursor()
    raw.cursor_factory = _preparing()
    try:
        return connection.cursor()
    finally:
        raw.cursor_factory = ordinary


def _is_djangos(factory: Any) -> bool:
    """Return False for a cursor class of the project or of a tracer, which must be kept."""
    from django.db.backends.postgresql import base

    return factory in (base.Cursor, base.ServerBindingCursor)


@lru_cache
def _is_psycopg_3() -> bool:
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    return bool(is_psycopg3)


@lru_cache
def _preparing() -> Any:
    """Return the cursor class. Created late, because psycopg may not be installed."""
    import psycopg
    from psycopg import errors

    refused = (
        errors.InvalidSqlStatementName,  # It is gone.
        errors.DuplicatePreparedStatement,  # The name is somebody else's.
        errors.FeatureNotSupported,  # "cached plan must not change result type"
    )

    class Sent:
        """Stand in for ``cursor._query``, which Django logs and psycopg leaves out here."""

        def __init__(self, *sent: Any) -> None:
            self._sent = sent

        @property
        def query(self) -> bytes:
            raw, query, params = self._sent
            return bytes(psycopg.ClientCursor(raw).mogrify(query, params).encode())

    # (The type checker may not have psycopg.)
    base: Any = psycopg.Cursor

    class PreparingCursor(base):  # type: ignore[misc]
        _query: Any

        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            raw = self.connection
            # Django sets None, with which psycopg prepares nothing, whatever a cursor asks for.
            before, raw.prepare_threshold = raw.prepare_threshold, 1
            try:
                return super().execute(query, params, **options)
            except refused:
                # psycopg has no public way to forget its prepared statements.
                raw._prepared.clear()
                return super().execute(query, params, **{**options, "prepare": False})
            finally:
                raw.prepare_threshold = before
                self._query = Sent(raw, query, params)

    return PreparingCursor
