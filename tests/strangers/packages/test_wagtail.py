"""Wagtail, in the project that ``wagtail start`` generates."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect
from playwright.sync_api import Page as Tab

from tests.strangers import bench
from tests.strangers.packages import wagtail_editor
from tests.strangers.packages.site import ADA, GRACE, Site, append, button, replace
from tests.strangers.packages.stories import AllStories, add_in_tab, signed_in, switch
from tests.strangers.packages.wagtail_editor import EditorStories, sign_in_in_tab
from tests.strangers.packages.web import Browser, Page


class Wagtail(Site):
    package = "wagtail"
    private = "/admin/account/"
    sign_in_page = "/admin/login/"
    page_to_sign_out = "/admin/"
    settings = Path("mysite/settings/base.py")

    def make(self, place: Path) -> None:
        place.mkdir(parents=True)
        command = (self.python.parent / "wagtail", "start", "mysite", place)
        bench.run(self.python, *command, cwd=place)
        # Where people sign in. Wagtail knows it without the setting; the README's button asks.
        append(
            place / self.settings,
            'LOGIN_URL = "wagtailadmin_login"\nLOGIN_REDIRECT_URL = "wagtailadmin_home"\n',
        )
        wagtail_editor.give_the_home_page_a_body(self.python, place)

    def finish(self, place: Path) -> None:
        wagtail_editor.add_the_notice(place)
        base = place / "mysite/templates/base.html"
        replace(base, "{% wagtailuserbar %}", f"{{% wagtailuserbar %}}\n{button()}")

    def sign_in(self, browser: Browser, who: str, page: Page | None = None) -> Page:
        page = page or browser.get(self.sign_in_page)
        form = page.form("/admin/login/", has="username")
        return form.submit(username=who, password=self.password, remember="on")

    def sign_out(self, browser: Browser, page: Page | None = None) -> Page:
        """Press *Log out* in the sidebar, whose script sends a form with the page's token."""
        page = page or browser.get(self.page_to_sign_out)
        found = re.search(r'"CSRF_TOKEN": "(\w+)"', page.html)
        assert found, page
        return browser.post("/admin/logout/", {"csrfmiddlewaretoken": found[1]})

    def who(self, browser: Browser) -> str | None:
        page = browser.peek(self.private)
        if self.is_sign_in_page(page):
            return None
        email = page.form("/admin/account/", has="name_email-email").fields["name_email-email"]
        return email.partition("@")[0]


def log_out_in_tab(tab: Tab) -> None:
    """By the sidebar of Wagtail's admin."""
    tab.locator(".sidebar-footer__account").click()
    tab.get_by_role("button", name="Log out").click()


class TestWagtail(EditorStories, AllStories):
    Site = Wagtail

    def test_log_out_deletes_the_session_cookie_and_costs_one_account(self, site, both):
        """Wagtail does so for caches in front of its pages; the other accounts are behind it."""
        site.sign_out(both)
        assert both.cookie("sessionid"), "The browser has lost its accounts."
        assert signed_in(both) == {ADA}

    def test_log_out_of_the_last_account_leaves_nobody(self, site, either):
        browser = either()
        site.sign_in(browser, ADA)
        site.sign_out(browser)
        assert site.who(browser) is None
        site.sign_in(browser, GRACE)
        assert site.who(browser) == GRACE

    def test_without_remember_me_the_cookie_goes_with_the_browser(self, site, either):
        browser = either()
        form = browser.get(site.sign_in_page).form("/admin/login/", has="username")
        form.submit(username=ADA, password=site.password)
        assert site.who(browser) == ADA
        [cookie] = [cookie for cookie in browser.cookies if cookie.name == "sessionid"]
        assert cookie.expires is None

    def test_the_account_page_saves_for_its_own_account(self, site, both):
        page = both.get("/admin/account/")
        form = page.form("/admin/account/", has="name_email-first_name")
        form.fields["name_email-first_name"] = "Grace"
        switch(both, ADA)
        page = form.submit()
        assert page.status == 409, page
        page = both.get("/admin/account/")
        first_name = page.form("/admin/account/", has="name_email-first_name").fields
        assert first_name["name_email-first_name"] == ""

    def test_the_button_is_on_the_sites_pages_for_visitors(self, site, new_browser):
        browser = new_browser()
        assert browser.get("/").leads_to(site.sign_in_page)

    @pytest.mark.browser
    def test_two_tabs_in_chromium(self, tabs: BrowserContext):
        adas, graces = tabs.new_page(), tabs.new_page()
        adas.goto("/admin/login/")
        sign_in_in_tab(adas, ADA)
        graces.goto("/")
        add_in_tab(graces)
        expect(graces).to_have_url(re.compile("/admin/login/"))
        sign_in_in_tab(graces, GRACE)

        # The first tab still shows Ada: her Log out is not done as Grace.
        log_out_in_tab(adas)
        expect(adas.get_by_role("heading", name="Nothing was sent")).to_be_visible()
        graces.reload()
        expect(graces.locator(".sidebar-footer")).to_contain_text(GRACE)
        adas.get_by_role("button", name="Switch to").click()
        expect(adas.get_by_text("You have been successfully logged out")).to_be_visible()

        # Wagtail has deleted the session cookie in its answer. Grace is still signed in.
        adas.goto("/")
        adas.get_by_role("link", name="Choose an account").click()
        adas.get_by_role("button", name=f"Continue as {GRACE}@example.com").click()
        expect(adas.locator(".ms-user-button")).to_contain_text(f"{GRACE}@example.com")
        adas.goto("/admin/")
        log_out_in_tab(adas)
        sign_in_in_tab(adas, ADA)
        graces.goto("/admin/")
        expect(graces.locator(".sidebar-footer")).to_contain_text(ADA)
