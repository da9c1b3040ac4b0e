"""client.js in Chromium: the stores on the demo's page, and the listings with window.Clerk."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_menu import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CLASSIC = "/static/multisession/client.classic.js"
ADA, GRACE = "ada@example.com", "grace@example.com"


def who(page: Page) -> str | None:
    found: str | None = page.request.get("/whoami").json()["user"]
    return found


def store(page: Page, name: str):
    return page.locator(f"[data-store='${name}']")


class TestDemo:
    @pytest.fixture
    def page(self, new_browser, ada, grace) -> Page:
        page = new_browser()
        sign_in(page, ada, grace, at="/stores/")
        expect(store(page, "clerkStore")).to_have_text(GRACE)
        return page

    def test_the_stores_follow_a_switch_and_the_menu_does_too(self, page):
        other = page.context.new_page()
        other.goto("/stores/")
        expect(store(other, "clerkStore")).to_have_text(GRACE)
        expect(store(page, "sessionListStore").get_by_role("button")).to_have_text([ADA, GRACE])
        store(page, "sessionListStore").get_by_role("button", name=ADA).click()
        for tab in (page, other):
            expect(store(tab, "clerkStore")).to_have_text(ADA)
        expect(page.locator("[data-multisession-button]")).to_contain_text("Ada")
        assert who(page) == ADA

    def test_nobody_is_shown_as_null_and_not_loaded_as_undefined(self, new_browser):
        page = new_browser()
        page.goto("/stores/")
        expect(store(page, "sessionStore")).to_have_text("null")
        expect(store(page, "sessionListStore")).to_have_text("undefined")


class TestVanilla:
    """The calls of the documentation of multi-session applications and of session methods."""

    @pytest.fixture
    def page(self, new_browser, live_server, ada, grace) -> Page:
        page = new_browser()
        sign_in(page, ada, grace, at="/whoami")
        body = f'<div id="user-button"></div><script src="{CLASSIC}"></script>'
        page.context.route(
            "**/vanilla", lambda route: route.fulfill(body=body, content_type="text/html")
        )
        page.goto("/vanilla")
        page.wait_for_function("window.Clerk.loaded")
        return page

    def test_it_knows_the_active_session_and_user(self, page):
        assert page.evaluate("String(window.Clerk.user.primaryEmailAddress)") == GRACE
        assert page.evaluate("window.Clerk.session.lastActiveAt instanceof Date")
        assert page.evaluate("window.Clerk.client.sessions.length") == 2

    @pytest.mark.parametrize(
        "call",
        [
            "window.Clerk.setActive({ session: availableSessions[0].id })",
            "window.Clerk.setActive({ session: availableSessions[0] })",
            "window.Clerk.setSession(availableSessions[0])",
            "window.Clerk.setSession(availableSessions[0].id, async () => {})",
        ],
    )
    def test_it_switches(self, page, call):
        page.evaluate(f"(availableSessions => {call})(window.Clerk.client.sessions)")
        assert page.evaluate("String(window.Clerk.user.primaryEmailAddress)") == ADA
        assert who(page) == ADA

    @pytest.mark.parametrize("call", ["setActive({ session: null })", "setSession(null)"])
    def test_null_removes_the_current_session(self, page, call):
        page.evaluate(f"window.Clerk.{call}")
        assert page.evaluate("[window.Clerk.session, window.Clerk.user]") == [None, None]
        assert page.evaluate("window.Clerk.client.sessions.length") == 1
        assert who(page) is None

    def test_the_session_is_set_in_three_steps(self, page):
        steps = page.evaluate(
            """async () => {
                const steps = [];
                const note = ({ user }) => steps.push(user && String(user.primaryEmailAddress));
                window.Clerk.addListener(note);
                const beforeEmit = async () => steps.push(await Promise.resolve("hook"));
                await window.Clerk.setActive({ session: Clerk.client.sessions[0], beforeEmit });
                return steps.map(String);
            }"""
        )
        assert steps == [GRACE, "undefined", "hook", ADA]

    def test_sign_out_one_leaves_the_rest_intact(self, page):
        with page.expect_navigation():
            page.evaluate("void window.Clerk.signOutOne()")
        assert who(page) is None
        page.goto("/vanilla")
        page.wait_for_function("window.Clerk.loaded")
        assert page.evaluate(
            "window.Clerk.client.sessions.map((each) => String(each.user.primaryEmailAddress))"
        ) == [ADA]

    def test_sign_out_ends_all(self, page):
        page.evaluate("window.Clerk.signOut(() => {})")
        assert who(page) is None
        assert page.evaluate("window.Clerk.client.sessions") == []

    def test_the_user_button_is_mounted(self, page):
        page.evaluate("window.Clerk.mountUserButton(document.getElementById('user-button'))")
        page.locator("#user-button summary").click()
        expect(page.get_by_role("button", name="Sign out of all accounts")).to_be_visible()
