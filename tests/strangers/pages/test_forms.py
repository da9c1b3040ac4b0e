"""Plain forms, a beacon and htmx links: requests whose answer is another page, or nothing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.strangers.packages.site import ADA, GRACE
from tests.strangers.pages import person as happenings
from tests.strangers.pages.person import Person, happens

pytestmark = pytest.mark.browser


def send_plain_form(person: Person, typed: str, happening, at: str = "/plain/") -> None:
    person.open(at, typed)
    happening(person)
    person.save.click()
    expect(person.page.get_by_role("heading", name="Nothing was sent")).to_be_visible()
    assert person.stored(typed) == []


def is_saved(person: Person, typed: str) -> None:
    expect(person.page.locator("#status")).to_have_text(f"Saved: {typed}")
    assert person.stored(typed) == [ADA]


@happens(*happenings.LIVE)
def test_a_form_is_sent_by_one_press(person, happening):
    send_plain_form(person, "kept", happening)
    person.page.get_by_role("button", name="Switch to ada").click()
    is_saved(person, "kept")


@happens(happenings.expired, happenings.revoked)
def test_a_form_waits_for_the_sign_in(person, happening):
    send_plain_form(person, "kept", happening)
    if not person.sign_in_here():
        person.page.get_by_role("button", name="Send as ada").click()
    is_saved(person, "kept")


def copy_of(person: Person, html: str) -> Page:
    """Open the same page again, as *Back* and *Duplicate tab* do, without asking the server."""
    tab = person.context.new_page()
    tab.route("**/copy/", lambda route: route.fulfill(body=html, content_type="text/html"))
    tab.goto("/copy/")
    return tab


def test_a_form_that_is_sent_twice_at_once_is_stored_once(person):
    send_plain_form(person, "twice", happenings.grace_is_active)
    copy = copy_of(person, person.page.content())
    for tab in (person.page, copy):
        tab.locator("[data-multisession-form]").evaluate(
            "form => setTimeout(() => form.requestSubmit())"
        )
    for tab in (person.page, copy):
        sent_already = tab.get_by_role("heading", name="Already sent")
        expect(tab.locator("#status").or_(sent_already)).to_be_visible()
    assert person.stored("twice") == [ADA]


def test_a_form_that_is_pressed_twice_is_stored_once(person):
    send_plain_form(person, "twice", happenings.grace_is_active)
    person.page.get_by_role("button", name="Switch to ada").dblclick()
    sent_already = person.page.get_by_role("heading", name="Already sent")
    expect(person.page.locator("#status").or_(sent_already)).to_be_visible()
    assert person.stored("twice") == [ADA]


def test_a_form_that_is_sent_again_later_is_stored_once(person):
    send_plain_form(person, "again", happenings.grace_is_active)
    html = person.page.content()
    person.page.get_by_role("button", name="Switch to ada").click()
    is_saved(person, "again")
    copy = copy_of(person, html)
    copy.get_by_role("button", name="Switch to ada").click()
    expect(copy.get_by_role("heading", name="Already sent")).to_be_visible()
    assert person.stored("again") == [ADA]


def test_a_form_at_a_long_address(person):
    at = "/plain/?filter=" + "x" * 3000
    send_plain_form(person, "long", happenings.grace_is_active, at)
    person.page.get_by_role("button", name="Switch to ada").click()
    is_saved(person, "long")
    assert person.page.url.endswith(at)


def test_a_beacon_by_a_button(person):
    """No script sees its answer, so the notice leads back."""
    person.open("/beacon/", "sent")
    person.add_grace()
    with person.page.expect_event("requestfinished", lambda found: "/save/" in found.url):
        person.save.click()
    expect(person.dialogs).to_have_count(0)
    expect(person.text).to_have_value("sent")
    assert person.stored("sent") == []

    person.notice.get_by_role("button", name="Switch back to ada").click()
    expect(person.notice).to_have_count(0)
    with person.page.expect_event("requestfinished", lambda found: "/save/" in found.url):
        person.save.click()
    expect(person.text).to_have_value("sent")
    assert person.stored("sent") == [ADA]


def test_a_beacon_when_the_page_is_hidden(person):
    person.open("/beacon/", "hidden")
    person.add_grace()
    # A headless browser hides no tab.
    hide = """() => {
      Object.defineProperty(document, "hidden", { configurable: true, value: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    with person.page.expect_event("requestfinished", lambda found: "/save/" in found.url):
        person.page.evaluate(hide)
    expect(person.dialogs).to_have_count(0)
    expect(person.text).to_have_value("hidden")
    assert [found.status for found in person.answers] == [409]
    assert person.stored("hidden") == []


@pytest.mark.parametrize("page", ["htmx2", "htmx4"])
def test_a_link_of_htmx_makes_it_a_page_of_the_active_account(person, page):
    person.open(f"/{page}/", "Ada's")
    adas = person.session_id()
    person.add_grace()
    person.may_write.add(GRACE)
    person.page.get_by_role("link", name="Boosted").click()
    person.page.wait_for_url("**/?boosted")
    shown = person.page.locator("[data-multisession-page]")
    expect(shown).not_to_have_attribute("data-multisession-page", adas)
    person.text.fill("Grace's")
    person.save.click()
    expect(person.page.locator("#status")).to_have_text("Saved: Grace's")
    assert person.stored("Grace's") == [GRACE]
    assert person.stored("Ada's") == []
