"""Run the tests as if every person stayed in the tab of an account: ``make test-under-prefix``.

A pytest plugin. The test client asks for ``/u/N/…`` instead of ``/…``, where N is the number of the
account that is active in its cookie, and takes the prefix off the answer. So a test that says
nothing about URLs should pass as it does without a prefix. Those that differ are in
``under_prefix.txt`` with the reason: they are expected to fail, and any other failure is one.
"""

from __future__ import annotations

import re
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.client import RequestFactory

EXPECTED = Path(__file__).with_suffix(".txt")
PATHS = "multisession.paths.AccountPathMiddleware"


def number_of(client: Client) -> int | None:
    """Return the number of the client's active account; the test sees none of the statements."""
    from multisession.ground import tokens
    from multisession.models.tokens import Token

    cookie = client.cookies.get(settings.SESSION_COOKIE_NAME)
    parts = tokens.split(cookie.value if cookie else None)
    has_paths = settings.MULTISESSION.get("ACCOUNT_PATHS") and settings.MIDDLEWARE[0] == PATHS
    if parts is None or not has_paths or not connection.is_usable():
        return None
    seen = len(connection.queries_log)
    token = Token.objects.filter(digest=tokens.digest(parts[0])).select_related("session").first()
    while len(connection.queries_log) > seen:
        connection.queries_log.pop()
    session = token.live_session() if token is not None and token.is_living else None
    return session.number if session is not None else None


def asks_in_a_tab(generic: Any) -> Any:
    @wraps(generic)
    def ask(self: Any, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        text = str(path)
        if not isinstance(self, Client) or not re.match(r"/(?!/|u/\d)", text):
            return generic(self, method, path, *args, **kwargs)
        number = number_of(self)
        if number is None:
            return generic(self, method, path, *args, **kwargs)
        response = generic(self, method, f"/u/{number}{text}", *args, **kwargs)
        # After a switch or a sign-in the tab goes on as the account that is active then.
        return without(response, {number, number_of(self)})

    return ask


def without(response: HttpResponse, numbers: set[int | None]) -> HttpResponse:
    """Take the prefixes of these tabs off the answer's headers and text."""
    own = "|".join(str(number) for number in numbers if number is not None)
    prefix = re.compile(rf"/u/(?:{own})(?=/|\b)")
    for name, value in list(response.headers.items()):
        if name.startswith(("Location", "HX-", "Content-Location")):
            response.headers[name] = prefix.sub("", value)
    if not response.streaming:
        response.content = re.sub(prefix.pattern.encode(), b"", response.content)
    return response


RequestFactory.generic = asks_in_a_tab(RequestFactory.generic)  # type: ignore[method-assign]


def reasons() -> list[tuple[re.Pattern[str], str]]:
    """Return patterns of test names, each with the reason why such a test differs."""
    found, reason = [], ""
    for line in EXPECTED.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line.strip():
            found.append((re.compile(re.escape(line.strip()).replace(r"\*", ".*")), reason))
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect what ``under_prefix.txt`` names to differ."""
    known = reasons()
    for item in items:
        reason = next((reason for name, reason in known if name.fullmatch(item.nodeid)), None)
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=False))
