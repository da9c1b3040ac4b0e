"""Devices, used by a person: with scripts, and without."""

import re

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from tests.browser.test_menu import sign_in as two_accounts
from tests.conftest import PASSWORD
from tests.stories import session_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:131.0) Gecko/20100101 Firefox/131.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)


def sign_in(page: Page, user: User) -> Page:
    page.goto("/accounts/sign-in/")
    form = page.locator("form:has([autocomplete=current-password]):visible")
    form.get_by_label("E-mail address").fill(user.email)
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text(f"You are now using {user.email}.")).to_be_visible()
    return page


def who(page: Page) -> str | None:
    return page.request.get("/whoami").json()["user"]


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_somebody_signs_out_of_browsers_left_behind(new_browser, complaints, ada, scripts):
    firefox = sign_in(new_browser(user_agent=FIREFOX), ada)
    iphone = sign_in(new_browser(user_agent=IPHONE), ada)
    page = sign_in(new_browser(java_script_enabled=scripts), ada)
    page.goto("/accounts/choose/")
    page.get_by_role("link", name="Devices").click()

    page.get_by_role("button", name="Sign out of Firefox on Windows").click()
    said = page.get_by_role("status").filter(has_text="Signed out of Firefox on Windows.")
    expect(said).to_be_visible()
    if scripts:
        expect(said).to_be_focused()
    assert (who(firefox), who(iphone), who(page)) == (None, ada.email, ada.email)

    page.get_by_role("button", name="Sign out of all other browsers").click()
    expect(page.get_by_label("Password")).to_be_focused()
    for password, answer in (
        ("wrong", "Wrong password."),
        (PASSWORD, "Signed out of 1 other browser."),
    ):
        page.get_by_label("Password").fill(password)
        page.keyboard.press("Enter")
        expect(page.get_by_text(answer)).to_be_visible()
    assert (who(iphone), who(page)) == (None, ada.email)
    expect(page.get_by_text("This account isn't signed in anywhere else.")).to_be_visible()

    page.get_by_role("button", name="Sign out of this browser").click()
    expect(page).to_have_url(re.compile("/accounts/choose/$"))
    assert who(page) is None
    # Chromium says so of the page with the wrong password, and mostly not of htmx's own request.
    (complaints.allow if scripts else complaints.expect)("422")


def test_nothing_is_cut_off_on_a_small_screen(new_browser, ada):
    page = sign_in(new_browser(viewport={"width": 320, "height": 640}), ada)
    sign_in(new_browser(user_agent="an-unusually-long-name-of-a-program/1"), ada)
    page.goto("/accounts/sessions/")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    devices = page.locator(".ms-device + form button")
    for index in range(devices.count()):
        button = devices.nth(index)
        covers = button.evaluate(
            """button => {
              const a = button.getBoundingClientRect();
              const b = button.closest('li').querySelector('.ms-identity').getBoundingClientRect();
              return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
            }"""
        )
        assert not covers


def test_the_pill_for_choosing_an_account_fits_one_line_of_a_small_screen(new_browser, ada, grace):
    page = new_browser(viewport={"width": 320, "height": 640})
    two_accounts(page, ada, grace)
    session_of(grace).end()
    page.goto("/")
    words = page.get_by_role("banner").locator(".ms-words")
    expect(words).to_contain_text("Choose an account")
    lines = words.evaluate(
        """words => {
          const range = document.createRange();
          range.selectNodeContents(words.lastChild);
          return new Set([...range.getClientRects()].map(line => line.top)).size;
        }"""
    )
    assert lines == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
