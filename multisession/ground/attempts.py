"""Transactions: run a step as one, and once more after a deadlock; run a view without one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

from django.db import OperationalError, connections, transaction

T = TypeVar("T")
V = TypeVar("V", bound=Callable[..., Any])


def in_steps_of_its_own(view: V) -> V:
    """Take a view out of ``ATOMIC_REQUESTS``, which would hold the locks of all its batches."""
    for alias in connections:
        view = transaction.non_atomic_requests(alias)(view)
    return view


class Busy(OperationalError):
    """Two changes conflicted, twice: the client should try again in a moment (503)."""


def attempt(
    using: str,
    step: Callable[[], T],
    *touched: object,
    atomic: bool = True,
    savepoint: bool = True,
) -> T:
    """Run a step in a transaction; once more after a deadlock or a serialization failure.

    Both undo the whole transaction, so inside an outer one the step is not repeated. ``touched``:
    objects whose attributes the step sets; they are set back when it fails. ``atomic``: False for a
    step of one statement, which needs no transaction. ``savepoint``: False if an outer transaction
    may fail with it. Raises Busy.
    """
    before = [(one, dict(vars(one))) for one in touched if one is not None]
    tries = 1 if transaction.get_connection(using).in_atomic_block else 2
    for left in reversed(range(tries)):
        try:
            with transaction.atomic(using, savepoint) if atomic else nullcontext():
                return step()
        except BaseException as error:
            for one, values in before:
                vars(one).clear()
                vars(one).update(values)
            if not isinstance(error, OperationalError) or not is_conflict(error):
                raise
            if not left:
                raise Busy(*error.args) from error
    raise AssertionError


def is_conflict(error: OperationalError) -> bool:
    """Return True if the error says that two transactions conflicted.

    PostgreSQL's 40001 and 40P01, MySQL's and MariaDB's 1205 and 1213, SQLite's SQLITE_BUSY.
    """
    if isinstance(error, Busy):
        return True  # of a step within this one
    cause = error.__cause__
    sqlstate = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    code = error.args[0] if error.args else None
    return (
        sqlstate in ("40001", "40P01")
        or code in (1205, 1213)
        or getattr(cause, "sqlite_errorname", "").startswith("SQLITE_BUSY")
        or (isinstance(code, str) and "database is locked" in code)
    )
