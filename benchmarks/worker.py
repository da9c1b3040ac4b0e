"""Serve one contender in its own process: ``python -m benchmarks.worker``.

Reads commands as lines of JSON (``{"do": "batch", …}``) and answers each with a line. It calls the
WSGI handler itself, so the figures include no sockets and no other process.
"""

from __future__ import annotations

import datetime
import gc
import json
import sys
import traceback
from http.cookies import SimpleCookie
from io import BytesIO
from time import perf_counter_ns, process_time_ns
from typing import Any
from urllib.parse import urlencode

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.db.models import F

BOGUS = "abcdefghijklmnopqrstuvwxyz012345"
#: Scenario: path, the session cookie's value (None: the browser's own), text that the answer must
#: contain ("": the user's e-mail address).
SCENARIOS: dict[str, tuple[str, str | None, str]] = {
    "empty": ("/empty", None, "empty"),
    "page": ("/page", None, ""),
    "form": ("/form", None, ""),
    # A browser with two accounts, in the tab of the other one.
    "tab": ("/u/1/page", None, "u0@example.com"),
    "write": ("/write", None, ""),
    "rewrite": ("/rewrite", None, ""),
    "list": ("/list", None, ""),
    "menu": ("/multisession/menu/", None, ""),
    "nobody": ("/page", "", "nobody"),
    "bogus": ("/page", BOGUS, "nobody"),
    "malformed": ("/page", "not!a!token", "nobody"),
    # For browsers with a cookie from before a sign-out, and from before a sign-in.
    "dead": ("/page", None, "nobody"),
    "ended": ("/page", None, "nobody"),
    # For programs only.
    "purge": ("/purge", None, "purged"),
    "revoke here": ("/revoke-here", None, "True"),
    "revoke 10": ("/revoke/10", None, "10"),
    "revoke 1000": ("/revoke/1000", None, "1000"),
}
#: The forms of our menu: path, and whether the form names a session.
FORMS = {
    "switch": ("/multisession/set-active/", True),
    "sign out one": ("/multisession/sign-out/", True),
    "sign out all": ("/multisession/sign-out-all/", False),
}


class Browser:
    """The cookies of a browser, and the account that should be active."""

    def __init__(self, user: str = "", cookies: dict[str, str] | None = None) -> None:
        self.user = user
        self.cookies = cookies or {}

    def environ(self, path: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        body = b"" if form is None else urlencode(form).encode()
        return {
            "REQUEST_METHOD": "GET" if form is None else "POST",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "CONTENT_TYPE": "application/x-www-form-urlencoded" if form else "",
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "127.0.0.1",
            "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0",
            "HTTP_COOKIE": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": False,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }

    def keep(self, set_cookies: list[str]) -> None:
        for header in set_cookies:
            for name, morsel in SimpleCookie(header).items():
                if morsel["max-age"] == 0:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value


class Worker:
    """The commands. Those with a browser make it if it does not exist."""

    def __init__(self) -> None:
        django.setup()
        self.handler = WSGIHandler()
        self.browsers: dict[str, Browser] = {}
        self.set_cookies: list[str] = []

    def prepare(self, users: int) -> None:
        """Make a database with this number of users."""
        from django.contrib.auth import get_user_model
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        for number in range(users):
            name = f"u{number}"
            get_user_model().objects.create_user(name, f"{name}@example.com", "secret")

    def sign_in(self, browser: str, users: list[int]) -> None:
        """Sign in these users in turn, and load pages until the cookie has settled."""
        own = self.browsers.setdefault(browser, Browser())
        for number in users:
            self.visit(own, f"/sign-in/u{number}")
            own.user = f"u{number}@example.com"
            self.visit(own, "/page", own.user)
        self.let_a_minute_pass()
        self.visit(own, "/page", own.user)

    def let_a_minute_pass(self) -> None:
        """Make tokens a minute older: our engine settles a cookie that is presented after that."""
        if not settings.SESSION_ENGINE.startswith("multisession"):
            return
        from multisession.models.tokens import Token

        minute = datetime.timedelta(seconds=61)
        times = {name: F(name) - minute for name in ("created_at", "presented_at")}
        Token.objects.update(**times)

    def crowd(self, count: int) -> None:
        """Sign in ``count`` more browsers."""
        for _ in range(count):
            self.visit(Browser(), "/sign-in/u0")

    def copy(self, browser: str, to: str) -> None:
        """Copy this browser's cookies to another one."""
        own = self.browsers[browser]
        self.browsers[to] = Browser("nobody", dict(own.cookies))

    def go(self, browser: str, path: str) -> None:
        """Load a page, and update the cookies."""
        self.visit(self.browsers[browser], path)

    def browsers_as_json(self) -> dict[str, Any]:
        return {name: vars(browser) for name, browser in self.browsers.items()}

    def take_browsers(self, browsers: dict[str, Any]) -> None:
        self.browsers = {name: Browser(**found) for name, found in browsers.items()}

    def cookie_bytes(self, browser: str) -> int:
        return len(self.browsers[browser].environ("/page")["HTTP_COOKIE"])

    def sql(self, browser: str, scenario: str) -> list[str]:
        """Return the statements of one such request, on SQLite with BEGIN but without COMMIT."""
        seen: list[str] = []

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            seen.append(sql)
            return execute(sql, params, many, context)

        (environ,) = self.requests(browser, scenario, 1)
        with connection.execute_wrapper(note):
            answer = self.respond(environ)
        self.receive(browser, scenario, answer)
        return seen

    def blocks(self) -> int:
        """Return the number of blocks that this PostgreSQL database has read so far."""
        with connection.cursor() as db:
            db.execute("SELECT pg_stat_force_next_flush()")
            db.execute(
                "SELECT blks_hit + blks_read FROM pg_stat_database"
                " WHERE datname = current_database()"
            )
            return int(db.fetchone()[0])

    def shows(self, browser: str) -> str:
        """Return the e-mail address of the signed-in user, or "nobody"."""
        body = self.respond(self.browsers[browser].environ("/page"))[1].decode()
        return body.partition("<header>")[2].partition("</header>")[0]

    def batch(self, browser: str, scenario: str, count: int) -> tuple[list[int], int]:
        """Return nanoseconds: of each request by the clock, and of the process for all."""
        # The next form depends on the answer to this one.
        steps = count if scenario in FORMS else 1
        walls, cpus = [], 0
        for _ in range(steps):
            environs = self.requests(browser, scenario, count // steps)
            gc.collect()
            cpu = process_time_ns()
            for environ in environs:
                wall = perf_counter_ns()
                answer = self.respond(environ)
                walls.append(perf_counter_ns() - wall)
            cpus += process_time_ns() - cpu
            self.receive(browser, scenario, answer)
        return walls, cpus

    def requests(self, browser: str, scenario: str, count: int) -> list[dict[str, Any]]:
        """Return ``count`` requests of this scenario, as the browser sends them."""
        own = self.browsers[browser]
        if scenario in FORMS:
            return [self.form(own, scenario)]
        path, cookie, _ = SCENARIOS[scenario]
        sender = Browser(own.user, dict(own.cookies))
        if cookie is not None:
            sender.cookies["sessionid"] = cookie
        return [sender.environ(path) for _ in range(count)]

    def form(self, browser: Browser, scenario: str) -> dict[str, Any]:
        """Return a form of our menu, about the first of the browser's other accounts."""
        path, names_session = FORMS[scenario]
        fields = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        if names_session:
            fields["session"] = json.loads(self.visit(browser, "/accounts"))["ids"][1]
        return browser.environ(path, fields)

    def receive(self, browser: str, scenario: str, answer: tuple[str, bytes, list[str]]) -> None:
        """Check the answer, and after a form also the next page."""
        own = self.browsers[browser]
        if scenario not in FORMS:
            self.check(answer, SCENARIOS[scenario][2] or own.user, scenario)
            return
        if not answer[0].startswith("302"):
            raise AssertionError(f"{scenario}: {answer[0]} {answer[1][:500]!r}")
        own.keep(answer[2])
        own.cookies.pop("messages", None)  # The page has shown them.
        before, own.user = own.user, self.shows(browser)
        changes = {"switch": before != own.user, "sign out one": before == own.user}
        if not changes.get(scenario, own.user == "nobody"):
            raise AssertionError(f"{scenario}: {before} became {own.user}")

    def visit(self, browser: Browser, path: str, expected: str = "") -> bytes:
        answer = self.respond(browser.environ(path))
        self.check(answer, expected, path)
        browser.keep(answer[2])
        return answer[1]

    def respond(self, environ: dict[str, Any]) -> tuple[str, bytes, list[str]]:
        """Return status, body and Set-Cookie headers."""
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
            started.extend((status, headers))

        response: Any = self.handler(environ, start_response)
        body = b"".join(response)
        response.close()
        return started[0], body, [value for name, value in started[1] if name == "Set-Cookie"]

    def check(self, answer: tuple[str, bytes, list[str]], expected: str, what: str) -> None:
        """Check that the contender did the work: an engine that redirects would look very fast."""
        status, body, _ = answer
        if not status.startswith("200") or expected.encode() not in body:
            raise AssertionError(f"{what}: {status}, no {expected!r} in {body[:500]!r}")


def main() -> int:
    out, sys.stdout = sys.stdout, sys.stderr
    worker: Worker | None = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            worker = worker or Worker()
            answer = {"ok": getattr(worker, command.pop("do"))(**command)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        out.write(json.dumps(answer) + "\n")
        out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
