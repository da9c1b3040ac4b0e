"""Accounts side by side, in two tabs of one browser."""

import re

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
    form.get_by_label("Password").fill(PASSWORD)
    # Who signs in again is asked for the password alone.
    if (address := form.get_by_label("E-mail address")).is_visible():
        address.fill(user.email)
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


def is_of(page: Page, user: User, number: int) -> None:
    """The button, the URL, the title and the icon of a tab are this account's."""
    expect(button(page)).to_contain_text(user.name)
    assert f"/u/{number}/" in page.url
    expect(page).to_have_title(re.compile(f"^{user.name} · "))
    icon = page.locator("link[rel=icon]")
    expect(icon).to_have_count(1)
    drawn = page.request.get(icon.get_attribute("href"))
    initials = "".join(word[0] for word in user.name.split())
    assert f">{initials}</text>" in drawn.text()


@pytest.fixture
def three(tabs, alan) -> tuple[Page, Page, Page]:
    """Ada's tab, Grace's, and that of Alan, whom somebody added from Ada's."""
    first, second = tabs
    third = first.context.new_page()
    third.goto("/u/1/")
    button(third).click()
    third.get_by_role("button", name="Add account").click()
    send_sign_in(third, alan)
    third.wait_for_url("**/u/3/**")
    return first, second, third


def test_three_tabs_one_day(three, ada, grace, alan, complaints):
    users = dict(zip(three, (ada, grace, alan), strict=True))
    for number, (page, user) in enumerate(users.items(), 1):
        page.bring_to_front()
        note(page, f"Note of {user.name}")
        expect(page.get_by_text(f"Note of {user.name}")).to_be_visible()
        is_of(page, user, number)
    # htmx swaps: the scratchpad is the session's own.
    for page, user in users.items():
        page.bring_to_front()
        pad = page.locator("form[action$='/note']")
        pad.get_by_role("textbox").fill(f"Pad of {user.name}")
        with page.expect_response("**/note") as sent:
            pad.get_by_role("button", name="Save").click()
        assert sent.value.status == 200
    for number, (page, user) in enumerate(users.items(), 1):
        page.bring_to_front()
        page.reload()
        is_of(page, user, number)
        expect(page.locator("form[action$='/note'] textarea")).to_have_value(f"Pad of {user.name}")
        # Back and forward through the pages of the tab.
        page.get_by_role("link", name=f"Note of {user.name}", exact=True).click()
        page.wait_for_url(f"**/u/{number}/notes/*/")
        page.go_back()
        is_of(page, user, number)
        page.go_forward()
        is_of(page, user, number)
        page.go_back()
        for other in users.values():
            own = page.get_by_role("link", name=f"Note of {other.name}", exact=True)
            expect(own).to_have_count(int(other == user))
        expect(page.locator("[data-multisession-said]")).to_have_count(0)
        expect(page.locator("#ms-wrong-account")).to_have_count(0)


def test_a_tab_says_that_its_account_was_signed_out_and_takes_it_back(three, ada, grace, alan):
    first, second, third = three
    button(first).click()
    first.get_by_role("button", name="Sign out", exact=True).click()
    main = first.get_by_role("main")
    expect(main.get_by_text("No account is active.")).to_be_visible()
    assert "/u/1/" in first.url
    # The others go on, and are told nothing.
    for page, user, number in ((second, grace, 2), (third, alan, 3)):
        page.bring_to_front()
        note(page, "still here")
        expect(page.get_by_text("still here").first).to_be_visible()
        is_of(page, user, number)
        expect(page.locator("[data-multisession-said]")).to_have_count(0)
    first.bring_to_front()
    first.goto("/u/1/")
    expect(first.get_by_text("Hello, Ada")).to_have_count(0)
    first.go_back()
    main.get_by_role("link", name="Sign in again as Ada Lovelace").click()
    first.wait_for_url("**/u/1/accounts/sign-in/**")
    send_sign_in(first, ada)
    expect(button(first)).to_contain_text("Ada Lovelace")
    first.goto("/u/1/")
    is_of(first, ada, 1)
    for page, user, number in ((second, grace, 2), (third, alan, 3)):
        page.reload()
        is_of(page, user, number)


def test_a_second_tab_of_an_account_that_signed_out_elsewhere_says_so(tabs, ada):
    first, second = tabs
    beside = first.context.new_page()
    beside.goto("/u/1/")
    button(beside).click()
    beside.get_by_role("button", name="Sign out", exact=True).click()
    expect(beside.get_by_text("No account is active.").first).to_be_visible()
    first.bring_to_front()
    said = first.locator("dialog.ms-cover")
    expect(said).to_contain_text("Ada Lovelace, ada@example.com was signed out.")
    expect(said).not_to_contain_text("Grace")
    send_sign_in(first, ada)
    expect(said).to_have_count(0)
    note(first, "typed before")
    expect(first.get_by_text("typed before")).to_be_visible()
    second.bring_to_front()
    expect(second.locator("[data-multisession-said]")).to_have_count(0)


def test_the_admin_in_one_tab_and_the_site_in_another(tabs, complaints, ada, grace):
    complaints.expect("403 (Forbidden)")  # Chromium says so of the page that offers Ada.
    first, second = tabs
    User.objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
    first.goto(f"/u/1/admin/accounts/user/{grace.pk}/change/")
    first.get_by_label("Name").fill("Admiral Hopper")
    first.get_by_role("button", name="Save", exact=True).click()
    first.wait_for_url("**/u/1/admin/accounts/user/")
    expect(first.get_by_text("was changed successfully")).to_be_visible()
    second.reload()
    expect(button(second)).to_contain_text("Admiral Hopper")
    note(second, "Grace's note")
    expect(second.get_by_text("Grace's note")).to_be_visible()
    first.get_by_role("link", name="View site").click()
    first.wait_for_url("**/u/1")
    expect(button(first)).to_contain_text("Ada Lovelace")
    note(first, "Ada's note")
    expect(first.get_by_text("Ada's note")).to_be_visible()
    second.bring_to_front()
    # Where Grace may not go, her tab says so, and offers the account that may.
    second.goto("/u/2/admin/")
    offered = second.get_by_role("link", name="Ada Lovelace, ada@example.com")
    expect(offered).to_have_attribute("href", re.compile("/u/1/admin/$"))
    first.goto("/u/1/admin/")
    first.get_by_role("button", name="Log out").click()
    first.wait_for_url("**/u/1/**")
    second.goto("/u/2/")
    expect(button(second)).to_contain_text("Admiral Hopper")


def test_the_middle_button_opens_the_other_account_beside(tabs, ada, grace):
    first, _second = tabs
    button(first).click()
    with first.context.expect_page() as opened:
        first.get_by_role("link", name="Switch to Grace Hopper").click(button="middle")
    is_of(opened.value, grace, 2)
    is_of(first, ada, 1)


def test_what_the_page_of_a_removed_account_fetches_is_nobody_s(tabs, ada):
    first, second = tabs
    asked = "fetch(location.pathname + 'whoami').then((answer) => answer.json())"
    assert first.evaluate(asked)["user"] == ada.email
    second.goto("/u/2/accounts/choose/")
    main = second.get_by_role("main")
    main.get_by_role("button", name="Sign out of Ada Lovelace").click()
    main.get_by_role("button", name="Remove Ada Lovelace").click()
    expect(main.get_by_text("Ada Lovelace")).to_have_count(0)
    assert first.evaluate(asked)["user"] is None
    first.reload()
    # The page of the active account now, without a number.
    first.wait_for_url(re.compile(r"//[^/]+/$"))
    expect(button(first)).to_contain_text("Grace Hopper")
