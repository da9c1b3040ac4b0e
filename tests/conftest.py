"""What several test files share."""

import pytest
from django.core.management import get_commands

from accounts.models import User
from tests import emptying
from tests.browser.chromium import LEFT_OUT

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session", autouse=True)
def tables_are_emptied_quickly() -> None:
    """Put our ``flush`` where Django's test case, which calls it by its name, finds it."""
    get_commands()["flush"] = emptying.Command()


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada@example.com", PASSWORD, name="Ada Lovelace")


@pytest.fixture
def grace(db: None) -> User:
    return User.objects.create_user("grace@example.com", PASSWORD, name="Grace Hopper")


@pytest.fixture
def alan(db: None) -> User:
    return User.objects.create_user("alan@example.com", PASSWORD, name="Alan Turing")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A skipped test is easily overlooked; a browser that is missing should not be."""
    skipped = terminalreporter.stats.get("skipped", [])
    if any(LEFT_OUT in str(report.longrepr) for report in skipped):
        terminalreporter.section("The browser tests were left out", sep="!", red=True)
        terminalreporter.line(LEFT_OUT)
