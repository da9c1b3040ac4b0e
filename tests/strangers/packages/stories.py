"""The stories that run in every package's project, through the package's own pages.

A package's test class inherits them. ``either`` gives browsers on the original project, with
Django's own sessions, and on the same one with the README's lines. Both must answer alike.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import ClassVar

import pytest
from playwright.sync_api import Page as Tab

from tests.strangers.packages.site import ADA, CHOOSE, GRACE, PEOPLE, Site
from tests.strangers.packages.web import Browser, Page

ADD_ACCOUNT = "/multisession/add-account/"
SET_ACTIVE = "/multisession/set-active/"
SIGN_OUT = "/multisession/sign-out/"
SIGN_OUT_ALL = "/multisession/sign-out-all/"

NewBrowser = Callable[[], Browser]


def signed_in(browser: Browser, people: Collection[str] = PEOPLE) -> set[str]:
    """Return whom the chooser offers to sign out of: everybody who is signed in here."""
    page = browser.peek(CHOOSE)
    texts = [form.text for form in page.forms if form.action.endswith(SIGN_OUT)]
    return {name for name in people if any(f"{name}@example.com" in text for text in texts)}


def add_account(browser: Browser) -> Page:
    """Press *Add account* in the chooser."""
    return browser.get(CHOOSE).form(ADD_ACCOUNT).submit()


def switch(browser: Browser, who: str) -> Page:
    """Press the account's line in the chooser."""
    return browser.get(CHOOSE).form(SET_ACTIVE, says=f"{who}@example.com").submit()


def sign_out_of(browser: Browser, who: str) -> Page:
    """Press *Sign out* beside the account in the chooser."""
    return browser.get(CHOOSE).form(SIGN_OUT, says=f"{who}@example.com").submit()


def sign_out_all(browser: Browser) -> Page:
    """Press *Sign out of all accounts* in the chooser."""
    return browser.get(CHOOSE).form(SIGN_OUT_ALL).submit()


def add_in_tab(tab: Tab) -> None:
    """Open the button's menu in a real browser, and press *Add account*."""
    tab.locator(".ms-user-button summary").click()
    tab.get_by_role("link", name="Your accounts").click()
    tab.get_by_role("button", name="Add account").click()


class Stories:
    Site: ClassVar[type[Site]]

    @pytest.fixture
    def both(self, site: Site, new_browser: NewBrowser) -> Browser:
        """A browser with Ada, and Grace who is active, added as a person adds an account."""
        browser = new_browser()
        site.sign_in(browser, ADA)
        site.sign_in(browser, GRACE, add_account(browser))
        assert site.who(browser) == GRACE, browser.last
        assert signed_in(browser) == {ADA, GRACE}
        return browser


class OneAccount(Stories):
    """What works on Django's own sessions works on ours."""

    def test_sign_in_out_and_in_again(self, site, either):
        browser = either()
        for who in (ADA, ADA, GRACE):
            page = site.sign_in(browser, who)
            assert page.status == 200, page
            assert site.who(browser) == who, page
            page = site.sign_out(browser)
            assert page.status == 200, page
            assert site.who(browser) is None, page

    def test_where_sign_out_led_one_signs_in_again(self, site, either):
        browser = either()
        site.sign_in(browser, ADA)
        site.sign_out(browser)
        page = site.sign_in(browser, ADA, site.turned_away(browser))
        assert page.status == 200, page
        assert site.who(browser) == ADA, page

    def test_a_wrong_password_then_the_right_one(self, site, either):
        browser = either()
        site.sign_in(browser, ADA)
        site.sign_out(browser)
        site.password = "wrong"
        try:
            page = site.sign_in(browser, ADA)
        finally:
            del site.password
        assert page.status == 200, page
        assert site.who(browser) is None
        page = site.sign_in(browser, ADA, page)
        assert site.who(browser) == ADA, page


class SigningIn(Stories):
    def test_the_sign_in_page_is_the_one_that_add_account_leads_to(self, site, new_browser):
        browser = new_browser()
        site.sign_in(browser, ADA)
        page = add_account(browser)
        assert site.is_sign_in_page(page), page
        assert site.who(browser) is None
        assert signed_in(browser) == {ADA}

    def test_adding_is_given_up_half_way_and_begun_again(self, site, new_browser):
        browser = new_browser()
        site.sign_in(browser, ADA)
        add_account(browser)
        page = switch(browser, ADA)
        assert page.status == 200, page
        assert site.who(browser) == ADA, page
        page = site.sign_in(browser, GRACE, add_account(browser))
        assert page.status == 200, page
        assert site.who(browser) == GRACE, page
        assert signed_in(browser) == {ADA, GRACE}

    def test_adding_somebody_who_is_here_makes_no_second_session(self, site, both):
        page = site.sign_in(both, ADA, add_account(both))
        assert site.who(both) == ADA, page
        assert signed_in(both) == {ADA, GRACE}

    def test_two_sign_in_pages_were_open_before_anybody_signed_in(self, site, new_browser):
        browser = new_browser()
        adas, graces = browser.get(site.sign_in_page), browser.get(site.sign_in_page)
        site.sign_in(browser, ADA, adas)
        assert site.who(browser) == ADA
        page = site.sign_in(browser, GRACE, graces)
        assert page.status == 200, page
        assert site.who(browser) == GRACE, page
        assert signed_in(browser) == {ADA, GRACE}

    def test_a_sign_in_page_opened_before_a_sign_out_signs_in(self, site, new_browser):
        browser = new_browser()
        page = browser.get(site.sign_in_page)
        site.sign_in(browser, ADA)
        site.sign_out(browser)
        page = site.sign_in(browser, GRACE, page)
        assert page.status == 200, page
        assert site.who(browser) == GRACE, page


class Switching(Stories):
    def test_switching_there_and_back(self, site, both):
        for who in (ADA, GRACE, ADA):
            page = switch(both, who)
            assert page.status == 200, page
            assert site.who(both) == who, page

    def test_the_button_is_in_the_template(self, site, both):
        assert "grace@example.com" in both.get(site.home).text

    def test_a_page_of_one_account_does_nothing_as_another(self, site, both):
        """Its *Sign out* is pressed after a switch in another tab."""
        page = both.get(site.page_to_sign_out)
        switch(both, ADA)
        page = site.sign_out(both, page)
        assert page.status == 409, page
        assert site.who(both) == ADA
        assert signed_in(both) == {ADA, GRACE}


class SigningOut(Stories):
    def test_the_packages_sign_out_is_of_one_account(self, site, both):
        page = site.sign_out(both)
        assert page.status == 200, page
        assert site.who(both) is None
        assert signed_in(both) == {ADA}
        page = switch(both, ADA)
        assert site.who(both) == ADA, page

    def test_after_a_sign_out_the_button_leads_to_the_other_accounts(self, site, both):
        site.sign_out(both)
        page = both.get(site.home)
        assert page.leads_to(CHOOSE), page

    def test_after_a_sign_out_the_packages_sign_in_page_adds_her_again(self, site, both):
        site.sign_out(both)
        page = site.sign_in(both, GRACE)
        assert page.status == 200, page
        assert site.who(both) == GRACE, page
        assert signed_in(both) == {ADA, GRACE}

    def test_signing_out_of_all_one_by_one_and_in_again(self, site, both):
        site.sign_out(both)
        switch(both, ADA)
        site.sign_out(both)
        assert signed_in(both) == set()
        page = site.sign_in(both, ADA)
        assert page.status == 200, page
        assert site.who(both) == ADA, page
        assert signed_in(both) == {ADA}

    def test_our_sign_out_of_the_active_account(self, site, both):
        sign_out_of(both, GRACE)
        assert site.who(both) is None
        assert signed_in(both) == {ADA}
        page = site.sign_in(both, GRACE)
        assert page.status == 200, page
        assert site.who(both) == GRACE, page

    def test_our_sign_out_of_another_account(self, site, both):
        sign_out_of(both, ADA)
        assert site.who(both) == GRACE
        assert signed_in(both) == {GRACE}

    def test_our_sign_out_of_all(self, site, both):
        page = sign_out_all(both)
        assert page.status == 200, page
        assert site.who(both) is None
        page = site.sign_in(both, ADA)
        assert page.status == 200, page
        assert site.who(both) == ADA, page
        assert signed_in(both) == {ADA}

    def test_the_terminal_ends_it_and_one_signs_in_again(self, site, both):
        site.manage("revokesessions", "--user", site.key(GRACE), "--noinput")
        page = site.sign_in(both, GRACE, site.turned_away(both))
        assert page.status == 200, page
        assert site.who(both) == GRACE, page
        assert ADA in signed_in(both)


class AllStories(OneAccount, SigningIn, Switching, SigningOut):
    """Everything above, for a package's test class to inherit."""

    def test_the_checks_have_nothing_to_say(self, site):
        assert site.warnings_of_ours() == []
