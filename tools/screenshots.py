"""Make the pictures of docs/howto/ from the running demo: ``make screenshots``.

``--into FOLDER`` writes them elsewhere; ``--only NAME`` makes one. The demo runs on its own port
and database, with realistic names.
"""

from __future__ import annotations

import argparse
import datetime
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.browser import chromium

PASSWORD = "correct horse battery staple"  # noqa: S105 - of the people in the pictures
ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "howto" / "pictures"
FLAGS = ["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"]

PEOPLE = {
    "wolfe@example.com": "Wolfeschlegelsteinhausenbergerdorff Hubert Blaine the Third",
    "karim@example.com": "محمد الفاتح بن عبد الرحمن",
    "zhang@example.cn": "张伟",
    "fox@example.com": "🦊 Foxy 👩‍🚀",
    "nameless@example.com": "",
    "priya@example.com": "Priya Natarajan",
    "admin@example.com": "Adele Goldberg",
    "alan@example.com": "Alan Turing",
    "grace@example.com": "Grace Hopper",
    "ada@example.com": "Ada Lovelace",
}
ADMIN = (*list(PEOPLE)[-4:-2], "ada@example.com", "admin@example.com")
#: The browsers of these people, for *Devices* and the administrators' pages.
BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/142.0.0.0 Mobile "
    "Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 "
    "Safari/605.1.15",
)
#: The part of the window with the button and its menu.
CORNER = {"x": 840, "y": 0, "width": 440, "height": 560}


class Picture(NamedTuple):
    """The subject of a picture. The last of ``accounts`` is active."""

    name: str
    url: str = "/"
    accounts: int = 3
    steps: Callable[[Page], Any] = lambda page: None
    #: The part of the page; None: all of the window.
    clip: dict[str, int] | None = CORNER
    window: tuple[int, int] = (1280, 720)
    rtl: bool = False
    #: These people instead, the last one active.
    people: tuple[str, ...] = ()
    #: On the demo with one account in each tab.
    paths: bool = False
    #: Options of the browser: ``color_scheme``, ``forced_colors``, ``java_script_enabled``.
    browser: dict[str, Any] = {}


def taller(height: int) -> dict[str, int]:
    return {**CORNER, "height": height}


def open_menu(page: Page) -> None:
    trigger = page.locator("[data-multisession-button] > summary")
    trigger.hover()
    page.wait_for_timeout(400)
    trigger.click()
    page.mouse.move(600, 700)


def click(page: Page, name: str) -> None:
    panel = page.locator("[data-multisession-panel]")
    panel.get_by_role("button", name=name).or_(panel.get_by_role("link", name=name)).click(
        no_wait_after=True
    )


def opened_while(pattern: str, answer: Callable[[Route], Any]) -> Callable[[Page], None]:
    def steps(page: Page) -> None:
        page.route(pattern, answer)
        open_menu(page)

    return steps


def switched_while(answer: Callable[[Route], Any]) -> Callable[[Page], None]:
    def steps(page: Page) -> None:
        open_menu(page)
        page.route("**/set-active/", answer)
        click(page, "Switch to Grace")
        page.mouse.move(600, 700)

    return steps


WAITING: list[Route] = []


def never(route: Route) -> None:
    """Never answer."""
    WAITING.append(route)


def lost(route: Route) -> None:
    route.abort()


def failed(route: Route) -> None:
    route.fulfill(status=500, body="x")


def refused(route: Route) -> None:
    route.fulfill(status=409, body="x")


def expired(page: Page) -> None:
    from django.utils import timezone

    from multisession.models import Session

    Session.objects.filter(user__email="ada@example.com").update(expire_at=timezone.now())
    open_menu(page)


def added(page: Page) -> None:
    open_menu(page)
    click(page, "Add account")
    page.wait_for_timeout(300)


def stepped_aside(page: Page) -> None:
    there = page.url
    page.goto("/accounts/choose/")
    page.get_by_role("main").get_by_role("button", name="Add account").click()
    page.wait_for_url("**/sign-in/")
    page.goto(there)


def continuing(page: Page) -> None:
    signed_out_of_one(page)
    page.goto("/accounts/choose/")


def signed_out_of_one(page: Page) -> None:
    page.goto("/accounts/choose/")
    page.get_by_role("main").get_by_role("button", name="Sign out of Ada").click()
    page.get_by_text("No account is active.").first.wait_for()
    page.goto("/")


def switched(page: Page) -> None:
    open_menu(page)
    click(page, "Switch to Grace")
    page.get_by_role("heading", name="Hello, Grace Hopper").wait_for()


def signed_out_of_all(page: Page) -> None:
    open_menu(page)
    click(page, "Sign out of all accounts")
    page.get_by_role("heading", name="You are signed out").wait_for()


def covered(page: Page) -> None:
    """Ada has been signed out elsewhere, and the tab comes to the front."""
    from multisession.models import Session

    Session.objects.filter(user__email="ada@example.com").live().latest("pk").revoke()
    page.evaluate('document.dispatchEvent(new Event("visibilitychange", {bubbles: true}))')
    page.locator("dialog.ms-cover [autocomplete~=current-password]").wait_for()


def covered_beside_another(page: Page) -> None:
    """Ada has been signed out after another tab had switched to Grace."""
    tab = page.context.new_page()
    tab.goto("/accounts/choose/")
    tab.get_by_role("main").get_by_role("button", name="Switch to Grace").click()
    tab.get_by_role("heading", name="Hello, Grace Hopper").wait_for()
    tab.close()
    covered(page)


def named(page: Page) -> None:
    from multisession.models import Session
    from multisession.models.nicknames import set_look

    looks = {"ada": ("Work", 9), "grace": ("Private", 4), "alan": ("The other job", 1)}
    for name, (nickname, hue) in looks.items():
        session = Session.objects.filter(user__email=f"{name}@example.com").first()
        if session is not None:
            set_look(session.user_id, nickname=nickname, hue=hue)
    page.reload()
    open_menu(page)


def confirmed(page: Page) -> None:
    page.get_by_role("main").get_by_role("button", name="Sign out of all other browsers").click()
    page.locator("[autocomplete=current-password]").wait_for()


def revoking(page: Page) -> None:
    page.goto("/admin/multisession/session/revoke/?status=active")


def with_new_key(page: Page) -> None:
    page.get_by_label("Name").fill("Nightly report")
    page.get_by_role("button", name="Save", exact=True).click()


def by_keys(page: Page) -> None:
    page.locator("[data-multisession-button] > summary").focus()
    page.wait_for_timeout(400)
    for _ in range(6):
        page.keyboard.press("ArrowDown")


PHONE: dict[str, Any] = {"clip": None, "window": (320, 640)}
WIDE: dict[str, Any] = {"clip": {"x": 320, "y": 0, "width": 640, "height": 720}}
DARK: dict[str, Any] = {"color_scheme": "dark"}
OFFICE: dict[str, Any] = {"people": ADMIN, "clip": None, "window": (1280, 800)}
SESSIONS = "/admin/multisession/session/"
PICTURES_WANTED = (
    Picture("closed", clip=taller(80)),
    Picture("signed-out", accounts=0, clip=taller(80)),
    Picture("choose-an-account", steps=signed_out_of_one, clip=taller(80)),
    Picture("stepped-aside", steps=stepped_aside, clip=taller(80)),
    Picture("one", accounts=1, steps=open_menu, clip=taller(340)),
    Picture("three", steps=open_menu, clip=taller(580)),
    Picture("ten", accounts=10, steps=open_menu, clip=taller(720)),
    Picture("dark", steps=open_menu, clip=taller(580), browser={"color_scheme": "dark"}),
    Picture("rtl", accounts=7, steps=open_menu, rtl=True, clip={**taller(720), "x": 0}),
    Picture("phone", steps=open_menu, **PHONE),
    Picture("zoom-400", steps=open_menu, clip=None, window=(320, 256)),
    Picture(
        "forced-colors", steps=open_menu, clip=taller(580), browser={"forced_colors": "active"}
    ),
    Picture("keyboard", steps=by_keys, clip=taller(580)),
    Picture("loading", steps=opened_while("**/menu/*", never), clip=taller(380)),
    Picture("busy", steps=switched_while(never), clip=taller(580)),
    Picture("lost", steps=switched_while(lost), clip=taller(640)),
    Picture("refused", steps=switched_while(refused), clip=taller(640)),
    Picture("failed", steps=opened_while("**/menu/*", failed), clip=taller(440)),
    Picture("expired", steps=expired, clip=taller(280)),
    Picture("add-account", steps=added, clip=taller(480)),
    Picture(
        "no-script",
        steps=lambda page: page.locator("summary").click(),
        clip=taller(340),
        browser={"java_script_enabled": False},
    ),
    Picture("chooser", "/accounts/choose/", accounts=4, **WIDE),
    Picture("chooser-stepped-aside", "/accounts/choose/", steps=stepped_aside, **WIDE),
    Picture("chooser-phone", "/accounts/choose/", **PHONE),
    Picture("continue-as", "/accounts/choose/", steps=continuing, **WIDE),
    Picture("you-are-signed-out", steps=signed_out_of_all, **WIDE),
    Picture("switched", steps=switched, clip={"x": 0, "y": 0, "width": 1280, "height": 360}),
    Picture("tab", "/u/2/", steps=open_menu, clip=taller(580), paths=True),
    Picture("cover", steps=covered, **WIDE),
    Picture("cover-dark-phone", steps=covered, browser=DARK, **PHONE),
    Picture("cover-other-account", steps=covered_beside_another, **WIDE),
    Picture("cover-forced-colors", steps=covered, browser={"forced_colors": "active"}, **WIDE),
    Picture("devices", "/accounts/sessions/", **WIDE),
    Picture("devices-phone", "/accounts/sessions/", browser=DARK, **PHONE),
    Picture("history", "/multisession/sessions/history/", **WIDE),
    Picture("confirm-password", "/accounts/sessions/", steps=confirmed, **WIDE),
    Picture("admin-sessions", SESSIONS, **OFFICE),
    Picture("admin-sessions-phone", SESSIONS, people=ADMIN, clip=None, window=(390, 844)),
    Picture("admin-overview", f"{SESSIONS}overview/", **OFFICE),
    Picture("admin-overview-dark", f"{SESSIONS}overview/", browser=DARK, **OFFICE),
    Picture("admin-timeline", "/admin/multisession/event/timeline/?user=10", **OFFICE),
    Picture("admin-revoke", SESSIONS, steps=revoking, **OFFICE),
    Picture("admin-new-key", "/admin/multisession/apikey/add/", steps=with_new_key, **OFFICE),
    # Last, because the names stay.
    Picture("nicknames", steps=named, clip=taller(580)),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=PICTURES)
    parser.add_argument("--only", default="", help="the name of one picture")
    wanted = parser.parse_args()
    path = chromium.find()
    if path is None:
        sys.stderr.write(f"{chromium.LEFT_OUT}\n")
        return 1
    wanted.into.mkdir(parents=True, exist_ok=True)
    with demo() as addresses, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        for picture in PICTURES_WANTED:
            if wanted.only in ("", picture.name):
                into = wanted.into / f"{picture.name}.png"
                take(browser, addresses[picture.paths], picture, into)
        browser.close()
    return 0


def take(browser: Browser, address: str, picture: Picture, into: Path) -> None:
    width, height = picture.window
    context = browser.new_context(
        base_url=address,
        viewport={"width": width, "height": height},
        reduced_motion="reduce",
        **picture.browser,
    )
    people = picture.people or tuple(PEOPLE)[len(PEOPLE) - picture.accounts :]
    if people:
        value = cookie_of(people)
        context.add_cookies([{"name": "sessionid", "value": value, "url": address}])
    page = context.new_page()
    # With DEBUG on, this script shows a failed answer in place of the page, for developers.
    page.route("**/django-htmx*.js", lambda route: route.fulfill(body=""))
    page.goto(picture.url)
    if picture.rtl:
        page.evaluate("document.documentElement.dir = 'rtl'")
    picture.steps(page)
    page.wait_for_timeout(300)
    page.screenshot(path=into, clip=picture.clip, animations="disabled")  # type: ignore[arg-type]
    sys.stdout.write(f"{into.name}: {into.stat().st_size} bytes\n")
    while WAITING:
        WAITING.pop().fulfill(status=204)
    context.close()


def cookie_of(people: Sequence[str]) -> str:
    """Return the cookie of a browser with these users signed in, the last one active."""
    from django.test import Client

    from accounts.models import User

    browser = Client()
    for email in people:
        browser.force_login(User.objects.get(email=email))
        name_browser(BROWSERS[2])
    return browser.cookies["sessionid"].value


@contextmanager
def demo() -> Iterator[list[str]]:
    """Start the demo with its accounts, as ``make run`` does. Yield its URL, and that with tabs."""
    with tempfile.TemporaryDirectory(prefix="multisession-pictures-") as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            # Playwright runs an event loop in this thread.
            "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
            "DATABASE_URL": f"sqlite:///{folder}/demo.sqlite3",
            "DEBUG": "1",
            "ALLOWED_HOSTS": "127.0.0.1,testserver",
        }
        import django
        from django.conf import settings
        from django.core.management import call_command

        django.setup()
        from accounts.models import User

        call_command("migrate", verbosity=0)
        for email, name in PEOPLE.items():
            may = email.startswith("admin")
            User.objects.create_user(email, PASSWORD, name=name, is_staff=may, is_superuser=may)
        settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"  # "Was this you?"
        live_for_a_month()
        with serve() as address, serve(ACCOUNT_PATHS="1") as with_tabs:
            yield [address, with_tabs]


@contextmanager
def serve(**variables: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(  # noqa: S603 - this project's own
        [sys.executable, "manage.py", "runserver", f"127.0.0.1:{port}", "--noreload"],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def name_browser(agent: str) -> None:
    """Give the newest session its browser: ``force_login`` has none."""
    from multisession.ground.browsers import kind_of
    from multisession.models import Client, Event, Session

    session = Session.objects.latest("pk")
    Client.objects.filter(pk=session.client_id).update(user_agent=agent)
    Session.objects.filter(pk=session.pk).update(browsers=kind_of(agent))
    Event.objects.filter(session_id=session.public_id).update(user_agent=agent)


def live_for_a_month() -> None:
    """Let these people sign in from several browsers, in the last month: always the same."""
    from django.core.management import call_command
    from django.test import Client
    from django.utils import timezone

    from accounts.models import User
    from multisession.models import Event, Session

    dice, now = random.Random(7), timezone.now()  # noqa: S311 - for pictures
    signed_in = [
        (user, agent)
        for user in User.objects.order_by("pk")
        for agent in dice.sample(BROWSERS, dice.randint(2, len(BROWSERS)))
    ]
    dice.shuffle(signed_in)
    moments = sorted(dice.expovariate(1 / 6000) for _ in signed_in)  # minutes ago
    for (user, agent), ago in zip(signed_in, reversed(moments), strict=True):
        Client().force_login(user)
        name_browser(agent)
        session = Session.objects.latest("pk")
        moment = now - datetime.timedelta(minutes=ago)
        used = moment + (now - moment) * dice.random()
        rows, trail = (
            Session.objects.filter(pk=session.pk),
            Event.objects.filter(session_id=session.public_id),
        )
        address = f"203.0.113.{dice.randint(1, 250)}"
        rows.update(
            created_at=moment,
            last_active_at=used,
            expire_at=used + datetime.timedelta(days=14),
            ip_address=address,
        )
        trail.update(at=moment, ip_address=address)
    for session in dice.sample(list(Session.objects.all()), 8):
        session.revoke()
        over = now - datetime.timedelta(hours=dice.randint(1, 20))
        Event.objects.filter(session_id=session.public_id, kind="revoked").update(at=over)
    call_command("clearsessions", verbosity=0)


def wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("The demo does not answer.")


if __name__ == "__main__":
    sys.exit(main())
