"""The frameworks' pages and Clerk's scripts in Chromium, on the running demo.

Playwright answers for the pages and for files of the npm packages, at addresses of the demo. All
else comes from the demo itself: ``client.js`` and the Frontend API.
"""

from __future__ import annotations

import base64
import mimetypes
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from accounts.models import User
from tests.browser import chromium
from tests.browser.conftest import FLAGS, TIMEOUT
from tests.sdk.conftest import required

HERE = Path(__file__).parent
PACKAGES = HERE / "node_modules"
#: Clerk's scripts read a host from it, and use none: they are told a proxy.
KEY = "pk_live_" + base64.b64encode(b"clerk.example.com$").decode().rstrip("=")

# Playwright keeps an event loop running in the test's thread; without this Django refuses to touch
# the database from there.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture(scope="package")
def islands(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the bundles."""
    node = shutil.which("node")
    if node is None or not (PACKAGES / ".bin" / "esbuild").exists():
        must = required(request.config) and node is not None
        leave = pytest.fail if must else pytest.skip
        leave("The npm packages are not here: `make test-sdk` installs them, with Node.")
    folder = tmp_path_factory.mktemp("islands")
    subprocess.run([str(node), "build.mjs", str(folder)], cwd=HERE, check=True, timeout=120)
    return folder


@pytest.fixture(scope="package")
def chromium_browser(islands: Path) -> Iterator[Browser]:
    path = chromium.find()
    if path is None:
        (pytest.fail if chromium.required() else pytest.skip)(chromium.LEFT_OUT)
    expect.set_options(timeout=TIMEOUT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


class Tabs:
    """The tabs of a browser that these users signed in with, the last one active."""

    def __init__(self, browser: Browser, site: str, islands: Path, *users: User) -> None:
        self.islands = islands
        self.site = site
        self.errors: list[str] = []
        #: The method and the path of each request to the Frontend API.
        self.asked: list[str] = []
        self.pages: dict[str, str] = {}
        self.context = browser.new_context(base_url=site)
        self.context.set_default_timeout(TIMEOUT)
        self.context.route(lambda url: not url.startswith(site), lambda route: route.abort())
        self.context.route(f"{site}/islands/**", self._island)
        self.context.route(f"{site}/npm/**", self._package)
        self.context.on("request", lambda request: self._note(request.method, request.url))
        signing_in = Client()
        for user in users:
            signing_in.force_login(user)
        if users:
            value = signing_in.cookies["sessionid"].value
            self.context.add_cookies([{"name": "sessionid", "value": value, "url": site}])

    def open(self, name: str, html: str = "") -> Page:
        """Open the page with this body in a new tab."""
        if html:
            self.pages[name] = html
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(f"/islands/{name}")
        return page

    def who(self) -> str | None:
        """The user that the server sees, asked on the side."""
        found: str | None = self.context.request.get("/whoami").json()["user"]
        return found

    def _note(self, method: str, url: str) -> None:
        if "/__clerk/" in url:
            self.asked.append(f"{method} {url.removeprefix(self.site).partition('?')[0]}")

    def _island(self, route: Route) -> None:
        name = route.request.url.removeprefix(f"{self.site}/islands/").partition("?")[0]
        if name.endswith(".js"):
            route.fulfill(path=self.islands / name)
        else:
            url = f"{self.site}/npm/clerk-js-5/dist/clerk.browser.js"
            data = f'data-publishable-key="{KEY}" data-clerk-j-s-url="{url}"'
            body = f"<!doctype html><html {data}>{self.pages[name]}</html>"
            route.fulfill(body=body, content_type="text/html")

    def _package(self, route: Route) -> None:
        # "/npm/clerk-js/…": whatever the version in the address that a script makes of its own.
        name = route.request.url.removeprefix(f"{self.site}/npm/").partition("?")[0]
        path = (PACKAGES / re.sub(r"^clerk/", "@clerk/", name)).resolve()
        if path.is_file() and path.is_relative_to(PACKAGES.resolve()):
            kind = mimetypes.guess_type(path.name)[0]
            route.fulfill(path=path, content_type=kind or "text/plain")
        else:
            route.fulfill(status=404)


@pytest.fixture
def tabs(
    chromium_browser: Browser, live_server: object, islands: Path
) -> Iterator[Callable[..., Tabs]]:
    """Make a browser: ``tabs(ada, grace)``."""
    made: list[Tabs] = []

    def make(*users: User) -> Tabs:
        site = live_server.url  # type: ignore[attr-defined]
        made.append(Tabs(chromium_browser, site, islands, *users))
        return made[-1]

    yield make
    for each in made:
        each.context.close()
