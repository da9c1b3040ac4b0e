"""The report: printed at once, stored in ``.bench/``, with figures for the table of targets."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .services import DATA


class Report:
    """Text for the terminal and a file; figures by name, such as "page.statements"."""

    def __init__(self, name: str = "report.txt") -> None:
        self.figures: dict[str, float] = {}
        DATA.mkdir(exist_ok=True)
        self._file = (DATA / name).open("w")

    def say(self, text: str = "") -> None:
        for out in (sys.stdout, self._file):
            out.write(f"{text}\n")
            out.flush()

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        cells = [[_cell(value) for value in row] for row in [columns, *rows]]
        widths = [max(len(row[number]) for row in cells) for number in range(len(columns))]
        for row in cells:
            first, *rest = (
                cell.rjust(width) if number else cell.ljust(width)
                for number, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            self.say("  ".join([first, *rest]).rstrip())
        self.say()

    def facts(self) -> None:
        """Print the machine and its load."""
        self.say(time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))
        cpu = [line for line in _read("/proc/cpuinfo").splitlines() if "model name" in line]
        self.say(f"{os.cpu_count()} x {cpu[0].partition(': ')[2] if cpu else platform.machine()}")
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        self.say(f"{platform.platform()}; load average {load}")
        installed = [sys.executable, "-m", "pip", "list", "--format=freeze"]
        packages = subprocess.run(installed, capture_output=True, text=True, check=True).stdout
        shown = ("django==", "psycopg==", "redis==", "gunicorn==", "uvicorn==")
        versions = [line for line in packages.splitlines() if line.lower().startswith(shown)]
        self.say(f"Python {platform.python_version()}, {', '.join(versions)}\n")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _read(path: str) -> str:
    found = Path(path)
    return found.read_text() if found.exists() else ""
