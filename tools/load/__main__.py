"""``make load``: run each pair of server and database, and print the results."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path

from . import services
from .browser import Browser, users
from .options import Misspelt, Options
from .report import table
from .tally import Tally
from .web import ask


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
        port, pid = stack.enter_context(services.site(server, url, log))
        browsers = [
            Browser(f"{number}", partial(ask, port), options, tally)
            for number in range(options.browsers)
        ]
        began = time.monotonic()
        killing = options.kill and server == "gunicorn"
        with services.killer(pid, tally, options.seed) if killing else nullcontext():
            live(browsers, tally, began + options.seconds)
        tally.seconds = time.monotonic() - began
        known = {
            "ended": [name for browser in browsers for name in browser.check.ended],
            "live": [name for browser in browsers for name in browser.check.live(browser.value)],
            "written": [number for browser in browsers for number in browser.written],
        }
        wrong = services.rows(url, "check", known=known)
        if any(found.violation.kind.startswith("answered 5") for found in tally.found):
            wrong.append(f"The server has said:\n{log.read_text()[-4000:]}")
    return tally, wrong


def live(browsers: list[Browser], tally: Tally, until: float) -> None:
    """Run all browsers at the same time."""
    failed: list[BaseException] = []

    def one(browser: Browser) -> None:
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
