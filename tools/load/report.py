"""The table of a run."""

from __future__ import annotations

from collections import Counter

from .check import Kind
from .options import Options
from .tally import NONE, Tally

#: The most violations, and the most lines about the database, that are printed.
MOST = 5


def table(title: str, tally: Tally, wrong: list[str], options: Options) -> str:
    """Return the table of one pair of server and database."""
    done = sum(tally.operations.values())
    lines = [
        "",
        f"{title}: {done} operations of {options.browsers} browsers with {options.tabs} tabs each,"
        f" {tally.requests} requests in {tally.seconds:.0f} s ({done / tally.seconds:.0f} and"
        f" {tally.requests / tally.seconds:.0f} a second)",
        "",
    ]
    if tally.stopped_early:
        lines.insert(2, f"Stopped after {options.seconds:.0f} s, before all was done.")
    codes = sorted({status for _, status in tally.statuses})
    names = ["no answer" if code == NONE else code for code in codes]
    lines.append(f"{'requests':18}" + "".join(f"{name:>10}" for name in names))
    for kind in Kind:
        counts = [tally.statuses[kind.value, code] for code in codes]
        if any(counts):
            cells = "".join(f"{count or '':>10}" for count in counts)
            lines.append(f"{kind.value:18}{cells}")
    lines += ["", "operations"]
    lines += [f"  {name:32}{count:>8}" for name, count in tally.operations.most_common()]
    if tally.astray:
        lines += ["", "refused, or sent to another page"]
        lines += [f"  {name:32}{count:>8}" for name, count in tally.astray.most_common()]
    lines += ["", "what went wrong on purpose"]
    apart = {
        "browsers killed": tally.killed_browsers,
        "server processes killed": tally.killed_workers,
        "answers lost": tally.lost_answers,
        "503 with Retry-After, sent again": tally.retried,
    }
    apart |= {f"new accounts left behind: {why}": n for why, n in tally.left_behind.items()}
    lines += [f"  {name:42}{count:>8}" for name, count in apart.items() if count]
    kinds = Counter(found.violation.kind for found in tally.found)
    lines += ["", "accounts lost: {} (seen by {} answers)".format(*tally.losses)]
    lines.append(f"violations: {len(tally.found) + len(wrong)}")
    lines += [f"  {name:42}{count:>8}" for name, count in kinds.most_common()]
    lines += [f"  in the database: {text}" for text in wrong[: 5 * MOST]]
    for name in list(kinds)[:MOST]:
        found = next(each for each in tally.found if each.violation.kind == name)
        lines += ["", f"{name}: {found.violation.text} (browser {found.browser}; before that:)"]
        lines += [f"    {step}" for step in found.last_steps]
    if tally.found or wrong:
        lines += ["", f"VIOLATED. The same again, as far as time allows: SEED={options.seed}"]
    return "\n".join(lines)
