"""Fixtures for several test files."""

import os
from pathlib import Path

import pytest
from django.core.management import get_commands

from accounts.models import User
from tests import emptying
from tests.browser.chromium import LEFT_OUT

HERE = Path(__file__).parent
PASSWORD = "correct horse battery staple"

#: Files about pages, words, documents and pure rules: what they say is the same on every database,
#: so ``.ci/run`` runs them on SQLite alone. (``make test-postgresql`` runs them, too.)
ANY_DATABASE = {
    "test_accounts",
    "test_add_account",
    "test_checks_urls",
    "test_chooser",
    "test_conf",
    "test_demo",
    "test_docs",
    "test_fragments",
    "test_guard",
    "test_imports",
    "test_language",
    "test_links",
    "test_load_check",
    "test_notice",
    "test_offers",
    "test_placing",
    "test_prerelease",
    "test_profiles",
    "test_reading_tour",
    "test_recipes",
    "test_reference",
    "test_test",
    "test_token_search",
    "test_user_button",
    "test_views",
    "test_devices",
    "test_words",
    "test_wrong_account_table",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of ``ANY_DATABASE``. Of each test, keep as many variants as VARIANTS says.

    BROWSER_VARIANTS says it for the tests in a browser alone, which take longest.
    """
    for item in items:
        if item.path.stem in ANY_DATABASE and item.path.parent == HERE:
            item.add_marker("any_database")
    most = int(os.environ.get("VARIANTS", 0))
    in_browser = int(os.environ.get("BROWSER_VARIANTS", most))
    variants: dict[str, list[pytest.Item]] = {}
    for item in items:
        variants.setdefault(item.nodeid.partition("[")[0], []).append(item)
    kept: set[pytest.Item] = set()
    for found in variants.values():
        is_browser = found[0].get_closest_marker("browser") is not None
        kept.update(spread(found, (in_browser if is_browser else most) or len(found)))
    if left_out := [item for item in items if item not in kept]:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item in kept]


def spread(found: list, most: int) -> list:
    """Return at most so many of these, from the first to the last."""
    if len(found) <= most:
        return found
    return [found[index * (len(found) - 1) // max(most - 1, 1)] for index in range(most)]


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
