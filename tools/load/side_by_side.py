"""A simulated browser with one account in each tab: ``make load ONLY=tabs``.

Each tab stays at ``/u/N/``, reads and writes, and now and then signs out and in again. Beside them
one more account comes and goes. All share one cookie. A tab knows who it is, so the rules are
short: every page is of the tab's account, or of nobody while that is signed out; every form is
executed as the account of its page; and hardly any request is refused or sent to another page.
"""

from __future__ import annotations

import http.client
import random
import re
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from .browser import LAST_STEPS, PASSWORD, users
from .check import Kind, Violation
from .options import Options
from .tally import NONE, Found, Tally
from .web import Answer, Ask, Jar

#: What the person at a tab does next, with weights.
HABITS = {"look": 45, "write": 50, "sign out and in": 5}
_NUMBER = re.compile(r"/u/(\d+)/")


class Over(Exception):
    """A request had no answer: the tab stops."""


class SideBySide:
    """A browser whose tabs have one account each."""

    def __init__(self, name: str, ask: Ask, options: Options, tally: Tally) -> None:
        self.name = name
        self.written: list[str] = []
        self._ask = ask
        self._options = options
        self._tally = tally
        self._random = random.Random(f"{options.seed} {name}")
        self._jar = Jar()
        self._lock = threading.Lock()
        #: A person signs in or out in one tab at a time.
        self.hands = threading.Lock()
        self._log: deque[str] = deque(maxlen=LAST_STEPS)

    def live(self, until: float) -> None:
        """Open the tabs, and use all of them until enough operations are done."""
        names = users(self._options)
        first = int(self.name) % len(names)
        names = [*names[first:], *names[:first]]
        *own, guest = names[: self._options.tabs + 1]
        tabs = [Tab(self, user, self._random.random()) for user in own]
        for tab in tabs:
            tab.sign_in()
        coming = Tab(self, guest, self._random.random())
        with ThreadPoolExecutor(len(tabs) + 1) as pool:
            playing = [pool.submit(tab.use, until) for tab in tabs]
            playing.append(pool.submit(coming.come_and_go, until))
        for future in playing:
            future.result()

    def known(self) -> dict[str, list[str]]:
        """Return what the check of the database needs to know."""
        return {"ended": [], "live": [], "written": self.written}

    def is_over(self, until: float) -> bool:
        return self._tally.is_full or time.monotonic() > until

    def begin(self, name: str) -> None:
        self._tally.begin(name)

    def send(
        self, kind: Kind, path: str, fields: dict[str, str] | None, dice: random.Random
    ) -> Answer:
        """Send a request with the cookies of this moment, and store those of its answer."""
        with self._lock:
            cookies = self._jar.header(time.monotonic())
        least, most = self._options.latency
        time.sleep(dice.uniform(least / 2, most / 2))
        try:
            answer = self._ask("GET" if fields is None else "POST", path, cookies, fields)
        except (OSError, http.client.HTTPException) as error:
            self._tally.answered(kind, NONE)
            self.violate("no answer", f"to {kind.value}, {path}: {error!r}")
            raise Over from None
        time.sleep(dice.uniform(least / 2, most / 2))
        self._tally.answered(kind, answer.status)
        with self._lock:
            self._jar.take(answer.cookies, time.monotonic())
            shown = answer.seen.user if answer.seen else answer.data.get("user", "")
            self._log.append(f"{kind.value} {path}: {answer.status} {answer.location} {shown}")
        if answer.status == 400 or answer.status >= 500:
            self.violate(f"answered {answer.status}", f"{kind.value}, {path}")
        return answer

    def violate(self, kind: str, text: str) -> None:
        with self._lock:
            steps = list(self._log)
        self._tally.report(Found(self.name, Violation(kind, text, time.monotonic()), steps))

    def astray(self, path: str, answer: Answer) -> None:
        """Count a request that was refused or sent to another page."""
        self._tally.send_astray(f"{answer.status} at {_NUMBER.sub('/u/N/', path)}")


class Tab:
    """The tab of one account."""

    def __init__(self, browser: SideBySide, user: str, seed: float) -> None:
        self.user = user
        self._browser = browser
        self._random = random.Random(seed)
        self._prefix = "/u/0"
        self._is_in = False
        self._token = ""

    def use(self, until: float) -> None:
        """Read, write, and now and then sign out and in again."""
        deeds = {"look": self.look, "write": self.write, "sign out and in": self.out_and_in}
        with suppress(Over):
            while not self._browser.is_over(until):
                (name,) = self._random.choices(list(HABITS), [*HABITS.values()])
                self._browser.begin(name)
                deeds[name]()

    def come_and_go(self, until: float) -> None:
        """Sign in, write once, and sign out, over and over."""
        with suppress(Over):
            while not self._browser.is_over(until):
                self._browser.begin("come and go")
                self.sign_in()
                self.write()
                self.sign_out()

    def look(self) -> None:
        answer = self._get("/")
        if answer.status != 200 or answer.seen is None:
            self._browser.astray(f"{self._prefix}/", answer)
            return
        self._token = answer.token
        shown, expected = answer.seen.user, self.user if self._is_in else ""
        if shown == expected:
            return
        kind = "wrong account" if shown else "lost"
        self._browser.violate(kind, f"{self._prefix}/ of {expected} shows {shown or 'nobody'}")

    def write(self) -> None:
        """Send a form of the page in the tab."""
        number = f"{self._random.getrandbits(100):x}"
        answer = self._post(Kind.WRITE, "/note", {"drawn_for": self.user, "number": number})
        if answer.status != 200:
            self._browser.astray(f"{self._prefix}/note", answer)
            self.look()
        elif (done_as := answer.data["user"]) != self.user:
            self._browser.violate("wrong account", f"{self.user}'s form ran as {done_as}")
        else:
            self._browser.written.append(number)

    def out_and_in(self) -> None:
        self.sign_out()
        self.look()
        self.sign_in()

    def sign_out(self) -> None:
        with self._browser.hands:
            answer = self._post(Kind.LOGOUT, "/accounts/logout/", {})
        if answer.status == 302:
            self._is_in = False
        else:
            self._browser.astray(f"{self._prefix}/accounts/logout/", answer)
        self.look()

    def sign_in(self) -> None:
        """Sign in in this tab. The first time it has number 0, and gets its own."""
        path = f"{self._prefix}/accounts/login/"
        with self._browser.hands:
            form = self._browser.send(Kind.FORM, path, None, self._random)
            fields = {"username": self.user, "password": PASSWORD}
            fields["csrfmiddlewaretoken"] = form.token
            answer = self._browser.send(Kind.SIGN_IN, path, fields, self._random)
        found = _NUMBER.match(answer.location)
        if answer.status != 302 or found is None:
            self._browser.astray(path, answer)
            return
        prefix = found[0].rstrip("/")
        if self._prefix not in ("/u/0", prefix):
            self._browser.violate("another number", f"{self.user}: {self._prefix}, now {prefix}")
        self._prefix, self._is_in = prefix, True
        self.look()

    def _get(self, path: str) -> Answer:
        return self._browser.send(Kind.LOOK, self._prefix + path, None, self._random)

    def _post(self, kind: Kind, path: str, fields: dict[str, str]) -> Answer:
        fields = {**fields, "csrfmiddlewaretoken": self._token}
        return self._browser.send(kind, self._prefix + path, fields, self._random)
