"""Search every order of sign-ins, switches, crashes and theft for a takeover and for a loss.

The rules are those of ``client_model.py``; a few tests break one of them and check that the search
finds it. A world is one browser, one thief and the time. Requests may cross, answers may get lost,
the browser may crash and restart with the cookie on its disk, and the thief may use a
value of the cookie at any time.

Time passes in steps of half a minute, because browsers write cookies to disk about that often.
"""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.client_model import DAY, SETTLING, Account, Model, Person, Token

TICK = 30
HALF_DAY = DAY // 2
OWNERS, THIEF = 3, 3  # people[:OWNERS] own the browser, people[THIEF] does not
Move = tuple[Any, ...]


@dataclass(frozen=True)
class Bounds:
    #: How many ticks old the cookie on the disk may be.
    lag: int = 2
    #: How many ticks a sign-in may be under way, from its request to its answer.
    slow: int = 0
    #: How many values of the cookie there may be.
    tokens: int = 4
    #: How many sign-ins may be under way at once.
    crossing: int = 2
    #: Whether a page may be loaded now and end in a later tick.
    long_pages: bool = False
    #: Whether the browser's owner may change the active account's password.
    passwords: bool = False
    #: Whether half a day may pass at once.
    days: bool = True
    #: Whether it is a loss that an older value, back after a crash, ends after a day without use.
    grace_is_loss: bool = False
    #: Whether the browser begins with the thief's cookie. Otherwise the thief steals one.
    planted: bool = False


@dataclass(eq=False)
class Flight:
    """A request of the browser that is under way."""

    cookie: Token | None
    #: What it does: "sign in", "change password", or "page".
    step: str
    person: Person | None
    sent: int
    #: Accounts that the cookie has gained since the request was sent, by answers to others.
    gained: list[Account] = field(default_factory=list)
    answer: Token | None = None
    #: The browser has crashed since.
    is_lost: bool = False


class World:
    def __init__(self, rules: type[Model], bounds: Bounds) -> None:
        self.model = rules("ada", "grace", "alan", "mallory")
        self.bounds = bounds
        #: The value from the sign-in of each account, and the values that led to each value.
        #: These are never rewritten, whatever the model does with its own.
        self.opened: dict[Account, Token] = {}
        self.lineage: dict[Token, list[Token]] = {}
        #: What the thief holds: a value of the browser's, then one from signing in through it.
        self.held: list[Token] = []
        self.flights: list[Flight] = []
        #: Tokens that were presented when they were old enough to settle.
        self.arrived: set[Token] = set()
        #: For how many half days the browser has not used a value that is to end.
        self.quiet = 0
        #: Such a value has ended after its day of grace.
        self.is_over = False
        first = self.sign_in(None, self.model.people[THIEF if bounds.planted else 0])
        self.jar: Token | None = first
        #: The jar at the end of each of the last ticks, the oldest first.
        self.disk: list[Token | None] = [first] * bounds.lag
        if bounds.planted:
            self.held.append(first)

    # --- What may happen next -----------------------------------------------------------------

    def moves(self) -> Iterator[Move]:
        bounds, model = self.bounds, self.model
        changing = [flight for flight in self.flights if flight.step != "page"]
        waiting = sum(flight.answer is None for flight in changing)
        room = len(model.tokens) + waiting < bounds.tokens
        if room and len(changing) < bounds.crossing:
            known = {account.person for account in model.accounts}
            for number, person in enumerate(model.people[:OWNERS]):
                if person in known or number < 2 or model.people[number - 1] in known:
                    yield "send", number
            if bounds.passwords and self.jar is not None:
                yield ("send_password",)
        if self.jar is not None:
            yield ("look",)
            if bounds.long_pages and len(changing) == len(self.flights):
                yield ("open_page",)
            for account in model.signed_in(self.jar):
                if account is not self.jar.account:
                    yield "switch", model.accounts.index(account)
        for number, flight in enumerate(self.flights):
            if flight.step == "page":
                yield "end_page", number
            elif flight.answer is None:
                yield "process", number
            else:
                yield "arrive", number
                yield "lose", number
        if self.disk[0] is not self.jar or self.flights:
            yield ("crash",)
        if all(model.now - flight.sent < bounds.slow * TICK for flight in changing):
            yield ("tick",)
            if bounds.days and not self.flights:
                yield ("half_day",)
        if not self.held and self.jar is not None:
            yield ("steal",)
        for number, token in enumerate(self.held):
            yield "thief_looks", number
            if room and len(self.held) == 1:
                yield "thief_signs_in", number
            for account in model.signed_in(token):
                if account is not token.account:
                    yield "thief_switches", number, model.accounts.index(account)

    def make(self, move: Move) -> str | None:
        """Make a move. Returns what was lost by it."""
        name, *numbers = move
        step: Callable[..., str | None] = getattr(self, name)
        return step(*numbers)

    # --- The browser --------------------------------------------------------------------------

    def send(self, number: int) -> None:
        person = self.model.people[number]
        self.flights.append(Flight(self.jar, "sign in", person, self.model.now))

    def send_password(self) -> None:
        self.flights.append(Flight(self.jar, "change password", None, self.model.now))

    def process(self, number: int) -> None:
        flight = self.flights[number]
        if flight.person is not None:
            flight.answer = self.sign_in(flight.cookie, flight.person)
        elif flight.cookie is not None and self.model.active(flight.cookie) is not None:
            flight.answer = self.change_password(flight.cookie)
        if flight.answer is None or flight.is_lost:
            self.flights.remove(flight)

    def arrive(self, number: int) -> str | None:
        flight = self.flights.pop(number)
        before, after = self.owed(self.jar), self.owed(flight.answer)
        lives = self.jar is not None and self.model.lives(self.jar)
        lost = [account for account in before if account not in after + flight.gained]
        if lost and lives and not self.is_the_thiefs(flight.cookie):
            return f"the answer takes {lost[0].person.name} away"
        for other in self.flights:
            other.gained += [account for account in after if account not in before]
        self.jar = flight.answer
        return None

    def lose(self, number: int) -> None:
        self.flights.pop(number)

    def look(self) -> None:
        self.note_use(self.jar)
        self.model.look(self.jar)

    def open_page(self) -> None:
        if self.model.load(self.jar) is not None:
            self.flights.append(Flight(self.jar, "page", None, self.model.now))

    def end_page(self, number: int) -> None:
        flight = self.flights.pop(number)
        self.model.present(flight.cookie, flight.sent)

    def switch(self, number: int) -> None:
        self.note_use(self.jar)
        self.model.switch(self.jar, self.model.accounts[number])

    def crash(self) -> None:
        self.jar = self.disk[0]
        self.disk = [self.jar] * self.bounds.lag
        for flight in list(self.flights):
            flight.is_lost = True
            if flight.answer is not None:
                self.flights.remove(flight)

    def tick(self) -> None:
        self.disk = [*self.disk[1:], self.jar]
        self.model.now += TICK

    def half_day(self) -> None:
        if self.jar is not None and self.model.lives(self.jar):
            self.quiet = 0 if self.jar.ends is None else min(self.quiet + 1, 2)
            self.is_over = self.quiet > 1 and not self.bounds.grace_is_loss
        self.disk = [self.jar] * self.bounds.lag
        self.model.now += HALF_DAY

    # --- The thief, or whoever planted the cookie ---------------------------------------------

    def steal(self) -> None:
        assert self.jar is not None
        self.held.append(self.jar)

    def thief_looks(self, number: int) -> None:
        self.note_use(self.held[number])
        self.model.look(self.held[number])

    def thief_signs_in(self, number: int) -> None:
        new = self.sign_in(self.held[number], self.model.people[THIEF])
        if new is not None:
            self.held.append(new)

    def thief_switches(self, number: int, account: int) -> None:
        self.model.switch(self.held[number], self.model.accounts[account])

    # --- What is right ------------------------------------------------------------------------

    def sign_in(self, cookie: Token | None, person: Person) -> Token | None:
        lived = cookie is not None and self.model.lives(cookie)
        new: Token | None = self.model.sign_in(cookie, person)
        if new is not None:
            inherits = lived and cookie is not None and cookie.client is new.client
            self.lineage[new] = [new, *(self.lineage[cookie] if inherits and cookie else [])]
            for account in self.model.accounts:
                self.opened.setdefault(account, new)
        return new

    def change_password(self, cookie: Token) -> Token:
        account, new = self.model.active(cookie), self.model.change_password(cookie)
        assert account is not None
        self.lineage[new] = [new, *self.lineage[cookie]]
        self.opened[account] = new
        return new

    def owed(self, token: Token | None) -> list[Account]:
        """The accounts that a value has to show, and no others: its own and its ancestors'."""
        if token is None:
            return []
        model, lineage = self.model, self.lineage[token]
        return [a for a in model.accounts if model.live(a) and self.opened[a] in lineage]

    def note_use(self, token: Token | None) -> None:
        """Note that a value is about to be presented, by a page that is over at once."""
        if token is not None and self.model.lives(token):
            if token.parent is not None and self.model.now - token.made >= SETTLING:
                self.arrived.add(token)
            if token is self.jar:
                self.quiet = 0

    def is_the_thiefs(self, token: Token | None) -> bool:
        """The thief holds a successor of this value, and so may end it as its owner may."""
        return any(token in self.lineage[held][1:] for held in self.held)

    def problem(self) -> str | None:
        model = self.model
        live = [(a.client, a.person) for a in model.accounts if model.live(a)]
        if len(set(live)) < len(live):
            return "one person is signed in twice on one client"
        for token in model.tokens:
            seen = [account for account in model.seen(token) if model.live(account)]
            active, owed = model.active(token), self.owed(token)
            if not model.lives(token):
                if seen or active is not None:
                    return "an ended value shows somebody"
            elif any(account not in owed for account in seen):
                return "takeover: a value shows an account that was signed in through another"
            elif len(seen) < len(owed):
                return "loss: a value no longer shows what it has shown"
            elif active is not None and active not in seen:
                return "somebody is active whom the value does not list"
            older = self.lineage[token][1:]
            if token in self.arrived and any(model.lives(other) for other in older):
                return "theft: an old value goes on though its successor has arrived for good"
        if self.jar is None or model.lives(self.jar) or not self.owed(self.jar):
            return None
        if self.is_over or self.is_the_thiefs(self.jar):
            return None
        return "loss: the browser's own value has ended"

    def key(self) -> Move:
        """All that can still matter, in a form that is equal for equal worlds."""
        model = self.model
        held = {self.jar, *self.disk, *self.held, *(flight.cookie for flight in self.flights)}
        tokens = [
            token
            for token in model.tokens
            if model.lives(token)
            or token in held
            or any(token in other.ancestors for other in model.tokens if model.lives(other))
        ]
        accounts = [account for account in model.accounts if model.live(account)]
        at: dict[Any, int] = {thing: n for n, thing in enumerate((*tokens, *accounts))}
        for thing in (*model.tokens, *model.accounts):
            at.setdefault(thing.client, len(at))
        return (
            len(model.tokens),
            (self.is_over, self.quiet),
            tuple(self.token_key(token, at) for token in tokens),
            tuple(
                (model.people.index(a.person), at[a.client], at.get(a.added_by)) for a in accounts
            ),
            at.get(self.jar),
            tuple(at.get(token) for token in self.disk),
            tuple(sorted(self.flight_key(flight, at) for flight in self.flights)),
            tuple(at[token] for token in self.held),
            len({account.person for account in model.accounts}),
        )

    def token_key(self, token: Token, at: dict[Any, int]) -> Move:
        owed = tuple(at[account] for account in self.owed(token))
        thiefs = self.is_the_thiefs(token)
        if not self.model.lives(token):
            return at[token.client], at.get(token.parent), owed, thiefs
        if token.parent is None:
            times: Move = ()
        elif self.model.settled(token):
            times = (SETTLING,)
        else:
            times = (self.age(token.made), self.age(token.presented))
        ending = 0 if token.ends is None else (token.ends - self.model.now - 1) // HALF_DAY + 1
        marks = (thiefs, token in self.arrived, ending)
        active = at.get(token.account, -1)
        return at[token.client], at.get(token.parent), owed, marks, times, active

    def flight_key(self, flight: Flight, at: dict[Any, int]) -> Move:
        people: list[Person | None] = [None, *self.model.people]
        is_page = flight.step == "page"
        return (
            flight.step,
            people.index(flight.person),
            self.loaded_at(flight) if is_page else (self.model.now - flight.sent,),
            at.get(flight.cookie, -1),
            at.get(flight.answer, -1),
            tuple(sorted(at[account] for account in flight.gained if account in at)),
            flight.is_lost,
        )

    def loaded_at(self, page: Flight) -> tuple[int, ...]:
        """When a page was loaded, counted from the times that its value remembers."""
        token = page.cookie
        assert token is not None
        times = [token.made, self.model.now if token.presented is None else token.presented]
        return tuple(max(0, min(page.sent - time, SETTLING)) for time in times)

    def age(self, time: int | None) -> int:
        """How old something is; all that is old enough to settle is equally old."""
        return -1 if time is None else min(self.model.now - time, SETTLING)


@dataclass
class Found:
    states: int
    problem: str | None = None
    story: tuple[Move, ...] = ()


def search(rules: type[Model] = Model, **bounds: Any) -> Found:
    """Try every order of moves, the shortest first, until there is nothing new or a problem."""
    first = World(rules, Bounds(**bounds))
    known = {first.key()}
    queue: deque[tuple[bytes, list[Move], tuple[Move, ...]]] = deque()
    queue.append((pickle.dumps(first, -1), list(first.moves()), ()))
    while queue:
        stored, moves, story = queue.popleft()
        for move in moves:
            world: World = pickle.loads(stored)  # noqa: S301 (made above)
            problem = world.make(move) or world.problem()
            if problem is not None:
                return Found(len(known), problem, (*story, move))
            key = world.key()
            if key not in known:
                known.add(key)
                queue.append((pickle.dumps(world, -1), list(world.moves()), (*story, move)))
    return Found(len(known))


# --- The rules as they are ------------------------------------------------------------------

#: TOKENS=4 searches some hundred thousand states, in minutes.
TOKENS = int(os.environ.get("TOKENS", "3"))


@pytest.mark.parametrize("planted", [False, True], ids=["stolen", "planted"])
def test_no_order_of_sign_ins_crashes_and_theft_takes_or_loses_an_account(planted):
    found = search(tokens=TOKENS, planted=planted)
    assert (found.problem, found.story) == (None, ())
    assert found.states >= 1_000


def test_no_order_of_password_changes_takes_or_loses_an_account():
    found = search(tokens=3, passwords=True, days=False)
    assert (found.problem, found.story) == (None, ())
    assert found.states >= 1_000


def test_a_page_that_ends_after_a_crash_does_not_end_the_value_on_the_disk():
    found = search(tokens=2, long_pages=True)
    assert (found.problem, found.story) == (None, ())


# --- What the rules do not promise ----------------------------------------------------------


def test_a_value_that_a_crash_brought_back_ends_with_its_day_of_grace():
    found = search(tokens=2, grace_is_loss=True)
    assert found.problem == "loss: the browser's own value has ended"
    assert [move[0] for move in found.story][-4:] == ["look", "crash", "half_day", "half_day"]


def test_answers_that_take_half_a_minute_longer_than_the_disk_can_lose_accounts():
    """A value settles a minute after it was made: for the way to the browser and to the disk."""
    found = search(tokens=2, lag=2, slow=1)
    assert found.problem == "loss: the browser's own value has ended"


# --- Broken rules, each of which the search has to notice -----------------------------------


class SettlingEndsSiblings(Model):
    def settle(self, token: Token) -> None:
        super().settle(token)
        for other in self.tokens:
            if other.client is token.client and token not in (other, *other.ancestors):
                self.end_token(other, self.now)


class SettlingAlwaysMovesAccounts(Model):
    def settle(self, token: Token) -> None:
        ancestors = token.ancestors
        super().settle(token)
        for account in self.accounts:
            if account.added_by in ancestors:
                account.added_by = token


class AncestorsEndAtOnce(Model):
    def first_presented(self, token: Token) -> None:
        for ancestor in token.ancestors:
            self.end_token(ancestor, self.now)


class PagesCountWhenTheyEnd(Model):
    def present(self, token: Token | None, loaded: int) -> None:
        super().present(token, self.now)


class NothingGoesOn(Model):
    def present(self, token: Token | None, loaded: int) -> None:
        ends = None if token is None else token.ends
        super().present(token, loaded)
        if token is not None and ends is not None:
            self.end_token(token, ends)


class WhatIsToEndDoesNotSettle(Model):
    def settle(self, token: Token) -> None:
        if token.ends is None:
            super().settle(token)


class EveryAccountOfTheClientIsVisible(Model):
    def visible(self, account: Account, token: Token) -> bool:
        return account.client is token.client


class TheOldValueSeesWhatItAdds(Model):
    def add(self, token: Token, person: Person, lifetime: int) -> Token:
        new = super().add(token, person, lifetime)
        assert new.account is not None
        new.account.added_by = token
        return new


class EndedValuesSignIn(Model):
    def load(self, cookie: Token | None) -> Token | None:
        return cookie


class SiblingsKeepOnePersonTwice(Model):
    def close(self, account: Account, status: str) -> None:
        if status != "replaced":
            super().close(account, status)


class APasswordChangeLeavesTheOldValueIn(Model):
    def change_password(self, cookie: Token | None) -> Token:
        account = self.active(cookie)
        assert account is not None
        before = account.added_by
        new: Token = super().change_password(cookie)
        account.added_by = before
        return new


LOSSES = [SettlingEndsSiblings, SettlingAlwaysMovesAccounts, AncestorsEndAtOnce]
TAKEOVERS = [EveryAccountOfTheClientIsVisible, TheOldValueSeesWhatItAdds, EndedValuesSignIn]


@pytest.mark.parametrize("rules", LOSSES)
def test_the_search_finds_an_account_that_is_lost(rules):
    assert (search(rules, tokens=3).problem or "").startswith("loss: ")


@pytest.mark.parametrize("rules", TAKEOVERS)
def test_the_search_finds_an_account_that_is_taken_over(rules):
    assert (search(rules, tokens=3).problem or "").startswith("takeover: ")


def test_the_search_finds_that_an_old_value_survives_a_password_change():
    found = search(APasswordChangeLeavesTheOldValueIn, tokens=2, passwords=True)
    assert (found.problem or "").startswith("takeover: ")


def test_the_search_finds_that_a_long_page_settles_a_value_too_late():
    found = search(PagesCountWhenTheyEnd, tokens=2, long_pages=True)
    assert found.problem == "loss: the browser's own value has ended"


def test_the_search_finds_that_a_value_in_use_ends_after_its_day_of_grace():
    found = search(NothingGoesOn, tokens=2)
    assert found.problem == "loss: the browser's own value has ended"


def test_the_search_finds_that_an_old_value_outlives_one_that_a_crash_brought_back():
    found = search(WhatIsToEndDoesNotSettle, tokens=3)
    assert (found.problem or "").startswith("theft: ")


def test_the_search_finds_one_person_signed_in_twice_on_one_client():
    found = search(SiblingsKeepOnePersonTwice, tokens=3)
    assert found.problem == "one person is signed in twice on one client"
