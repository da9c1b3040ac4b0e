"""django-rest-knox: a token for a program is no sign-in on the browser that requested it."""

import base64

import pytest

from accounts.models import User
from multisession.models import Event, Session
from tests.conftest import PASSWORD
from tests.ecosystem.conftest import Browser

pytestmark = pytest.mark.django_db


def ask_for_token(browser: Browser, user: User) -> str:
    credentials = base64.b64encode(f"{user.email}:{PASSWORD}".encode()).decode()
    response = browser.post("/knox/", headers={"authorization": f"Basic {credentials}"})
    assert response.status_code == 200
    return response.json()["token"]


@pytest.mark.parametrize(
    "setting",
    [{}, {"MAX_ACCOUNTS": 1}, {"MAX_ACCOUNTS": 1, "AT_LIMIT": "refuse"}],
    ids=["as it is", "one account", "refused"],
)
def test_a_token_touches_no_account_of_the_browser(browser, ada, grace, sign_in, settings, setting):
    settings.MULTISESSION = {**settings.MULTISESSION, **setting}
    sign_in(browser, ada)
    cookie, events = browser.cookie, Event.objects.count()
    token = ask_for_token(browser, grace)
    ask_for_token(browser, ada)
    assert browser.who() == ada.email
    assert browser.accounts() == {ada.email}
    assert (browser.cookie, Event.objects.count()) == (cookie, events)
    browser.post("/knox/logout/", headers={"authorization": f"Token {token}"})
    assert browser.who() == ada.email


def test_asking_for_a_token_signs_nobody_in(browser, grace):
    ask_for_token(browser, grace)
    assert browser.who() is None
    assert Session.objects.count() == 0
