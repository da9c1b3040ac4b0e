"""Measure the time of a request on PostgreSQL, by the clock."""

from __future__ import annotations

from tools.servers import url_of

from .contenders import AGAIN, OURS, OURS_CACHED, OURS_PREPARE, PEERS, STOCK, STOCK_CACHED
from .driver import interleave, note, workers
from .report import Report
from .services import postgresql, redis_answers

#: With every statement of the project prepared.
STOCK_PREPARED = STOCK.with_("prepared", PREPARED="1")
OURS_PREPARED = OURS.with_("prepared", PREPARED="1")
#: With Django's default, a new connection for each request.
STOCK_EACH = STOCK.with_("new connections", CONNECTIONS="each")
OURS_EACH = OURS.with_("new connections", CONNECTIONS="each")
WANTED = [("one", "empty"), ("one", "page"), ("two", "write"), ("one", "bogus")]


def run(report: Report, *, quick: bool) -> None:
    if url_of("postgresql") is None:
        report.say("No PostgreSQL answers: nothing was measured.\n")
        return
    contenders = [STOCK, AGAIN, OURS, OURS_PREPARE, STOCK_PREPARED, OURS_PREPARED]
    if not quick:
        contenders += [STOCK_EACH, OURS_EACH, *PEERS]
        contenders += [STOCK_CACHED, OURS_CACHED] if redis_answers() else []
    names = [contender.name for contender in contenders]
    with postgresql(names) as urls, workers(contenders, urls) as started:
        for worker in started:
            worker.prepare(users=2)
            worker.sign_in("one", users=[0])
            worker.sign_in("two", users=[1])
        note("time by the clock")
        rounds, seconds = (5, 20) if quick else (11, 90)
        times = interleave(started, WANTED, rounds=rounds, count=40, seconds=seconds)
    report.say(
        "Time by the clock, to stock db: of undisturbed requests (the quickest tenth), and the"
        f" median of the rounds; load average {times.load}"
    )
    rows = []
    for name in names:
        cells = []
        for key in WANTED:
            own, base = (name, *key), (STOCK.name, *key)
            ratio = times.undisturbed(own) / times.undisturbed(base)
            cells.append(f"{ratio:.2f} {times.wall_ratio(own, base):.2f}")
        page = name, "one", "page"
        cells.append(f"{times.cpu_ratio(page, (STOCK.name, 'one', 'page')):.2f}")
        rows.append([name, *cells, round(times.undisturbed(page) / 1000)])
    scenarios = [scenario for _, scenario in WANTED]
    report.table(["", *scenarios, "page, processor", "page, µs"], rows)
    stock = times.undisturbed((STOCK.name, "one", "page"))
    figures = {"": OURS, ".alone": OURS_PREPARE, ".prepared": OURS_PREPARED}
    for figure, contender in figures.items():
        ours = times.undisturbed((contender.name, "one", "page"))
        report.figures[f"postgresql.page{figure}"] = ours / stock
