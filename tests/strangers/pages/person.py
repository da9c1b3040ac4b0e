"""A person with two tabs: one with Ada's page, and one that changes her session."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Response, expect

from tests.strangers.packages.site import ADA, CHOOSE, GRACE, PASSWORD
from tests.strangers.pages.project import PagesSite

SAFE = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True)
class Answer:
    """What the server answered to a write."""

    status: int
    reason: str | None
    marked: bool
    background: bool


class Person:
    def __init__(self, site: PagesSite, context: BrowserContext) -> None:
        self.site = site
        self.context = context
        self.may_write = {ADA}
        self.answers: list[Answer] = []
        [[self.last_note]] = site.ask("SELECT COALESCE(MAX(id), 0) FROM notes_note")
        self.tab: Page | None = None
        self.page = context.new_page()
        self.sign_in(ADA)
        self.page.on("response", self.hear)

    # What is seen.

    def hear(self, response: Response) -> None:
        request = response.request
        if request.method in SAFE or "/multisession/" in request.url:
            return
        self.answers.append(
            Answer(
                status=response.status,
                reason=response.headers.get("x-multisession"),
                marked="x-multisession-page" in request.headers,
                background="x-multisession-background" in request.headers,
            )
        )

    def notes(self) -> list[tuple[str, str, str]]:
        """Return (user, text, page) of everything that this test wrote."""
        return self.site.ask(
            "SELECT username, text, page FROM notes_note JOIN auth_user ON user_id = auth_user.id"
            " WHERE notes_note.id > ? ORDER BY notes_note.id",
            self.last_note,
        )

    def stored(self, text: str) -> list[str]:
        """Return as whom this text was stored, by a save and not by a preview."""
        return [user for user, what, page in self.notes() if what == text and page != "preview"]

    @property
    def text(self) -> Locator:
        return self.page.locator("#text")

    @property
    def save(self) -> Locator:
        return self.page.locator("#save")

    @property
    def error(self) -> Locator:
        return self.page.locator("#error")

    @property
    def sheet(self) -> Locator:
        return self.page.locator("dialog[data-multisession-wrong-account]")

    @property
    def notice(self) -> Locator:
        return self.page.locator("[data-multisession-said]")

    @property
    def dialogs(self) -> Locator:
        """Every open dialog, whoever made it."""
        return self.page.locator("dialog[open]")

    # What is done.

    def post(self, url: str, seen_on: str, **fields: str) -> None:
        """Send a form from outside the page, as another tab of this browser would."""
        html = self.context.request.get(seen_on).text()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', html)
        assert token, f"{seen_on} has no form"
        answer = self.context.request.post(url, form={"csrfmiddlewaretoken": token[1], **fields})
        assert answer.ok, f"{url} answered {answer.status}"

    def sign_in(self, who: str) -> None:
        page = self.site.sign_in_page
        self.post(page, page, username=who, password=PASSWORD)
        self.tell_the_tabs()

    def sign_out_ada(self) -> None:
        self.post("/multisession/sign-out/", CHOOSE, session=self.session_id())
        self.tell_the_tabs()

    def step_aside(self) -> None:
        """Press *Add account*: nobody is active, and Ada stays signed in."""
        self.post("/multisession/add-account/", CHOOSE)
        self.tell_the_tabs()

    def tell_the_tabs(self) -> None:
        """Load a page in another tab, whose script says who is active now."""
        if self.page.url != "about:blank":
            self.other_tab().goto("/")

    def come_to_the_front(self) -> None:
        """Look at the page again. (Headless Chromium takes every tab for a visible one.)"""
        self.page.evaluate('document.dispatchEvent(new Event("visibilitychange", {bubbles: true}))')

    def other_tab(self) -> Page:
        self.tab = self.tab or self.context.new_page()
        return self.tab

    def add_grace(self) -> None:
        self.post("/multisession/add-account/", CHOOSE)
        self.sign_in(GRACE)

    def open(self, path: str, typed: str) -> None:
        self.page.goto(path)
        self.text.fill(typed)

    def fill_in_password(self, tab: Page, who: str) -> None:
        tab.get_by_label("Username").fill(who)
        tab.get_by_label("Password").fill(PASSWORD)
        tab.get_by_role("button", name="Sign in", exact=True).click()

    def sign_in_here(self) -> bool:
        """Return True if the project's own form was on the cover or refusal; else in a new tab."""
        box = self.page.locator("[data-multisession-wrong-account]")
        link = box.get_by_role("link", name=f"Sign in as {ADA}")
        button = box.get_by_role("button", name=f"Sign in as {ADA}")
        own = box.locator("input[type=password][autocomplete=current-password]")
        expect(own.or_(link).or_(button).first).to_be_visible()
        with suppress(AssertionError):
            expect(own).to_be_visible(timeout=5_000)
        if own.count():
            own.fill(PASSWORD)
            own.press("Enter")
            return True
        with self.context.expect_page() as opened:
            link.or_(button).click()
        self.fill_in_password(opened.value, ADA)
        opened.value.wait_for_url(lambda url: "/accounts/login/" not in url)
        return False

    def session_id(self) -> str:
        page = self.page.locator("[data-multisession-page]")
        return str(page.get_attribute("data-multisession-page"))

    def wait_for_refusals(self, number: int = 2) -> None:
        """Wait until the page's timer has been answered so many times by something but success."""
        for _time in range(number):
            self.page.wait_for_event("response", lambda found: is_refusal(found))


def is_refusal(response: Response) -> bool:
    """Return whether a write was refused; a redirect may also be how a page answers a success."""
    led_to_sign_in = "/accounts/login/" in response.headers.get("location", "")
    return response.request.method not in SAFE and (response.status >= 400 or led_to_sign_in)


# What happens meanwhile: each name is the id of a test.


def grace_is_active(person: Person) -> None:
    person.add_grace()


def nobody_is_active(person: Person) -> None:
    person.step_aside()


def signed_out(person: Person) -> None:
    person.sign_out_ada()


def expired(person: Person) -> None:
    person.site.ask(
        "UPDATE multisession_session SET expire_at = '2020-01-01 00:00:00' WHERE public_id = ?",
        person.session_id(),
    )


def revoked(person: Person) -> None:
    person.site.manage("revokesessions", "--session", person.session_id(), "--noinput")


def signed_out_and_grace_is_active(person: Person) -> None:
    person.add_grace()
    person.sign_out_ada()
    person.come_to_the_front()


def happens(*names: Callable[[Person], None]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("happening", names, ids=lambda found: found.__name__)


LIVE = (grace_is_active, nobody_is_active)
OVER = (expired, revoked, signed_out)
OVER_BUT_GRACE = (signed_out_and_grace_is_active,)
#: The page is told at once, and covered.
TOLD = (signed_out, signed_out_and_grace_is_active)
