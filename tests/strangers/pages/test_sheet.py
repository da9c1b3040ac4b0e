"""The sheet and the notice on other people's pages: what opens and closes them."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.strangers.packages.site import ADA
from tests.strangers.pages import person as happenings
from tests.strangers.pages.person import happens, is_refusal

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("page", ["fetch", "jquery4", "htmx2", "htmx4", "frame", "inertia"])
def test_closing_the_sheet_leaves_everything_typed(person, page):
    typed = f"{page} goes on"
    person.open(f"/{page}/", typed)
    person.add_grace()
    for close in ("Escape", "Keep editing"):
        person.save.click()
        expect(person.sheet).to_be_visible()
        if close == "Escape":
            person.page.keyboard.press("Escape")
        else:
            person.sheet.get_by_role("button", name=close).click()
        expect(person.dialogs).to_have_count(0)
        expect(person.text).to_have_value(typed)
        expect(person.save).to_be_focused()
    assert person.stored(typed) == []


@pytest.mark.parametrize("page", ["htmx2", "htmx4"])
@happens(*happenings.LIVE, happenings.expired)
def test_typing_opens_nothing(person, page, happening):
    """Each key sends a preview."""
    person.open(f"/{page}/", "")
    happening(person)
    person.text.click()
    is_preview = lambda found: is_refusal(found) and "preview" in found.url  # noqa: E731
    for word in ("one ", "two"):
        with person.page.expect_event("response", is_preview):
            person.text.press_sequentially(word)
    person.wait_for_refusals()
    expect(person.dialogs).to_have_count(0)
    expect(person.text).to_have_value("one two")
    expect(person.text).to_be_focused()


@pytest.mark.parametrize("page", ["jquery3", "jquery4"])
def test_a_toggle_is_a_persons(person, page):
    person.open(f"/{page}/", "")
    person.add_grace()
    toggle = person.page.get_by_label("Done")
    toggle.check()
    expect(person.sheet).to_be_visible()
    person.sheet.get_by_role("button", name="Switch to ada").click()
    expect(person.dialogs).to_have_count(0)
    expect(toggle).to_be_focused()
    toggle.uncheck()
    expect(person.page.locator("#status")).to_have_text("Saved: not done")
    assert person.stored("not done") == [ADA]
    assert person.stored("done") == []


@pytest.mark.parametrize("page", ["jquery3", "htmx4", "inertia", "spa"])
def test_a_refused_timer_shows_one_notice(person, page):
    """A notice that was dismissed stays away, however often the timer is refused."""
    person.open(f"/{page}/", "typed")
    person.add_grace()
    person.wait_for_refusals()
    expect(person.notice).to_be_visible()
    person.notice.get_by_role("button", name="Dismiss").click()
    expect(person.notice).to_be_hidden()
    person.wait_for_refusals(3)
    expect(person.notice).to_be_hidden()
    expect(person.dialogs).to_have_count(0)
    assert all(found.marked and found.background for found in person.answers)


@pytest.mark.parametrize(
    ("page", "status"),
    [("jquery3", 409), ("htmx2", 409), ("htmx4", 409), ("inertia", 409), ("spa", 403)],
)
def test_what_is_answered(person, page, status):
    """REST framework's own check refuses with 403; what is before a view, with 409."""
    person.open(f"/{page}/", "typed")
    person.add_grace()
    person.wait_for_refusals()
    person.save.click()
    expect(person.sheet).to_be_visible()
    refused = [found for found in person.answers if found.status >= 400]
    assert {found.status for found in refused} == {status}
    assert {found.reason for found in refused} == {"wrong-account"}


def without_our_script(person, page):
    person.context.route("**/multisession/notice.js", lambda route: route.abort())
    person.open(f"/{page}/", "typed")
    person.add_grace()


@pytest.mark.parametrize("page", ["turbo", "frame"])
def test_without_our_script_turbo_shows_the_sheet(person, page):
    without_our_script(person, page)
    person.save.click()
    expect(person.sheet).to_be_visible()
    expect(person.text).to_have_value("typed")
    switched = lambda found: "/set-active/" in found.url  # noqa: E731
    with person.page.expect_event("response", switched) as answer:
        person.sheet.get_by_role("button", name="Switch to ada").click()
    assert answer.value.status == 204
    # Nothing but a script of ours could close it at once.
    person.sheet.get_by_role("button", name="Keep editing").click()
    expect(person.dialogs).to_have_count(0)
    expect(person.text).to_have_value("typed")
    person.save.click()
    expect(person.page.locator("#status")).to_have_text("Saved: typed")
    assert person.stored("typed") == [ADA]
