"""Clerk's official SDKs, unmodified, on a running server: ``make test-sdk``."""

import os
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from multisession.api import keys
from multisession.models import Session
from tests.histories import History, make_history

HERE = Path(__file__).parent
LEFT_OUT = "needs what `make test-sdk` installs"


def required(config: pytest.Config) -> bool:
    """A CI server that was told to run these must not leave them out."""
    told = config.getoption("markexpr") == "sdk"
    return told and os.environ.get("CI", "").lower() in {"1", "true", "yes"}


@pytest.fixture
def needs(request: pytest.FixtureRequest):
    """``needs("name", found)``: leave the test out, or fail, if this is not there."""

    def check(name: str, found: object) -> None:
        if not found:
            leave = pytest.fail if required(request.config) else pytest.skip
            leave(f"{name} is not here: this {LEFT_OUT}")

    return check


@pytest.fixture
def python_sdk(needs) -> None:
    needs("clerk-backend-api for Python", find_spec("clerk_backend_api"))


@pytest.fixture
def node_sdk(needs) -> str:
    """The path of Node."""
    node = shutil.which("node")
    needs("Node.js", node)
    needs("@clerk/backend", (HERE / "node_modules" / "@clerk" / "backend").is_dir())
    return str(node)


@dataclass
class Site:
    """A running server with a past."""

    url: str
    secret: str
    history: History
    session: Session

    @property
    def user_id(self) -> str:
        return f"user_{self.session.user_id}"

    @property
    def client_id(self) -> str:
        return self.session.client.public_id

    def ids(self, **filters: object) -> list[str]:
        """The public ids of the sessions for which this is true, the newest first."""
        rows = Session.objects.accounts().filter(**filters).order_by("-created_at", "-pk")
        return [row.public_id for row in rows]

    def ids_with(self, status: str) -> list[str]:
        """Those of the story's user that have this status now."""
        rows = Session.objects.filter(user_id=self.session.user_id).order_by("-created_at", "-pk")
        return [row.public_id for row in rows if row.current_status == status]


@pytest.fixture
def site(live_server) -> Site:
    history = make_history(600)
    session = next(row for row in history.sessions if row.user and row.is_live)
    _, secret = keys.issue("the SDKs' tests", scope=keys.ApiKey.Scope.REVOKE)
    return Site(live_server.url, secret, history, session)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Easily overlooked otherwise."""
    skipped = terminalreporter.stats.get("skipped", [])
    if any("tests/sdk/" in report.nodeid for report in skipped):
        terminalreporter.section("The tests of Clerk's SDKs were left out", sep="!", red=True)
        terminalreporter.line("`make test-sdk` installs the SDKs and runs them.")
