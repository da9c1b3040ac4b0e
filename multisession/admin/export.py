"""Export the admin's list of sessions as a streamed file of any size."""

from __future__ import annotations

import csv
import datetime
import json
from collections.abc import Iterable, Iterator
from typing import Any

from multisession.ground.moments import in_utc
from multisession.models import Session
from multisession.models.session_sets import SessionQuerySet

#: The rows that one query reads.
CHUNK = 1000

COLUMNS = (
    "id",
    "client_id",
    "user_id",
    "account",
    "status",
    "ip_address",
    "user_agent",
    "created_at",
    "last_active_at",
    "updated_at",
    "expire_at",
    "abandon_at",
)

#: Spreadsheets take a cell that begins with one of these for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\N{FULLWIDTH EQUALS SIGN}")


def as_csv(found: SessionQuerySet) -> Iterator[str]:
    """Yield CSV, line by line. Escapes cells that a spreadsheet would take for formulas."""
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for session in _in_chunks(found):
        yield writer.writerow([_cell(value) for value in _values(session)])


def as_json(found: SessionQuerySet) -> Iterator[str]:
    """Yield JSON: one array with an object on each line."""
    yield "["
    before = "\n"
    for session in _in_chunks(found):
        yield before + json.dumps(dict(zip(COLUMNS, _values(session), strict=True)))
        before = ",\n"
    yield "\n]\n"


def _values(session: Session) -> Iterable[Any]:
    for value in (
        session.public_id,
        session.client.public_id,
        session.user_id,
        session.user.get_username() if session.user else None,
        session.current_status.value,
        session.ip_address,
        session.client.user_agent,
        session.created_at,
        session.last_active_at,
        session.updated_at,
        session.expire_at,
        session.abandon_at,
    ):
        if isinstance(value, datetime.datetime):
            yield in_utc(value).isoformat()
        else:
            yield value if value is None or isinstance(value, int) else str(value)


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA):
        return f"'{value}"
    return value


class _Echo:
    """A file for ``csv.writer`` whose ``write()`` returns its argument."""

    def write(self, line: str) -> str:
        return line


def _in_chunks(found: SessionQuerySet) -> Iterator[Session]:
    """Yield all rows, the newest first, in several queries without an open transaction."""
    rest = found.order_by("-pk")
    rows = list(rest[:CHUNK])
    while rows:
        yield from rows
        if len(rows) < CHUNK:
            return
        rows = list(rest.filter(pk__lt=rows[-1].pk)[:CHUNK])
