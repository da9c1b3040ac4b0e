"""Measure what grows with the rows of the tables on PostgreSQL, and the purge."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tools.servers import url_of

from .contenders import OURS, STOCK
from .driver import Worker, interleave, note, workers
from .report import Report
from .services import connect, postgresql

SIZES, QUICK_SIZES = [10_000, 1_000_000], [5_000, 50_000]
FORMS = ["switch", "sign out one"]
REQUESTS = 100

#: Sessions last used 200 days ago, one on each browser, from row ``first`` to row ``last``.
FILL = {
    OURS.name: """
INSERT INTO multisession_client (id, public_id, user_agent, created_at, updated_at)
SELECT 100000 + n, 'client_' || n, '', now() - interval '200 days', now() - interval '200 days'
FROM generate_series({first}, {last}) n;
INSERT INTO multisession_session (
    id, public_id, client_id, user_id, status, forgotten, session_data, created_at, updated_at,
    last_active_at, expire_at, abandon_at, expire_at_browser_close)
SELECT 100000 + n, 'sess_' || n, 100000 + n, 2 + n % 10, 'active', false, repeat('x', 200),
    at, at, at, at + interval '14 days', at + interval '30 days', false
FROM (SELECT n, now() - interval '200 days' + interval '1 second' * (n / 10) AS at
      FROM generate_series({first}, {last}) n) rows;
INSERT INTO multisession_token (digest, client_id, session_id, created_at)
SELECT md5(n::text) || md5(n || 'b'), 100000 + n, 100000 + n, now() - interval '200 days'
FROM generate_series({first}, {last}) n
""",
    STOCK.name: """
INSERT INTO django_session (session_key, session_data, expire_date)
SELECT md5(n::text), repeat('x', 300), now() - interval '100 days'
FROM generate_series({first}, {last}) n
""",
}
#: One plain DELETE for each table.
DELETE = """
DELETE FROM multisession_token WHERE client_id > 100000;
DELETE FROM multisession_session WHERE status = 'active' AND expire_at < now() - interval '90 days';
DELETE FROM multisession_client c
WHERE NOT EXISTS (SELECT 1 FROM multisession_session s WHERE s.client_id = c.id)
"""
ROWS = """
SELECT (SELECT count(*) FROM multisession_token) + (SELECT count(*) FROM multisession_session)
    + (SELECT count(*) FROM multisession_client)
"""
WAITING = """
SELECT count(*) FILTER (WHERE wait_event_type = 'Lock'),
       coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0)
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def run(report: Report, *, quick: bool) -> None:
    if url_of("postgresql") is None:
        report.say("No PostgreSQL answers: nothing was measured.\n")
        return
    sizes = QUICK_SIZES if quick else SIZES
    copy, watcher = OURS.with_("a copy"), OURS.with_("the watcher")
    with postgresql([STOCK.name, OURS.name, copy.name]) as urls:
        with workers([STOCK, OURS], urls) as started:
            grow(report, started, urls, sizes)
            browsers = started[1].browsers_as_json()
        note(f"purging {sizes[-1]:,} rows, twice")
        with connect(urls[STOCK.name]) as admin:
            names = [urls[each.name].rpartition("/")[2] for each in (copy, OURS)]
            admin.execute(f'DROP DATABASE "{names[0]}"')
            admin.execute(f'CREATE DATABASE "{names[0]}" TEMPLATE "{names[1]}"')
        purges = []
        for contender, name in ((copy, "one big DELETE for each table"), (OURS, "clearsessions")):
            url = urls[contender.name]
            with workers([contender, watcher], {contender.name: url, watcher.name: url}) as pair:
                for worker in pair:
                    worker.take_browsers(browsers=browsers)
                own = contender == OURS
                delete = (lambda: pair[0].batch("one", "purge", 1)) if own else at_once(url)
                purges.append((name, watch(url, pair[1], delete)))
    show_purge(report, purges)


def grow(report: Report, started: list[Worker], urls: dict[str, str], sizes: list[int]) -> None:
    note(f"filling the tables to {sizes[-1]:,} rows")
    stock, ours = started
    for worker in started:
        worker.prepare(users=12)
        worker.sign_in("one", users=[0])
    ours.sign_in("two", users=[0, 1])
    for size in sizes:
        ours.sign_in(f"leaving at {size}", users=[0, 1])
    rows, counts, filled = [], [], 0
    for size in sizes:
        for worker in started:
            fill(urls[worker.contender.name], FILL[worker.contender.name], filled + 1, size)
        filled = size
        times = interleave(started, [("one", "page")], rounds=5, count=REQUESTS, seconds=10)
        own, base = ((worker.contender.name, "one", "page") for worker in (ours, stock))
        ratio = times.undisturbed(own) / times.undisturbed(base)
        blocks = [blocks_of_page(worker) for worker in started]
        statements = [len(ours.statements("two", "switch"))]
        ours.batch("two", "page", 2)
        statements.append(len(ours.statements(f"leaving at {size}", "sign out one")))
        rows.append([f"{size:,}", *blocks, ratio, times.load, *statements])
        counts.append(statements)
    titles = ["blocks, stock db", "ours", "time, to stock db", "load", *FORMS]
    report.say("A page: blocks of the database, time by the clock. The forms: statements")
    report.table(["rows", *titles], rows)
    for form, few, many in zip(FORMS, counts[0], counts[-1], strict=True):
        report.figures[f"{form}.growth.rows"] = many - few


def fill(url: str, statements: str, first: int, last: int) -> None:
    with connect(url) as db:
        for statement in statements.format(first=first, last=last).split(";\n"):
            db.execute(statement)
        db.execute("VACUUM ANALYZE")


def blocks_of_page(worker: Worker) -> int:
    before = worker.blocks()
    probe = worker.blocks() - before
    before = worker.blocks()
    worker.batch("one", "page", REQUESTS)
    return round((worker.blocks() - before - probe) / REQUESTS)


@dataclass
class Watched:
    """The figures of a deletion and of the writes during it."""

    seconds: float = 0
    rows: int = 0
    waiting: int = 0
    longest: float = 0
    requests: list[float] = field(default_factory=list)


def at_once(url: str) -> Callable[[], None]:
    def delete() -> None:
        with connect(url) as db, db.transaction():
            for statement in DELETE.split(";\n"):
                db.execute(statement)

    return delete


def watch(url: str, watcher: Worker, delete: Callable[[], Any]) -> Watched:
    """Delete rows during writes to a session, and watch for waits for locks."""
    found, over = Watched(), threading.Event()

    def observe() -> None:
        with connect(url) as db:
            while not over.is_set():
                waiting, longest = db.execute(WAITING).fetchone()
                found.waiting += waiting
                found.longest = max(found.longest, float(longest))
                time.sleep(0.02)

    failed: list[BaseException] = []

    def work() -> None:
        began = time.monotonic()
        try:
            delete()
        except BaseException as error:
            failed.append(error)
        found.seconds = time.monotonic() - began
        over.set()

    before = rows_in(url)
    watcher.batch("one", "write", 5)
    threads = [threading.Thread(target=target) for target in (observe, work)]
    for thread in threads:
        thread.start()
    while not over.is_set():
        found.requests.append(watcher.batch("one", "write", 1)[0][0] / 1e6)
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    found.rows = before - rows_in(url)
    return found


def rows_in(url: str) -> Any:
    with connect(url) as db:
        return db.execute(ROWS).fetchone()[0]


def show_purge(report: Report, purges: list[tuple[str, Watched]]) -> None:
    report.say("Purge: rows of all three tables; what a session write beside it took, in ms")
    columns = ["rows", "s", "rows/s", "longest transaction, s", "median write", "longest", "waited"]
    rows = []
    for name, found in purges:
        taken = sorted(found.requests)
        speed = round(found.rows / found.seconds)
        cells = [found.rows, found.seconds, speed, found.longest]
        rows.append([name, *cells, taken[len(taken) // 2], taken[-1], found.waiting])
    report.table(["", *columns], rows)
    (_, whole), (_, ours) = purges
    report.figures["purge.speed"] = (ours.rows / ours.seconds) / (whole.rows / whole.seconds)
    report.figures["purge.waiting"] = ours.waiting
    report.figures["purge.longest"] = ours.longest
