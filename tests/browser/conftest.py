"""A real browser on a real server. A test fails on any error in the browser's console."""

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.browser import chromium

# Playwright keeps an event loop running in the test's thread, which has nothing to do with us;
# without this Django refuses to touch the database from there.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

FLAGS = [
    "--no-sandbox",  # Chromium has none for root, as whom a CI server runs
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
#: Milliseconds. What a busy machine may need; no test waits that long for what does not come.
TIMEOUT = 15_000
expect.set_options(timeout=TIMEOUT)

NO_COMPLAINT = [
    # It has done what the header of a sign-out asks for.
    "Cleared data types",
    # Who types before the page has been drawn keeps the focus. That a fragment, which finds a page
    # in use, never asks for it, is tested where the fragments are.
    "Autofocus processing was blocked because a document already has a focused element",
]


@pytest.fixture(scope="package")
def executable() -> str:
    """Where Chromium is. Without it the browser tests are left out."""
    path = chromium.find()
    if path is None:
        (pytest.fail if chromium.required() else pytest.skip)(chromium.LEFT_OUT)
    return path


@pytest.fixture(scope="package")
def playwright(executable) -> Iterator[Playwright]:
    """The driver, one for all tests here.

    No longer than for those: beside its event loop no other coroutine can be run.
    """
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def browser(playwright, executable) -> Iterator[Browser]:
    """Chromium, one for all tests that need no profile on disk."""
    browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
    yield browser
    browser.close()


class Complaints(list[str]):
    """What a page said on the console: nothing, unless a test expects it."""

    def __init__(self) -> None:
        super().__init__()
        self._expected: list[str] = []
        self._allowed: list[str] = []

    def listen(self, page: Page) -> None:
        page.on("console", lambda message: self.hear(message.type, message.text))
        page.on("pageerror", lambda error: self.append(f"page error: {error}"))

    def hear(self, kind: str, text: str) -> None:
        # Chromium reports a refusal by the content policy here too.
        if not any(part in text for part in NO_COMPLAINT):
            self.append(f"{kind}: {text}")

    def expect(self, part: str) -> None:
        """Of this test: complaints that contain this. There has to be one before it is over."""
        self._expected.append(part)

    def allow(self, part: str) -> None:
        """Of this test: complaints that contain this, if there are any.

        Of a script's own request Chromium tells sometimes, and sometimes when the page is gone.
        """
        self._allowed.append(part)

    def unexpected(self) -> list[str]:
        """What is left when all has been said: to be asked when the browser is closed.

        What a page shows and what it says about it come in no fixed order.
        """
        for part in self._expected:
            said = any(part in complaint for complaint in self)
            assert said, f"nobody complained of {part!r}: {self}"
        known = [*self._expected, *self._allowed]
        return [said for said in self if not any(part in said for part in known)]


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    complaints = Complaints()
    yield complaints
    assert complaints.unexpected() == []


@pytest.fixture
def new_browser(browser: Browser, live_server, complaints) -> Iterator[Callable[..., Page]]:
    """Make a browser with no cookies: ``new_browser(java_script_enabled=False)``."""
    contexts: list[BrowserContext] = []

    def make(**options: object) -> Page:
        context = browser.new_context(base_url=live_server.url, **options)
        context.set_default_timeout(TIMEOUT)
        contexts.append(context)
        context.on("page", complaints.listen)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()
