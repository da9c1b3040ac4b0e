"""Run long, random stories of several browsers with the engine and with a small model.

Every story mixes browsers, accounts, requests with older cookies (a slow request, a second tab,
a thief), lost answers and crashes that restore an older cookie. After each step the engine's
answer, its cookie and every row must match the model (``client_model.py``). Hypothesis shortens a
story that fails, and prints it.

STEPS=n takes at least n steps (default 1,000); a step without an account to act on does not
count. The stories are the same in every run; SEED=n makes others.
"""

from __future__ import annotations

import datetime
import itertools
import logging
import os
from collections import Counter
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import F
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from accounts.models import User
from multisession import actions, models
from multisession.ground import tokens
from multisession.models.tokens import Token as TokenRow
from tests.client_model import DAY, DELETED, LIFETIME, MINUTE, Client, Model, Token
from tests.stories import COOKIE, Browser, with_engine_urls

pytestmark = with_engine_urls

STEPS = int(os.environ.get("STEPS", "1000"))
SEED = int(os.environ.get("SEED", "0"))
#: SHRINK=0 shows a story that fails as it is, without minutes of looking for a shorter one.
PHASES = [Phase.generate, Phase.shrink] if os.environ.get("SHRINK") != "0" else [Phase.generate]
STORY, STORIES = 50, 20  # steps in one story, stories told between two looks at their number
BROWSERS, USERS = 2, 3
LIFETIMES = (50 * MINUTE, LIFETIME)
#: A story waits for 35 seconds, once or several times. So it is never nearer than 20 seconds before
#: a value settles, a day of grace is over or an account expires, and may itself take that long.
WAIT = 35
PASSING = (WAIT, 3 * WAIT, 35 * WAIT, 70 * WAIT, 2469 * WAIT)  # the last: a little over a day
#: A story is over before any cookie has to be sent again because of its age.
LONGEST = 6 * DAY

# --- The stories --------------------------------------------------------------------------

WHO = st.integers(0, BROWSERS - 1)
PERSON = st.integers(0, USERS - 1)
#: Which cookie a request carries: the browser's own, or one that it had before.
AGE = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3])
LOST = st.sampled_from([False, False, False, True])
HOW = st.sampled_from(["sign_out", "sign_out", "flush", "sign_out_all"])


class Stories(RuleBasedStateMachine):
    counted: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.model = Model(*("ada", "grace", "alan", "mary")[:USERS])
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
        cookie = response.cookies.get(COOKIE)
        if cookie is not None and value is not None and cookie.value == value:
            self.sent_again(self.tokens[value])
        elif expected is None or expected is self.tokens[value]:
            assert cookie is None, "a cookie for a client that has not changed"
        else:
            assert cookie is not None, "no cookie"
            fresh = cookie.value or None
            assert (fresh is None) == (expected is DELETED)
            assert fresh is None or fresh not in self.tokens
            if fresh is not None:
                self.tokens[fresh] = expected
            if not lost:
                self.cookies[who].append(fresh)
        return response

    def sent_again(self, token: Token | None) -> None:
        """The same value once more, so that the browser keeps it for longer."""
        assert token is not None
        assert self.model.lives(token), "an ended value is sent again"
        assert not self.model.has_children(token), "this could overwrite a newer value"

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
        path = f"/sign-in/{self.users[person].pk}/?expiry={lifetime}"
        response = self.send(who, age, lost=lost, expected=expected, post=(path,))
        assert response.status_code == 200

    @rule(who=WHO, age=AGE, lost=LOST)
    def look(self, who: int, age: int, lost: bool) -> None:
        token = self.tokens[self.cookie(who, age)]
        expected = self.model.look(token)
        response = self.send(who, age, lost=lost, expected=expected, get=("/who/",))
        shown, account = response.json(), self.model.active(token)
        assert shown["user"] == ("" if account is None else account.person.name)
        # (As Django does: the data is there before anybody asks whether its user may still act.)
        assert shown["data"] == self.data_of(token)

    def data_of(self, token: Token | None) -> dict[str, str]:
        """The account's data, or what was said while nobody is active."""
        if token is None or not self.model.lives(token):
            return {}
        account = token.account
        if account is not None and self.model.live(account):
            return account.data
        return token.visitor or {}

    @rule(who=WHO, age=AGE, lost=LOST)
    def see_the_list(self, who: int, age: int, lost: bool) -> None:
        token = self.tokens[self.cookie(who, age)]
        expected = self.model.look(token)
        listed = self.send(who, age, lost=lost, expected=expected, get=("/list/",)).json()
        signed_in, shown = self.model.signed_in(token), self.model.shown(token)
        assert sorted(listed["sessions"]) == sorted(a.person.name for a in signed_in)
        assert sorted(listed["ids"]) == sorted(a.person.name for a in shown)

    @rule(who=WHO, age=AGE, lost=LOST, how=HOW)
    def sign_out(self, who: int, age: int, lost: bool, how: str) -> None:
        """``flush``: as a view does that knows nothing of ``logout()``."""
        token = self.tokens[self.cookie(who, age)]
        expected = getattr(self.model, how)(token)
        call = {"verb": (how,)} if how == "sign_out_all" else {how: ()}
        self.send(who, age, lost=lost, expected=expected, **call)

    @rule(who=WHO, age=AGE)
    def come_back(self, who: int, age: int) -> None:
        """Look once more when every value is old enough to settle."""
        self.let_pass(2 * WAIT)
        self.look(who, age, lost=False)

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
        step = {"set_active": model.switch, "sign_out": model.sign_out_of, "forget": model.forget}
        status, expected = step[name](token, account)
        arguments = (name, public_id)
        response = self.send(who, age, lost=lost, expected=expected, verb=arguments)
        assert response.status_code == status

    @rule(who=WHO, age=AGE, lost=LOST)
    def change_password(self, who: int, age: int, lost: bool) -> None:
        token = self.tokens[self.cookie(who, age)]
        if self.model.active(token) is not None:
            expected = self.model.change_password(token)
            arguments = ("/change-password/",)
            self.send(who, age, lost=lost, expected=expected, post=arguments)

    @rule(who=WHO, age=AGE, lost=LOST)
    def cycle_key(self, who: int, age: int, lost: bool) -> None:
        token = self.tokens[self.cookie(who, age)]
        if self.model.active(token) is not None:
            expected = self.model.cycle_key(token)
            self.send(who, age, lost=lost, expected=expected, post=("/cycle-key/",))

    @rule(who=WHO, age=AGE, key=st.sampled_from("abc"))
    def put(self, who: int, age: int, key: str) -> None:
        token = self.tokens[self.cookie(who, age)]
        if self.model.active(token) is not None:
            expected = self.model.put(token, key)
            response = self.send(who, age, lost=False, expected=expected, put=(key,))
            assert response.status_code == 200

    @rule(who=WHO, age=AGE, lost=LOST, key=st.sampled_from("abc"))
    def visit(self, who: int, age: int, lost: bool, key: str) -> None:
        """Write data while nobody is active."""
        token = self.tokens[self.cookie(who, age)]
        lives = token is not None and self.model.lives(token)
        if not lives or not self.model.live(token.account):
            expected = self.model.visit(token, key)
            response = self.send(who, age, lost=lost, expected=expected, put=(key,))
            assert response.status_code == 200

    @rule(who=WHO, age=AGE, lost=LOST)
    def step_aside(self, who: int, age: int, lost: bool) -> None:
        token = self.tokens[self.cookie(who, age)]
        expected = self.model.step_aside(token)
        response = self.send(who, age, lost=lost, expected=expected, verb=("step_aside",))
        assert response.status_code == 200

    @rule(who=WHO, age=st.integers(1, 3))
    def crash(self, who: int, age: int) -> None:
        """The browser comes back with a cookie that it had before."""
        self.cookies[who].append(self.cookie(who, age))

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
        self.let_pass(PASSING[which % len(PASSING)])

    def let_pass(self, seconds: int) -> None:
        if self.model.now + seconds > LONGEST:
            seconds = WAIT
        self.model.now += seconds
        ago = datetime.timedelta(seconds=seconds)
        columns = {
            TokenRow: ["created_at", "presented_at", "ends_at"],
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
            assert (row.user_id, row.status, row.is_live, row.number) == (
                self.users[self.model.people.index(account.person)].pk,
                account.status,
                self.model.live(account),
                account.number,
            ), account.person.name
            assert clients.setdefault(account.client, row.client_id) == row.client_id
        assert len(set(clients.values())) == len(clients)
        once = Counter((a.client, a.person) for a in accounts.values() if self.model.live(a))
        assert all(count == 1 for count in once.values()), "twice on one client"

    @invariant()
    def every_value_shows_what_the_model_says(self) -> None:
        """Also those that are not presented in this story again."""
        rows = {row.digest: row for row in TokenRow.objects.all()}
        parents = {row.pk: row.parent_id for row in rows.values()}
        sessions = list(models.Session.objects.accounts())
        live = {row.pk for row in sessions if row.is_live}
        for value, token in self.tokens.items():
            if token is None:
                continue
            row = rows[tokens.digest(str(value))]
            assert row.is_living == self.model.lives(token)
            if not row.is_living:
                continue
            account = token.account if self.model.live(token.account) else None
            if account is not None and row.session_id is None:
                # A page has found another password there: the value shows nobody from then on.
                assert not self.model.same_password(account)
                account = token.account = None
            assert (row.session_id if row.session_id in live else None) == (account and account.pk)
            adders, pk = {None}, row.pk  # None: a session that is all of the client's
            while pk is not None:
                adders.add(pk)
                pk = parents.get(pk)
            here = [session for session in sessions if session.client_id == row.client_id]
            seen = {session.pk for session in here if session.added_by_id in adders}
            assert seen == {account.pk for account in self.model.seen(token)}

    @invariant()
    def ended_values_are_put_on_record(self) -> None:
        reused = models.Event.objects.filter(kind="reused")
        assert reused.count() == self.model.reuses


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
            report_multiple_bugs=False,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
