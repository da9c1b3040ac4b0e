"""Count what the browsers of a run did, and the answers that they got."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from .check import Kind, Violation

#: Stands for a missing status.
NONE = 0


@dataclass
class Found:
    """A violation, with the steps of its browser before it."""

    browser: str
    violation: Violation
    last_steps: list[str]


@dataclass
class Tally:
    limit: int
    operations: Counter[str] = field(default_factory=Counter)
    #: By kind of request and status; ``NONE`` for a request without an answer.
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    retried: int = 0
    killed_browsers: int = 0
    killed_workers: int = 0
    left_behind: Counter[str] = field(default_factory=Counter)
    #: Requests of a tab with an account of its own that were refused or sent to another page.
    astray: Counter[str] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)
    signing_in: int = 0
    seconds: float = 0.0
    stopped_early: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, name: str) -> None:
        with self._lock:
            self.operations[name] += 1

    @property
    def is_full(self) -> bool:
        return sum(self.operations.values()) >= self.limit

    def answered(self, kind: Kind, status: int) -> None:
        with self._lock:
            self.statuses[kind.value, status] += 1

    def signs_in(self, change: int) -> None:
        with self._lock:
            self.signing_in += change

    def kill_browser(self) -> None:
        with self._lock:
            self.killed_browsers += 1

    def send_astray(self, what: str) -> None:
        with self._lock:
            self.astray[what] += 1

    def retry(self) -> None:
        with self._lock:
            self.retried += 1

    def report(self, found: Found) -> None:
        with self._lock:
            self.found.append(found)

    @property
    def requests(self) -> int:
        return self.statuses.total()

    @property
    def lost_answers(self) -> int:
        return sum(count for (_, status), count in self.statuses.items() if status == NONE)

    @property
    def losses(self) -> tuple[int, int]:
        """Return the number of lost accounts, and the number of answers that showed it."""
        lost = [
            (each.browser, each.violation.moment)
            for each in self.found
            if each.violation.kind == "lost"
        ]
        return len(lost), len(set(lost))
