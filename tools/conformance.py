"""Run Django's own tests against our engine: ``make conformance``.

The suites are Django's published tests with our session engine and middleware, plus probes for
several accounts behind one cookie. The harness is not part of this project; it lies beside it in
../shared/peersuite. Without it this program says so and ends.

The results are compared with the same tests on stock Django. A test that passes there and fails
here is a failure, unless the harness lists it with a reason. All tests run twice, without and with
the quick path. With it, a test may fail because it counts more statements than ran. The results
are written to docs/explanation/conformance.md (``--quick``: run a part of the suites with the quick
path only, and write nothing).
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
REPORT = ROOT / "docs" / "explanation" / "conformance.md"

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
# The probes are written for this setting; tests/ has the stories for the default.
SETTING = {"AFTER_SIGN_OUT": "next"}
BY_THE_ORM = {**SETTING, "_QUICK": False}

#: Accepted failures, besides those that the harness lists.
ACCEPTED_HERE = Path(__file__).with_name("conformance_accepted.txt")

RESULT = re.compile(
    r"(?P<django>\d+\.\d+) +(?P<suite>\S+) +candidate +passed (?P<passed>\d+)"
    r" failed (?P<failed>\d+) errors (?P<errors>\d+) skipped (?P<skipped>\d+)"
    r" .*baseline passed (?P<baseline>\d+)"
    r".*NEW failures (?P<new>\d+) \(accepted (?P<accepted>\d+)\)"
)
ACCEPTED = re.compile(r"~ (?P<test>\S.*?) +\[accepted: (?P<reason>.*)\]")
NEW = re.compile(r"- (?P<test>\S.*?) +<- ")
COUNTED = re.compile(r"AssertionError: (?P<seen>\d+) != (?P<known>\d+) : \d+ queries executed")
#: Tests that select a statement by its position, which changes if fewer ran before.
BY_POSITION = {
    "admin_changelist.tests.ChangeListTests"
    ".test_changelist_view_list_editable_changed_objects_uses_filter"
}
#: The line between two failures in a log of unittest.
SEPARATOR = "=" * 70


@dataclass
class Findings:
    """The results that the harness printed."""

    #: (Django, suite) -> the numbers in its line.
    results: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    #: Test -> (reason, versions of Django on which it fails).
    accepted: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    #: Tests that count statements and saw fewer -> versions of Django.
    fewer: dict[str, list[str]] = field(default_factory=dict)
    #: Other tests that fail here and not on stock Django.
    failed: list[str] = field(default_factory=list)
    #: Django -> the reason for skipping it.
    skipped: dict[str, str] = field(default_factory=dict)

    def read(self, line: str, django: str) -> str:
        """Read one line. Return the version of Django that it, or the last one, is about."""
        if found := RESULT.match(line):
            django, suite = found["django"], found["suite"]
            self.results[django, suite] = {
                name: int(found[name])
                for name in ("passed", "skipped", "baseline", "new", "accepted")
            }
        elif found := ACCEPTED.match(line.strip()):
            _reason, versions = self.accepted.setdefault(found["test"], (found["reason"], []))
            versions.append(django)
        elif found := NEW.match(line.strip()):
            suite = list(self.results)[-1][1]
            if saw_fewer(found["test"], log_of(django, suite)):
                self.fewer.setdefault(found["test"], []).append(django)
            else:
                self.failed.append(f"{found['test']} on Django {django}")
        elif line[4:].lstrip().startswith("SKIPPED: "):
            self.skipped[line.split()[0]] = line.partition("SKIPPED: ")[2].strip()
        return django


def log_of(django: str, suite: str) -> str:
    """Return the output of a suite's last run on our engine."""
    results = Path(load_harness().CACHE) / "results" / "multisession.backends.db"
    return (results / django / f"{suite}.log").read_text(encoding="utf-8", errors="replace")


def saw_fewer(test: str, log: str) -> bool:
    """Return True if a test failed only because fewer statements ran than it expects.

    This is allowed with the quick path only.
    """
    if test in BY_POSITION:
        return True
    failures = [part for part in log.split(SEPARATOR) if f"({test})" in part.partition("---")[0]]
    counts = [COUNTED.search(failure) for failure in failures]
    return bool(counts) and all(
        count is not None and int(count["seen"]) < int(count["known"]) for count in counts
    )


def run(suites: list[str], setting: dict[str, Any]) -> Findings:
    """Run these suites on every Django, and pass the harness's lines through."""
    say(f"MULTISESSION = {json.dumps(setting)}")
    findings, django = Findings(), ""
    # The harness's own list and ours, in one file.
    accepted = Path(load_harness().CACHE) / "accepted.txt"
    accepted.parent.mkdir(parents=True, exist_ok=True)
    lists = [HARNESS / "accepted.txt", ACCEPTED_HERE]
    accepted.write_text("".join(f"{path.read_text()}\n" for path in lists))
    command = [
        "sh",
        str(HARNESS / "run.sh"),
        *("--path", str(ROOT), "--detail"),
        *("--setting", f"MULTISESSION={json.dumps(setting)}"),
        *("--accepted", str(accepted)),
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
    if process.returncode not in {0, 1, 2}:
        findings.failed.append(f"the harness, with status {process.returncode}")
    return findings


def report(findings: Findings, quick: Findings) -> str:
    """Return docs/explanation/conformance.md. Nothing in it depends on the machine."""
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
        keys = [(django, suite) for django in DJANGO]
        cells = [cell(findings.results.get(key), quick.results.get(key)) for key in keys]
        lines.append(f"| **{suite}**: {description} | {' | '.join(cells)} |")
    lines += [
        "",
        "Each cell: tests that passed with our engine by the ORM alone (`_QUICK` off), with the",
        "quick path, and with stock Django. Stock Django is no measure for the probes, which are",
        "about what it does not do: there, none may fail.",
        f"The setting was `MULTISESSION = {json.dumps(SETTING)}`; the same stories for the",
        'default, `"choose"`, are in `tests/`. The database was SQLite; the project\'s own tests',
        "run on PostgreSQL and MariaDB as well.",
        "",
        "## What fails, and why it may",
        "",
    ]
    for test, (reason, versions) in sorted(findings.accepted.items()):
        lines.append(f"- `{test}` (Django {', '.join(versions)}): {reason}.")
    lines += [
        "",
        "## What counts fewer statements with the quick path",
        "",
        "Nothing else differs between the two."
        if quick.fewer
        else "No test here notices. Nothing else differs between the two either.",
        *([""] if quick.fewer else []),
    ]
    for test, versions in sorted(quick.fewer.items()):
        lines.append(f"- `{test}` (Django {', '.join(versions)})")
    return "\n".join([*lines, ""])


def cell(result: dict[str, int] | None, quick: dict[str, int] | None) -> str:
    if result is None or quick is None:
        return "not run"
    return f"{result['passed']} / {quick['passed']} / {result['baseline']}"


def version(django: str) -> str:
    """Return the exact release of Django and its Python, from the harness."""
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
    with_quick_path = run(suites, SETTING)
    both = [with_quick_path] if quick else [run(suites, BY_THE_ORM), with_quick_path]
    wrong = [shortcoming(suites, found) for found in both]
    if any(wrong) or (not quick and both[0].fewer):
        say("Conformance: FAILED.")
        return 1
    tests = sum(result["passed"] for found in both for result in found.results.values())
    accepted = {test for found in both for test in found.accepted}
    say(f"Conformance: {tests} tests passed, {len(accepted)} accepted failure(s).")
    if not quick and not with_quick_path.skipped:
        REPORT.write_text(report(*both), encoding="utf-8")
        say(f"Written: {REPORT.relative_to(ROOT)}")
    return 0


def shortcoming(suites: list[str], findings: Findings) -> bool:
    """Print what is wrong or missing. Return True if anything is."""
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
    # Each new failure needs a line with its reason.
    told = len(findings.failed) + sum(map(len, findings.fewer.values()))
    counted = sum(result["new"] - result["accepted"] for result in findings.results.values())
    if findings.failed:
        say(f"New failures: {', '.join(findings.failed)}.")
    elif counted != told:
        say(f"{counted} new failures, of which {told} were read.")
    required = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
    return bool(missing or findings.failed or counted != told or (findings.skipped and required))


if __name__ == "__main__":
    sys.exit(main())
