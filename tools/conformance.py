"""Django's own tests, run against our engine: ``make conformance``.

The suites are Django's published ones with our session engine and middleware swapped in, and
probes of what several accounts behind one cookie must do. The harness lies beside this project,
in ../shared/peersuite; a copy of the project without it has its own tests, and this says so.

Everything is compared with the same tests on stock Django. A test that passes there and fails
here is a failure, unless the harness lists it with a reason. What was found is kept in
docs/conformance.md (``--quick``: a part of the suites, and nothing is written).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HARNESS = ROOT.parent / "shared" / "peersuite"
REPORT = ROOT / "docs" / "conformance.md"

QUICK = ("mixin", "probe", "probe-admin", "dj-sessions", "dj-client")
SUITES = {
    "mixin": "Django's `SessionTestsMixin`, with and without time zones",
    "probe": "what several accounts behind one cookie must and must not do",
    "probe-admin": "the admin can delete a user who is signed in",
    "dj-sessions": "`sessions_tests`",
    "dj-auth": "`auth_tests`",
    "dj-client": "`test_client`, `test_client_regress`",
    "dj-csrf": "`csrf_tests`",
    "dj-messages": "`messages_tests`",
    "dj-misc": "views, flat pages, redirects, servers, requests, time zones, async, ASGI, "
    "middleware, handlers, checks, URLs, logging",
    "dj-admin": "the admin: views, change lists, inlines, widgets, ordering, documentation",
}
DJANGO = ("5.2", "6.1")
# The probes tell what happens under this setting; the stories of the default are in tests/.
SETTING = {"AFTER_SIGN_OUT": "next"}

RESULT = re.compile(
    r"(?P<django>\d+\.\d+) +(?P<suite>\S+) +candidate +passed (?P<passed>\d+)"
    r" failed (?P<failed>\d+) errors (?P<errors>\d+) skipped (?P<skipped>\d+)"
    r" .*baseline passed (?P<baseline>\d+)"
    r".*NEW failures (?P<new>\d+) \(accepted (?P<accepted>\d+)\)"
)
ACCEPTED = re.compile(r"~ (?P<test>\S+) +\[accepted: (?P<reason>.*)\]")


@dataclass
class Findings:
    """What the harness said."""

    #: (Django, suite) -> the numbers of its line.
    results: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    #: Test -> (reason, the versions of Django that it fails on).
    accepted: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    #: Django -> why it was not run.
    skipped: dict[str, str] = field(default_factory=dict)

    def read(self, line: str, django: str) -> str:
        """Take in one line. Returns the version of Django that it, or the last one, is about."""
        if found := RESULT.match(line):
            django, suite = found["django"], found["suite"]
            self.results[django, suite] = {
                name: int(found[name]) for name in ("passed", "skipped", "baseline", "new")
            }
        elif found := ACCEPTED.match(line.strip()):
            _reason, versions = self.accepted.setdefault(found["test"], (found["reason"], []))
            versions.append(django)
        elif line[4:].lstrip().startswith("SKIPPED: "):
            self.skipped[line.split()[0]] = line.partition("SKIPPED: ")[2].strip()
        return django


def run(suites: list[str]) -> tuple[int, Findings]:
    """Run these suites on every Django. The harness's own lines pass through as they come."""
    findings, django = Findings(), ""
    command = [
        "sh",
        str(HARNESS / "run.sh"),
        *("--path", str(ROOT), "--detail"),
        *("--setting", f"MULTISESSION={json.dumps(SETTING)}"),
        *suites,
    ]
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        assert process.stdout is not None  # noqa: S101
        for line in process.stdout:
            say(line.rstrip("\n"))
            django = findings.read(line, django)
    return process.returncode, findings


def report(findings: Findings) -> str:
    """docs/conformance.md: nothing in it depends on the machine."""
    lines = [
        "# Conformance",
        "",
        "Django's own tests, from its published source, with our session engine and middleware in",
        "place of the stock ones; and probes of what several accounts behind one cookie must do.",
        "`make conformance` runs them and writes this page; `.ci/run` runs a part of them "
        f"({', '.join(f'`{name}`' for name in QUICK)}).",
        "",
        "| | " + " | ".join(f"Django {version(django)}" for django in DJANGO) + " |",
        "|---|" + "---|" * len(DJANGO),
    ]
    for suite, description in SUITES.items():
        cells = [cell(findings.results.get((django, suite))) for django in DJANGO]
        lines.append(f"| **{suite}**: {description} | {' | '.join(cells)} |")
    lines += [
        "",
        "Each cell: tests that passed with our engine / with stock Django. Stock Django is no",
        "measure for the probes, which are about what it does not do: there, none may fail.",
        f"The setting was `MULTISESSION = {json.dumps(SETTING)}`; the same stories for the",
        'default, `"choose"`, are in `tests/`. The database was SQLite; the project\'s own tests',
        "run on PostgreSQL and MariaDB as well.",
        "",
        "## What fails, and why it may",
        "",
    ]
    for test, (reason, versions) in sorted(findings.accepted.items()):
        lines.append(f"- `{test}` (Django {', '.join(versions)}): {reason}.")
    return "\n".join([*lines, ""])


def cell(result: dict[str, int] | None) -> str:
    if result is None:
        return "not run"
    return f"{result['passed']} / {result['baseline']}"


def version(django: str) -> str:
    """The exact release, and the Python that it runs on, as the harness has them."""
    harness = load_harness()
    release = harness.DJANGO[django][0]
    python, _why = harness.find_python(django)
    if python is None:
        return str(release)
    ask = "import platform; print(platform.python_version())"
    found = subprocess.run(  # noqa: S603
        [python, "-c", ask], capture_output=True, text=True, check=True
    )
    return f"{release}, Python {found.stdout.strip()}"


def load_harness() -> Any:
    spec = importlib.util.spec_from_file_location("peersuite", HARNESS / "peersuite.py")
    if spec is None or spec.loader is None:
        raise ImportError(str(HARNESS))
    harness = importlib.util.module_from_spec(spec)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(harness)
    finally:
        sys.dont_write_bytecode = written
    return harness


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some suites; writes nothing")
    quick = parser.parse_args().quick
    if not (HARNESS / "run.sh").exists():
        say("Conformance was not tested: ../shared/peersuite is not beside this project.")
        return 0
    suites = list(QUICK) if quick else list(SUITES)
    status, findings = run(suites)
    for django, why in findings.skipped.items():
        say(f"Conformance with Django {django} was not tested: {why}")
    missing = [
        f"{suite} on Django {django}"
        for django in DJANGO
        for suite in suites
        if django not in findings.skipped and (django, suite) not in findings.results
    ]
    if missing:
        say(f"No result for: {', '.join(missing)}.")
    required = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
    failed = status not in {0, 2} or missing or (findings.skipped and required)
    if failed:
        say("Conformance: FAILED.")
        return 1
    tests = sum(result["passed"] for result in findings.results.values())
    say(f"Conformance: {tests} tests passed, {len(findings.accepted)} accepted failure(s).")
    if not quick and not findings.skipped:
        REPORT.write_text(report(findings), encoding="utf-8")
        say(f"Written: {REPORT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
