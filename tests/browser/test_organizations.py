"""Organizations, used by a person: by mouse, by keyboard, without scripts, in two tabs."""

import re

import pytest
from playwright.sync_api import Page, expect

from accounts.models import Membership, Note, Team, User
from tests.browser.test_devices import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LIST = "/multisession/organizations/"


@pytest.fixture
def teams(ada: User) -> dict[str, Team]:
    made = {}
    for slug in ("acme", "globex"):
        made[slug] = Team.objects.create(name=slug.title(), slug=slug)
        made[slug].memberships.create(user=ada, role=Membership.Role.OWNER)
    return made


def enter(page: Page, name: str) -> None:
    page.goto(LIST)
    page.get_by_role("button", name=f"Switch to {name}").first.click()
    expect(page.get_by_text(f"You are now using {name}.")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_person_switches_from_the_page_and_from_the_switcher(new_browser, ada, teams, scripts):
    page = sign_in(new_browser(java_script_enabled=scripts), ada)
    page.locator("[data-multisession-button] > summary").click()
    page.get_by_role("link", name="Choose an organization").click()
    page.get_by_role("button", name="Switch to Acme").click()
    expect(page.get_by_text("Shared by the members of Acme")).to_be_visible()
    page.goto("/accounts/teams/acme/")
    switcher = page.locator(".ms-organization-switcher")
    switcher.locator("summary").click()
    expect(switcher.get_by_role("link", name="Manage organization")).to_be_visible()
    switcher.get_by_role("button", name="Switch to Globex").click()
    expect(page.get_by_text("Shared by the members of Globex")).to_be_visible()


def test_the_keyboard_alone(new_browser, ada, teams):
    page = sign_in(new_browser(), ada)
    page.goto("/accounts/teams/acme/")
    switcher = page.locator(".ms-organization-switcher")
    switcher.locator("summary").focus()
    page.keyboard.press("ArrowDown")
    expect(switcher).to_have_attribute("open", "")
    page.keyboard.press("g")
    expect(switcher.get_by_role("button", name="Switch to Globex")).to_be_focused()
    page.keyboard.press("Escape")
    expect(switcher.locator("summary")).to_be_focused()
    expect(switcher).not_to_have_attribute("open", "")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(switcher.get_by_role("button", name="Switch to Acme")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Shared by the members of Acme")).to_be_visible()


def test_a_tab_of_one_organization_writes_nothing_in_another(new_browser, complaints, ada, teams):
    complaints.expect("409")
    page = sign_in(new_browser(), ada)
    enter(page, "Acme")
    page.goto("/")
    page.get_by_label("New note").fill("for Acme")
    other = page.context.new_page()
    enter(other, "Globex")

    said = page.locator("[data-multisession-said]")
    expect(said.get_by_text(re.compile("You are now using.*Globex"))).to_be_visible()
    said.get_by_role("button", name="Dismiss").click()
    page.get_by_role("button", name="Add note").click()
    expect(page.get_by_text("This page belongs to Acme. You are now using Globex.")).to_be_visible()
    assert not Note.objects.exists()
    page.get_by_role("button", name="Switch to Acme and send").click()
    expect(page.get_by_role("link", name="for Acme")).to_be_visible()
    assert Note.objects.get().team == teams["acme"]


def test_the_notice_switches_back_in_place(new_browser, ada, teams):
    page = sign_in(new_browser(), ada)
    enter(page, "Acme")
    page.goto("/")
    page.get_by_label("New note").fill("for Acme")
    other = page.context.new_page()
    enter(other, "Globex")
    page.get_by_role("button", name="Switch back to Acme").click()
    expect(page.locator("[data-multisession-said]")).to_have_count(0)
    page.get_by_role("button", name="Add note").click()
    expect(page.get_by_role("link", name="for Acme")).to_be_visible()
