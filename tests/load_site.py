"""A site for ``tools.load`` in memory: the rules of the cookie without a framework.

Each fault in ``FAULTS`` breaks one of the rules, which the checker must find.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from tools.load.web import SESSION_COOKIE, Answer

FAULTS = {
    "a switch changes the cookie and ends the old one": {"lost"},
    "a sign-in ends the cookie before it at once": {"lost"},
    "a sign-in ends the accounts of other tabs": {"lost"},
    "signing in again begins a new session": {"another session"},
    "a write brings the account back": {"came back"},
    "a write is done as whoever is active": {"wrong account"},
    "a page changes the active account": {"wrong active account"},
    "a switch is refused": {"refused"},
    "a page deletes the cookie": {"cookie deleted"},
    "an account has two sessions": {"two sessions"},
}


@dataclass(eq=False)
class Row:
    """A session. ``added_by``: a token."""

    sid: str
    user: str
    client: int
    added_by: Token
    status: str = "active"
    expire_at: float = float("inf")
    note: str = ""

    @property
    def is_live(self) -> bool:
        return self.status == "active" and self.expire_at > time.monotonic()


@dataclass(eq=False)
class Token:
    value: str
    client: int
    row: Row | None = None
    parent: Token | None = None
    created: float = field(default_factory=time.monotonic)
    is_settled: bool = False
    has_ended: bool = False

    @property
    def ancestors(self) -> list[Token]:
        return [] if self.parent is None else [self.parent, *self.parent.ancestors]


class Site:
    """Answers as the site would. One request after the other: only the answers cross."""

    def __init__(
        self, *, settle: float = 60.0, soon: float = 2.0, fault: str = "", loses: float = 0.0
    ) -> None:
        self.settle, self.soon, self.fault, self.loses = settle, soon, fault, loses
        self._dice = random.Random(1)  # noqa: S311
        self.tokens: dict[str, Token] = {}
        self.rows: list[Row] = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def ask(self, method: str, path: str, cookies: str, fields: Mapping[str, str] | None) -> Answer:
        with self._lock:
            fate = self._dice.random()
            if fate < self.loses / 2:
                raise ConnectionResetError("before anything was done")
            value = dict(part.split("=") for part in cookies.split("; ") if part).get(
                SESSION_COOKIE
            )
            token = self.tokens.get(value or "")
            if token is not None and token.has_ended:
                token = None
            answer = self.answer(path, token, dict(fields) if fields is not None else None)
            if token is not None:
                self.present(token)
            if fate < self.loses:
                raise ConnectionResetError("after everything was done")
            return answer

    def answer(self, path: str, token: Token | None, fields: dict[str, str] | None) -> Answer:
        if fields is None:
            return self.page(path, token)
        active = self.active(token)
        if path in ("/note", "/expire", "/accounts/logout/"):
            page = fields["csrfmiddlewaretoken"].removeprefix("of")
            if self.is_refused(path, page, token, active):
                return Answer(409)
            if active is None or token is None:
                return Answer(302, "/accounts/login/")
            return self.write(path, token, active, fields)
        if path == "/accounts/login/":
            return self.sign_in(token, fields["username"])
        if token is None:
            return Answer(404 if "session" in fields else 302)
        return self.verb(path.strip("/").split("/")[-1], token, fields)

    def is_refused(self, path: str, page: str, token: Token | None, active: Row | None) -> bool:
        """Return whether a page of another account than the active one has sent this."""
        row = next((row for row in self.rows if row.sid == page), None)
        if active is None and path == "/accounts/logout/":
            # Done already, unless that account could be switched to.
            return token is not None and row in self.visible(token) and row.is_live
        is_wrong = active is None or row is None or row.user != active.user
        return is_wrong and self.fault != "a write is done as whoever is active"

    # --- Looking --------------------------------------------------------------------------

    def visible(self, token: Token) -> list[Row]:
        mine = {token, *token.ancestors}
        return [row for row in self.rows if row.client == token.client and row.added_by in mine]

    def active(self, token: Token | None) -> Row | None:
        row = token.row if token else None
        return row if row is not None and row.is_live and row in self.visible(token) else None

    def page(self, path: str, token: Token | None) -> Answer:
        if path == "/accounts/login/":
            return Answer(200, text='<input name="csrfmiddlewaretoken" value="of">')
        live = [row for row in self.visible(token) if row.is_live] if token else []
        if token is not None and self.faulty("a page changes the active account", every=20):
            token.row = live[-1] if live else None
        if live and self.faulty("an account has two sessions", every=20):
            extra = Row("twin", live[0].user, live[0].client, live[0].added_by)
            live.append(extra)
        active = self.active(token)
        seen = {
            "user": active.user if active else "",
            "session": active.sid if active else "",
            "accounts": {row.sid: row.user for row in live},
            "note": active.note if active else "",
        }
        if path == "/whoami":
            return Answer(200, text=json.dumps(seen))
        cookies = []
        if self.faulty("a page deletes the cookie", every=20):
            cookies.append((SESSION_COOKIE, None, 0.0))
        return Answer(
            200,
            cookies=cookies,
            text=f'<input name="csrfmiddlewaretoken" value="of{seen["session"]}">'
            f'<script id="seen" type="application/json">{json.dumps(seen)}</script>',
        )

    # --- Doing ----------------------------------------------------------------------------

    def write(self, path: str, token: Token, active: Row, fields: dict[str, str]) -> Answer:
        if path == "/accounts/logout/":
            active.status = "ended"
            return Answer(302, "/")
        if path == "/expire":
            active.expire_at = time.monotonic() + self.soon
        else:
            active.note = f"{active.user} {fields['number']}"
        if self.fault == "a write brings the account back":
            for row in self.visible(token):
                row.status = "active" if row.status == "ended" else row.status
        return Answer(200, text=json.dumps({"user": active.user, "session": active.sid}))

    def verb(self, name: str, token: Token, fields: dict[str, str]) -> Answer:
        if name == "add-account":
            token.row = None
            return Answer(302, "/accounts/login/")
        if name == "sign-out-all":
            return self.sign_out_all(token)
        row = next((row for row in self.visible(token) if row.sid == fields["session"]), None)
        if row is None:
            return Answer(404)
        if name == "sign-out":
            if not row.is_live:
                return Answer(404)
            row.status = "ended"
            return Answer(302, "/multisession/choose/")
        if not row.is_live:
            token.row = None
            return Answer(302, "/accounts/login/?session=")
        if self.faulty("a switch is refused", every=5):
            return Answer(404)
        token.row = row
        if self.fault == "a switch changes the cookie and ends the old one":
            for sibling in self.tokens.values():
                if sibling.parent is token.parent is not None:
                    sibling.has_ended = True
            token.has_ended = True
            return self.issue(token.client, row, token)
        return Answer(302, "/")

    def sign_out_all(self, token: Token) -> Answer:
        for row in self.visible(token):
            row.status = "removed"
        if any(token in each.ancestors for each in self.tokens.values() if not each.has_ended):
            return Answer(302, "/")
        for each in (token, *token.ancestors):
            each.has_ended = True
        return Answer(302, "/", [(SESSION_COOKIE, None, 0.0)])

    def sign_in(self, token: Token | None, user: str) -> Answer:
        active = self.active(token)
        if active is not None and active.user == user:
            return Answer(302, "/")
        if token is None:
            return self.issue(next(self._numbers), user, None)
        seen = [row for row in self.visible(token) if row.is_live and row.user == user]
        if self.fault == "a sign-in ends the accounts of other tabs":
            for row in self.rows:
                if row.client == token.client and row not in self.visible(token):
                    row.status = "replaced"
        answer = None
        if not seen or self.fault == "signing in again begins a new session":
            for row in self.rows:
                if row.client == token.client and row.user == user and row.is_live:
                    row.status = "replaced"
            answer = self.issue(token.client, user, token)
        if self.fault == "a sign-in ends the cookie before it at once":
            token.has_ended = True
        return answer or self.issue(token.client, seen[0], token)

    def issue(self, client: int, who: Row | str, parent: Token | None) -> Answer:
        token = Token(f"value{next(self._numbers)}", client, parent=parent)
        if isinstance(who, str):
            who = Row(f"sess_{next(self._numbers)}", who, client, token)
            self.rows.append(who)
        token.row = who
        self.tokens[token.value] = token
        return Answer(302, "/", [(SESSION_COOKIE, token.value, None)])

    def present(self, token: Token) -> None:
        """A value that arrives after so long has arrived for good: its ancestors end."""
        if token.is_settled or time.monotonic() - token.created < self.settle:
            return
        token.is_settled = True
        for each in token.ancestors:
            each.has_ended = True

    def faulty(self, fault: str, *, every: int) -> bool:
        return self.fault == fault and next(self._numbers) % every == 0


#: What a site with one account in each tab may do wrong, and what the browsers say of it.
TAB_FAULTS = {
    "a page shows the active account": "wrong account",
    "a form is executed as the active account": "wrong account",
    "a sign-in ends the accounts of other tabs": "lost",
    "signing in again gives a new number": "another number",
    "forms are refused now and then": "",
}


class TabSite:
    """One account in each tab: ``/u/N/`` belongs to account N of the browser."""

    def __init__(self, fault: str = "") -> None:
        self._fault = fault
        self._lock = threading.Lock()
        self._clients: dict[str, dict[int, str]] = {}
        self._live: dict[str, dict[int, str]] = {}
        self._forms = itertools.count(1)

    def ask(
        self, method: str, path: str, cookies: str, fields: Mapping[str, str] | None = None
    ) -> Answer:
        with self._lock:
            cookie = cookies.partition("=")[2] or f"c{len(self._clients)}"
            names = self._clients.setdefault(cookie, {})
            live = self._live.setdefault(cookie, {})
            _, _, number, page = path.split("/", 3)
            return self._answer(cookie, names, live, int(number), page, fields)

    def _answer(
        self,
        cookie: str,
        names: dict[int, str],
        live: dict[int, str],
        number: int,
        page: str,
        fields: Mapping[str, str] | None,
    ) -> Answer:
        active = live[max(live)] if live else ""
        user = live.get(number, "")
        if page == "accounts/login/" and fields is not None:
            known = {name: known for known, name in names.items()}
            own = known.get(fields["username"], len(names) + 1)
            if self._fault == "signing in again gives a new number":
                own = len(names) + 1
            if self._fault == "a sign-in ends the accounts of other tabs":
                live.clear()
            names[own] = live[own] = fields["username"]
            return Answer(302, f"/u/{own}/", [(SESSION_COOKIE, cookie, None)])
        if page == "accounts/logout/":
            live.pop(number, None)
            return Answer(302, f"/u/{number}/")
        if page == "note":
            if self._fault == "forms are refused now and then" and next(self._forms) % 10 == 0:
                return Answer(409)
            if self._fault == "a form is executed as the active account":
                user = active
            return Answer(200, text=json.dumps({"user": user}))
        if self._fault == "a page shows the active account":
            user = active
        return Answer(200, text=json.dumps({"user": user, "session": "", "accounts": {}}))
