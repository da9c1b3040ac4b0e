"""A step of the engine as one transaction, tried again where it met another one halfway."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeVar

from django.db import OperationalError, transaction

T = TypeVar("T")


class Busy(OperationalError):
    """Two changes were in each other's way, twice: to be tried again in a moment (503)."""


def attempt(using: str, step: Callable[[], T], *touched: object, atomic: bool = True) -> T:
    """Carry out a step in a transaction; once more if it met another change halfway.

    A deadlock or a serialization failure undoes the whole transaction. Never tried again within
    somebody else's, who has to begin anew. ``touched``: the objects that the step changes, put back
    as they were when it fails. ``atomic``: False for a step of one statement. Raises Busy.
    """
    before = [(one, dict(vars(one))) for one in touched if one is not None]
    tries = 1 if transaction.get_connection(using).in_atomic_block else 2
    for left in reversed(range(tries)):
        try:
            with transaction.atomic(using=using) if atomic else nullcontext():
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
    """Return True if this says that two transactions were in each other's way.

    PostgreSQL's 40001 and 40P01, MySQL's and MariaDB's 1205 and 1213, SQLite's SQLITE_BUSY.
    """
    cause = error.__cause__
    sqlstate = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    code = error.args[0] if error.args else None
    return (
        sqlstate in ("40001", "40P01")
        or code in (1205, 1213)
        or getattr(cause, "sqlite_errorname", "").startswith("SQLITE_BUSY")
        or (isinstance(code, str) and "database is locked" in code)
    )
