"""A primary and a read-only replica that may lag, routed as in Django's documentation.

The project is tests/replicas, in its own process: on SQLite the replica is a snapshot of the file,
on PostgreSQL a server that follows the primary. Sessions are read where they are written, so each
verb works, and a sign-in or the end of a session shows at once.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from tests.replicas import postgresql
from tests.replicas.__main__ import WAYS

pytestmark = pytest.mark.once

BOTH = ["ada", "grace"]
#: What the project shows on its way, whatever the database, and whatever finds the session.
SHOWN = {
    "a visitor": [200, {"cart": "book"}],
    "signed in": [200, "ada", ["ada"]],
    "the cart came along": {"cart": "book"},
    "added": [200, "grace", BOTH],
    "the key alone": "grace",
    "written": [200, {"colour": "red"}],
    "switched": [200, "ada", BOTH],
    "signed in again": [200, "ada", BOTH],
    "stepped aside": [200, "", BOTH],
    "and back": [200, "ada", BOTH],
    "touched": 200,
    "cycled": [200, "ada", BOTH],
    "signed out of another": [200, "ada", ["ada"], ["grace"]],
    "forgotten": [200, []],
    "logout()": [200, "", ["ada"], ["grace"]],
    "and in once more": [200, "grace", BOTH],
    "flushed": [200, "", ["ada"]],
    "sign-out of all": [200, "", []],
    "announced": ["session_activated", "session_created", "session_ended"],
    "revoked": ["ada", "", "revoked"],
    "revoked by name": ["ada", "", "revoked"],
    "revoked in the terminal": ["ada", "", "revoked"],
    "deactivated": ["alan", "", "revoked"],
    "before the deletion": "mary",
    "deleted": ["", 0],
    "listed": 1,
    "expired": ["", 0],
    "purged": "expired",
    "caught up": [True, "grace", ""],
    "tables read from the replica": ["accounts_user"],
}
#: Of views that have no asynchronous twin.
ALSO = {
    "a new password": ["ada", 200, "ada", ""],
    "and another account beside it": [200, ["ada", "joan"]],
    "signed up": [200, "edsger"],
    "its pages": [200, 200],
    "read from there on": ["replica", "replica"],
}


def told(primary: str, replica: str) -> dict[str, Any]:
    """What the project shows in each way, in a process of its own.

    ``replica`` is empty for one that is never behind.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.replicas"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=settings.BASE_DIR,
        env={**os.environ, "DATABASE_URL": primary, "REPLICA_URL": replica},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


#: A replica that lags, and one that has heard of everything already.
LAGS, FOLLOWS = "lags", "follows"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[str, str]]:
    if reason := postgresql.missing():
        pytest.skip(reason)
    with postgresql.primary_and_replica() as urls:
        yield urls


@pytest.fixture(scope="module", params=[LAGS, FOLLOWS])
def seen(request, tmp_path_factory) -> dict[str, Any]:
    if connection.vendor == "sqlite":
        folder = tmp_path_factory.mktemp("databases")
        primary, replica = (f"sqlite:///{folder}/{name}.sqlite3" for name in ("one", "two"))
    elif connection.vendor == "postgresql":
        primary, replica = request.getfixturevalue("servers")
    else:
        pytest.skip("told on SQLite, and on PostgreSQL: make test-replica")
    return {"replica": request.param, **told(primary, replica if request.param == LAGS else "")}


@pytest.mark.parametrize("way", WAYS)
def test_each_verb_shows_what_it_shows_without_a_replica(seen, way):
    shown = {**SHOWN, "sessions on the replica": 0 if seen["replica"] == LAGS else 1}
    assert {name: seen[way][name] for name in shown} == shown


@pytest.mark.parametrize("way", [way for way in WAYS if way != "asynchronous"])
def test_passwords_and_new_users_count_at_once(seen, way):
    assert {name: seen[way][name] for name in ALSO} == ALSO
