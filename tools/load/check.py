"""What one browser must, may and must not see. Pure: no network, no clock, no database.

A browser holds one value of the session's cookie at a time. Every request carries one, and some
answers bring a new one, whose *parent* is the value that the request carried. So the values of a
browser form a tree, which is known from outside. An account belongs to the value that its sign-in's
answer brought and to all values that descend from it. From this follows what has to be there:

**Nothing is lost.** An account that nobody ended is seen through every value that it belongs to.

**The exception.** If two answers cross, or a killed browser comes back with an older cookie, the
browser may end up with a value to which a new account does not belong. That account may be missing,
and only that one, and only if it was less than ``SETTLED`` seconds old when the browser left its
value. A sign-in whose answer was lost is never expected.

**Ended is ended.** A session that the browser has signed out of, or once did not see where it had
been, is seen in no answer to a later request.

**Nobody acts as somebody else.** What is sent from Ada's page is done as Ada, or not at all.

**The active account** is the one that this value was last switched to or signed in with, and nobody
only if that account may have ended.

Requests overlap. What may have ended an account is a *threat* from the moment it was sent until its
answer was taken; while one is under way an account may be there or not. After it, an answer that
shows the account settles the question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from .web import Seen

#: Seconds after which a new value of the cookie has arrived for good: older ones end.
SETTLED = 60.0


class Kind(Enum):
    LOOK = "look at a page"
    POLL = "ask who it is"
    WRITE = "write"
    SWITCH = "switch"
    STEP_ASIDE = "step aside"
    SIGN_IN = "sign in"
    SIGN_OUT = "sign out of one"
    #: By Django's own form, which names no session: of the active one.
    LOGOUT = "sign out, Django's"
    SIGN_OUT_ALL = "sign out of all"
    EXPIRE = "let it expire"
    #: A page that shows no accounts.
    FORM = "open a form"


class Outcome(Enum):
    DONE = auto()
    #: A switch to an account that has to sign in again.
    SIGN_IN_AGAIN = auto()
    REFUSED = auto()
    #: The form was too old: its page belongs to an account that this value does not know.
    STALE = auto()
    #: No answer came, or nobody was there any more to take it.
    LOST = auto()


@dataclass(eq=False, slots=True)
class Step:
    """One request. ``value``: the cookie that it carries. ``user``, ``session``: whom it is about.

    Of a form that names no session, that is whom its page was drawn for.
    """

    kind: Kind
    value: str | None
    sent: float
    user: str = ""
    session: str = ""
    tab: str = ""
    #: Requests that were under way at the same time, for a while at least.
    beside: list[Step] = field(default_factory=list, repr=False)
    taken: float | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    kind: str
    text: str
    moment: float


@dataclass(eq=False, slots=True)
class Account:
    """An account that this browser has signed in to."""

    user: str
    #: The session's public id; empty until an answer has shown it.
    session: str
    #: Values that it belongs to, and with each all that descend from it.
    values: set[str]
    since: float
    #: False while something may have ended it.
    sure: bool
    #: It expires soon; nobody knows when exactly.
    expires: bool = False


class Check:
    """The knowledge about one browser. Every method is told the time."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        #: How many accounts were left behind, by what happened: the exception.
        self.left_behind: Counter[str] = Counter()
        #: Public ids of sessions that have ended, and since when that is known.
        self.ended: dict[str, float] = {}
        self._accounts: list[Account] = []
        self._parents: dict[str, str | None] = {}
        self._under_way: list[Step] = []
        #: Whom a value had active when all was quiet, and the steps through it since.
        self._active: dict[str, set[str]] = {}
        self._since_quiet: dict[str, list[Step]] = {}

    # --- What happens ---------------------------------------------------------------------

    def send(self, step: Step) -> None:
        """Begin a request."""
        for other in self._under_way:
            other.beside.append(step)
            step.beside.append(other)
        self._under_way.append(step)
        if step.value is not None:
            self._since_quiet.setdefault(step.value, []).append(step)
        for account in self._accounts:
            if self._threatens(step, account):
                account.sure = False
                account.expires |= step.kind is Kind.EXPIRE

    def lose(self, step: Step, now: float) -> None:
        """End a request whose answer nobody took: what it did is unknown."""
        self._end(step, Outcome.LOST, now)

    def take(
        self,
        step: Step,
        outcome: Outcome,
        now: float,
        *,
        value: str | None = None,
        seen: Seen | None = None,
        done_as: str | None = None,
    ) -> None:
        """End a request. ``value``: a new one for the cookie. ``done_as``: who has acted."""
        self._end(step, outcome, now)
        if value is not None and value != step.value:
            self._parents.setdefault(value, step.value)
        if done_as is not None and done_as != step.user:
            self.report("wrong account", f"{step.user}'s page has acted as {done_as}", now)
        if outcome is Outcome.DONE:
            self._done(step, now, value or step.value)
        elif outcome is Outcome.STALE or step.kind is not Kind.SWITCH:
            pass
        elif missed := self._sure_one(step):
            self.report("refused", f"no switch to {missed.user}, who is signed in", now)
        if seen is not None:
            self._look(step, seen, now)

    def change_cookie(self, old: str | None, new: str | None, why: str, now: float) -> None:
        """Note that the jar holds another value: an answer has crossed, or a copy came back.

        ``why``: "crossed", "rolled back", "signed out of all"; anything else may only go on from
        the old value.
        """
        behind = [each for each in self._visible(old) if each.sure and not self._has(each, new)]
        for account in behind:
            age = now - account.since
            if new is None and why not in ("signed out of all", "rolled back"):
                self.report("cookie deleted", f"{account.user} is lost with it ({why})", now)
            elif age >= SETTLED:
                text = f"{account.user}, signed in {age:.0f} s ago, is left behind ({why})"
                self.report("left behind", text, now)
            else:
                self.left_behind[why] += 1

    def rest(self, value: str | None, seen: Seen) -> None:
        """Note that nothing is under way and that ``value`` shows this."""
        for each, steps in self._since_quiet.items():
            if each in self._active:
                self._active[each].update(*map(_makes_active, steps))
        self._since_quiet.clear()
        if value is not None:
            self._active[value] = {seen.user}

    def live(self, value: str | None) -> list[str]:
        """Return the public ids of sessions that must be live, as seen through this value."""
        return [each.session for each in self._visible(value) if each.sure and each.session]

    def report(self, kind: str, text: str, now: float) -> None:
        """Note a violation."""
        self.violations.append(Violation(kind, text, now))

    # --- What follows ---------------------------------------------------------------------

    def _end(self, step: Step, outcome: Outcome, now: float) -> None:
        self._under_way.remove(step)
        step.outcome, step.taken = outcome, now

    def _done(self, step: Step, now: float, value: str | None) -> None:
        if step.kind is Kind.SIGN_IN and value is not None:
            self._add(step, now, value)
        elif step.kind is Kind.SIGN_IN:
            self.report("lost", f"{step.user} has signed in and got no cookie", now)
        elif step.kind in (Kind.SIGN_OUT, Kind.LOGOUT):
            self._over((a for a in self._visible(step.value) if a.session == step.session), now)
        elif step.kind is Kind.SIGN_OUT_ALL:
            before = [a for a in self._visible(step.value) if a.session and a.since <= step.sent]
            self._over(before, now)

    def _add(self, step: Step, now: float, value: str) -> None:
        """Add the account of a sign-in; which session it is, the next page shows.

        It may be one that the value of the request shows, which is about to expire.
        """
        mine = [a for a in self._visible(step.value) if a.user == step.user]
        threats = step.beside
        account = Account(step.user, "", {value}, now, sure=True)
        account.sure = not any(self._threatens(threat, account) for threat in threats)
        account.expires = any(a.expires and not a.session for a in mine) or any(
            threat.kind is Kind.EXPIRE and threat.user == step.user for threat in threats
        )
        if account.expires or any(a.expires for a in mine):
            account.sure = False
        self._accounts.append(account)
        if value != step.value:
            self._active[value] = {step.user}

    def _look(self, step: Step, seen: Seen, now: float) -> None:
        shown = {**seen.accounts, **({seen.session: seen.user} if seen.session else {})}
        for session, user in shown.items():
            if session not in self.ended:
                self._show(step, session, user, now)
            elif self.ended[session] < step.sent:
                self.report("came back", f"{user} ({session}) had ended", now)
                self.ended[session] = now  # Said once for all requests that are under way.
        users = set(shown.values())
        if len(users) < len(shown):
            self.report("two sessions", f"of one user: {sorted(shown.items())}", now)
        lost = False
        for account in self._visible(step.value):
            there = account.session in shown if account.session else account.user in users
            if there or account.since > step.sent:
                continue
            if not account.sure:
                self._over([account], now)
                continue
            # Forgotten here, so that it is said once; whether it has ended, nobody knows.
            kind = "another session" if account.user in users else "lost"
            self.report(kind, f"{account.user} ({account.session or 'new'})", now)
            lost = True
            self._accounts.remove(account)
        if seen.note and seen.note.partition(" ")[0] != seen.user:
            text = f"{seen.user or 'nobody'} is shown the note {seen.note!r}"
            self.report("wrong account", text, now)
        if lost and step.value in self._active:
            self._active[step.value] = {seen.user}  # It follows from that.
        else:
            self._look_at_active(step, seen, now)

    def _show(self, step: Step, session: str, user: str, now: float) -> None:
        """Learn that this session is live, as seen through the value of the step."""
        if step.value is None:
            self.report("came back", f"{user} is shown without a cookie", now)
            return
        account = next((each for each in self._accounts if each.session == session), None)
        new = [
            each
            for each in self._visible(step.value)
            if not each.session and each.user == user and each.since <= step.sent
        ]
        if account is None:
            account = Account(user, session, set(), now, sure=False)
            account.expires = any(each.expires for each in new) or any(
                other.kind is Kind.EXPIRE and other.user == user for other in step.beside
            )
            self._accounts.append(account)
        account.values.add(step.value)
        for each in new:
            # If something may have ended that one, this may be the session of a later sign-in.
            if each.sure:
                account.values |= each.values
                account.since = min(account.since, each.since)
            self._accounts.remove(each)
        threatened = any(self._threatens(other, account) for other in step.beside)
        account.sure = not (threatened or account.expires)

    def _look_at_active(self, step: Step, seen: Seen, now: float) -> None:
        """Report an active account that this value never had, or nobody in place of one it has."""
        if step.value is None or step.value not in self._active:
            return
        may_be = set(self._active[step.value])
        for other in self._since_quiet.get(step.value, []):
            may_be |= _makes_active(other)
        if seen.user in may_be:
            return
        sure = {each.user for each in self._visible(step.value) if each.sure}
        if seen.user or (sure and may_be <= sure):
            names = ", ".join(sorted(name or "nobody" for name in may_be))
            text = f"{seen.user or 'nobody'} is active; it should be one of {names}"
            self.report("wrong active account", text, now)
            self._active[step.value] = {seen.user}

    def _threatens(self, step: Step, account: Account) -> bool:
        """Return True if the request may end this account's session."""
        if step.kind is Kind.SIGN_OUT_ALL:
            return True
        if step.user != account.user:
            return False
        if step.kind is Kind.SIGN_OUT:
            return account.session in ("", step.session)
        if step.kind is Kind.SIGN_IN:
            # Where the account is not seen, it is a new session, which replaces this one.
            return not self._has(account, step.value)
        # Ada may have signed in again since the page was drawn.
        return step.kind in (Kind.EXPIRE, Kind.LOGOUT)

    def _sure_one(self, step: Step) -> Account | None:
        """Return the account that the step names, if it was there all the time."""
        found = (each for each in self._visible(step.value) if each.session == step.session)
        return next((each for each in found if each.sure and each.since <= step.sent), None)

    def _over(self, accounts: Iterable[Account], now: float) -> None:
        for account in list(accounts):
            if account.session:
                self.ended.setdefault(account.session, now)
            self._accounts.remove(account)

    def _visible(self, value: str | None) -> list[Account]:
        ancestry = set(self._ancestry(value))
        return [account for account in self._accounts if account.values & ancestry]

    def _has(self, account: Account, value: str | None) -> bool:
        return not account.values.isdisjoint(self._ancestry(value))

    def _ancestry(self, value: str | None) -> Iterator[str]:
        """Yield the value, its parent and so on."""
        while value is not None:
            yield value
            value = self._parents.get(value)


def _makes_active(step: Step) -> set[str]:
    """Return who may be active through the value of this step, because of it."""
    if step.kind is Kind.STEP_ASIDE:
        return set() if step.outcome in (Outcome.REFUSED, Outcome.STALE) else {""}
    if step.kind is Kind.SIGN_IN:
        return {step.user}
    if step.kind is Kind.SWITCH:
        if step.outcome in (None, Outcome.LOST):
            return {step.user, ""}
        return {Outcome.DONE: {step.user}, Outcome.SIGN_IN_AGAIN: {""}}.get(step.outcome, set())
    return set()
