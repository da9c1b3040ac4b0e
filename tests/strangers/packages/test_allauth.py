"""django-allauth with its own templates and its own settings."""

import re
from pathlib import Path

from tests.strangers import bench
from tests.strangers.packages.site import GRACE, PASSWORD, SETTINGS, URLS, Site, append, button
from tests.strangers.packages.stories import AllStories, add_account, signed_in
from tests.strangers.packages.web import Browser, Page

URLCONF = """
from django.contrib.auth.decorators import login_required
from django.urls import include
from django.views.generic import TemplateView

urlpatterns += [
    path("", TemplateView.as_view(template_name="home.html")),
    path("accounts/", include("allauth.urls")),
]
"""

HOME = """
{{% extends "allauth/layouts/base.html" %}}
{{% block content %}}{button}<p>You are {{{{ user.username }}}}.</p>{{% endblock %}}
"""


class Allauth(Site):
    package = "allauth"
    private = "/accounts/email/"
    sign_in_page = "/accounts/login/"
    page_to_sign_out = "/accounts/logout/"

    def make(self, place: Path) -> None:
        bench.start_project(self.python, place)
        append(
            place / SETTINGS,
            'INSTALLED_APPS += ["allauth", "allauth.account", "allauth.usersessions",'
            ' "django.contrib.humanize"]\n'
            'MIDDLEWARE += ["allauth.account.middleware.AccountMiddleware"]\n'
            "AUTHENTICATION_BACKENDS = [\n"
            '    "django.contrib.auth.backends.ModelBackend",\n'
            '    "allauth.account.auth_backends.AuthenticationBackend",\n'
            "]\n"
            'LOGIN_URL = "account_login"\n'
            'LOGIN_REDIRECT_URL = "/"\n'
            'ACCOUNT_EMAIL_VERIFICATION = "none"\n'
            "ACCOUNT_RATE_LIMITS = False\n"
            'TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]\n',
        )
        append(place / URLS, URLCONF)
        (place / "templates").mkdir()
        (place / "templates/home.html").write_text(HOME.format(button=""), encoding="utf-8")

    def finish(self, place: Path) -> None:
        (place / "templates/home.html").write_text(HOME.format(button=button()), encoding="utf-8")

    def sign_in(self, browser: Browser, who: str, page: Page | None = None) -> Page:
        page = page or browser.get(self.sign_in_page)
        return page.form(has="login").submit(login=who, password=self.password, remember="on")

    def sign_out(self, browser: Browser, page: Page | None = None) -> Page:
        return (page or browser.get("/accounts/logout/")).form("/accounts/logout/").submit()

    def who(self, browser: Browser) -> str | None:
        found = re.search(r"You are (\w+)\.", browser.peek("/").text)
        return found[1] if found else None


class TestAllauth(AllStories):
    Site = Allauth

    def test_a_new_person_signs_up_beside_those_who_are_here(self, site, both):
        page = both.get("/accounts/signup/")
        assert page.way, "allauth's sign-up page is for visitors only"
        add_account(both)
        form = both.get("/accounts/signup/").form(has="password1")
        page = form.submit(
            username="mary", email="mary@example.com", password1=PASSWORD, password2=PASSWORD
        )
        assert page.status == 200, page
        assert site.who(both) == "mary", page
        assert signed_in(both, ("ada", "grace", "mary")) == {"ada", "grace", "mary"}

    def test_the_list_of_sessions_is_of_the_active_account(self, site, both):
        page = both.get("/accounts/sessions/")
        assert page.status == 200, page
        assert "Firefox" in page.text
        assert site.who(both) == GRACE
