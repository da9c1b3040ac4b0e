"""Clerk's own scripts, unmodified, on our Frontend API: a private protocol, so versions are pinned.

The pages load the files of the npm packages and call ``window.Clerk`` as Clerk's documentation of
multi-session applications does.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from multisession.models import Session

from .conftest import KEY, Tabs

pytestmark = [pytest.mark.sdk, pytest.mark.django_db(transaction=True)]

UI = '<script src="/npm/clerk/ui/dist/ui.browser.js"></script>'
#: The version's package, and what its page needs beside it.
VERSIONS = {"6": ("clerk/clerk-js", UI), "5": ("clerk-js-5", ""), "4": ("clerk-js-4", "")}
LOAD = """async () => {
    const ClerkUI = window.__internal_ClerkUICtor;
    await Clerk.load(ClerkUI ? { ui: { ClerkUI } } : {});
    Clerk.mountUserButton(document.getElementById("user-button"));
    return Clerk.client.sessions.map((each) => each.user.primaryEmailAddress.emailAddress);
}"""
WHO = "Clerk.user && Clerk.user.primaryEmailAddress.emailAddress"
ADA, GRACE = "ada@example.com", "grace@example.com"


def html(version: str, site: str) -> str:
    package, more = VERSIONS[version]
    script = f'src="/npm/{package}/dist/clerk.browser.js"'
    options = f'data-clerk-publishable-key="{KEY}" data-clerk-proxy-url="{site}/__clerk"'
    return f'<div id="user-button"></div>{more}<script {script} {options}></script>'


@pytest.fixture(params=VERSIONS)
def version(request) -> str:
    return request.param


@pytest.fixture
def browser(tabs, ada, grace) -> Tabs:
    return tabs(ada, grace)


def load(browser: Tabs, version: str) -> Page:
    page = browser.open(f"clerk-{version}", html(version, browser.site))
    assert page.evaluate("Clerk.version").startswith(f"{version}.")
    assert page.evaluate(LOAD) == [ADA, GRACE]
    return page


@pytest.fixture
def page(browser, version) -> Page:
    return load(browser, version)


def first(page: Page) -> None:
    page.evaluate("Clerk.setActive({ session: Clerk.client.sessions[0].id })")


def test_it_loads_and_knows_the_current_account(browser, page):
    assert page.evaluate(WHO) == GRACE
    assert page.evaluate("Clerk.session.lastActiveAt instanceof Date")
    assert "GET /__clerk/v1/environment" in browser.asked
    assert "GET /__clerk/v1/client" in browser.asked


def test_its_user_button_switches(browser, page):
    page.get_by_role("button", name="user").click()
    page.get_by_text("Ada Lovelace").first.click()
    page.wait_for_url(f"{browser.site}/")
    assert browser.who() == ADA


def test_set_active_switches(browser, page):
    first(page)
    assert page.evaluate(WHO) == ADA
    assert browser.who() == ADA


def test_signing_out_of_one_leaves_the_other(browser, page):
    page.evaluate("Clerk.signOut({ sessionId: Clerk.client.sessions[0].id })")
    assert browser.who() == GRACE
    assert not Session.objects.live().filter(user__email=ADA).exists()


def test_signing_out_of_all_ends_both(browser, page):
    page.evaluate("Clerk.signOut(() => {})")
    assert browser.who() is None
    assert set(Session.objects.accounts().values_list("status", flat=True)) == {"removed"}


def test_an_unknown_id_changes_nothing(browser, page):
    script = "Clerk.setActive({ session: 'sess_x' }).then(() => null, (error) => String(error))"
    page.evaluate(script)
    assert browser.who() == GRACE


def come_to_the_front(stale: Page, event: str) -> None:
    with stale.expect_response("**/touch**") as heard:
        stale.evaluate(event)
    assert heard.value.status == 200


@pytest.mark.parametrize("version", ["6", "5"], indirect=True)
def test_a_stale_tab_that_comes_to_the_front_switches_nobody(browser, page, version):
    stale = load(browser, version)
    first(page)
    assert browser.who() == ADA
    come_to_the_front(stale, "window.dispatchEvent(new Event('focus'))")
    assert browser.who() == ADA


@pytest.mark.parametrize("version", ["4"], indirect=True)
def test_a_stale_tab_of_version_4_does_switch(browser, page, version):
    """A limit: version 4 sends the same request for a switch and for coming to the front."""
    stale = load(browser, version)
    first(page)
    assert browser.who() == ADA
    come_to_the_front(stale, "document.dispatchEvent(new Event('visibilitychange'))")
    assert browser.who() == GRACE


def test_it_asks_for_nothing_that_we_do_not_answer(browser, version):
    missing: list[str] = []

    def note(response) -> None:
        if "/__clerk/" in response.url and response.status >= 400:
            missing.append(f"{response.status} {response.url}")

    browser.context.on("response", note)
    page = load(browser, version)
    page.get_by_role("button", name="user").click()
    expect(page.get_by_text("Ada Lovelace").first).to_be_visible()
    assert missing == []


class TestReact:
    """@clerk/clerk-react: ``ClerkProvider``, the ``Header`` of the documentation, ``useClerk``."""

    @pytest.fixture
    def page(self, browser) -> Page:
        script = '<script type="module" src="/islands/clerk-react.js"></script>'
        page = browser.open("clerk-react", f'<div id="island"></div>{script}')
        expect(page.locator("#who")).to_have_text(GRACE)
        expect(page.get_by_role("heading", name="My application")).to_be_visible()
        return page

    def test_its_user_button_lists_the_accounts(self, browser, page):
        page.get_by_role("button", name="user").click()
        expect(page.get_by_text("Ada Lovelace").first).to_be_visible()

    def test_set_active_switches(self, browser, page):
        page.evaluate("flow.setActive({ session: flow.client.sessions[0].id })")
        assert browser.who() == ADA

    def test_sign_out_signs_out_of_all(self, browser, page):
        page.evaluate("flow.signOut(() => {})")
        assert browser.who() is None


def test_the_stores_of_clerks_astro_package_are_filled(browser):
    script = '<script type="module" src="/islands/clerk-astro.js"></script>'
    page = browser.open("clerk-astro", script)
    page.wait_for_function("window.stores?.$sessionListStore.get()?.length === 2")
    email = "stores.$sessionStore.get().user.primaryEmailAddress.emailAddress"
    assert page.evaluate(email) == GRACE
    page.evaluate("Clerk.setActive({ session: Clerk.client.sessions[0].id })")
    assert browser.who() == ADA
