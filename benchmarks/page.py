"""Measure a request on SQLite: statements, instructions, and processor time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import callgrind
from .contenders import (
    AGAIN,
    OURS,
    OURS_ALWAYS,
    OURS_CACHED,
    OURS_NEVER,
    OURS_ORM,
    OURS_PATHS,
    PEERS,
    STOCK,
    STOCK_CACHED,
    Contender,
)
from .driver import Worker, interleave, note, workers
from .report import Report
from .services import redis_answers, sqlite

#: One browser reads and another writes, so that the first one's cache entries stay valid.
COUNTED = [
    ("one", "empty"),
    ("one", "page"),
    ("one", "form"),
    ("two", "write"),
    ("two", "rewrite"),
    ("one", "bogus"),
    ("one", "malformed"),
    ("left", "dead"),
    ("old", "ended"),
]
MEASURED = [("one", "empty"), ("one", "page"), ("one", "form"), ("two", "write"), ("one", "bogus")]
TAB = ("tabs", "tab")
#: Seconds, longer than ``cached_db`` bypasses its cache after a change.
SETTLE = 16
#: As for a person who reads a page every two seconds, with an ACTIVITY_INTERVAL of a minute.
PAGES_IN_INTERVAL = 30


def run(report: Report, *, quick: bool) -> None:
    contenders = [STOCK, AGAIN, OURS, OURS_NEVER, OURS_ALWAYS, OURS_PATHS]
    if redis_answers():
        contenders += [STOCK_CACHED, OURS_CACHED]
    else:
        report.say("No Redis answers: nothing is said about cached_db.\n")
    if not quick:
        contenders += [OURS_ORM, *PEERS]
    compare(report, contenders, quick=quick)


def compare(
    report: Report, contenders: list[Contender], *, quick: bool, timed: bool = True
) -> None:
    urls = sqlite([contender.name for contender in contenders])
    with workers(contenders, urls) as started:
        browsers = {worker.contender.name: sign_in(worker) for worker in started}
        if OURS_CACHED in contenders:
            note("waiting for the cache to settle")
            time.sleep(SETTLE)
        count_statements(report, started)
        if OURS_CACHED in contenders:
            revoke(report, started[contenders.index(OURS_CACHED)])
        if timed:
            note("processor time")
            measure_time(report, started, quick=quick)
    if callgrind.is_installed():
        note("instructions, under callgrind")
        measure_instructions(report, contenders, urls, browsers, quick=quick)
    else:
        report.say("valgrind is not installed: no instructions were counted.\n")


def sign_in(worker: Worker) -> dict[str, Any]:
    """Sign in two browsers to measure, one to be revoked, and two for old cookies."""
    worker.prepare(users=3)
    worker.sign_in("one", users=[0])
    worker.sign_in("two", users=[1])
    worker.sign_in("gone", users=[0])
    worker.sign_in("leaving", users=[0])
    worker.copy("leaving", to="left")
    worker.go("leaving", path="/sign-out")
    if worker.contender.settings.startswith("ours"):
        worker.sign_in("tabs", users=[0, 1])
        worker.sign_in("switched", users=[0])
        worker.copy("switched", to="old")
        worker.sign_in("switched", users=[1])
        worker.batch("old", "ended", 1)  # its reuse is recorded once
    found: dict[str, Any] = worker.browsers_as_json()
    return found


def count_statements(report: Report, started: list[Worker]) -> None:
    report.say("Statements (BEGIN and COMMIT not counted), and how many of them write")
    rows = []
    for worker in started:
        name, cells = worker.contender.name, []
        own = worker.contender.settings.startswith("ours")
        for browser, scenario in COUNTED:
            if browser == "old" and not own:
                cells.append("-")
                continue
            if browser == "one":
                worker.batch(browser, scenario, 2)  # warm the caches, note activity
            seen = worker.statements(browser, scenario)
            writes = sum(sql.startswith(("INSERT", "UPDATE", "DELETE")) for sql in seen)
            cells.append(f"{len(seen)} ({writes})" if writes else str(len(seen)))
            report.figures[f"{name}.{scenario}.statements"] = len(seen)
            report.figures[f"{name}.{scenario}.writes"] = writes
        rows.append([name, *cells])
        if worker.contender == OURS_PATHS:
            worker.batch(*TAB, 2)
            report.figures["tab.statements"] = len(worker.statements(*TAB))
    report.table(["", *(scenario for _, scenario in COUNTED)], rows)


def revoke(report: Report, worker: Worker) -> None:
    """Revoke a session that is in the cache, and check that the next request is signed out."""
    before = worker.shows("gone")
    worker.batch("gone", "revoke here", 1)
    immediate = before != "nobody" and worker.shows("gone") == "nobody"
    report.figures["cached.revoked.at.once"] = int(immediate)
    report.say(f"ours cached_db: a revoked session's next request is nobody's: {immediate}\n")


def measure_time(report: Report, started: list[Worker], *, quick: bool) -> None:
    times = interleave(
        started, MEASURED, rounds=3 if quick else 9, count=40, seconds=15 if quick else 90
    )
    report.say(f"Smallest processor time, ratio to stock db (load average {times.load})")
    rows = []
    for worker in started:
        name = worker.contender.name
        ratios = [times.cpu_ratio((name, *key), (STOCK.name, *key)) for key in MEASURED]
        rows.append([name, *ratios])
        for (_, scenario), ratio in zip(MEASURED, ratios, strict=True):
            report.figures[f"{name}.{scenario}.cpu"] = ratio
    report.table(["", *(scenario for _, scenario in MEASURED)], rows)


def measure_instructions(
    report: Report,
    contenders: list[Contender],
    urls: dict[str, str],
    browsers: dict[str, Any],
    *,
    quick: bool,
) -> None:
    wanted = MEASURED
    if quick:
        wanted = [key for key in MEASURED if key[1] in ("empty", "page", "write")]
        contenders = [contender for contender in contenders if contender != AGAIN]

    def count(contender: Contender) -> dict[tuple[str, str], float]:
        name = contender.name
        own = [*wanted, TAB] if contender == OURS_PATHS else wanted
        return callgrind.count(contender, urls[name], browsers[name], own)

    with ThreadPoolExecutor(2) as pool:
        found = dict(
            zip((each.name for each in contenders), pool.map(count, contenders), strict=True)
        )
    report.say("Instructions of a request in millions, and as a ratio to stock db")
    rows = []
    for name, counts in found.items():
        cells = []
        for key in wanted:
            ratio = counts[key] / found[STOCK.name][key]
            cells.append(f"{counts[key] / 1e6:.2f} ({ratio:.3f})")
            report.figures[f"{name}.{key[1]}.instructions"] = ratio
        rows.append([name, *cells])
    report.table(["", *(scenario for _, scenario in wanted)], rows)
    page = ("one", "page")
    off = found.get(OURS_NEVER.name, found[OURS.name])[page]
    always = found[OURS_ALWAYS.name][page]
    average = 1 + (always / off - 1) / PAGES_IN_INTERVAL
    report.figures["tracking.average"] = average
    report.say(
        f"Activity tracking: {always / off:.2f} times the page when it writes; "
        f"{average:.3f} averaged over {PAGES_IN_INTERVAL} pages in an interval.\n"
    )
    if OURS_PATHS.name in found:
        ratio = found[OURS_PATHS.name][TAB] / found[OURS.name][page]
        report.figures["tab.instructions"] = ratio
        report.say(f"A page in the tab of another account: {ratio:.3f} times one without.\n")
    if OURS_CACHED.name in found:
        ratio = found[OURS_CACHED.name][page] / found[STOCK_CACHED.name][page]
        report.figures["cached.page.instructions"] = ratio
        report.say(f"ours cached_db: {ratio:.3f} times stock cached_db on the page.\n")
