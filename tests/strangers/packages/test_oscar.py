"""django-oscar: a shop, where a basket is filled before anybody signs in."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect
from playwright.sync_api import Page as Tab

from tests.strangers import bench
from tests.strangers.packages.site import (
    ADA,
    GRACE,
    PASSWORD,
    SETTINGS,
    URLS,
    Site,
    append,
    button,
)
from tests.strangers.packages.stories import AllStories, add_account, add_in_tab, switch
from tests.strangers.packages.web import Browser, Page

#: Of "Building your own shop", in Oscar's documentation.
SETTING = """
from oscar import INSTALLED_APPS
from oscar.defaults import *

INSTALLED_APPS += ["sorl.thumbnail"]
SITE_ID = 1
MIDDLEWARE += [
    "oscar.apps.basket.middleware.BasketMiddleware",
    "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
]
AUTHENTICATION_BACKENDS = [
    "oscar.apps.customer.auth_backends.EmailBackend",
    "django.contrib.auth.backends.ModelBackend",
]
TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]
TEMPLATES[0]["OPTIONS"]["context_processors"] += [
    "oscar.apps.search.context_processors.search_form",
    "oscar.apps.checkout.context_processors.checkout",
    "oscar.apps.communication.notifications.context_processors.notifications",
    "oscar.core.context_processors.metadata",
]
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
LANGUAGES = [("en", "English")]
LANGUAGE_CODE = "en"
MEDIA_ROOT = BASE_DIR / "media"
MEDIA_URL = "/media/"
LOGIN_URL = "customer:login"
LOGIN_REDIRECT_URL = "/"
"""

ROUTES = """
from django.apps import apps
from django.urls import include

urlpatterns += [
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include(apps.get_app_config("oscar").urls[0])),
]
"""

NOTES, COMPILERS = BOOKS = ("Notes", "Compilers")

#: Two books that anybody can put into the basket.
MAKE_BOOKS = f"""
from decimal import Decimal
from oscar.core.loading import get_model
from oscar.test.factories import create_product
for title in {BOOKS!r}:
    create_product(title=title, price=Decimal(10), num_in_stock=100)
"""


class Oscar(Site):
    package = "oscar"
    home = "/catalogue/"
    private = "/accounts/profile/"
    sign_in_page = "/accounts/login/"
    page_to_sign_out = "/catalogue/"

    def make(self, place: Path) -> None:
        bench.start_project(self.python, place)
        append(place / SETTINGS, SETTING)
        append(place / URLS, ROUTES)

    def finish(self, place: Path) -> None:
        template = place / "templates/oscar/layout.html"
        template.parent.mkdir(parents=True)
        template.write_text(
            '{% extends "oscar/layout.html" %}\n'
            f"{{% block layout %}}{button()}{{{{ block.super }}}}{{% endblock %}}\n",
            encoding="utf-8",
        )

    def more_data(self) -> str:
        return MAKE_BOOKS

    def sign_in(self, browser: Browser, who: str, page: Page | None = None) -> Page:
        page = page or browser.get(self.sign_in_page)
        form = page.form(has="login-username")
        return form.submit(
            **{"login-username": f"{who}@example.com", "login-password": self.password}
        )

    def sign_out(self, browser: Browser, page: Page | None = None) -> Page:
        """Follow the link: Oscar signs out on a GET."""
        page = page or browser.get(self.page_to_sign_out)
        assert page.leads_to("/accounts/logout/"), page
        return browser.get("/accounts/logout/")

    def who(self, browser: Browser) -> str | None:
        page = browser.peek(self.private)
        if self.is_sign_in_page(page):
            return None
        found = re.search(r"Email address (\w+)@example\.com", page.text)
        assert found, page
        return found[1]


def page_of(browser: Browser, title: str) -> Page:
    """Open the page of a book."""
    return browser.get(f"/catalogue/{title.lower()}_{BOOKS.index(title) + 1}/")


def buy(browser: Browser, title: str) -> Page:
    """Press *Add to basket* on the page of a book."""
    return page_of(browser, title).form("/basket/add/").submit()


def empty(browser: Browser) -> None:
    """Take out of the basket what is in it."""
    form = browser.get("/basket/").form("/basket/", has="form-0-quantity")
    for name in form.fields:
        if name.endswith("-quantity"):
            form.fields[name] = "0"
    form.submit()
    assert basket(browser) == set()


def basket(browser: Browser) -> set[str]:
    """Return the books in the basket."""
    return {title for title in BOOKS if f" {title} " in browser.get("/basket/").text}


def sign_in_in_tab(tab: Tab, who: str) -> None:
    """On Oscar's page, which is open."""
    form = tab.locator("#login_form")
    form.get_by_label("Email address").fill(f"{who}@example.com")
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Log In").click()
    expect(tab.get_by_text("Welcome back")).to_be_visible()


class TestOscar(AllStories):
    Site = Oscar

    def test_a_basket_filled_before_sign_in_is_ones_own_after_it(self, site, either):
        browser = either()
        page = buy(browser, NOTES)
        assert page.status == 200, page
        assert basket(browser) == {NOTES}
        site.sign_in(browser, ADA)
        assert basket(browser) == {NOTES}
        empty(browser)

    def test_a_basket_filled_before_sign_in_is_not_the_second_accounts(self, site, new_browser):
        browser = new_browser()
        buy(browser, NOTES)
        site.sign_in(browser, ADA)
        assert basket(browser) == {NOTES}
        site.sign_in(browser, GRACE, add_account(browser))
        assert basket(browser) == set()
        buy(browser, COMPILERS)
        assert basket(browser) == {COMPILERS}
        switch(browser, ADA)
        assert basket(browser) == {NOTES}
        empty(browser)
        switch(browser, GRACE)
        assert basket(browser) == {COMPILERS}
        empty(browser)

    def test_a_basket_filled_between_two_accounts_is_the_next_ones(self, site, new_browser):
        """After stepping aside one is a visitor, whose basket the shop hands to who signs in."""
        browser = new_browser()
        site.sign_in(browser, ADA)
        page = add_account(browser)
        buy(browser, NOTES)
        assert basket(browser) == {NOTES}
        site.sign_in(browser, GRACE, page)
        assert site.who(browser) == GRACE
        assert basket(browser) == {NOTES}
        switch(browser, ADA)
        assert basket(browser) == set()
        switch(browser, GRACE)
        empty(browser)

    def test_signing_out_leaves_no_basket_to_the_next_person(self, site, either):
        browser = either()
        site.sign_in(browser, ADA)
        buy(browser, NOTES)
        site.sign_out(browser)
        assert basket(browser) == set()
        site.sign_in(browser, GRACE)
        assert basket(browser) == set()
        site.sign_out(browser)
        site.sign_in(browser, ADA)
        assert basket(browser) == {NOTES}
        empty(browser)

    def test_a_page_of_one_account_does_nothing_as_another(self, site, both):
        """A book on Grace's page goes into no basket of Ada's. (Oscar's *Logout* is a link.)"""
        form = page_of(both, NOTES).form("/basket/add/")
        switch(both, ADA)
        page = form.submit()
        assert page.status == 409, page
        assert basket(both) == set()
        switch(both, GRACE)
        assert basket(both) == set()

    def test_switch_and_send_leads_to_a_page(self, site, both):
        """Oscar leads back to the page that the browser says the form was on."""
        form = page_of(both, NOTES).form("/basket/add/")
        switch(both, ADA)
        page = form.submit().form(has="multisession-send").submit()
        assert site.who(both) == GRACE
        assert basket(both) == {NOTES}
        empty(both)
        assert page.status == 200, page

    @pytest.mark.browser
    def test_two_tabs_in_chromium(self, tabs: BrowserContext):
        adas, graces = tabs.new_page(), tabs.new_page()
        adas.goto("/catalogue/notes_1/")
        adas.locator("#add_to_basket_form button[type=submit]").click()
        expect(adas.get_by_text("has been added to your")).to_be_visible()
        adas.goto("/accounts/login/")
        sign_in_in_tab(adas, ADA)
        adas.goto("/catalogue/compilers_2/")
        graces.goto("/catalogue/")
        add_in_tab(graces)
        expect(graces).to_have_url(re.compile("/accounts/login/"))
        sign_in_in_tab(graces, GRACE)
        graces.goto("/basket/")
        expect(graces.get_by_text("Your cart is empty").first).to_be_visible()

        # What is bought on Ada's page goes into her basket, after a question.
        adas.locator("#add_to_basket_form button[type=submit]").click()
        expect(adas.get_by_role("heading", name="Nothing was sent")).to_be_visible()
        with adas.expect_response(re.compile(r"127\.0\.0\.1:\d+/basket/add/")):
            adas.get_by_role("button", name="Switch to").click()
        graces.reload()
        for title in BOOKS:
            expect(graces.get_by_role("link", name=title).first).to_be_visible()

        graces.locator("#logout_link").click()
        graces.get_by_role("link", name="Choose an account").click()
        graces.get_by_role("button", name=f"Continue as {GRACE}@example.com").click()
        graces.goto("/basket/")
        expect(graces.get_by_text("Your cart is empty").first).to_be_visible()
