"""The project's targets, and whether the measured figures meet them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .report import Report


@dataclass(frozen=True)
class Check:
    """One figure and its limit."""

    text: str
    figure: str
    limit: float
    at_least: bool = False

    def result(self, figures: Mapping[str, float]) -> tuple[str, str]:
        """Return what was measured, and the verdict."""
        value = figures.get(self.figure)
        if value is None:
            return "-", "not measured"
        met = value >= self.limit if self.at_least else value <= self.limit
        shown = f"{value:,.0f}" if float(value).is_integer() else f"{value:.3f}"
        return shown, "met" if met else "NOT MET"


TARGETS: list[tuple[str, list[Check]]] = [
    (
        "1. A signed-in page",
        [
            Check("statements", "ours.page.statements", 1),
            Check("instructions, to stock db", "ours.page.instructions", 0.50),
            Check("PostgreSQL, wall time, to stock db", "postgresql.page", 0.65),
            Check("the same, its own statement prepared", "postgresql.page.alone", 0.45),
            Check("the same, all statements prepared", "postgresql.page.prepared", 0.45),
        ],
    ),
    (
        "2. A view that touches neither session nor user",
        [
            Check("statements", "ours.empty.statements", 0),
            Check("instructions, to stock db", "ours.empty.instructions", 1.05),
        ],
    ),
    (
        "3. A session write",
        [
            Check("statements", "ours.write.statements", 2),
            Check("instructions, to stock db", "ours.write.instructions", 0.60),
            Check("writes when nothing has changed", "ours.rewrite.writes", 0),
        ],
    ),
    (
        "4. Activity tracking",
        [
            Check("averaged, to tracking off", "tracking.average", 1.05),
            Check("writes inside the interval", "ours.page.writes", 0),
        ],
    ),
    (
        "5. A cookie that opens nothing",
        [
            Check("bogus: statements", "ours.bogus.statements", 1),
            Check("bogus: writes", "ours.bogus.writes", 0),
            Check("signed out: statements", "ours.dead.statements", 1),
            Check("signed out: writes", "ours.dead.writes", 0),
            Check("ended: statements", "ours.ended.statements", 1),
            Check("ended: writes", "ours.ended.writes", 0),
            Check("malformed: statements", "ours.malformed.statements", 0),
        ],
    ),
    (
        "6. From 1 to 100 accounts",
        [
            Check("instructions of the page, 100 to 1", "accounts.page.growth", 1.03),
            Check("bytes of the Cookie header, most", "accounts.cookie.bytes", 110),
            Check("bytes of the Cookie header, growth", "accounts.cookie.growth", 0),
            Check("statements of the menu, most", "menu.statements", 2),
        ],
    ),
    (
        "7. Switch and sign out",
        [
            Check("switch: statements, most", "switch.statements", 5),
            Check("switch: growth by accounts", "switch.growth", 0),
            Check("switch: growth by rows", "switch.growth.rows", 0),
            Check("sign out one: statements, most", "sign out one.statements", 5),
            Check("sign out one: growth by accounts", "sign out one.growth", 0),
            Check("sign out one: growth by rows", "sign out one.growth.rows", 0),
            Check("sign out all: growth by accounts", "sign out all.growth", 0),
            Check("revoke: statements, 1,000 less 10", "revoke.growth", 0),
        ],
    ),
    (
        "8. Purge of a million expired rows",
        [
            Check("rows a second, to one big DELETE", "purge.speed", 0.5, at_least=True),
            Check("requests seen waiting for a lock", "purge.waiting", 0),
            Check("longest transaction, seconds", "purge.longest", 1),
        ],
    ),
    (
        "9. cached_db on Redis",
        [
            Check("statements of the page", "ours cached_db.page.statements", 0),
            Check("instructions, to stock cached_db", "cached.page.instructions", 0.70),
            Check("revoked at once (1: yes)", "cached.revoked.at.once", 1, at_least=True),
        ],
    ),
    (
        "10. A page in the tab of another account",
        [
            Check("statements", "tab.statements", 1),
            Check("instructions, to a page without a number", "tab.instructions", 1.10),
        ],
    ),
]


def show(report: Report) -> None:
    """Print every target with its figure."""
    report.say("Targets")
    rows = []
    for title, checks in TARGETS:
        rows.append([title, "", "", ""])
        for check in checks:
            limit = f"{'>=' if check.at_least else '<='} {check.limit:,}"
            rows.append([f"   {check.text}", limit, *check.result(report.figures)])
    report.table(["", "target", "measured", ""], rows)
