"""django-allauth's second factor as the proof for ``recent_sign_in``: howto/recent-sign-in.md."""

import base64
import hmac
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
from django.http import HttpRequest, JsonResponse
from django.urls import path

from multisession.decorators import recent_sign_in
from tests.conftest import PASSWORD
from tests.ecosystem.urls import urlpatterns as ecosystem_urls
from tests.stories import later
from tests.test_recipes import blocks, run

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

ACTIVATE = "/allauth/2fa/totp/activate/"
PROVE = "/allauth/2fa/reauthenticate/"
SENSITIVE = "/sensitive/"


@recent_sign_in(minutes=5)
def sensitive(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"for": request.user.email, "text": request.POST.get("text", "")})


urlpatterns = [path("sensitive/", sensitive), *ecosystem_urls]


confirmed_at = run(blocks("recent-sign-in.md", heading="Passkeys and other ways")[0]).confirmed_at


@pytest.fixture(autouse=True)
def _the_recipe(settings) -> None:
    settings.MULTISESSION = {
        "CONFIRM_URL": "mfa_reauthenticate",
        "CONFIRMED_AT": f"{__name__}.confirmed_at",
    }


@contextmanager
def on_both_clocks(minutes: float) -> Iterator[None]:
    """allauth asks ``time``, we ask Django."""
    with later(minutes=minutes), mock.patch("time.time", return_value=time.time() + minutes * 60):
        yield


def code_of(secret: str) -> str:
    """Return the code that an authenticator app shows now (RFC 6238)."""
    counter = (int(time.time()) // 30).to_bytes(8, "big")
    digest = hmac.digest(base64.b32decode(secret), counter, "sha1")
    start = digest[-1] & 15
    return f"{(int.from_bytes(digest[start : start + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


@pytest.fixture
def secret(browser, ada, sign_in) -> str:
    """Ada has signed in and set up her authenticator app, on allauth's own page."""
    sign_in(browser, ada)
    browser.post("/allauth/reauthenticate/", {"password": PASSWORD})  # allauth wants it first
    page = browser.get(ACTIVATE)
    found: str = page.context["form"].secret
    assert browser.post(ACTIVATE, {"code": code_of(found)}).status_code == 302
    return found


def test_who_has_just_signed_in_is_not_asked(browser, secret, ada):
    assert browser.get(SENSITIVE).json()["for"] == ada.email


def test_later_a_code_of_the_app_is_the_proof(browser, secret, ada):
    with on_both_clocks(minutes=10):
        page = browser.get(SENSITIVE).content.decode()
        [link] = re.findall(rf'href="({PROVE}[^"]*)"', page)
        done = browser.post(link.replace("&amp;", "&"), {"code": code_of(secret)})
        assert done["Location"] == SENSITIVE
        assert browser.get(SENSITIVE).json()["for"] == ada.email
    with on_both_clocks(minutes=20):
        assert "Is it still you?" in browser.get(SENSITIVE).content.decode()


def test_a_wrong_code_proves_nothing(browser, secret):
    with on_both_clocks(minutes=10):
        assert browser.post(PROVE, {"code": "000000"}).status_code == 200
        assert "Is it still you?" in browser.get(SENSITIVE).content.decode()


def test_the_proof_of_one_account_is_none_of_another(browser, secret, grace, sign_in, ada):
    sign_in(browser, grace)
    browser.switch_to(ada)
    with on_both_clocks(minutes=10):
        browser.post(PROVE, {"code": code_of(secret)})
        assert browser.get(SENSITIVE).json()["for"] == ada.email
        browser.switch_to(grace)
        assert "Is it still you?" in browser.get(SENSITIVE).content.decode()
        browser.switch_to(ada)
        assert browser.get(SENSITIVE).json()["for"] == ada.email


def test_a_copied_cookie_is_asked_too(browser, another_browser, secret, settings):
    name = settings.SESSION_COOKIE_NAME
    another_browser.cookies[name] = browser.cookies[name].value
    with on_both_clocks(minutes=10):
        assert "Is it still you?" in another_browser.get(SENSITIVE).content.decode()
