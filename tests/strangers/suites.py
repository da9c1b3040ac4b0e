"""The packages' own tests, run on our engine: ``make test-strangers-suites``.

Each suite runs twice, as its package has it and with our engine and middleware in the settings. A
test that passes there and fails here is a failure, unless ``accepted`` gives the reason; a test
that counts statements and saw fewer is none. What was found is kept in
docs/explanation/package-suites.md.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.strangers import bench

REPORT = bench.ROOT / "docs" / "explanation" / "package-suites.md"

OURS = """
SESSION_ENGINE = "multisession.backends.db"
MIDDLEWARE = [
    "multisession.middleware.SessionMiddleware"
    if name == "django.contrib.sessions.middleware.SessionMiddleware"
    else name
    for name in MIDDLEWARE
]
INSTALLED_APPS = [*INSTALLED_APPS, "multisession"]
"""


@dataclass(frozen=True)
class Suite:
    """Those of a package's own tests that are about accounts and sessions."""

    title: str
    #: In requirements/strangers-….txt is the package, in strangers-…-suite.txt what its tests need.
    name: str
    settings: str
    tests: tuple[str, ...]
    #: The tests are in the package's source archive, and pytest runs them.
    from_source: bool = False
    #: Test -> why it fails on our engine and is right to.
    accepted: dict[str, str] = field(default_factory=dict)


SUITES = (
    Suite(
        "Wagtail",
        "wagtail",
        "wagtail.test.settings",
        (
            "wagtail.admin.tests.test_account_management",
            "wagtail.admin.tests.test_dashboard",
            "wagtail.admin.tests.test_editing_sessions",
            "wagtail.admin.tests.test_messages",
            "wagtail.admin.tests.test_password_reset",
            "wagtail.admin.tests.test_privacy",
            "wagtail.admin.tests.test_userbar",
            "wagtail.admin.tests.test_views",
            "wagtail.documents.tests.test_collection_privacy",
            "wagtail.tests.test_page_privacy",
            "wagtail.users",
        ),
    ),
    Suite(
        "allauth",
        "allauth",
        "tests.projects.regular.settings",
        ("tests/apps/account", "tests/apps/headless", "tests/apps/mfa", "tests/apps/usersessions"),
        from_source=True,
    ),
)

UNITTEST = re.compile(r"^(?:FAIL|ERROR): \S+ \((\S+)\)", re.MULTILINE)
UNITTEST_COUNT = re.compile(r"^Ran (\d+) tests? in", re.MULTILINE)
PYTEST = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
PYTEST_COUNT = re.compile(r"(\d+) (?:passed|failed|errors?)\b")
COUNTED = re.compile(r"AssertionError: (\d+) != (\d+) : \d+ queries executed")
BETWEEN_FAILURES = "=" * 70


@dataclass(frozen=True)
class Outcome:
    ran: int
    failed: set[str]
    saw_fewer: set[str]


def run(suite: Suite, python: Path, ours: bool) -> Outcome:
    """Run a suite in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if suite.from_source:
            place = unpack(suite, python, place)
        (place / "suite_settings.py").write_text(
            f"from {suite.settings} import *\n{OURS if ours else ''}", encoding="utf-8"
        )
        if suite.from_source:
            command = ["-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"]
            command += ["--ds=suite_settings", *suite.tests]
        else:
            command = ["-m", "django", "test", "--settings=suite_settings", *suite.tests]
        done = subprocess.run(
            [python, *command],
            cwd=place,
            env=bench.environ() | {"PYTHONPATH": str(place)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
    return read(done.stdout, from_pytest=suite.from_source)


def unpack(suite: Suite, python: Path, place: Path) -> Path:
    """Fetch the package's source archive for its tests. The package itself is the installed one."""
    download = ("-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:")
    (package,) = bench.requirements(f"strangers-{suite.name}")
    bench.run(python, *download, "--disable-pip-version-check", package, cwd=place)
    (archive,) = place.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(place, filter="data")
    (root,) = [path for path in place.iterdir() if path.is_dir()]
    (root / suite.name).rename(place / "not-imported")
    return root


def read(said: str, *, from_pytest: bool) -> Outcome:
    if from_pytest:
        last = said.strip().rpartition("\n")[2]
        ran = sum(int(count) for count in PYTEST_COUNT.findall(last))
        failed, fewer = set(PYTEST.findall(said)), set()
    else:
        found = UNITTEST_COUNT.search(said)
        ran, failed = int(found[1]) if found else 0, set(UNITTEST.findall(said))
        fewer = {
            test
            for part in said.split(BETWEEN_FAILURES)
            for test in UNITTEST.findall(part)
            for seen, known in COUNTED.findall(part)
            if int(seen) < int(known)
        }
    assert ran, f"No test ran:\n{said[-3000:]}"
    return Outcome(ran, failed, fewer)


def compare(suite: Suite, django: str) -> tuple[str, list[str], list[str]]:
    """Return a cell of the table, the failures, and the accepted ones with their reasons."""
    package = bench.requirements(f"strangers-{suite.name}")
    needed = bench.requirements(f"strangers-{suite.name}-suite")
    python = bench.environment(django, *package, *needed)
    with ThreadPoolExecutor() as pool:
        stock, ours = pool.map(lambda ours: run(suite, python, ours), (False, True))
    new = ours.failed - stock.failed - ours.saw_fewer
    accepted = sorted(new & suite.accepted.keys())
    fewer = len(ours.saw_fewer - stock.failed)
    cell = f"{ours.ran - len(ours.failed)} / {stock.ran - len(stock.failed)} of {stock.ran}"
    if fewer:
        cell += f"; {fewer} saw fewer statements"
    failed = sorted(f"{test} (Django {django})" for test in new.difference(accepted))
    return cell, failed, [f"`{test}`: {suite.accepted[test]}" for test in accepted]


def main() -> int:
    rows, failed, accepted = [], [], []
    for suite in SUITES:
        cells = []
        for django in bench.DJANGOS:
            cell, new, known = compare(suite, django)
            sys.stdout.write(f"{suite.title}, Django {django}: {cell}\n")
            sys.stdout.writelines(f"  fails here only: {test}\n" for test in new)
            sys.stdout.flush()
            cells.append(cell)
            failed += new
            accepted += [line for line in known if line not in accepted]
        rows.append(f"| **{suite.title}** | {' | '.join(cells)} |")
    REPORT.write_text(report(rows, failed, accepted), encoding="utf-8")
    return 1 if failed else 0


def report(rows: list[str], failed: list[str], accepted: list[str]) -> str:
    versions = " | ".join(f"Django {release}" for release in bench.DJANGOS.values())
    lines = [
        "# Other packages' own tests",
        "",
        "The tests for accounts and sessions that packages ship, run with our engine and",
        "middleware in their settings. `make test-strangers-suites` does it and writes this page.",
        "",
        f"| | {versions} |",
        f"|---|{'---|' * len(bench.DJANGOS)}",
        *rows,
        "",
        "Each cell: tests that did not fail here, and with Django's own sessions. Tests that count",
        "statements and saw fewer, because of the quick path, are among those that failed.",
        "",
        *section("What fails here and not there", [f"`{test}`" for test in failed]),
        *section("What fails here, and why it may", accepted),
        "hijack and REST framework publish their tests in their repositories only. The stories of",
        "`tests/strangers/packages` are told with these two as well.",
    ]
    return "\n".join(lines) + "\n"


def section(heading: str, lines: list[str]) -> list[str]:
    return [f"## {heading}", "", *(f"- {line}" for line in lines), ""] if lines else []


if __name__ == "__main__":
    sys.exit(main())
