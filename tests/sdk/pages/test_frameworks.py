"""The listings of the documentation of $sessionListStore and $sessionStore, in each framework.

Their characters are unchanged (listings/). An import map leads "@clerk/astro/client" to client.js.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from multisession.models import Session

from .conftest import Tabs

pytestmark = [pytest.mark.sdk, pytest.mark.django_db(transaction=True)]

IMPORT_MAP = """
<script type="importmap">
  {"imports": {"@clerk/astro/client": "/static/multisession/client.js"}}
</script>
"""
FRAMEWORKS = {"react": "19.", "react-18": "18.", "vue": "3.", "svelte": None}


@pytest.fixture(params=FRAMEWORKS)
def framework(request) -> str:
    return request.param


def island(framework: str) -> str:
    script = f'<script type="module" src="/islands/{framework}.js"></script>'
    return f'{IMPORT_MAP}<div id="island"></div>{script}'


def shows(page: Page, email: str) -> None:
    """The first line is the current session's e-mail address."""
    expect(page.locator("#island > div").first.locator("> div").first).to_have_text(email)


def item(page: Page, name: str):
    return page.get_by_role("menuitem", name=name)


class TestSignedIn:
    @pytest.fixture
    def browser(self, tabs, ada, grace) -> Tabs:
        return tabs(ada, grace)

    @pytest.fixture
    def page(self, browser, framework) -> Page:
        page = browser.open(framework, island(framework))
        shows(page, "grace@example.com")
        return page

    def test_it_shows_a_loading_state_until_the_answer_is_there(self, browser, framework):
        held: list[Route] = []
        browser.context.route("**/v1/client?lean", lambda route: held.append(route))
        page = browser.open(framework, island(framework))
        expect(page.get_by_text("Loading sessions...")).to_be_visible()
        expect(page.get_by_text("This session")).to_have_count(0)
        for route in held:
            route.continue_()
        shows(page, "grace@example.com")
        expect(page.get_by_text("Loading sessions...")).to_have_count(0)
        if version := FRAMEWORKS[framework]:
            assert page.evaluate("document.documentElement.dataset.version").startswith(version)
        assert browser.errors == []

    def test_it_lists_the_accounts_and_the_date_of_the_current_one(self, browser, page, grace):
        names = page.get_by_role("menuitem")
        expect(names).to_have_text(
            ["ada@example.com", "grace@example.com", "Sign out of all accounts"]
        )
        moment = Session.objects.get(user=grace).last_active_at.timestamp() * 1000
        date = page.evaluate("(ms) => new Date(Math.floor(ms)).toLocaleString()", moment)
        expect(page.get_by_text("This session")).to_have_text(
            f"This session has been active since {date}"
        )
        assert browser.errors == []

    def test_a_click_switches_and_the_other_tab_follows(self, browser, page, framework):
        other = browser.open(framework)
        shows(other, "grace@example.com")
        item(page, "ada@example.com").click()
        for tab in (page, other):
            shows(tab, "ada@example.com")
        assert browser.who() == "ada@example.com"
        assert browser.errors == []

    def test_the_hook_runs_while_nothing_is_shown(self, browser, page):
        seen = page.evaluate(
            """async () => {
                const seen = [];
                const beforeEmit = async (session) => {
                    await new Promise(requestAnimationFrame);
                    const text = document.getElementById("island").innerText;
                    seen.push(String(session.user.primaryEmailAddress), Clerk.session, text.trim());
                };
                await Clerk.setActive({ session: Clerk.client.sessions[0], beforeEmit });
                return seen.map(String);
            }"""
        )
        assert seen == ["ada@example.com", "undefined", "Loading sessions..."]
        shows(page, "ada@example.com")
        assert browser.errors == []

    def test_an_unknown_id_is_rejected_and_changes_nothing(self, browser, page):
        for call in ("setActive({session: 'sess_x'})", "signOut({sessionId: 'sess_x'})"):
            code = page.evaluate(f"Clerk.{call}.catch((error) => error.errors[0].code)")
            assert code == "resource_not_found"
        shows(page, "grace@example.com")
        assert browser.who() == "grace@example.com"
        assert browser.errors == []

    def test_an_account_that_is_not_active_leaves_the_list_of_the_other_tab(
        self, browser, page, framework
    ):
        other = browser.open(framework)
        shows(other, "grace@example.com")
        page.evaluate("Clerk.signOut({sessionId: Clerk.client.sessions[0].id})")
        for tab in (page, other):
            expect(item(tab, "ada@example.com")).to_have_count(0)
            shows(tab, "grace@example.com")
        assert browser.errors == []

    def test_the_last_item_signs_out_of_all_accounts(self, browser, page, framework):
        other = browser.open(framework)
        shows(other, "grace@example.com")
        item(page, "Sign out of all accounts").click()
        page.wait_for_url(f"{browser.site}/accounts/choose/")
        assert browser.who() is None
        expect(other.get_by_text("Loading sessions...")).to_be_visible()
        expect(other.get_by_text("This session")).to_have_count(0)
        assert set(Session.objects.accounts().values_list("status", flat=True)) == {"removed"}
        assert browser.errors == []


def test_nobody_is_not_the_same_as_not_loaded(tabs, framework):
    browser = tabs()
    page = browser.open(framework, island(framework))
    script = "import('@clerk/astro/client').then((m) => m.ready.then(() => m.$sessionStore.get()))"
    assert page.evaluate(script) is None
    assert page.evaluate("Clerk.loaded && Clerk.session === null && Clerk.user === null")
    assert browser.errors == []
