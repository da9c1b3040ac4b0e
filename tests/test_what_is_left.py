"""What a browser shows of an account that has signed out."""

import pytest
from django.test import Client

from accounts.models import User
from multisession.models import Session
from tests.conftest import PASSWORD


@pytest.fixture(params=[10, 1], ids=["several", "one"])
def browser(request: pytest.FixtureRequest, client: Client, ada: User, settings) -> Client:
    """Ada is signed in, where a browser holds several accounts, or one."""
    settings.MULTISESSION = {**settings.MULTISESSION, "MAX_ACCOUNTS": request.param}
    client.post("/accounts/sign-in/", {"username": ada.email, "password": PASSWORD})
    assert client.get("/whoami").json()["user"] == ada.email
    return client


def sign_out(browser: Client, user: User) -> str:
    sid = Session.objects.get(user=user).public_id
    browser.post("/multisession/sign-out/", {"session": sid})
    assert browser.get("/whoami").json()["user"] is None
    return sid


def shown(browser: Client) -> bool:
    """The pages for whoever comes next name Ada."""
    pages = [browser.get(path).content for path in ("/accounts/choose/", "/accounts/sign-in/", "/")]
    return any(b"ada@example.com" in page for page in pages)


def test_a_sign_out_leaves_the_account_on_the_list_until_it_is_forgotten(browser, ada):
    sid = sign_out(browser, ada)
    assert shown(browser)
    browser.post("/multisession/forget/", {"session": sid})
    assert not shown(browser)


def test_signing_out_of_all_leaves_nothing(browser):
    browser.post("/multisession/sign-out-all/")
    assert not shown(browser)


def test_no_sign_out_leaves_the_account_on_the_list_if_none_is_remembered(browser, ada, settings):
    settings.MULTISESSION = {**settings.MULTISESSION, "REMEMBER_ACCOUNTS": False}
    sign_out(browser, ada)
    assert not shown(browser)
