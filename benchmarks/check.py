"""``python -m benchmarks.check``: fail if a recorded figure has become worse.

Checks only what a busy machine does not change: statements, bytes, and instructions if valgrind is
installed. ``--record`` records the current figure of every target, met or not.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import accounts, callgrind, page
from .contenders import OURS, OURS_ALWAYS, OURS_PATHS, STOCK
from .report import Report
from .targets import TARGETS

RECORDED = Path(__file__).with_name("recorded.json")
#: Two runs on one machine differ by less than a hundredth, two versions of Django by two.
MARGIN = 1.04


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true")
    chosen = parser.parse_args()
    report = Report("check.txt")
    page.compare(report, [STOCK, OURS, OURS_ALWAYS, OURS_PATHS], quick=True, timed=False)
    accounts.run(report, quick=True, timed=False)
    if chosen.record:
        record(report.figures)
        return 0
    dearer = []
    recorded: dict[str, float] = json.loads(RECORDED.read_text())
    for name, before in recorded.items():
        now = report.figures.get(name)
        if now is None:
            if callgrind.is_installed() or isinstance(before, int):
                dearer.append(f"{name} is not measured any more")
        elif now > before * (1 if isinstance(before, int) else MARGIN):
            dearer.append(f"{name} was {before:g} and is {now:.3f}")
    for text in dearer:
        report.say(f"Dearer: {text}")
    report.say(f"{len(recorded) - len(dearer)} of {len(recorded)} figures as recorded, or better.")
    return 1 if dearer else 0


def record(figures: dict[str, float]) -> None:
    """Record the stable figures of the targets."""
    stable = {}
    for _, checks in TARGETS:
        for check in checks:
            value = figures.get(check.figure)
            if value is not None and not check.at_least:
                stable[check.figure] = value if isinstance(value, int) else round(value, 3)
    RECORDED.write_text(json.dumps(stable, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
