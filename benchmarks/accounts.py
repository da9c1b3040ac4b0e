"""Measure what grows with the accounts of one browser: bytes, statements, instructions, time."""

from __future__ import annotations

from typing import Any

from . import callgrind
from .contenders import OURS
from .driver import Worker, interleave, note, workers
from .report import Report
from .services import sqlite

ACCOUNTS = [1, 2, 10, 100]
#: Scenarios that a browser can do only once.
ONCE = ["sign out one", "sign out all"]
#: Numbers of sessions that one call revokes.
REVOKED = [10, 1000]


def run(report: Report, *, quick: bool, timed: bool = True) -> None:
    urls = sqlite([OURS.name])
    with workers([OURS], urls) as (worker,):
        note("signing in")
        worker.prepare(users=max(ACCOUNTS))
        for number in ACCOUNTS:
            worker.sign_in(str(number), users=list(range(number)))
        found = {number: statements(worker, number) for number in ACCOUNTS}
        cookies = {number: worker.cookie_bytes(str(number)) for number in ACCOUNTS}
        times = processor_time(worker, quick=quick) if timed else {}
        instructions = count_instructions(urls[OURS.name], worker.browsers_as_json())
        for number in ACCOUNTS:
            found[number] |= sign_out(worker, number)
        worker.crowd(count=sum(REVOKED))
        revoked = [len(worker.statements("1", f"revoke {count}")) for count in REVOKED]
    show(report, found, cookies, times, instructions)
    report.say("Statements to revoke 10 sessions, and 1,000: {}, {}\n".format(*revoked))
    report.figures["revoke.growth"] = revoked[1] - revoked[0]


def statements(worker: Worker, number: int) -> dict[str, int]:
    browser = str(number)
    worker.batch(browser, "page", 2)
    counted = {name: len(worker.statements(browser, name)) for name in ("page", "menu")}
    if number > 1:
        counted["switch"] = len(worker.statements(browser, "switch"))
        worker.batch(browser, "page", 2)
    return counted


def sign_out(worker: Worker, number: int) -> dict[str, int]:
    """Return the number of statements. The browser can't be used afterwards."""
    browser = str(number)
    wanted = ONCE if number > 1 else ONCE[1:]
    counted = {}
    for name in wanted:
        worker.batch(browser, "page", 2)
        counted[name] = len(worker.statements(browser, name))
    return counted


def processor_time(worker: Worker, *, quick: bool) -> dict[tuple[int, str], float]:
    """Return microseconds, the smallest of some rounds."""
    note("processor time")
    wanted = [(str(number), name) for number in ACCOUNTS for name in ("page", "menu")]
    forms = [(str(number), "switch") for number in ACCOUNTS if number > 1]
    rounds, seconds = (3, 5) if quick else (9, 30)
    found = interleave([worker], wanted, rounds=rounds, count=10, seconds=seconds).cpu
    found |= interleave([worker], forms, rounds=rounds, count=5, seconds=seconds).cpu
    return {(int(browser), name): min(each) / 1000 for (_, browser, name), each in found.items()}


def count_instructions(url: str, browsers: dict[str, Any]) -> dict[tuple[str, str], float]:
    if not callgrind.is_installed():
        return {}
    note("instructions, under callgrind")
    wanted = [(str(number), "page") for number in (ACCOUNTS[0], ACCOUNTS[-1])]
    return callgrind.count(OURS, url, browsers, wanted)


def show(
    report: Report,
    found: dict[int, dict[str, int]],
    cookies: dict[int, int],
    times: dict[tuple[int, str], float],
    instructions: dict[tuple[str, str], float],
) -> None:
    report.say("Statements")
    names = ["page", "menu", "switch", *ONCE]
    counts = [[number, *map(found[number].get, names)] for number in ACCOUNTS]
    report.table(["accounts", *names], counts)
    report.say("Bytes of the Cookie header; microseconds of the processor; instructions, millions")
    rows: list[list[Any]] = []
    for number in ACCOUNTS:
        timed = [times.get((number, name)) for name in ("page", "menu", "switch")]
        counted = instructions.get((str(number), "page"))
        rows.append([number, cookies[number], *timed, counted and counted / 1e6])
    report.table(["accounts", "bytes", "page", "menu", "switch", "page, instructions"], rows)

    for name in ("menu", "switch", *ONCE):
        each = [found[number][name] for number in ACCOUNTS if name in found[number]]
        report.figures[f"{name}.statements"] = max(each)
        report.figures[f"{name}.growth"] = max(each) - min(each)
    report.figures["accounts.cookie.bytes"] = max(cookies.values())
    report.figures["accounts.cookie.growth"] = max(cookies.values()) - min(cookies.values())
    if instructions:
        few, many = (instructions[str(number), "page"] for number in (ACCOUNTS[0], ACCOUNTS[-1]))
        report.figures["accounts.page.growth"] = many / few
