"""A sign-in that another site's page posts (SAML, ``form_post``), with the recipe of docs/howto/.

With ``SameSite=Lax`` such a request has no cookie, so its browser is unknown.
"""

import inspect
import re
from functools import wraps
from pathlib import Path

import pytest
from django.contrib import auth
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.test import override_settings
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from accounts.models import User
from tests.engine_urls import BACKEND
from tests.stories import Browser, signed_in, silent

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

DOCS = Path(__file__).resolve().parent.parent / "docs" / "howto" / "cross-site-sign-in.md"


def sent_from_here(view):
    """Let a page of ours send a cross-site POST once more, so that the cookie comes along."""

    @csrf_exempt
    @wraps(view)
    def wrapper(request, *args, **kwargs):
        if request.method == "POST" and request.headers.get("Sec-Fetch-Site") == "cross-site":
            fields = [(name, value) for name, values in request.POST.lists() for value in values]
            return render(request, "send_again.html", {"fields": fields})
        return view(request, *args, **kwargs)

    return wrapper


def assertion_consumer(request: HttpRequest) -> HttpResponse:
    """It checks what the identity provider has signed; here, that there is something."""
    user = User.objects.get(email=request.POST["SAMLResponse"])
    auth.login(request, user, BACKEND)
    return redirect("/who/")


urlpatterns = [
    path("acs/", sent_from_here(assertion_consumer)),
    path("acs-without/", csrf_exempt(assertion_consumer)),
    path("", include("tests.engine_urls")),
]


def template() -> str:
    found = re.search(r"```html\n(<!doctype html>.*?)```", DOCS.read_text(), re.DOTALL)
    assert found, "the recipe's template is not in docs/howto/cross-site-sign-in.md"
    return found.group(1)


@pytest.fixture(autouse=True)
def _the_recipes_template(settings):
    engine = {
        **settings.TEMPLATES[0],
        "APP_DIRS": False,
        "OPTIONS": {
            **settings.TEMPLATES[0]["OPTIONS"],
            "loaders": [
                ("django.template.loaders.locmem.Loader", {"send_again.html": template()}),
                "django.template.loaders.filesystem.Loader",
                "django.template.loaders.app_directories.Loader",
            ],
        },
    }
    with override_settings(TEMPLATES=[engine]):
        yield


def from_the_provider(browser: Browser, url: str, user: User) -> HttpResponse:
    """As a browser does it: without the cookie, which a cross-site POST does not carry."""
    without = Browser(enforce_csrf_checks=True)
    form = {"SAMLResponse": user.email, "RelayState": 'a"b<c'}
    response = without.client.post(url, form, headers={"sec-fetch-site": "cross-site"})
    if without.cookie is not None:
        browser.cookie = without.cookie
    return response


def press(browser: Browser, response: HttpResponse) -> HttpResponse:
    """Send the form on the page, which the script does by itself."""
    (action,) = re.findall(r'action="([^"]+)"', response.text)
    pattern = r'name="(\w+)" value="([^"]*)"'
    form = dict(re.findall(pattern, response.text))
    assert form["RelayState"] == "a&quot;b&lt;c"
    return browser.client.post(action, form, headers={"sec-fetch-site": "same-origin"})


def test_the_recipe_adds_an_account(ada, grace):
    firefox = signed_in(ada)
    page = from_the_provider(firefox, "/acs/", grace)
    assert (page.status_code, silent(page)) == (200, True)
    assert press(firefox, page).status_code == 302
    assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])


def test_a_cross_site_post_without_the_recipe_begins_a_new_client(ada, grace):
    """As under Django's own sessions: the cookie of the answer takes the old one's place."""
    firefox = signed_in(ada)
    assert from_the_provider(firefox, "/acs-without/", grace).status_code == 302
    assert (firefox.who(), firefox.accounts()) == ("grace", ["grace"])


def test_the_docs_show_this_very_recipe():
    assert inspect.getsource(sent_from_here).strip() in DOCS.read_text()
