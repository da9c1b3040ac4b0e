"""The recipes of docs/howto/: their code and templates, run as they are printed.

Each client enforces CSRF and submits the forms of its pages.
"""

import importlib
import re
import sys
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django import forms
from django.contrib import admin, auth
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.signals import user_logged_in
from django.contrib.auth.views import LoginView
from django.contrib.staticfiles import finders
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.template import RequestContext, Template
from django.test import Client, RequestFactory
from django.urls import include, path
from django.utils.crypto import get_random_string
from django.utils.html import strip_tags

from accounts.models import User
from multisession.actions import step_aside
from tests.conftest import PASSWORD
from tests.engine_urls import name_of
from tests.stories import COOKIE, later, listening, statuses
from tests.test_add_account import links, menu_on, press
from tests.test_guard import Forms

PAGES = Path(__file__).parent.parent / "docs" / "howto"


def blocks(page: str, language: str = "python", *, heading: str = "") -> list[str]:
    """Return the blocks of code on this page: under the heading, or before the first one."""
    sections = re.split(r"^## ", (PAGES / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    start = f"{heading}\n" if heading else "# "
    (section,) = (section for section in sections if section.startswith(start))
    found = re.findall(rf"^```{language}\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert found, f"{page} has no {language} under {heading!r}"
    return found


def run(code: str, **names: Any) -> SimpleNamespace:
    """Return what a block defines, with these names imported."""
    names["__name__"] = __name__
    exec(code, names)  # noqa: S102
    return SimpleNamespace(**names)


# --- The shop that keeps its carts by a key -----------------------------------------------


class Carts(list[SimpleNamespace]):
    """A table of carts, with as much of a manager as the recipe asks of it."""

    def filter(self, **wanted: Any) -> "Carts":
        return Carts(
            cart for cart in self if all(getattr(cart, name) == wanted[name] for name in wanted)
        )

    def update(self, **values: Any) -> None:
        for cart in self:
            vars(cart).update(values)


class Cart:
    objects = Carts()


def by_session_key(request: HttpRequest) -> str:
    """As such shops do it, with Django's own sessions in mind."""
    if request.session.session_key is None:
        request.session.create()
    return request.session.session_key


def put_into_cart(request: HttpRequest, kind: str, thing: str) -> HttpResponse:
    Cart.objects.append(SimpleNamespace(key=KEYS[kind](request), owner=None, thing=thing))
    return HttpResponse("in the cart")


def see_cart(request: HttpRequest, kind: str) -> JsonResponse:
    found = Cart.objects.filter(key=KEYS[kind](request))
    return JsonResponse({"things": [cart.thing for cart in found]})


# --- A project with all the recipes in it -------------------------------------------------

own_key, owner = blocks("carts.md")
KEYS = {
    "session_key": by_session_key,
    "cart_key": run(own_key, get_random_string=get_random_string).cart_key,
}

by_account, by_browser = blocks("remember-me.md")
remember = run(by_account, AuthenticationForm=AuthenticationForm, LoginView=LoginView, forms=forms)
until_closed = run(by_browser, RememberMeForm=remember.RememberMeForm, LoginView=LoginView)

by_link, keeping, mounted = blocks("sign-in-links.md")
link = run(
    by_link,
    signing=signing,
    Http404=Http404,
    get_object_or_404=get_object_or_404,
    User=User,
    login=auth.login,
    redirect=redirect,
)
keep = run(keeping, wraps=wraps, step_aside=step_aside)


def logs_out_first(request: HttpRequest, token: str) -> HttpResponse:
    """The view of a package."""
    auth.logout(request)
    return link.sign_in_by_link(request, token)


def page(request: HttpRequest) -> HttpResponse:
    words = "{% load multisession %}{% user_button %}"
    return HttpResponse(Template(words).render(RequestContext(request)))


def sign_out(request: HttpRequest) -> HttpResponse:
    auth.logout(request)
    return page(request)


kept_names = {"path": path, "keep_accounts": keep.keep_accounts, "sign_in_by_link": logs_out_first}
(redirecting,) = blocks("sign-in-pages.md", heading="`redirect_authenticated_user`")
SIGN_IN = "<form method=post>{% csrf_token %}{{ form }}</form>"

urlpatterns = [
    path("", page, name="home"),
    path("sign-out/", sign_out),
    path("remember/", remember.RememberMeLoginView.as_view()),
    path("until-closed/", until_closed.UntilTheBrowserClosesLoginView.as_view()),
    path("cart/<kind>/", see_cart),
    path("cart/<kind>/<thing>/", put_into_cart),
    path("link/<token>/", link.sign_in_by_link),
    path("package/<token>/", logs_out_first),
    run(f"pattern = {mounted}".replace("link/", "kept/"), **kept_names).pattern,
    run(f"pattern = {redirecting}", path=path, LoginView=LoginView).pattern,
    path("admin/", admin.site.urls),
    path("multisession/", include("multisession.urls")),
]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture(autouse=True)
def _a_project_with_the_recipes_templates(settings):
    (base_site,) = blocks("admin.md", "html", heading="The button in its header")
    own = {"admin/base_site.html": base_site, "registration/login.html": SIGN_IN}
    loaders = [
        ("django.template.loaders.locmem.Loader", own),
        "django.template.loaders.app_directories.Loader",
    ]
    options = {**settings.TEMPLATES[0]["OPTIONS"], "loaders": loaders}
    stock = {**settings.TEMPLATES[0], "DIRS": [], "APP_DIRS": False, "OPTIONS": options}
    settings.TEMPLATES = [stock]
    settings.MULTISESSION = {}
    settings.LOGIN_URL = "login"
    settings.LOGIN_REDIRECT_URL = settings.LOGOUT_REDIRECT_URL = "/"


@pytest.fixture
def browser() -> Client:
    return Client(enforce_csrf_checks=True)


def filled_in(page: HttpResponse, user: User) -> dict[str, str]:
    """Return what the sign-in form of this page sends."""
    (fields,) = (found for _action, found in Forms(page.text).forms if "password" in found)
    form = {name: values[0] for name, values in fields.items() if name != "remember_me"}
    return form | {"username": user.email, "password": PASSWORD}


def sign_in(browser: Client, user: User, url: str = "/accounts/login/", **more: str) -> None:
    response = browser.post(url, filled_in(browser.get(url), user) | more)
    assert (response.status_code, who(browser)) == (302, name_of(user))


def add(browser: Client, user: User, url: str = "/accounts/login/", **more: str) -> None:
    press(browser, menu_on(browser, "/"), "Add account")
    sign_in(browser, user, url, **more)


def switch(browser: Client, user: User) -> None:
    verb = "Switch to" if who(browser) else "Continue as"
    press(browser, browser.get("/multisession/choose/"), f"{verb} {user.name}")
    assert who(browser) == name_of(user)


def who(browser: Client) -> str:
    return name_of(browser.get("/").wsgi_request.user)


def accounts(browser: Client) -> list[str]:
    sessions = browser.get("/").wsgi_request.multisession.sessions
    return sorted(name_of(session.user) for session in sessions)


class TestHtmx:
    """Where it comes from, and what there is without it."""

    def test_htmx_is_not_needed(self, browser, ada, grace):
        sign_in(browser, ada)
        chooser = browser.get(links(browser.get("/"))["Your accounts"])
        press(browser, chooser, "Add account")
        sign_in(browser, grace)
        chooser = browser.get(links(browser.get("/"))["Your accounts"])
        press(browser, chooser, "Switch to Ada Lovelace")
        assert (who(browser), accounts(browser)) == ("ada", ["ada", "grace"])

    def test_django_htmx_brings_htmx(self, settings):
        from_package, _own_file = blocks("htmx.md", "html")
        (lines,) = blocks("htmx.md")
        *_dots, ours, theirs = run(lines).INSTALLED_APPS
        assert {ours, theirs} <= set(settings.INSTALLED_APPS)
        importlib.import_module(theirs)
        html = Template(from_package).render(RequestContext(RequestFactory().get("/")))
        (src,) = re.findall(r'src="([^"]+)"', html)
        assert "htmx-2" in src
        assert finders.find(src.removeprefix(settings.STATIC_URL))

    def test_htmx_can_be_a_file_of_the_project(self, settings):
        settings.STORAGES = {
            **settings.STORAGES,
            "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
        }
        _from_package, own_file = blocks("htmx.md", "html")
        html = Template(own_file).render(RequestContext(RequestFactory().get("/")))
        assert f'src="{settings.STATIC_URL}htmx.min.js"' in html


class TestInTheAdmin:
    @pytest.fixture(autouse=True)
    def _the_recipes_settings(self, settings, ada, grace):
        lines = blocks("admin.md", heading="The button in its header")[0]
        settings.LOGIN_URL = run(lines).LOGIN_URL
        settings.LOGIN_REDIRECT_URL = run(lines).LOGIN_REDIRECT_URL
        User.objects.update(is_staff=True, is_superuser=True)

    def test_the_button_stands_below_the_header_of_every_admin_page(self, browser, ada):
        sign_in(browser, ada, "/admin/login/")
        for url in ("/admin/", "/admin/accounts/user/", f"/admin/accounts/user/{ada.pk}/change/"):
            text = browser.get(url).text
            assert text.count("data-multisession-button") == 1
            assert "multisession/user_button" in text.partition("</head>")[0]
            below = text.partition("</header>")[2].partition('<div class="main"')[0]
            assert "ms-user-button" in below
        assert "ms-user-button" not in browser.get("/admin/accounts/user/?_popup=1").text

    def test_an_account_is_added_on_the_admins_sign_in_page(self, browser, ada, grace):
        sign_in(browser, ada, "/admin/login/")
        response = press(browser, menu_on(browser, "/admin/"), "Add account", follow=True)
        assert response.redirect_chain == [("/admin/login/?next=/admin/", 302)]
        assert "Back to Ada Lovelace" in strip_tags(response.text)
        landed = browser.post("/admin/login/", filled_in(response, grace), follow=True)
        assert landed.redirect_chain == [("/admin/", 302)]
        assert (who(browser), accounts(browser)) == ("grace", ["ada", "grace"])

    def test_the_admins_log_out_signs_out_of_one_account(self, browser, ada, grace):
        sign_in(browser, ada, "/admin/login/")
        add(browser, grace, "/admin/login/")
        press(browser, browser.get("/admin/"), "Log out")
        assert (who(browser), accounts(browser)) == ("", ["ada"])


class TestSignInPagesThatSendSignedInPeopleAway:
    def test_add_account_works_with_pages_that_send_signed_in_people_away(
        self, browser, ada, grace
    ):
        sign_in(browser, ada)
        assert browser.get("/accounts/login/").status_code == 302
        add(browser, grace)
        assert accounts(browser) == ["ada", "grace"]


def kept(browser: Client) -> bool:
    """The browser keeps the cookie when it closes."""
    return bool(browser.cookies[COOKIE]["max-age"])


class TestRememberMe:
    def test_the_account_ends_and_the_others_stay(self, browser, ada, grace):
        sign_in(browser, ada, "/remember/", remember_me="on")
        add(browser, grace, "/remember/")
        assert kept(browser)
        with later(hours=9):
            assert (who(browser), accounts(browser)) == ("", ["ada"])
            switch(browser, ada)
        with later(days=29):
            assert accounts(browser) == ["ada"]
        with later(days=31):
            assert accounts(browser) == []

    def test_the_cookie_goes_for_all_accounts(self, browser, ada, grace):
        sign_in(browser, ada, "/until-closed/", remember_me="on")
        assert kept(browser)
        add(browser, grace, "/until-closed/")
        assert not kept(browser)
        switch(browser, ada)
        assert not kept(browser)

    def test_remember_me_is_kept_again_after_an_account_without_it_has_signed_out(
        self, browser, ada, grace, alan
    ):
        sign_in(browser, ada, "/until-closed/", remember_me="on")
        add(browser, grace, "/until-closed/")
        browser.get("/sign-out/")
        switch(browser, ada)
        assert kept(browser)
        add(browser, alan, "/until-closed/", remember_me="on")
        assert kept(browser)


def things(browser: Client, kind: str) -> list[str]:
    return browser.get(f"/cart/{kind}/").json()["things"]


class TestCarts:
    @pytest.fixture(autouse=True)
    def _no_carts(self):
        Cart.objects = Carts()

    def test_a_cart_by_session_key_is_lost_at_the_sign_in(self, browser, ada, grace):
        browser.get("/cart/session_key/tea/")
        assert things(browser, "session_key") == ["tea"]
        sign_in(browser, ada)
        assert things(browser, "session_key") == []
        browser.get("/cart/session_key/milk/")
        add(browser, grace)
        switch(browser, ada)
        assert things(browser, "session_key") == []

    def test_a_cart_by_a_key_in_the_data_survives_the_sign_in(self, browser, ada, grace):
        browser.get("/cart/cart_key/tea/")
        sign_in(browser, ada)
        assert things(browser, "cart_key") == ["tea"]
        add(browser, grace)
        assert things(browser, "cart_key") == []
        browser.get("/cart/cart_key/coffee/")
        switch(browser, ada)
        assert things(browser, "cart_key") == ["tea"]
        switch(browser, grace)
        assert things(browser, "cart_key") == ["coffee"]
        browser.get("/sign-out/")
        assert things(browser, "cart_key") == []

    def test_what_a_visitor_takes_after_add_account_is_the_next_accounts(self, browser, ada, grace):
        sign_in(browser, ada)
        browser.get("/cart/cart_key/tea/")
        press(browser, menu_on(browser, "/"), "Add account")
        browser.get("/cart/cart_key/coffee/")
        sign_in(browser, grace)
        assert things(browser, "cart_key") == ["coffee"]
        switch(browser, ada)
        assert things(browser, "cart_key") == ["tea"]

    def test_a_cart_of_a_visitor_is_lost_after_going_back_to_the_account(self, browser, ada):
        sign_in(browser, ada)
        browser.get("/cart/cart_key/tea/")
        press(browser, menu_on(browser, "/"), "Add account")
        browser.get("/cart/cart_key/coffee/")
        press(browser, browser.get("/"), "Back to Ada Lovelace")
        assert things(browser, "cart_key") == ["tea"]

    def test_an_owner_is_given_at_sign_in(self, browser, ada, grace):
        names = {"receiver": lambda _signal: lambda function: function}
        receiver = run(owner, Cart=Cart, user_logged_in=user_logged_in, **names)
        with listening(user_logged_in, receiver.keep_the_cart):
            browser.get("/cart/cart_key/tea/")
            sign_in(browser, ada)
            press(browser, menu_on(browser, "/"), "Add account")
            browser.get("/cart/cart_key/coffee/")
            sign_in(browser, ada)
            press(browser, menu_on(browser, "/"), "Add account")
            browser.get("/cart/cart_key/milk/")
            sign_in(browser, grace)
        owned = [(cart.thing, cart.owner) for cart in Cart.objects]
        assert owned == [("tea", ada), ("coffee", ada), ("milk", grace)]


def token_for(user: User) -> str:
    return signing.dumps(user.pk, salt="sign-in link")


class TestLinksByEMail:
    @pytest.mark.parametrize("url", ["/link/", "/kept/"])
    def test_a_sign_in_link_adds_an_account(self, browser, ada, grace, url):
        sign_in(browser, ada)
        assert browser.get(f"{url}{token_for(grace)}/").status_code == 302
        assert (who(browser), accounts(browser)) == ("grace", ["ada", "grace"])
        assert browser.get(f"{url}{token_for(ada)}/").status_code == 302
        assert (who(browser), accounts(browser)) == ("ada", ["ada", "grace"])
        assert statuses(ada) == ["active"]

    def test_a_view_that_logs_out_first_signs_the_earlier_account_out(self, browser, ada, grace):
        sign_in(browser, ada)
        browser.get(f"/package/{token_for(grace)}/")
        assert (who(browser), accounts(browser)) == ("grace", ["grace"])

    def test_a_link_that_is_not_valid(self, browser, ada):
        sign_in(browser, ada)
        assert browser.get("/link/forged/").status_code == 404
        assert who(browser) == "ada"
        assert browser.get("/kept/forged/").status_code == 404
        assert (who(browser), accounts(browser)) == ("", ["ada"])
        switch(browser, ada)


class TestPlaces:
    """docs/howto/places.md, with a reader in place of a file of 60 MB."""

    @pytest.fixture
    def place_of(self, monkeypatch):
        class AddressNotFoundError(Exception):
            pass

        class GeoIP2:
            def city(self, address: str) -> dict[str, str | None]:
                if address == "127.0.0.1":
                    raise AddressNotFoundError(address)
                city = "Paris" if address == "203.0.113.9" else None
                return {"city": city, "country_name": "France"}

        reader = SimpleNamespace(GeoIP2=GeoIP2)
        errors = SimpleNamespace(AddressNotFoundError=AddressNotFoundError)
        monkeypatch.setitem(sys.modules, "django.contrib.gis.geoip2", reader)
        monkeypatch.setitem(sys.modules, "geoip2", SimpleNamespace(errors=errors))
        monkeypatch.setitem(sys.modules, "geoip2.errors", errors)
        (block,) = [block for block in blocks("places.md") if "GeoIP2" in block]
        return run(block).place_of

    def test_it_names_the_city_or_the_country_or_nothing(self, place_of):
        addresses = ("203.0.113.9", "203.0.113.10", "127.0.0.1")
        assert [place_of(address) for address in addresses] == ["Paris, France", "France", None]
