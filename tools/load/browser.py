"""A simulated browser whose tabs act at the same time."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .check import Check, Kind, Outcome, Step
from .options import Options
from .tally import NONE, Found, Tally
from .web import PATIENCE, SESSION_COOKIE, Answer, Ask, Jar, Seen

PASSWORD = "several-accounts"  # noqa: S105
#: Seconds in which the database may still execute the last statements of a killed server process.
AFTERMATH = 1.0
#: The number of switches in a row when two tabs only switch.
SWITCHES = 4
#: The number of last steps that are printed after a violation.
LAST_STEPS = 30

#: What a person may do next, with weights.
HABITS: tuple[tuple[str, int], ...] = (
    ("switch", 30),
    ("look", 14),
    ("poll", 14),
    ("write", 18),
    ("sign in", 12),
    ("sign out of one", 7),
    ("sign out of all", 2),
    ("let it expire", 3),
)


class Interrupted(Exception):
    """The tab stops: its browser was killed, or no answer came."""


@dataclass(frozen=True, slots=True)
class Page:
    """The page in a tab."""

    seen: Seen
    token: str

    @property
    def others(self) -> list[str]:
        return [sid for sid in self.seen.accounts if sid != self.seen.session]


class Browser:
    """A browser. In every second one the tabs mostly switch, all at the same moment."""

    def __init__(self, name: str, ask: Ask, options: Options, tally: Tally) -> None:
        self.name = name
        self.ask = ask
        self.options = options
        self.tally = tally
        self.switches = options.only == "switches" or int(name) % 2 == 0
        self.check = Check()
        self.random = random.Random(f"{options.seed} {name}")
        self.lives = 0
        #: The numbers of the notes that were certainly written.
        self.written: list[str] = []
        self._jar = Jar()
        self._value: str | None = None
        self._lock = threading.RLock()
        self._log: deque[str] = deque(maxlen=LAST_STEPS)
        self._reported = 0
        self._began = time.monotonic()

    # --- Scenes ---------------------------------------------------------------------------

    def live(self, until: float) -> None:
        """Play scenes until enough operations are done, or the time is over."""
        # Tabs of a killed browser may still wait for answers when it starts again.
        with ThreadPoolExecutor(2 * self.options.tabs) as pool:
            while not self.tally.is_full and time.monotonic() < until:
                self.play_scene(pool)
                self.rest()
        self.tally.left_behind.update(self.check.left_behind)

    def play_scene(self, pool: ThreadPoolExecutor) -> None:
        """Let the tabs act at the same time, and wait for all answers."""
        tabs = self.open_tabs()
        if self.switches and len(tabs) > 1 and self.has_accounts(tabs[0]):
            together = threading.Barrier(len(tabs))
            playing = [pool.submit(tab.play, tab.switch_together, together) for tab in tabs]
        else:
            playing = [pool.submit(tab.play, tab.act) for tab in tabs]
        if self.options.only != "switches" and self.random.random() < 0.06:
            time.sleep(self.random.uniform(0, 4 * self.options.latency[1]))
            self.kill()
            playing += [pool.submit(tab.play, tab.act) for tab in self.open_tabs()]
        wait_for(playing)

    def has_accounts(self, tab: Tab) -> bool:
        """Sign in until there are accounts to switch to. Return True if there are."""

        def prepare() -> None:
            tab.look()
            for user in self.random.sample(users(self.options), 3):
                if tab.page is not None and len(tab.page.seen.accounts) < 3:
                    self.tally.begin("sign in")
                    tab.sign_in(user)

        tab.play(prepare)
        return tab.page is not None and len(tab.page.seen.accounts) >= 2

    def rest(self) -> None:
        """Check the state while no request is running."""
        tab = Tab(self, "quiet")
        tab.play(tab.poll)
        if tab.last_seen is not None:
            with self._lock:
                self.check.rest(self._value, tab.last_seen)

    def open_tabs(self) -> list[Tab]:
        return [Tab(self, f"tab {number}") for number in range(1, self.options.tabs + 1)]

    def kill(self) -> None:
        """End all tabs, and start again with the cookies that are on the disk."""
        with self._lock:
            now = time.monotonic()
            self.lives += 1
            self._jar.roll_back(now - self.random.uniform(0, self.options.rollback))
            self._moved("rolled back", now)
            self.note("killed", f"back with {short(self._value)}")
            self._tell()
        self.tally.kill_browser()

    # --- Requests -------------------------------------------------------------------------

    def send(self, step: Step, life: int) -> str:
        """Begin a request with the current cookies. Return their header."""
        with self._lock:
            if life != self.lives:
                raise Interrupted
            now = time.monotonic()
            if self._jar.get(SESSION_COOKIE, now) != self._value:
                self._moved("its time was over", now)
            step.value, step.sent = self._value, now
            self.check.send(step)
            self.note(step.tab, f"-> {describe(step)} with {short(step.value)}")
            self._tell()
            return self._jar.header(now)

    def take(self, step: Step, answer: Answer, life: int) -> bool:
        """Receive an answer. Return False if its browser was killed meanwhile."""
        with self._lock:
            now = time.monotonic()
            outcome = outcome_of(step, answer)
            if life != self.lives:
                self.check.lose(step, now)
                self.note(step.tab, f"<- {describe(step)}: {answer.status}, to nobody")
                self._tell()
                return False
            self._jar.take(answer.cookies, now)
            new = next((v for name, v, _ in answer.cookies if name == SESSION_COOKIE), None)
            self.note(
                step.tab,
                f"<- {describe(step)}: {answer.status} {answer.location} {outcome.name}"
                + (f", cookie {short(new)}" if new else "")
                + (f", shows {show(answer.seen)}" if answer.seen else ""),
            )
            done_as = answer.data.get("user") if step.kind in (Kind.WRITE, Kind.EXPIRE) else None
            self.check.take(step, outcome, now, value=new, seen=answer.seen, done_as=done_as)
            is_all = step.kind is Kind.SIGN_OUT_ALL
            self._moved("signed out of all" if is_all else "crossed", now)
            self._tell()
            return True

    def lose(self, step: Step, why: str) -> None:
        with self._lock:
            self.note(step.tab, f"<- {describe(step)}: {why}")
            self.check.lose(step, time.monotonic())
            self._tell()

    def violate(self, kind: str, text: str) -> None:
        with self._lock:
            self.check.report(kind, text, time.monotonic())
            self._tell()

    def note(self, who: str, text: str) -> None:
        self._log.append(f"{time.monotonic() - self._began:8.3f} {who:6} {text}")

    def _moved(self, why: str, now: float) -> None:
        old, self._value = self._value, self._jar.get(SESSION_COOKIE, now)
        if old != self._value:
            self.check.change_cookie(old, self._value, why, now)

    def _tell(self) -> None:
        """Report new violations to the tally, with the steps before them."""
        for violation in self.check.violations[self._reported :]:
            self.tally.report(Found(self.name, violation, list(self._log)))
        self._reported = len(self.check.violations)

    def known(self) -> dict[str, list[str]]:
        """Return what the check of the database needs to know."""
        live = self.check.live(self._value)
        return {"ended": [*self.check.ended], "live": [*live], "written": self.written}


class Tab:
    """One tab, for one scene."""

    def __init__(self, browser: Browser, name: str) -> None:
        self.browser = browser
        self.name = name
        self.life = browser.lives
        self.random = random.Random(browser.random.random())
        self.page: Page | None = None
        self.last_seen: Seen | None = None

    def play(self, what: Callable[..., None], *arguments: Any) -> None:
        try:
            what(*arguments)
        except (Interrupted, threading.BrokenBarrierError):
            for argument in arguments:
                argument.abort()

    # --- What a person does ---------------------------------------------------------------

    def act(self) -> None:
        """Do a few things in a row."""
        deeds: dict[str, Callable[[], None]] = {
            "switch": self.switch,
            "look": self.look,
            "poll": self.poll,
            "write": self.write,
            "sign in": self.sign_in_somebody,
            "sign out of one": self.sign_out,
            "sign out of all": self.sign_out_all,
            "let it expire": self.expire,
        }
        self.look()
        for _ in range(self.random.randint(1, 4)):
            (name,) = self.random.choices(*zip(*HABITS, strict=True))
            if self.page is not None and not can(name, self.page):
                name = "sign in"
            self.browser.tally.begin(name)
            deeds[name]()

    def switch_together(self, together: threading.Barrier) -> None:
        """Switch at the same moment as the other tabs, over and over."""
        for _ in range(SWITCHES):
            self.look()
            together.wait(PATIENCE)
            if self.page is not None and self.page.others:
                self.browser.tally.begin("switch")
                self.switch(follow=False)

    def look(self) -> None:
        answer = self.ask(Kind.LOOK, "/")
        if (seen := answer.seen) is not None:
            self.page = Page(seen, answer.token)

    def poll(self) -> None:
        self.last_seen = self.ask(Kind.POLL, "/whoami").seen

    def write(self) -> None:
        """Send a form of the page, even if the page is old."""
        page = self.shown()
        fields = {"drawn_for": page.seen.user, "number": f"{self.random.getrandbits(100):x}"}
        answer = self.post(Kind.WRITE, "/note", fields, user=page.seen.user)
        if answer.status == 200:
            self.browser.written.append(fields["number"])
        else:
            self.look()

    def switch(self, *, follow: bool = True) -> None:
        page = self.shown()
        session = self.random.choice(page.others)
        self.post(
            Kind.SWITCH,
            "/multisession/set-active/",
            {"session": session, "next": "/"},
            user=page.seen.accounts[session],
            session=session,
        )
        if follow:
            self.look()

    def sign_in_somebody(self) -> None:
        self.sign_in(self.random.choice(users(self.browser.options)))

    def sign_in(self, user: str) -> None:
        """Sign in; in half of the cases through the menu, which steps aside first."""
        if self.page is not None and self.page.seen.user and self.random.random() < 0.5:
            self.post(Kind.STEP_ASIDE, "/multisession/add-account/", {})
        form = self.ask(Kind.FORM, "/accounts/login/")
        fields = {"username": user, "password": PASSWORD, "csrfmiddlewaretoken": form.token}
        self.browser.tally.signs_in(1)
        try:
            self.ask(Kind.SIGN_IN, "/accounts/login/", fields, user=user)
        finally:
            self.browser.tally.signs_in(-1)
        self.look()

    def sign_out(self) -> None:
        """Sign out of any account; of the active one sometimes with Django's own form."""
        page = self.shown()
        session = self.random.choice(list(page.seen.accounts))
        about = {"user": page.seen.accounts[session], "session": session}
        if session == page.seen.session and self.random.random() < 0.5:
            self.post(Kind.LOGOUT, "/accounts/logout/", {}, **about)
        else:
            self.post(Kind.SIGN_OUT, "/multisession/sign-out/", {"session": session}, **about)
        self.look()

    def sign_out_all(self) -> None:
        self.post(Kind.SIGN_OUT_ALL, "/multisession/sign-out-all/", {})
        self.look()

    def expire(self) -> None:
        page = self.shown()
        self.post(Kind.EXPIRE, "/expire", {}, user=page.seen.user, session=page.seen.session)

    # --- Requests -------------------------------------------------------------------------

    def shown(self) -> Page:
        if self.page is None:
            raise Interrupted
        return self.page

    def post(self, kind: Kind, path: str, fields: dict[str, str], **about: str) -> Answer:
        return self.ask(kind, path, {**fields, "csrfmiddlewaretoken": self.shown().token}, **about)

    def ask(
        self, kind: Kind, path: str, fields: dict[str, str] | None = None, **about: str
    ) -> Answer:
        """Send a request and receive its answer. Repeat it after a 503 with ``Retry-After``."""
        answer = self._ask_once(kind, path, fields, **about)
        if answer.status == 503 and answer.retry_after:
            self.browser.tally.retry()
            time.sleep(min(float(answer.retry_after), 2.0))
            answer = self._ask_once(kind, path, fields, **about)
        if answer.status == 400 or answer.status >= 500:
            self.browser.violate(f"answered {answer.status}", f"{kind.value}, {path}")
        elif answer.status not in (200, 302, 403, 404, 409):
            self.browser.violate("unexpected answer", f"{answer.status} to {kind.value}, {path}")
        return answer

    def _ask_once(
        self,
        kind: Kind,
        path: str,
        fields: dict[str, str] | None,
        *,
        user: str = "",
        session: str = "",
    ) -> Answer:
        browser = self.browser
        step = Step(kind, None, 0, user, session, self.name)
        cookies = browser.send(step, self.life)
        self.wait()
        try:
            method = "GET" if fields is None else "POST"
            answer = browser.ask(method, path, cookies, fields)
        except (OSError, http.client.HTTPException) as error:
            browser.tally.answered(kind, NONE)
            time.sleep(AFTERMATH)
            browser.lose(step, f"no answer ({error!r})")
            if not browser.options.kill:
                browser.violate("no answer", f"to {kind.value}, {path}: {error!r}")
            raise Interrupted from None
        self.wait()
        browser.tally.answered(kind, answer.status)
        if not browser.take(step, answer, self.life):
            raise Interrupted
        return answer

    def wait(self) -> None:
        """Wait for half of the latency."""
        least, most = self.browser.options.latency
        time.sleep(self.random.uniform(least / 2, most / 2))


def users(options: Options) -> list[str]:
    names = ("ada", "grace", "linus", "margaret", "dennis", "barbara", "ken", "radia", "tim")
    return list(names[: options.users])


def can(deed: str, page: Page) -> bool:
    """Return True if this action is possible on this page."""
    if deed == "switch":
        return bool(page.others)
    if deed in ("write", "let it expire"):
        return bool(page.seen.user)
    return bool(page.seen.accounts) if deed.startswith("sign out") else True


def outcome_of(step: Step, answer: Answer) -> Outcome:
    """Return the outcome of a step, from its answer."""
    path = urlsplit(answer.location).path
    if answer.status == 403 or (answer.status == 409 and step.kind is not Kind.SWITCH):
        return Outcome.STALE
    if answer.status >= 400:
        return Outcome.LOST if answer.status >= 500 else Outcome.REFUSED
    if step.kind is Kind.SWITCH:
        again = path == "/accounts/login/"
        return Outcome.DONE if path == "/" else [Outcome.REFUSED, Outcome.SIGN_IN_AGAIN][again]
    if step.kind is Kind.STEP_ASIDE:
        return Outcome.DONE if path == "/accounts/login/" else Outcome.REFUSED
    if step.kind in (Kind.SIGN_IN, Kind.SIGN_OUT, Kind.LOGOUT, Kind.SIGN_OUT_ALL):
        return Outcome.DONE if answer.status == 302 else Outcome.REFUSED
    return Outcome.DONE if answer.status == 200 else Outcome.REFUSED


def wait_for(playing: list[Future[None]]) -> None:
    for future in playing:
        future.result()


def describe(step: Step) -> str:
    about = " ".join(filter(None, [step.user, step.session[:10]]))
    return f"{step.kind.value} {about}".strip()


def show(seen: Seen) -> str:
    accounts = ", ".join(f"{user} {sid[:10]}" for sid, user in seen.accounts.items())
    return f"{seen.user or 'nobody'} of [{accounts}]"


def short(value: str | None) -> str:
    return f"{value[:6]}…" if value else "no cookie"
