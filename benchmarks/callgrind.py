"""Count the instructions of a request with callgrind, which a busy machine does not change."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .contenders import Contender
from .driver import Worker

WARM = 12
FEW, MANY = 5, 25


def is_installed() -> bool:
    return shutil.which("valgrind") is not None and shutil.which("vgdb") is not None


def count(
    contender: Contender, url: str, browsers: dict[str, Any], wanted: list[tuple[str, str]]
) -> dict[tuple[str, str], float]:
    """Return the instructions for each (browser, scenario), in user space, including SQLite.

    This is the slope between two batches, so the cost of a command itself drops out.
    """
    with TemporaryDirectory(prefix="callgrind-") as folder:
        dumps = Path(folder) / "out"
        valgrind = ("valgrind", "--tool=callgrind", "--instr-atstart=no", "-q")
        worker = Worker(contender, url, under=(*valgrind, f"--callgrind-out-file={dumps}"))
        try:
            worker.take_browsers(browsers=browsers)
            for browser, scenario in wanted:
                worker.batch(browser, scenario, WARM)
            found = {}
            for browser, scenario in wanted:
                few, many = (_counted(worker, dumps, browser, scenario, n) for n in (FEW, MANY))
                found[browser, scenario] = (many - few) / (MANY - FEW)
            return found
        finally:
            worker.close()


def _counted(worker: Worker, dumps: Path, browser: str, scenario: str, requests: int) -> int:
    worker.batch(browser, scenario, 2)  # notes activity, if it is due
    for dump in dumps.parent.iterdir():
        dump.unlink()
    _tell(worker, "instrumentation", "on")
    _tell(worker, "zero")
    worker.batch(browser, scenario, requests)
    _tell(worker, "dump")
    _tell(worker, "instrumentation", "off")
    text = "".join(dump.read_text() for dump in dumps.parent.iterdir())
    return sum(int(total) for total in re.findall(r"^totals: (\d+)", text, re.MULTILINE))


def _tell(worker: Worker, *command: str) -> None:
    pid = worker.process.pid
    subprocess.run(["vgdb", f"--pid={pid}", *command], check=True, capture_output=True, timeout=60)
