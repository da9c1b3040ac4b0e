"""A model of the effect of a request on a browser's cookie and accounts, without a database.

``test_state_machine.py`` compares the engine with it in random stories, and
``test_token_search.py`` searches it exhaustively for theft and loss. Times are in seconds.

Every step takes the cookie value of the request, a ``Token`` or None. It returns the effect of the
answer on the cookie: None (no Set-Cookie), DELETED, or a ``Token``. That is a new one, or the old
one if its cookie is sent again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

MINUTE = 60
DAY = 24 * 60 * MINUTE
#: A value presented this long after it was made has arrived for good.
SETTLING = MINUTE
#: Ancestors of a value that was presented earlier go on for so long. One of them that is presented
#: all the same, SETTLING after that, goes on for good.
GRACE = DAY
ABANDON_AGE = 30 * DAY
LIFETIME = 14 * DAY
#: Statuses of what a browser does not remember.
GONE = ("removed", "replaced")
#: The answer deletes the cookie.
DELETED: Any = "deleted"


@dataclass(eq=False)
class Person:
    name: str
    password: int = 0
    allowed: bool = True


@dataclass(eq=False)
class Client:
    #: How many numbers its accounts have been given.
    accounts: int = 0


@dataclass(eq=False)
class Token:
    """One value of the cookie."""

    client: Client
    #: The pointer to the active account. An ended one stands for nobody.
    account: Account | None
    made: int
    parent: Token | None = None
    presented: int | None = None
    ends: int | None = None
    #: It was presented after its end.
    reused: bool = False
    #: What was said while nobody is active, in the row that the pointer then points to.
    visitor: dict[str, str] | None = None

    @property
    def ancestors(self) -> list[Token]:
        found, token = [], self.parent
        while token is not None:
            found.append(token)
            token = token.parent
        return found


@dataclass(eq=False)
class Account:
    """One person signed in on one client: a visit, from the sign-in to its end."""

    person: Person
    client: Client
    added_by: Token
    number: int
    password: int
    lifetime: int
    expires: int
    abandoned: int
    status: str = "active"
    #: Off the list, though its status says how it ended.
    forgotten: bool = False
    data: dict[str, str] = field(default_factory=dict)
    pk: int | None = None


def request(step: Callable[..., Any]) -> Callable[..., Any]:
    """Read the cookie before ``step``, and note after it that the cookie was presented."""

    @wraps(step)
    def run(self: Model, cookie: Token | None, *args: Any) -> Any:
        token = self.load(cookie)
        answer = step(self, token, *args)
        self.present(token, self.now)
        return answer

    return run


class Model:
    """Every client, token and account that there is."""

    def __init__(self, *names: str) -> None:
        self.now = 0
        self.people = [Person(name) for name in names]
        self.tokens: list[Token] = []
        self.accounts: list[Account] = []
        #: How often an account was told that an ended value of its browser is in use.
        self.reuses = 0

    # --- What a token is, and what it shows ---------------------------------------------------

    def lives(self, token: Token) -> bool:
        return token.ends is None or token.ends > self.now

    def settled(self, token: Token) -> bool:
        return token.presented is not None and token.presented - token.made >= SETTLING

    def has_children(self, token: Token) -> bool:
        """Return whether a newer value may be with the browser, or on its way to it.

        One that nobody has presented in its first minute was lost.
        """
        return any(
            other.parent is token
            and self.lives(other)
            and (other.presented is not None or self.now - other.made < SETTLING)
            for other in self.tokens
        )

    def visible(self, account: Account, token: Token) -> bool:
        adders = (token, *token.ancestors)
        return account.client is token.client and account.added_by in adders

    def seen(self, token: Token | None) -> list[Account]:
        """Every account visible to ``token``, ended ones too; the oldest first."""
        if token is None or not self.lives(token):
            return []
        return [account for account in self.accounts if self.visible(account, token)]

    def live(self, account: Account | None) -> bool:
        return account is not None and account.status == "active" and account.expires > self.now

    def current(self, account: Account) -> bool:
        """Return whether the account's person may still use it."""
        return account.person.allowed and self.same_password(account)

    def same_password(self, account: Account) -> bool:
        return account.password == account.person.password

    def remembered(self, token: Token | None) -> list[Account]:
        return [a for a in self.seen(token) if a.status not in GONE and not a.forgotten]

    def signed_in(self, token: Token | None) -> list[Account]:
        return [a for a in self.remembered(token) if self.live(a) and self.current(a)]

    def shown(self, token: Token | None) -> list[Account]:
        """What is listed: those signed in, and one remembered account of each other person."""
        shown = {account.person: account for account in self.signed_in(token)}
        for account in reversed(self.remembered(token)):
            shown.setdefault(account.person, account)
        return list(shown.values())

    def loaded(self, token: Token | None) -> Account | None:
        """Whose ``request.session`` a request with this token has.

        The session of somebody who was deactivated loads, though it has no user. Otherwise one with
        the hash of an earlier password does not.
        """
        if token is None or not self.lives(token):
            return None
        account = token.account
        if account is None or not self.live(account):
            return None
        return account if self.same_password(account) or not account.person.allowed else None

    def active(self, token: Token | None) -> Account | None:
        """As whom a request with this token acts."""
        account = self.loaded(token)
        return account if account is not None and account.person.allowed else None

    # --- Before and after each request --------------------------------------------------------

    def load(self, cookie: Token | None) -> Token | None:
        """Return the token if it lives. An ended one is as unknown as any other."""
        if cookie is not None and not self.lives(cookie):
            if not cookie.reused:
                cookie.reused = True
                live = [a for a in self.accounts if a.client is cookie.client and self.live(a)]
                self.reuses += len(live)
            return None
        return cookie

    def present(self, token: Token | None, loaded: int) -> None:
        """Note at the end of a request, loaded at that time, that its cookie was presented."""
        if token is None or not self.lives(token):
            return
        if token.ends is not None and token.ends <= loaded + GRACE - SETTLING:
            token.ends = None
        if token.parent is None:
            return
        if loaded - token.made >= SETTLING:
            if not self.settled(token):
                token.presented = loaded
                self.settle(token)
        elif token.presented is None:
            token.presented = loaded
            self.first_presented(token)

    def first_presented(self, token: Token) -> None:
        for ancestor in token.ancestors:
            self.end_token(ancestor, self.now + GRACE)

    def settle(self, token: Token) -> None:
        """End the ancestors, which nothing but a thief can still have. Siblings live on."""
        ancestors = token.ancestors
        for ancestor in ancestors:
            self.end_token(ancestor, self.now)
        if all(
            other is token or token in other.ancestors
            for other in self.tokens
            if other.client is token.client and self.lives(other)
        ):
            for account in self.accounts:
                if account.added_by in ancestors:
                    account.added_by = token
            token.parent = None

    def end_token(self, token: Token, at: int) -> None:
        token.ends = at if token.ends is None else min(token.ends, at)

    def new_token(self, client: Client, account: Account | None, parent: Token | None) -> Token:
        token = Token(client, account, self.now, parent)
        self.tokens.append(token)
        return token

    # --- Signing in, and other new cookies ----------------------------------------------------

    @request
    def visit(self, token: Token | None, key: str) -> Any:
        """Write data while nobody is active."""
        if token is None:
            new = self.new_token(Client(), None, None)
            new.visitor = {key: "1"}
            return new
        token.account, token.visitor = None, {**(token.visitor or {}), key: "1"}
        return None

    @request
    def sign_in(self, token: Token | None, person: Person, lifetime: int = LIFETIME) -> Any:
        said, known = {}, self.signed_in_as(token, person)
        if token is not None and token.visitor is not None:
            said, token.visitor = token.visitor, None
        if token is None or token.client.accounts == 0:
            new = self.begin(person, lifetime)
        elif known is None:
            new = self.add(token, person, lifetime)
        elif known is self.active(token):
            return self.sign_in_again(token, known, lifetime)
        else:
            self.renew(known, lifetime)
            new = self.new_token(token.client, known, token)
        assert new.account is not None
        new.account.data |= said
        return new

    def begin(self, person: Person, lifetime: int) -> Token:
        token = self.new_token(Client(), None, None)
        token.account = self.new_account(token, person, lifetime)
        return token

    def add(self, token: Token, person: Person, lifetime: int) -> Token:
        """Sign in beside what ``token`` shows, which shows the same as before."""
        for account in self.accounts:
            mine = account.client is token.client and account.person is person
            if mine and self.live(account):
                self.close(account, "replaced")
        new = self.new_token(token.client, None, token)
        new.account = self.new_account(new, person, lifetime)
        return new

    def sign_in_again(self, token: Token, account: Account, lifetime: int) -> Token | None:
        """Sign in as the active account: only how long its cookie lives may be new."""
        is_sent = account.lifetime != lifetime and not self.has_children(token)
        self.renew(account, lifetime)
        return token if is_sent else None

    def signed_in_as(self, token: Token | None, person: Person) -> Account | None:
        for account in self.signed_in(token):
            if account.person is person:
                return account
        return None

    def new_account(self, token: Token, person: Person, lifetime: int) -> Account:
        expires = self.now + lifetime
        abandoned = max(self.now + ABANDON_AGE, expires)
        account = Account(
            person,
            token.client,
            added_by=token,
            number=self.number(token.client, person),
            password=person.password,
            lifetime=lifetime,
            expires=expires,
            abandoned=abandoned,
        )
        self.accounts.append(account)
        return account

    def number(self, client: Client, person: Person) -> int:
        """Return the person's number here. The new account takes the place of earlier ones."""
        earlier = [a for a in self.accounts if a.client is client and a.person is person]
        for account in earlier:
            account.forgotten = True
        if earlier:
            return earlier[0].number
        client.accounts += 1
        return client.accounts

    def save(self, account: Account, *, changed: bool) -> None:
        """Save the account's data. What has not changed is written if its deadline moves enough."""
        moves = self.now + account.lifetime - account.expires
        if changed or moves >= min(MINUTE, (account.expires - self.now) / 10):
            self.renew(account)

    def renew(self, account: Account, lifetime: int | None = None) -> None:
        account.lifetime = lifetime or account.lifetime
        account.expires = self.now + account.lifetime
        account.abandoned = max(account.abandoned, account.expires)

    @request
    def change_password(self, token: Token | None) -> Any:
        """Change the active account's password: from now on only the new token shows it."""
        assert token is not None
        account = self.active(token)
        assert account is not None
        account.person.password += 1
        new = self.new_token(token.client, account, token)
        account.added_by, account.password = new, account.person.password
        self.renew(account)
        for older in self.tokens:
            if older.account is account and older is not new:
                older.account = None
        for other in self.accounts:
            same = other.person is account.person
            if same and self.live(other) and not self.same_password(other):
                self.close(other, "revoked")
        return new

    @request
    def cycle_key(self, token: Token | None) -> Any:
        """Give the active account's browser a new cookie, as ``SECRET_KEY_FALLBACKS`` does."""
        assert token is not None
        if token.account is not None:
            self.save(token.account, changed=False)
        return self.new_token(token.client, token.account, token)

    # --- Looking, and what does not change the cookie -----------------------------------------

    @request
    def look(self, token: Token | None) -> Any:
        """Look at a page. Nobody who was not active before becomes so by it ("choose")."""
        return None

    @request
    def put(self, token: Token | None, key: str) -> Any:
        """Write to the active account's data."""
        account = self.active(token)
        assert account is not None
        changed = account.data.get(key) != "1"
        account.data[key] = "1"
        self.save(account, changed=changed)

    @request
    def switch(self, token: Token | None, account: Account) -> Any:
        """Make ``account`` the active one. Returns the status of the answer too."""
        if token is None or account not in self.signed_in(token):
            return 404, None
        token.account, token.visitor = account, None
        return 200, None

    @request
    def step_aside(self, token: Token | None) -> Any:
        """Make nobody active, with everybody still signed in."""
        if token is not None and self.active(token) is not None:
            token.account, token.visitor = None, {}

    # --- Endings ------------------------------------------------------------------------------

    @request
    def sign_out(self, token: Token | None) -> Any:
        """Sign out of the active account, or drop what was said meanwhile: ``logout()``."""
        account = self.loaded(token)
        if account is not None:
            self.close(account, "ended")
        return self.drop_visitor(token)

    @request
    def flush(self, token: Token | None) -> Any:
        """Flush the session without a ``logout()`` or ``login()``."""
        account = self.loaded(token)
        if account is None or not self.same_password(account):
            return self.drop_visitor(token)
        self.close(account, "removed")
        return self.leave(token)

    @request
    def sign_out_of(self, token: Token | None, account: Account) -> Any:
        """Sign out of any account of this browser. Returns the status of the answer too."""
        if account not in self.shown(token) or not self.live(account):
            return 404, None
        self.close(account, "ended")
        return 200, None

    @request
    def forget(self, token: Token | None, account: Account) -> Any:
        """Take an account off the list. Returns the status of the answer too."""
        if account not in self.shown(token):
            return 404, None
        self.remove(account)
        is_visited = token is not None and token.visitor is not None
        return 200, None if is_visited else self.leave(token)

    @request
    def sign_out_all(self, token: Token | None) -> Any:
        remembered = self.remembered(token)
        if token is None or not (remembered or token.visitor is not None):
            return None
        for account in remembered:
            self.remove(account)
        for shown_by in (token, *token.ancestors):
            shown_by.visitor = None
        return self.leave(token)

    def drop_visitor(self, token: Token | None) -> Any:
        if token is None or token.visitor is None:
            return None
        token.visitor = None
        return self.leave(token)

    def leave(self, token: Token | None) -> Any:
        """End a token that remembers nobody, unless a newer one may be on its way."""
        if token is None or self.remembered(token) or self.has_children(token):
            return None
        for ended in (token, *token.ancestors):
            self.end_token(ended, self.now)
        return DELETED

    def remove(self, account: Account) -> None:
        if self.live(account):
            self.close(account, "removed")
        elif account.status == "ended":
            account.status = "removed"
        else:
            account.forgotten = True

    def close(self, account: Account, status: str) -> None:
        """Write down how an account ended: the first end counts, the clock's too."""
        if self.live(account):
            account.status = status
        elif account.status == "active":
            account.status = "abandoned" if account.abandoned <= self.now else "expired"
