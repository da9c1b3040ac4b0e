"""HTTP requests and the cookie jar of a simulated browser."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

#: Django's default name of the session cookie.
SESSION_COOKIE = "sessionid"
#: The greatest age of a copy on the disk, in seconds.
LONGEST_ROLLBACK = 60
#: Seconds to wait for an answer.
PATIENCE = 30

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
_SEEN = re.compile(r'<script id="seen" type="application/json">(.*?)</script>', re.DOTALL)

#: Cookies of an answer: name, value (None: deleted), seconds to live (None: until it closes).
Cookies = list[tuple[str, str | None, float | None]]


@dataclass(frozen=True, slots=True)
class Seen:
    """The active account in an answer, and all accounts by their session ids."""

    user: str
    session: str
    accounts: Mapping[str, str]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    location: str = ""
    cookies: Cookies = field(default_factory=list)
    text: str = ""
    retry_after: str = ""

    @property
    def token(self) -> str:
        """The CSRF token of the page's form, or ""."""
        found = _TOKEN.search(self.text)
        return found[1] if found else ""

    @property
    def seen(self) -> Seen | None:
        found = _SEEN.search(self.text)
        data = self.data if found is None else json.loads(found[1])
        return Seen(**data) if "accounts" in data else None

    @property
    def data(self) -> dict[str, Any]:
        """The answer's JSON; an empty dictionary for a page."""
        if self.status != 200 or not self.text.startswith("{"):
            return {}
        found: dict[str, Any] = json.loads(self.text)
        return found


#: Sends one request: method, path, Cookie header, the form's fields or None.
Ask = Callable[[str, str, str, Mapping[str, str] | None], Answer]


def ask(
    port: int, method: str, path: str, cookies: str, fields: Mapping[str, str] | None = None
) -> Answer:
    """Send one request to the server on this machine. Raises OSError and HTTPException."""
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    headers = {"Accept": "application/json" if path == "/whoami" else "text/html"}
    if cookies:
        headers["Cookie"] = cookies
    body = None
    if fields is not None:
        body = urlencode(fields)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        headers["Origin"] = f"http://127.0.0.1:{port}"
    try:
        wire.request(method, path, body, headers)
        answer = wire.getresponse()
        return Answer(
            status=answer.status,
            location=answer.headers.get("Location", ""),
            cookies=[read_cookie(line) for line in answer.headers.get_all("Set-Cookie") or []],
            text=answer.read().decode(),
            retry_after=answer.headers.get("Retry-After", ""),
        )
    finally:
        wire.close()


def read_cookie(line: str) -> tuple[str, str | None, float | None]:
    """Read one Set-Cookie header."""
    pair, *rest = line.split(";")
    name, _, value = pair.strip().partition("=")
    ages = [text.strip().lower().removeprefix("max-age=") for text in rest if "ax-" in text.lower()]
    age = float(ages[0]) if ages else None
    gone = age is not None and age <= 0
    return name, None if gone else value.strip('"'), age


class Jar:
    """A cookie jar that takes cookies in the order of the answers, with copies as on a disk."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, float]] = {}
        self._past: list[tuple[float, dict[str, tuple[str, float]]]] = [(0.0, {})]

    def get(self, name: str, now: float) -> str | None:
        value, until = self._kept.get(name, ("", 0.0))
        return value if until > now else None

    def header(self, now: float) -> str:
        live = [(name, value) for name, (value, until) in self._kept.items() if until > now]
        return "; ".join(f"{name}={value}" for name, value in live)

    def take(self, cookies: Cookies, now: float) -> None:
        for name, value, age in cookies:
            if value is None:
                self._kept.pop(name, None)
            else:
                self._kept[name] = value, now + (float("inf") if age is None else age)
        if cookies:
            self._past.append((now, dict(self._kept)))
            while len(self._past) > 1 and self._past[1][0] < now - LONGEST_ROLLBACK:
                self._past.pop(0)

    def roll_back(self, moment: float) -> None:
        """Restore the cookies that were on the disk at ``moment``."""
        copy = next(kept for taken, kept in reversed(self._past) if taken <= moment)
        self._kept = dict(copy)
        # The disk has this copy until the next write.
        self._past = [(0.0, dict(copy))]
