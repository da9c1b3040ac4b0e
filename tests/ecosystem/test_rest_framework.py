"""Django REST framework with SessionAuthentication: the API acts as the active account."""

import pytest
from rest_framework.test import APIClient

from accounts.models import Note
from tests.conftest import PASSWORD
from tests.ecosystem.conftest import Browser

pytestmark = pytest.mark.django_db

NOTES = "/api/notes/"


class StrictBrowser(Browser):
    """Sends the CSRF token as a page's script does, and meets the check."""

    def __init__(self) -> None:
        super().__init__(enforce_csrf_checks=True)

    def csrf_token(self) -> str:
        """The one in the form of a page that is loaded now."""
        return str(self.get("/allauth/login/").context["csrf_token"])

    def sign_in(self, user):
        form = {"login": user.email, "password": PASSWORD, "remember": "on"}
        form["csrfmiddlewaretoken"] = self.csrf_token()
        assert self.post("/allauth/login/", form).status_code == 302

    def write(self, text: str, token: str | None):
        headers = {"X-CSRFToken": token} if token else {}
        return self.post(NOTES, {"text": text}, content_type="application/json", headers=headers)

    def switch_to(self, user):
        [session] = [session for session in self.sessions() if session.user == user]
        data = {"session": session.public_id, "csrfmiddlewaretoken": self.csrf_token()}
        assert self.post("/multisession/set-active/", data).status_code == 302


@pytest.fixture
def browser():
    return StrictBrowser()


def test_answers_for_the_active_account(browser, ada, grace):
    browser.sign_in(ada)
    browser.sign_in(grace)
    assert browser.get(NOTES).json()["user"] == grace.email
    browser.switch_to(ada)
    assert browser.get(NOTES).json()["user"] == ada.email


def test_a_request_without_an_active_account_gets_a_403(browser, ada, grace):
    assert browser.get(NOTES).status_code == 403
    browser.sign_in(ada)
    browser.sign_in(grace)
    data = {"csrfmiddlewaretoken": browser.csrf_token()}
    browser.post("/allauth/logout/", data)
    assert browser.get(NOTES).status_code == 403
    assert browser.accounts() == {ada.email}


def test_an_unsafe_call_needs_the_csrf_token(browser, ada):
    browser.sign_in(ada)
    assert browser.write("no token", None).status_code == 403
    assert browser.write("with it", browser.csrf_token()).status_code == 200
    assert [note.text for note in ada.notes.all()] == ["with it"]


def test_an_unsafe_call_writes_as_the_active_account(browser, ada, grace):
    browser.sign_in(ada)
    browser.sign_in(grace)
    assert browser.write("Grace's", browser.csrf_token()).json()["user"] == grace.email
    browser.switch_to(ada)
    assert browser.write("Ada's", browser.csrf_token()).json()["user"] == ada.email
    assert [note.text for note in grace.notes.all()] == ["Grace's"]
    assert [note.text for note in ada.notes.all()] == ["Ada's"]


@pytest.mark.parametrize("change", ["add", "switch"])
def test_a_page_of_one_account_writes_nothing_as_another(browser, ada, grace, change):
    """Its token belongs to the account that the page was loaded for."""
    if change == "switch":
        browser.sign_in(grace)
    browser.sign_in(ada)
    pages_token = browser.csrf_token()
    if change == "switch":
        browser.switch_to(grace)
    else:
        browser.sign_in(grace)
    assert browser.write("written on Ada's page", pages_token).status_code in (403, 409)
    assert not Note.objects.exists()


def test_the_frameworks_own_test_client_signs_in_and_forces(ada, grace):
    client = APIClient()
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(NOTES).json()["user"] == ada.email
    client.force_authenticate(grace)
    assert client.get(NOTES).json()["user"] == grace.email
    client.logout()
    assert client.get(NOTES).status_code == 403
