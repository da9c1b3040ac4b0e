"""Accounts side by side, in two tabs of one browser."""

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from multisession.models import Session
from tests.browser.test_devices import sign_in
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def account_paths(settings):
    settings.MULTISESSION = {**settings.MULTISESSION, "ACCOUNT_PATHS": True}


@pytest.fixture
def tabs(account_paths, new_browser, live_server, ada, grace) -> tuple[Page, Page]:
    """Ada's tab and Grace's, beside it."""
    first = new_browser()
    sign_in(first, ada)
    first.goto("/accounts/choose/")
    first.get_by_role("button", name="Add account").click()
    send_sign_in(first, grace)
    expect(first.get_by_text(f"You are now using {grace.email}.")).to_be_visible()
    first.goto("/u/1/")
    second = first.context.new_page()
    second.goto("/u/2/")
    return first, second


def send_sign_in(page: Page, user: User) -> None:
    """Fill the sign-in form of this page, wherever it is, and send it."""
    form = page.locator("form:has([autocomplete=current-password]):visible")
    form.get_by_label("E-mail address").fill(user.email)
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Sign in").click()


def note(page: Page, text: str) -> None:
    form = page.locator("form[action$='/notes/']")
    form.get_by_role("textbox").fill(text)
    form.get_by_role("button", name="Add note").click()


def button(page: Page):
    return page.locator("[data-multisession-button] > summary")


def test_two_tabs_stay_two_accounts_whatever_is_done_in_them(tabs, complaints):
    first, second = tabs
    for _ in range(2):
        note(first, "Ada's note")
        note(second, "Grace's note")
        expect(first.get_by_text("Ada's note").first).to_be_visible()
        expect(second.get_by_text("Grace's note").first).to_be_visible()
        first.reload()
        second.reload()
    expect(first.get_by_text("Grace's note")).to_have_count(0)
    expect(second.get_by_text("Ada's note")).to_have_count(0)
    assert (first.url.split("/", 3)[3], second.url.split("/", 3)[3]) == ("u/1/", "u/2/")
    # No tab is told that another account is active in the other.
    for page in tabs:
        expect(page.locator("[data-multisession-said]")).to_have_count(0)


def test_the_menu_leads_to_the_same_page_of_the_other_account(tabs):
    first, _second = tabs
    button(first).click()
    first.get_by_role("link", name="Switch to Grace Hopper").click()
    first.wait_for_url("**/u/2/")
    expect(button(first)).to_contain_text("Grace Hopper")


def test_ctrl_click_opens_the_other_account_beside(tabs):
    first, _second = tabs
    button(first).click()
    with first.context.expect_page() as opened:
        first.get_by_role("link", name="Switch to Grace Hopper").click(modifiers=["ControlOrMeta"])
    expect(button(opened.value)).to_contain_text("Grace Hopper")
    expect(button(first)).to_contain_text("Ada Lovelace")


def test_a_sign_out_in_one_tab_changes_no_other(tabs, ada):
    first, second = tabs
    button(first).click()
    first.get_by_role("button", name="Sign out", exact=True).click()
    expect(button(first)).to_have_count(0)
    second.reload()
    expect(button(second)).to_contain_text("Grace Hopper")
    assert Session.objects.get(user=ada).status == "ended"
    # The tab keeps its number, and a sign-in there gives the account back to it.
    first.goto("/u/1/accounts/sign-in/?next=/u/1/")
    send_sign_in(first, ada)
    first.wait_for_url("**/u/1/")
    expect(button(first)).to_contain_text("Ada Lovelace")
    second.reload()
    expect(button(second)).to_contain_text("Grace Hopper")


def test_an_account_added_in_one_tab_goes_on_in_it_under_its_own_number(tabs, alan):
    first, second = tabs
    button(first).click()
    first.get_by_role("button", name="Add account").click()
    send_sign_in(first, alan)
    first.wait_for_url("**/u/3/**")
    expect(button(first)).to_contain_text("Alan Turing")
    first.goto("/u/1/")
    expect(button(first)).to_contain_text("Ada Lovelace")
    second.reload()
    expect(button(second)).to_contain_text("Grace Hopper")
