"""Long, random stories of several browsers, told to the engine and to a model of a few lines.

Every story mixes browsers, accounts, requests with older cookies (a slow request, a second tab,
a thief) and answers that never arrive. After each step the engine's answer, its cookie and every
row have to be what the model says. Hypothesis shortens a story that fails, and prints it.

STEPS=n takes at least n steps (1,000 if nothing is said); a step that finds no account to act on
does not count. The stories are the same in every run, SEED=n tells others.
"""

from __future__ import annotations

import datetime
import itertools
import logging
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import F
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from accounts.models import User
from multisession import actions, models
from tests.stories import COOKIE, Browser, with_engine_urls

pytestmark = with_engine_urls

STEPS = int(os.environ.get("STEPS", "1000"))
SEED = int(os.environ.get("SEED", "0"))
STORY, STORIES = 50, 20  # steps in one story, stories told between two looks at their number
BROWSERS, USERS = 3, 4
SUPERSEDED_MEMORY = 15  # minutes, as all of these
ABANDON_AGE = 30 * 24 * 60
LIFETIMES = (50, 14 * 24 * 60)  # PASSING below never comes near one of them
PASSING = (20, 40)

# --- The model ----------------------------------------------------------------------------


@dataclass(eq=False)
class Person:
    name: str
    password: int = 0
    allowed: bool = True


@dataclass(eq=False)
class Client:
    #: The newest token that the browser has shown.
    presented: Token | None = None


@dataclass(eq=False)
class Token:
    client: Client
    account: Account | None
    made: int
    parent: Token | None = None


@dataclass(eq=False)
class Account:
    """One person signed in on one client."""

    person: Person
    client: Client
    #: The token that it was added through, from which it is hidden.
    through: Token | None
    password: int
    lifetime: int
    expires: int
    status: str = "active"
    #: Off the list, though its status tells how it ended.
    forgotten: bool = False
    #: The same object for an account and its copies on other clients: they end together.
    lineage: object = None
    abandoned: int = 0
    data: dict[str, str] = field(default_factory=dict)
    pk: int | None = None


class Model:
    """Clients, their tokens and their accounts, and what one request does to them."""

    def __init__(self) -> None:
        self.minute = 0
        self.people = [Person(name) for name in ("ada", "grace", "alan", "mary")[:USERS]]
        self.tokens: list[Token] = []
        self.accounts: list[Account] = []

    # What a token is, and what it shows

    def valid(self, token: Token) -> bool:
        return token.client.presented in (token, token.parent)

    def children(self, token: Token) -> list[Token]:
        return [other for other in self.tokens if other.parent is token]

    def seen(self, token: Token) -> list[Account]:
        return [
            account
            for account in self.accounts
            if account.client is token.client and account.through is not token
        ]

    def live(self, account: Account | None) -> bool:
        return account is not None and account.status == "active" and account.expires > self.minute

    def current(self, account: Account) -> bool:
        return account.person.allowed and account.password == account.person.password

    def remembered(self, token: Token) -> list[Account]:
        gone = ("removed", "replaced")
        return [a for a in self.seen(token) if a.status not in gone and not a.forgotten]

    def signed_in(self, token: Token) -> list[Account]:
        return [a for a in self.remembered(token) if self.live(a) and self.current(a)]

    # What a request does. Each returns the cookie of the answer: a Token, DELETED, or None.

    def rotate(self, token: Token, account: Account | None, *, adding: bool = False) -> Token:
        hidden = any(a.through is token and a.client is token.client for a in self.accounts)
        if self.children(token) and (adding or hidden):
            client, copies = self.fork(token)
            return self.new_token(client, copies.get(account), None)
        token.client.presented = token
        if self.minute - token.made >= SUPERSEDED_MEMORY:
            at = self.tokens.index(token)
            self.tokens = [
                t
                for t in self.tokens
                if t.client is not token.client or self.tokens.index(t) >= at or t is token.parent
            ]
        return self.new_token(token.client, account, token)

    def new_token(self, client: Client, account: Account | None, parent: Token | None) -> Token:
        token = Token(client, account, self.minute, parent)
        self.tokens.append(token)
        if parent is None:
            client.presented = token
        return token

    def fork(self, token: Token) -> tuple[Client, dict[Account | None, Account]]:
        """A new client with copies of what the token sees, one account of each person.

        What was signed in again behind a newer token is moved there, not copied.
        """
        client = Client()
        hidden = [a for a in self.accounts if a.through is token and a.client is token.client]
        again = {account.person for account in hidden if self.live(account)}
        copies: dict[Account | None, Account] = {}
        for account in sorted(self.remembered(token), key=self.order_of_copies):
            if any(copied.person is account.person for copied in copies.values()):
                continue
            if self.live(account) and account.person in again:
                account.client, account.through, copies[account] = client, None, account
            else:
                account.lineage = account.lineage or object()
                copies[account] = replace(account, client=client, through=None, pk=None)
                copies[account].data = dict(account.data)
                self.accounts.append(copies[account])
        return client, copies

    def order_of_copies(self, account: Account) -> tuple[bool, int]:
        return not self.live(account), -self.accounts.index(account)

    def arrive(self, token: Token | None) -> tuple[Token | None, Account | None, bool]:
        """The token if it is good for anything, whom it shows, and whether that one just fell."""
        if token not in self.tokens:
            return None, None, False
        if token.client.presented is token.parent and token.parent is not None:
            token.client.presented = token
        if not self.valid(token):
            return None, None, False
        account = token.account
        if not self.live(account) or account.client is not token.client:
            return token, None, False
        if account.person.allowed and not self.current(account):
            self.fell = self.end(account, "revoked")  # Its password was changed elsewhere.
            return token, None, True
        return token, account, False

    def after_sign_out(self, token: Token, *, changed: bool = True) -> Any:
        """Nobody is active, and what the browser remembers stays with it."""
        if self.children(token):
            return None
        if self.remembered(token):
            return self.rotate(token, None)
        return DELETED if changed else None

    def look(self, cookie: Token | None) -> Any:
        token, _account, fell = self.arrive(cookie)
        return self.after_sign_out(token) if fell else None

    def sign_in(self, cookie: Token | None, person: Person, lifetime: int) -> Any:
        token, account, fell = self.arrive(cookie)
        if fell and token.account.person is person:
            for other in self.fell:
                other.status = "replaced"  # by this sign-in
        if token is None:
            client = Client()
            return self.new_token(client, self.add(person, client, None, lifetime), None)
        if account is not None and account.person is person:
            self.renew(account, lifetime)
            return None
        if account is not None and not self.current(account):
            self.end(account, "revoked")  # A deactivated person does not stay signed in below.
        before = self.known_session(token, person) if account is not None else None
        if account is None:
            if not self.seen(token):
                client = Client()
                return self.new_token(client, self.add(person, client, None, lifetime), None)
            new = self.rotate(token, None, adding=True)
            before = self.known_session(new, person)
            through = token if new.parent is token else None
            new.account = before or self.add(person, new.client, through, lifetime)
        elif before is not None:
            new = self.rotate(token, before)
            before = new.account
        else:
            new = self.rotate(token, None, adding=True)
            through = token if new.parent is token else None
            new.account = self.add(person, new.client, through, lifetime)
        if before is not None:
            self.renew(before, lifetime)
        return new

    def add(self, person: Person, client: Client, through: Token | None, life: int) -> Account:
        expires = self.minute + life
        account = Account(person, client, through, person.password, life, expires)
        account.abandoned = max(self.minute + ABANDON_AGE, expires)
        self.accounts.append(account)
        return account

    def known_session(self, token: Token, person: Person) -> Account | None:
        found = None
        for account in reversed(self.seen(token)):
            if account.person is person and account.status == "active":
                if found is None and self.live(account) and self.current(account):
                    found = account
                else:
                    self.close(account, "replaced")
        return found

    def close(self, account: Account, status: str) -> None:
        """What the clock has ended is what the clock has made of it, whoever comes later."""
        if account.status == "active":
            over = "abandoned" if account.abandoned <= self.minute else "expired"
            if self.live(account):
                self.end(account, status)
            else:
                account.status = over

    def end(self, account: Account, status: str) -> list[Account]:
        """End a live account and its copies. Returns those that ended."""
        account.status, ended = status, [account]
        for other in self.accounts:
            if account.lineage is not None and other.lineage is account.lineage:
                if self.live(other):
                    ended.append(other)
                    other.status = status
                else:
                    self.close(other, status)
        return ended

    def renew(self, account: Account, lifetime: int | None = None) -> None:
        account.lifetime = lifetime or account.lifetime
        account.expires = self.minute + account.lifetime
        account.abandoned = max(account.abandoned, account.expires)

    def sign_out(self, cookie: Token | None) -> Any:
        token, account, _fell = self.arrive(cookie)
        if account is not None:
            self.end(account, "ended")
        return self.after_sign_out(token, changed=account is not None) if token else None

    def verb(self, name: str, cookie: Token | None, account: Account) -> tuple[int, Any]:
        """``set_active``, ``sign_out`` or ``forget``. Returns the status of the answer too."""
        token, active, fell = self.arrive(cookie)
        if token is None or account not in self.shown(token):
            return 404, self.after_sign_out(token) if fell and token else None
        is_active = account is active and account.person.allowed
        if name == "set_active":
            if account not in self.signed_in(token):
                return 404, self.after_sign_out(token) if fell else None
            return 200, None if is_active else self.rotate(token, account)
        if name == "sign_out" and not self.live(account):
            return 404, self.after_sign_out(token) if fell else None
        if name == "sign_out":
            self.end(account, "ended")
        else:
            self.forget(account)
        is_last = name == "forget" and active is None and not self.remembered(token)
        leaves = fell or is_active or is_last
        return 200, self.after_sign_out(token) if leaves else None

    def shown(self, token: Token) -> list[Account]:
        """What is listed: those signed in, and one remembered account of each other person."""
        shown = {account.person: account for account in self.signed_in(token)}
        for account in reversed(self.remembered(token)):
            shown.setdefault(account.person, account)
        return list(shown.values())

    def sign_out_all(self, cookie: Token | None) -> Any:
        token, account, fell = self.arrive(cookie)
        if token is None:
            return None
        if account is None and not self.remembered(token):
            return self.after_sign_out(token) if fell else None
        for account in self.remembered(token):
            self.forget(account)
        return self.after_sign_out(token)

    def forget(self, account: Account) -> None:
        if self.live(account):
            self.end(account, "removed")
        elif account.status == "ended":
            account.status = "removed"
        else:
            account.forgotten = True

    def change_password(self, cookie: Token | None) -> Any:
        token, account, _fell = self.arrive(cookie)
        assert token is not None
        assert account is not None
        account.person.password += 1
        new = self.rotate(token, account)
        account = new.account
        account.password = account.person.password
        self.renew(account)
        for other in self.accounts:
            if other.person is account.person and self.live(other) and not self.current(other):
                self.end(other, "revoked")
        return new

    def put(self, cookie: Token | None, key: str) -> None:
        _token, account, _fell = self.arrive(cookie)
        assert account is not None
        account.data[key] = "1"
        self.renew(account)

    def denoted(self, token: Token | None) -> Account | None:
        """Whose ``request.session`` a request with this token has. Changes nothing."""
        if token not in self.tokens or not self.valid(token):
            return None
        account = token.account
        return account if self.live(account) and account.client is token.client else None

    def usable(self, token: Token | None) -> Account | None:
        """Whom a request with this token would act as."""
        account = self.denoted(token)
        return account if account is not None and self.current(account) else None


#: The answer deletes the cookie.
DELETED: Any = "deleted"

# --- The stories --------------------------------------------------------------------------

WHO = st.integers(0, BROWSERS - 1)
PERSON = st.integers(0, USERS - 1)
#: Which cookie a request carries: the browser's own, or one that it had before.
AGE = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3])
LOST = st.sampled_from([False, False, False, True])


class Stories(RuleBasedStateMachine):
    counted: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.model = Model()
        self.users = [
            User.objects.create_user(f"{person.name}@example.com", "0")
            for person in self.model.people
        ]
        #: Every value that each browser's cookie has had; the last is the one that it has.
        self.cookies: list[list[str | None]] = [[None] for _browser in range(BROWSERS)]
        self.tokens: dict[str | None, Token | None] = {None: None}

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    def cookie(self, who: int, age: int) -> str | None:
        return self.cookies[who][max(-1 - age, -len(self.cookies[who]))]

    def send(self, who: int, age: int, *, lost: bool, expected: Any, **call: Any) -> Any:
        """One request. The answer sets exactly the cookie that the model says."""
        (name, arguments), value = next(iter(call.items())), self.cookie(who, age)
        self.counted[name] += 1
        browser = Browser(value)
        response = getattr(browser, name)(*arguments)
        self.number_accounts()
        if expected is None:
            assert COOKIE not in response.cookies, "a cookie for a client that has not changed"
        else:
            assert COOKIE in response.cookies, "no cookie"
            fresh = response.cookies[COOKIE].value or None
            assert (fresh is None) == (expected is DELETED)
            assert fresh is None or fresh not in self.tokens
            if fresh is not None:
                self.tokens[fresh] = expected
            if not lost:
                self.cookies[who].append(fresh)
        return response

    def number_accounts(self) -> None:
        """An account's number is known once it is there."""
        new = [account for account in self.model.accounts if account.pk is None]
        numbers = models.Session.objects.accounts().order_by("-pk").values_list("pk", flat=True)
        for account, pk in zip(reversed(new), numbers[: len(new)], strict=True):
            account.pk = pk

    @rule(who=WHO, person=PERSON)
    def sign_in(self, who: int, person: int) -> None:
        self.sign_in_somehow(who, 0, False, person, LIFETIMES[-1])

    @rule(who=WHO, age=AGE, lost=LOST, person=PERSON, lifetime=st.sampled_from(LIFETIMES))
    def sign_in_somehow(self, who: int, age: int, lost: bool, person: int, lifetime: int) -> None:
        while not self.model.people[person].allowed:
            person = (person + 1) % USERS
        human = self.model.people[person]
        token = self.tokens[self.cookie(who, age)]
        expected = self.model.sign_in(token, human, lifetime)
        path = f"/sign-in/{self.users[person].pk}/?expiry={lifetime * 60}"
        response = self.send(who, age, lost=lost, expected=expected, post=(path,))
        assert response.status_code == 200

    @rule(who=WHO, age=AGE, lost=LOST)
    def look(self, who: int, age: int, lost: bool) -> None:
        token = self.tokens[self.cookie(who, age)]
        expected = self.model.look(token)
        response = self.send(who, age, lost=lost, expected=expected, get=("/who/",))
        shown, account = response.json(), self.model.usable(token)
        assert shown["user"] == ("" if account is None else account.person.name)
        # (Of somebody who was deactivated Django still has the session, and no user.)
        account = self.model.denoted(token)
        assert shown["data"] == ({} if account is None else account.data)

    @rule(who=WHO, age=AGE, lost=LOST)
    def see_the_list(self, who: int, age: int, lost: bool) -> None:
        token = self.tokens[self.cookie(who, age)]
        expected = self.model.look(token)
        good = token in self.model.tokens and self.model.valid(token)
        listed = self.send(who, age, lost=lost, expected=expected, get=("/list/",)).json()
        signed_in = self.model.signed_in(token) if good else []
        shown = self.model.shown(token) if good else []
        assert sorted(listed["sessions"]) == sorted(a.person.name for a in signed_in)
        assert sorted(listed["ids"]) == sorted(a.person.name for a in shown)

    @rule(who=WHO, age=AGE, lost=LOST, all_of_them=st.sampled_from([False, False, True]))
    def sign_out(self, who: int, age: int, lost: bool, all_of_them: bool) -> None:
        token = self.tokens[self.cookie(who, age)]
        if all_of_them:
            expected = self.model.sign_out_all(token)
            self.send(who, age, lost=lost, expected=expected, verb=("sign_out_all",))
        else:
            expected = self.model.sign_out(token)
            self.send(who, age, lost=lost, expected=expected, sign_out=())

    @rule(
        who=WHO,
        age=AGE,
        lost=LOST,
        name=st.sampled_from(["set_active", "set_active", "set_active", "sign_out", "forget"]),
        which=st.integers(0, 9),
    )
    def verb(self, who: int, age: int, lost: bool, name: str, which: int) -> None:
        """Mostly with an account of this browser, sometimes with anybody's."""
        model, token = self.model, self.tokens[self.cookie(who, age)]
        known = [] if token is None else [a for a in model.accounts if a.client is token.client]
        accounts = model.accounts if which > 7 or not known else known
        if not accounts:
            return
        account = accounts[which % len(accounts)]
        public_id = models.Session.objects.get(pk=account.pk).public_id
        status, expected = model.verb(name, token, account)
        arguments = (name, public_id)
        response = self.send(who, age, lost=lost, expected=expected, verb=arguments)
        assert response.status_code == status

    @rule(who=WHO, age=AGE, lost=LOST)
    def change_password(self, who: int, age: int, lost: bool) -> None:
        token = self.tokens[self.cookie(who, age)]
        if self.model.usable(token) is not None:
            expected = self.model.change_password(token)
            arguments = ("/change-password/",)
            self.send(who, age, lost=lost, expected=expected, post=arguments)

    @rule(who=WHO, age=AGE, key=st.sampled_from("abc"))
    def put(self, who: int, age: int, key: str) -> None:
        token = self.tokens[self.cookie(who, age)]
        if self.model.usable(token) is not None:
            self.model.put(token, key)
            assert self.send(who, age, lost=False, expected=None, put=(key,)).status_code == 200

    @rule(kind=st.sampled_from(["reset", "admit", "revoke", "wait"]), which=st.integers(0, 9))
    def something_happens_elsewhere(self, kind: str, which: int) -> None:
        self.counted[kind] += 1
        getattr(self, kind)(which)

    def reset(self, which: int) -> None:
        """Somebody's password is changed somewhere else."""
        human, user = self.model.people[which % USERS], self.users[which % USERS]
        human.password += 1
        user.set_password(f"reset {human.password}")
        user.save(update_fields=["password"])

    def admit(self, which: int) -> None:
        """Nobody, or one person, is deactivated."""
        someone = all(human.allowed for human in self.model.people)
        for number, (human, user) in enumerate(zip(self.model.people, self.users, strict=True)):
            human.allowed = not (someone and number == which % USERS)
            User.objects.filter(pk=user.pk).update(is_active=human.allowed)

    def revoke(self, which: int) -> None:
        if self.model.accounts:
            account = self.model.accounts[-1 - which % len(self.model.accounts)]
            session = models.Session.objects.get(pk=account.pk)
            assert actions.revoke(session) == self.model.live(account)
            self.model.close(account, "revoked")

    def wait(self, which: int) -> None:
        """Everything that is written down becomes older; no clock has to be wrong."""
        minutes = PASSING[which % len(PASSING)]
        self.model.minute += minutes
        ago = datetime.timedelta(minutes=minutes)
        columns = {
            models.Token: ["created_at"],
            models.Client: ["created_at", "updated_at"],
            models.Session: [
                "created_at",
                "updated_at",
                "last_active_at",
                "expire_at",
                "abandon_at",
            ],
        }
        for model, names in columns.items():
            model.objects.update(**{name: F(name) - ago for name in names})

    @invariant()
    def every_row_is_as_the_model_says(self) -> None:
        rows = {row.pk: row for row in models.Session.objects.accounts()}
        accounts = {account.pk: account for account in self.model.accounts}
        assert rows.keys() == accounts.keys()
        clients: dict[Client, int] = {}
        for pk, account in accounts.items():
            row = rows[pk]
            assert (row.user_id, row.status, row.is_live) == (
                self.users[self.model.people.index(account.person)].pk,
                account.status,
                self.model.live(account),
            ), account.person.name
            assert clients.setdefault(account.client, row.client_id) == row.client_id
        assert len(set(clients.values())) == len(clients)
        once = Counter((a.client, a.person) for a in accounts.values() if self.model.live(a))
        assert all(count == 1 for count in once.values()), "twice on one client"


def test_every_story_goes_as_the_model_says(caplog):
    caplog.set_level(logging.CRITICAL, logger="django.request")
    Stories.counted.clear()
    for number in itertools.count(SEED):
        try:
            tell(number)
        except BaseException as failure:
            failure.add_note(f"SEED={number} STEPS=1 tells these stories again.")
            raise
        if Stories.counted.total() >= STEPS:
            break


def tell(number: int) -> None:
    """So many stories, always the same ones for the same number."""
    run_state_machine_as_test(
        seed(number)(Stories),
        settings=settings(
            max_examples=STORIES,
            stateful_step_count=STORY,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
