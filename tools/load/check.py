"""Check what one browser must, may and must not see. Pure: no network, clock or database.

A browser has one value of the session cookie at a time. Every request sends it, and some answers
set a new one, whose *parent* is the value of the request. So the values of a browser form a tree,
which can be observed from outside. An account belongs to the value that its sign-in's answer set
and to all descendants of that value. These rules follow:

**Nothing is lost.** An account that nobody ended is seen through every value that it belongs to.

**The exception.** If two answers cross, or a killed browser starts again with an older cookie, it
may have a value to which a new account does not belong. Only that account may be missing, and only
if it was less than ``SETTLED`` seconds old when the browser left its value. A sign-in whose answer
was lost is never expected.

**Ended is ended.** A session that the browser has signed out of, or that was missing once, is not
in any answer to a later request.

**Nobody acts as somebody else.** A form from Ada's page is executed as Ada, or not at all.

**The active account** is the one that this value last switched to or signed in to. No account is
active only if that one may have ended.

Requests overlap. A request that may end an account is a *threat* from its sending until its answer
was received. During that time the account may be there or not. Afterwards, an answer that shows the
account decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from .web import Seen

#: Seconds after which a new value of the cookie has arrived for good, and older ones end.
SETTLED = 60.0


class Kind(Enum):
    LOOK = "look at a page"
    POLL = "ask who it is"
    WRITE = "write"
    SWITCH = "switch"
    STEP_ASIDE = "step aside"
    SIGN_IN = "sign in"
    SIGN_OUT = "sign out of one"
    #: With Django's own form, which signs out of the active session.
    LOGOUT = "sign out, Django's"
    SIGN_OUT_ALL = "sign out of all"
    EXPIRE = "let it expire"
    #: Opens a page that shows no accounts.
    FORM = "open a form"


class Outcome(Enum):
    DONE = auto()
    #: A switch to an account that has to sign in again.
    SIGN_IN_AGAIN = auto()
    REFUSED = auto()
    #: The form's page belongs to an account that this value does not see.
    STALE = auto()
    #: No answer came, or its browser was killed.
    LOST = auto()


@dataclass(eq=False, slots=True)
class Step:
    """One request. ``value``: its cookie. ``user``, ``session``: the account it is about.

    For a form that names no session, that is the account of its page.
    """

    kind: Kind
    value: str | None
    sent: float
    user: str = ""
    session: str = ""
    tab: str = ""
    #: Requests that overlapped with this one.
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
    #: The session's public id; "" until an answer has shown it.
    session: str
    #: The values that it belongs to, with all their descendants.
    values: set[str]
    since: float
    #: False while a request may have ended it.
    sure: bool
    #: True if it expires soon, at an unknown time.
    expires: bool = False


class Check:
    """What is known about one browser. Every method gets the time as an argument."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        #: The number of accounts left behind (the exception), by cause.
        self.left_behind: Counter[str] = Counter()
        #: Public ids of ended sessions, with the time at which that became known.
        self.ended: dict[str, float] = {}
        self._accounts: list[Account] = []
        self._parents: dict[str, str | None] = {}
        self._under_way: list[Step] = []
        #: The active user of a value while no request was running, and the steps through it since.
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
        """End a request whose answer was lost, so that its effect is unknown."""
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
        """End a request. ``value``: the cookie's new value. ``done_as``: the user who acted."""
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
        """Note that the jar has another value: answers crossed, or a copy was restored.

        ``why``: "crossed", "rolled back", "signed out of all". For any other reason the new value
        must descend from the old one.
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
        """Note that no request is running and that ``value`` shows ``seen``."""
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
        """Add the account of a sign-in. The next page shows which session it is.

        It may be a session that the value of the request shows and that is about to expire.
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
                self.ended[session] = now  # Once for all running requests.
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
            # Forget the account, so that it is reported once. It may or may not have ended.
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
        """Report an active account that this value never had, or none in place of one it has."""
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
            # If the account is not seen there, its new session replaces this one.
            return not self._has(account, step.value)
        # Ada may have signed in again since the page was drawn.
        return step.kind in (Kind.EXPIRE, Kind.LOGOUT)

    def _sure_one(self, step: Step) -> Account | None:
        """Return the account that the step names, if nothing may have ended it."""
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
    """Return the users that this step may make active for its value."""
    if step.kind is Kind.STEP_ASIDE:
        return set() if step.outcome in (Outcome.REFUSED, Outcome.STALE) else {""}
    if step.kind is Kind.SIGN_IN:
        return {step.user}
    if step.kind is Kind.SWITCH:
        if step.outcome in (None, Outcome.LOST):
            return {step.user, ""}
        return {Outcome.DONE: {step.user}, Outcome.SIGN_IN_AGAIN: {""}}.get(step.outcome, set())
    return set()
