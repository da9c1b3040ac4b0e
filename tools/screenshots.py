"""Make the pictures of docs/howto/user-button.md from the running demo: ``make screenshots``.

``--into FOLDER`` writes them elsewhere; ``--only NAME`` makes one. The demo runs on its own port
and database, with realistic names.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.browser import chromium

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "howto" / "user-button"
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


def signed_out_of_one(page: Page) -> None:
    page.goto("/accounts/choose/")
    page.get_by_role("main").get_by_role("button", name="Sign out of Ada").click()
    page.get_by_text("No account is active.").wait_for()
    page.goto("/")


def by_keys(page: Page) -> None:
    page.locator("[data-multisession-button] > summary").focus()
    page.wait_for_timeout(400)
    for _ in range(6):
        page.keyboard.press("ArrowDown")


PHONE: dict[str, Any] = {"clip": None, "window": (320, 640)}
WIDE: dict[str, Any] = {"clip": {"x": 320, "y": 0, "width": 640, "height": 720}}
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
    with demo() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        for picture in PICTURES_WANTED:
            if wanted.only in ("", picture.name):
                take(browser, address, picture, wanted.into / f"{picture.name}.png")
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
    if picture.accounts:
        value = cookie_of(list(PEOPLE)[-picture.accounts :])
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


def cookie_of(people: list[str]) -> str:
    """Return the cookie of a browser with these users signed in, the last one active."""
    from django.test import Client

    from accounts.models import User

    browser = Client()
    for email in people:
        browser.force_login(User.objects.get(email=email))
    return browser.cookies["sessionid"].value


@contextmanager
def demo() -> Iterator[str]:
    """Start the demo with its accounts, as ``make run`` does. Yield its URL."""
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
        from django.core.management import call_command

        django.setup()
        from accounts.models import User

        call_command("migrate", verbosity=0)
        for email, name in PEOPLE.items():
            User.objects.create_user(email, name=name, is_staff=email.startswith("admin"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        server = subprocess.Popen(  # noqa: S603 - this project's own
            [sys.executable, "manage.py", "runserver", f"127.0.0.1:{port}", "--noreload"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


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
