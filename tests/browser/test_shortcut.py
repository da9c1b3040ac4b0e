"""The keyboard shortcut for the previous account."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_menu import Menu, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

KEYS = "Alt+Shift+KeyP"


@pytest.fixture
def page(new_browser, ada, grace, alan) -> Page:
    """Ada is active; before her it was Grace, and before that Alan."""
    page = new_browser()
    sign_in(page, alan, grace, ada)
    return page


def with_shortcut(page: Page) -> Page:
    """As {% user_button shortcut=… %} and the script tag would have it."""
    page.evaluate(
        "keys => document.querySelector('[data-multisession-button]')"
        ".dataset.multisessionShortcut = keys",
        KEYS,
    )
    page.add_script_tag(url="/static/multisession/shortcut.js")
    return page


def test_it_switches_to_the_account_used_before_and_back(page, ada, grace):
    for user in (grace, ada):
        with_shortcut(page).keyboard.press(KEYS)
        expect(page.get_by_role("group", name=user.name)).to_have_count(0)
        expect(page.locator("summary").get_by_text(user.name).first).to_be_attached()
        assert Menu(page).whoami() == user.email


def test_without_being_set_the_keys_do_nothing(page, ada):
    page.add_script_tag(url="/static/multisession/shortcut.js")
    page.keyboard.press(KEYS)
    expect(page.locator("[data-multisession-button]")).not_to_have_attribute("open", "")
    assert Menu(page).whoami() == ada.email


@pytest.mark.parametrize("field", ["<input>", "<textarea></textarea>", "<p contenteditable>a</p>"])
def test_somebody_who_types_is_left_alone(page, ada, field):
    with_shortcut(page).evaluate(
        "html => document.querySelector('main').insertAdjacentHTML('afterbegin', html)", field
    )
    page.locator("main > :first-child").focus()
    page.keyboard.press(KEYS)
    expect(page.locator("[data-multisession-button]")).not_to_have_attribute("open", "")
    assert Menu(page).whoami() == ada.email


def test_another_combination_and_a_menu_closed_meanwhile_switch_nothing(page, ada):
    with_shortcut(page).keyboard.press("Alt+KeyP")
    expect(page.locator("[data-multisession-button]")).not_to_have_attribute("open", "")
    held = []
    page.route("**/menu/**", lambda route: held.append(route))
    with page.expect_request("**/menu/**"):
        page.keyboard.press(KEYS)
    expect(page.locator("[data-multisession-button]")).to_have_attribute("open", "")
    page.keyboard.press("Escape")
    for route in held:
        route.continue_()
    Menu(page).is_loaded()
    assert Menu(page).whoami() == ada.email
