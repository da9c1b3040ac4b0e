"""Start the workers, run them in turn, and compute ratios."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median, quantiles
from typing import Any

from .contenders import Contender
from .services import DATA, ROOT

#: Contender, browser, scenario.
Key = tuple[str, str, str]

#: Seconds that one command may take.
PATIENCE = 600
#: The load average above which a round does not count as quiet.
BUSY = 3.0
#: The least number of rounds.
LEAST = 3


class Worker:
    """A contender's process (see worker.py). Every method of that class is a method here."""

    def __init__(self, contender: Contender, url: str, *, under: tuple[str, ...] = ()) -> None:
        self.contender = contender
        self.process = subprocess.Popen(
            [*under, str(python(contender)), "-m", "benchmarks.worker"],
            cwd=ROOT,
            env=environment(contender, url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answers = selectors.DefaultSelector()
        self._answers.register(self._stdout, selectors.EVENT_READ)

    def __getattr__(self, command: str) -> Any:
        def ask(*args: Any, **arguments: Any) -> Any:
            names = ("browser", "scenario", "count")
            return self.ask(command, **dict(zip(names, args, strict=False)), **arguments)

        return ask

    def ask(self, command: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
        self.process.stdin.flush()
        if not self._answers.select(PATIENCE):
            raise TimeoutError(f"{self.contender.name} did not answer to {command!r}.")
        line = self._stdout.readline()
        answer = json.loads(line) if line else {"error": "it has ended"}
        if "error" in answer:
            raise RuntimeError(f"{self.contender.name}: {answer['error']}")
        return answer["ok"]

    def statements(self, browser: str, scenario: str) -> list[str]:
        """Return the statements of such a request.

        Leaves out BEGIN, which PostgreSQL's driver sends itself, but SQLite's does not. Savepoints
        count.
        """
        seen: list[str] = self.ask("sql", browser=browser, scenario=scenario)
        return [sql for sql in seen if not sql.startswith("BEGIN")]

    @property
    def _stdout(self) -> Any:
        return self.process.stdout

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._stdout.close()


def python(contender: Contender) -> Any:
    return DATA / contender.environment / "bin" / "python"


def environment(contender: Contender, url: str) -> dict[str, str]:
    """Return the environment variables of a process that serves this contender."""
    return {
        **os.environ,
        **contender.variables,
        "DJANGO_SETTINGS_MODULE": f"benchmarks.contenders.{contender.settings}",
        "DATABASE_URL": url,
        "PYTHONHASHSEED": "0",
        "PYTHONWARNINGS": "ignore",
    }


@contextmanager
def workers(
    contenders: list[Contender], urls: dict[str, str], **options: Any
) -> Iterator[list[Worker]]:
    """Start a worker for each contender, on its own database."""
    with ExitStack() as stack:
        started = []
        for contender in contenders:
            worker = Worker(contender, urls[contender.name], **options)
            stack.callback(worker.close)
            started.append(worker)
        yield started


class Times:
    """Nanoseconds for each request, in rounds, by contender, browser and scenario."""

    def __init__(self) -> None:
        self.wall: dict[Key, list[float]] = {}
        self.cpu: dict[Key, list[float]] = {}
        self.single: dict[Key, list[int]] = {}
        self.loads: list[float] = []

    def wall_ratio(self, key: Key, base: Key) -> float:
        """Return the median of the rounds' ratios, so that a slow round cancels out."""
        return median(a / b for a, b in zip(self.wall[key], self.wall[base], strict=True))

    def cpu_ratio(self, key: Key, base: Key) -> float:
        """Return the ratio of the smallest figures, as interference only adds time."""
        return min(self.cpu[key]) / min(self.cpu[base])

    def undisturbed(self, key: Key) -> float:
        """Return the longest time by the clock within the fastest tenth of all requests."""
        return quantiles(self.single[key], n=10)[0]

    @property
    def load(self) -> str:
        return f"{min(self.loads):.1f} to {max(self.loads):.1f}"


def interleave(
    started: list[Worker],
    wanted: list[tuple[str, str]],
    *,
    rounds: int,
    count: int,
    seconds: int = 90,
) -> Times:
    """Run every contender in every round, a different one first each time.

    ``wanted`` are pairs of a browser and a scenario, ``count`` the requests of each in a round.
    Stops after ``rounds`` quiet rounds, or when the time is over; then the quietest rounds count.
    """
    for worker in started:
        for browser, scenario in wanted:
            worker.batch(browser, scenario, 5)
    taken: list[tuple[float, dict[Key, tuple[list[int], int]]]] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline or len(taken) < LEAST:
        turn = len(taken) % len(started)
        found = {}
        for worker in started[turn:] + started[:turn]:
            for browser, scenario in wanted:
                key = worker.contender.name, browser, scenario
                found[key] = worker.batch(browser, scenario, count)
        taken.append((os.getloadavg()[0], found))
        if sum(load <= BUSY for load, _ in taken) >= rounds:
            break
    taken.sort(key=lambda one: one[0])
    times = Times()
    for load, found in taken[:rounds]:
        times.loads.append(load)
        for key, (walls, cpu) in found.items():
            times.wall.setdefault(key, []).append(sum(walls) / count)
            times.cpu.setdefault(key, []).append(cpu / count)
            times.single.setdefault(key, []).extend(walls)
    return times


def note(text: str) -> None:
    """Print the progress."""
    sys.stderr.write(f"… {text}\n")
    sys.stderr.flush()
