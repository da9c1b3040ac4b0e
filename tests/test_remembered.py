"""A page costs the same on a browser that remembers ten thousand rows as on one with ten."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from multisession.models import Session

from .stories import Browser, session_of, signed_in, with_engine_urls

pytestmark = [
    pytest.mark.once,
    *with_engine_urls,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite counts its own steps"),
]

#: More than a list looks at, and far more.
FEW, SOME, MANY = 10, 100, 10_000
#: Every this many steps of its virtual machine SQLite calls back.
STEPS = 10


def remember(user: Any, count: int) -> None:
    """Let the user have signed in and out so many times on the browser of the active account."""
    client, now = session_of(user).client, timezone.now()
    Session.objects.bulk_create(
        Session(
            client=client,
            user=user,
            number=1,
            status=Session.Status.ENDED,
            session_data=session_of(user).session_data,
            expire_at=now,
            abandon_at=now,
        )
        for _ in range(count)
    )


def cost(do: Callable[[], Any]) -> dict[str, int]:
    """Statements, steps of SQLite's virtual machine, and calls of Python functions."""
    counted = {"statements": 0, "steps": 0, "calls": 0}

    def stepped() -> None:
        counted["steps"] += STEPS

    def called(frame: Any, event: str, argument: Any) -> None:
        counted["calls"] += event == "call"

    connection.connection.set_progress_handler(stepped, STEPS)
    before = sys.getprofile()
    try:
        with CaptureQueriesContext(connection) as captured:
            sys.setprofile(called)
            do()
            sys.setprofile(before)
    finally:
        connection.connection.set_progress_handler(None, STEPS)
    return {**counted, "statements": len(captured)}


@pytest.mark.parametrize("what", ["menu", "choose", "set-active"])
def test_ten_thousand_remembered_rows_are_as_cheap_as_ten(what, ada, grace):
    def do(browser: Browser) -> None:
        if what == "set-active":
            there = browser.switch(grace if browser.who() == "ada" else ada)
            assert there.status_code < 400
        else:
            assert browser.get(f"/multisession/{what}/").status_code == 200

    browser = signed_in(ada, grace)
    found, so_far = {}, 0
    for count in (FEW, SOME, MANY):
        remember(ada, count - so_far)
        so_far = count
        for _ in range(3):  # so that it is the same account that is switched to each time
            do(browser)
        found[count] = cost(lambda: do(browser))
    few, some, many = found.values()
    assert many["statements"] <= few["statements"]
    assert many["calls"] <= 1.2 * few["calls"]
    # (SQLite looks at some more entries of an index than ten: so many, and no more.)
    assert many["steps"] <= 1.2 * some["steps"]
