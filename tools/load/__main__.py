"""``make load``: run each pair of server and database, and print the results."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path

from . import services
from .browser import Browser, users
from .options import Misspelt, Options
from .report import table
from .side_by_side import SideBySide
from .tally import Tally
from .web import ask

#: With one account in each tab: the part of the requests that may be refused or sent elsewhere.
MOST_ASTRAY = 0.005


def main() -> int:
    try:
        options = Options.from_environment()
    except Misspelt as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if options.kill and "gunicorn" not in options.servers:
        sys.stderr.write("KILL=1 is for gunicorn.\n")
        return 2
    say(f"SEED={options.seed}")
    good, ran = True, 0
    for server in options.servers:
        for database in options.databases:
            try:
                tally, wrong = run(server, database, options)
            except services.NotHere as error:
                say(f"{server} on {database}: {error} Left out.")
                continue
            ran += 1
            say(table(f"{server} on {database}", tally, wrong, options))
            good = good and not tally.found and not wrong
    if not ran:
        say("Nothing was run.")
    return 0 if good and ran else 1


def run(server: str, database: str, options: Options) -> tuple[Tally, list[str]]:
    """Put one pair under load. Return the counts, and what is wrong in the database."""
    tally = Tally(options.operations)
    with ExitStack() as stack:
        url = stack.enter_context(services.database(database))
        services.rows(url, "prepare", *users(options))
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "server.log"
        paths = "1" if options.only == "tabs" else "0"
        port, pid = stack.enter_context(services.site(server, url, log, ACCOUNT_PATHS=paths))
        kind = SideBySide if options.only == "tabs" else Browser
        browsers = [
            kind(f"{number}", partial(ask, port), options, tally)
            for number in range(options.browsers)
        ]
        began = time.monotonic()
        killing = options.kill and server == "gunicorn"
        with services.killer(pid, tally, options.seed) if killing else nullcontext():
            live(browsers, tally, began + options.seconds)
        tally.seconds = time.monotonic() - began
        known: dict[str, list[str]] = {"ended": [], "live": [], "written": []}
        for browser in browsers:
            for about, names in browser.known().items():
                known[about] += names
        wrong = services.rows(url, "check", known=known)
        if tally.astray.total() > MOST_ASTRAY * tally.requests:
            wrong.append(f"{tally.astray.total()} requests were refused or sent elsewhere")
        if any(found.violation.kind.startswith("answered 5") for found in tally.found):
            wrong.append(f"The server has said:\n{log.read_text()[-4000:]}")
    return tally, wrong


def live(browsers: Sequence[Browser | SideBySide], tally: Tally, until: float) -> None:
    """Run all browsers at the same time."""
    failed: list[BaseException] = []

    def one(browser: Browser | SideBySide) -> None:
        try:
            browser.live(until)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=one, args=[browser]) for browser in browsers]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
        tally.stopped_early = not tally.is_full
    finally:
        tally.limit = 0  # After Ctrl-C, let the threads finish.
    if failed:
        raise failed[0]


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
