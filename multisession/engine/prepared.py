"""A cursor that has PostgreSQL prepare its statement: ``MULTISESSION["PREPARE"]``.

Planning a page's one statement takes PostgreSQL a third of the page's time, and the plan is always
the same. A project can have all of its statements prepared (``server_side_binding`` and
``prepare_threshold``); this is for the one.

Django's cursors write the values into the text of a statement. The cursor made here sends them
beside it, so psycopg can prepare it, and does so when a connection executes it for the second time.
All around the cursor is Django's: the statement is logged, counted and seen by ``execute_wrapper``.

A prepared statement can be lost (``DISCARD ALL``) or out of date (a migration changed the type of
a column). PostgreSQL then refuses it. It is executed once more without, and prepared again later.
Such a refusal ends a transaction, so nothing is prepared inside one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any


def reason_against(connection: Any) -> str | None:
    """Return why nothing can be prepared on this connection of Django's, or None."""
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
    """Return ``connection.cursor()``, preparing what it executes where that is possible."""
    if connection.in_atomic_block or reason_against(connection):
        return connection.cursor()
    # Before the factory is changed: what these execute is not to be prepared.
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
    """Return False for a class of the project or of a tracer: its cursors are kept."""
    from django.db.backends.postgresql import base

    return factory in (base.Cursor, base.ServerBindingCursor)


@lru_cache
def _is_psycopg_3() -> bool:
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    return bool(is_psycopg3)


@lru_cache
def _preparing() -> Any:
    """Return the class of the cursor. Made late: psycopg may not be installed."""
    import psycopg
    from psycopg import errors

    refused = (
        errors.InvalidSqlStatementName,  # It is gone.
        errors.DuplicatePreparedStatement,  # The name is somebody else's.
        errors.FeatureNotSupported,  # "cached plan must not change result type"
    )

    class Sent:
        """``cursor._query`` for Django's log. psycopg leaves it out for prepared statements."""

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
