"""A browser that is killed, and started again with the profile on its disk.

Chromium writes its cookies to disk about every 30 seconds, and when it is closed. If it is killed
in between, it starts again with older cookies. Each test closes the browser properly once, so that
the cookie of its first accounts is on disk.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Error, Page, expect

from accounts.models import User
from multisession.models import Session
from tests.browser.conftest import FLAGS, TIMEOUT
from tests.conftest import PASSWORD

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups, to kill one"),
]

#: Seconds between what a person does and the end of the browser: far less than 30.
PAUSE = 3
PROFILE_FLAGS = [
    "--headless=new",
    "--remote-debugging-port=0",  # Chromium writes the one it found into the profile.
    "--password-store=basic",
    "--no-default-browser-check",
]


def limit() -> list[str]:
    """Let no browser outlive a test run that was itself killed."""
    found = shutil.which("timeout")
    return [found, "--signal=KILL", "120"] if found else []


class Computer:
    """A browser with a profile on disk, and the person in front of it."""

    page: Page

    def __init__(self, playwright, executable, profile: Path, url: str, complaints) -> None:
        self.playwright = playwright
        self.command = [*limit(), executable, *FLAGS, *PROFILE_FLAGS, f"--user-data-dir={profile}"]
        self.address = profile / "DevToolsActivePort"
        self.url = url
        self.complaints = complaints
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.address.unlink(missing_ok=True)  # A killed browser leaves it behind.
        self.process = subprocess.Popen(
            [*self.command, "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # A group of its own: it and its children.
        )
        self.browser = self.playwright.chromium.connect_over_cdp(
            f"http://127.0.0.1:{self.port()}", timeout=TIMEOUT
        )
        (context,) = self.browser.contexts
        context.set_default_timeout(TIMEOUT)
        context.on("page", self.complaints.listen)
        self.page = context.new_page()

    def port(self) -> int:
        deadline = time.monotonic() + TIMEOUT / 1000
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, IndexError):
                return int(self.address.read_text().splitlines()[0])
            assert self.process.poll() is None, "Chromium ended before it had started"
            time.sleep(0.02)
        raise AssertionError("Chromium does not say where it listens")

    def close(self) -> None:
        """Close it as a person does: it writes what it knows to disk."""
        session = self.browser.new_browser_cdp_session()
        with contextlib.suppress(Error):  # It may be gone before it has answered.
            session.send("Browser.close")
        self.process.wait(timeout=TIMEOUT / 1000)
        self.forget()

    def kill(self) -> None:
        """End it and its children without a warning."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=TIMEOUT / 1000)
        self.forget()

    def forget(self) -> None:
        self.process = None
        with contextlib.suppress(Error):
            self.browser.close()

    def close_and_start(self) -> None:
        self.close()
        self.start()

    def crash_and_start(self) -> None:
        time.sleep(PAUSE)
        self.kill()
        self.start()

    # What the person does and sees

    def go(self, path: str) -> None:
        answer = self.page.goto(f"{self.url}{path}")
        assert answer is not None
        assert answer.status == 200

    def sign_in(self, user: User) -> None:
        self.go("/accounts/sign-in/")
        form = self.page.get_by_role("main").locator("form:has([autocomplete=current-password])")
        address = form.get_by_label("E-mail address")
        if address.count():  # Who signs in again is asked for the password alone.
            address.fill(user.email)
        form.get_by_label("Password").fill(PASSWORD)
        with self.page.expect_response("**/accounts/sign-in/") as sent:
            form.get_by_role("button", name="Sign in").click()
        assert sent.value.status == 302
        self.is_greeted_as(user)

    def switch_to(self, user: User) -> None:
        self.go("/accounts/choose/")
        name = re.compile(f"(Switch to|Continue as) {user.name}")
        self.page.get_by_role("main").get_by_role("button", name=name).click()
        self.is_greeted_as(user)

    def sign_out_of(self, user: User) -> None:
        self.go("/accounts/choose/")
        self.page.get_by_role("main").get_by_role("button", name=f"Sign out of {user.name}").click()
        again = self.page.get_by_role("main").get_by_text(f"Sign in again as {user.name}")
        expect(again).to_have_count(1)

    def is_greeted_as(self, user: User) -> None:
        said = re.compile(f"^(You are now using {user.email}\\.|Now {user.name})$")
        expect(self.page.get_by_text(said)).to_be_visible()

    def who(self) -> str | None:
        """Whom a page shows, asked by the browser itself."""
        self.go("/whoami")
        user: str | None = self.page.evaluate("JSON.parse(document.body.innerText).user")
        return user

    def accounts(self) -> list[str]:
        """The accounts that are signed in here, in alphabetical order."""
        self.go("/accounts/choose/")
        signed_in = self.page.locator(".ms-choice:has(form[action$='/sign-out/'])")
        return sorted(signed_in.locator(".ms-identifier").all_inner_texts())

    @property
    def cookie(self) -> str | None:
        name = settings.SESSION_COOKIE_NAME
        (context,) = self.browser.contexts
        found = [cookie["value"] for cookie in context.cookies() if cookie["name"] == name]
        return found[0] if found else None


@pytest.fixture
def computer(playwright, executable, live_server, complaints) -> Iterator[Computer]:
    # Something of a killed browser may still write while its profile is removed.
    with tempfile.TemporaryDirectory(prefix="profile-", ignore_cleanup_errors=True) as profile:
        computer = Computer(playwright, executable, Path(profile), live_server.url, complaints)
        computer.start()
        yield computer
        computer.kill()


def test_killed_after_a_switch(computer, ada, grace, alan):
    """The cookie is the same before and after, so the switch holds."""
    computer.sign_in(ada)
    computer.sign_in(grace)
    computer.close_and_start()
    assert computer.who() == grace.email
    computer.switch_to(ada)
    computer.crash_and_start()
    assert computer.who() == ada.email
    assert computer.accounts() == [ada.email, grace.email]

    computer.sign_in(alan)
    assert computer.accounts() == [ada.email, alan.email, grace.email]


def test_killed_after_an_account_was_added(computer, ada, grace):
    """It comes back with the cookie of before, which shows the accounts of before."""
    computer.sign_in(ada)
    computer.close_and_start()
    assert computer.who() == ada.email
    before = computer.cookie
    computer.sign_in(grace)
    assert computer.accounts() == [ada.email, grace.email]
    assert computer.cookie != before
    computer.crash_and_start()
    if computer.cookie == before:
        assert computer.who() == ada.email
        assert computer.accounts() == [ada.email]
    else:
        assert computer.who() == grace.email
        assert computer.accounts() == [ada.email, grace.email]

    computer.sign_in(grace)
    assert computer.who() == grace.email
    assert computer.accounts() == [ada.email, grace.email]
    for user in (ada, grace):
        assert Session.objects.filter(user=user, status="active").count() == 1


def test_killed_after_a_sign_out(computer, ada, grace):
    """The account stays signed out, and the other one signed in."""
    computer.sign_in(ada)
    computer.sign_in(grace)
    computer.close_and_start()
    computer.sign_out_of(grace)
    assert computer.who() is None
    computer.crash_and_start()
    assert computer.who() is None
    assert computer.accounts() == [ada.email]

    computer.switch_to(ada)
    assert computer.who() == ada.email
    computer.sign_in(grace)
    assert computer.accounts() == [ada.email, grace.email]


def test_killed_with_a_tab_for_each_account(computer, settings, ada, grace):
    """Each tab opens again as its own account, and goes on."""
    settings.MULTISESSION = {**settings.MULTISESSION, "ACCOUNT_PATHS": True}
    computer.sign_in(ada)
    computer.sign_in(grace)
    computer.close_and_start()
    tabs = [f"{computer.url}/u/{number}/" for number in (1, 2)]
    for tab in tabs:
        computer.browser.contexts[0].new_page().goto(tab)
    computer.crash_and_start()
    for url, user in zip(tabs, (ada, grace), strict=True):
        tab = computer.browser.contexts[0].new_page()
        tab.goto(url)
        form = tab.locator("form[action$='/notes/']")
        form.get_by_role("textbox").fill(f"{user.name} goes on")
        form.get_by_role("button", name="Add note").click()
        expect(tab.get_by_text(f"{user.name} goes on")).to_be_visible()
        expect(tab).to_have_title(re.compile(f"^{user.name} · "))
        assert [note.text for note in user.notes.all()] == [f"{user.name} goes on"]


def test_killed_after_an_account_was_added_in_a_tab(computer, settings, ada, grace, alan):
    """The cookie of before has not got the new account; the tabs of the others are theirs."""
    settings.MULTISESSION = {**settings.MULTISESSION, "ACCOUNT_PATHS": True}
    computer.sign_in(ada)
    computer.sign_in(grace)
    computer.close_and_start()
    before = computer.cookie
    computer.sign_in(alan)
    computer.crash_and_start()
    is_before = computer.cookie == before
    users = [ada.email, grace.email, None if is_before else alan.email]
    for number, user in enumerate(users, 1):
        computer.page.goto(f"{computer.url}/u/{number}/whoami")
        # A number that this cookie does not know leads to the active account's page.
        expected = "/whoami" if user is None else f"/u/{number}/whoami"
        assert computer.page.url == f"{computer.url}{expected}"
        said = computer.page.evaluate("JSON.parse(document.body.innerText).user")
        assert said == (user or grace.email)
    computer.page.goto(f"{computer.url}/u/1/accounts/sign-in/")
    form = computer.page.get_by_role("main").locator("form:has([autocomplete=current-password])")
    form.get_by_label("E-mail address").fill(alan.email)
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Sign in").click()
    computer.page.wait_for_url(re.compile(r"/u/[34]/"))
    computer.is_greeted_as(alan)
    for number, user in ((1, ada), (2, grace)):
        computer.page.goto(f"{computer.url}/u/{number}/whoami")
        assert computer.page.evaluate("JSON.parse(document.body.innerText).user") == user.email
