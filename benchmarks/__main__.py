"""``python -m benchmarks``: run every comparison; ``python -m benchmarks page``: run one."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from importlib import import_module

from . import targets
from .report import Report

COMPARISONS = ["page", "accounts", "postgresql", "rows"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("comparisons", nargs="*", metavar="NAME", help=", ".join(COMPARISONS))
    parser.add_argument("--quick", action="store_true", default=os.environ.get("QUICK") == "1")
    chosen = parser.parse_args()
    if unknown := set(chosen.comparisons) - set(COMPARISONS):
        parser.error(f"no such comparison: {', '.join(unknown)}")
    # Exit normally after SIGTERM, so that databases and servers are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    report = Report()
    report.facts()
    for name in chosen.comparisons or COMPARISONS:
        comparison = import_module(f"benchmarks.{name}")
        began = time.monotonic()
        report.say(f"== {name}: {(comparison.__doc__ or '').splitlines()[0]}\n")
        comparison.run(report, quick=chosen.quick)
        report.say(f"({time.monotonic() - began:.0f} s)\n")
    targets.show(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
