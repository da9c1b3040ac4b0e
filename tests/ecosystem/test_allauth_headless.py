"""django-allauth, headless: apps with an X-Session-Token, and browser clients with the cookie."""

from typing import Any

import pytest

from accounts.models import User
from multisession.models import Session
from tests.conftest import PASSWORD
from tests.ecosystem.conftest import Browser
from tests.stories import settled

pytestmark = pytest.mark.django_db

API = "/_allauth/{client}/v1/{path}"


class App(Browser):
    """A mobile app: no cookies, but the session token of each answer."""

    kind = "app"

    def __init__(self, token: str | None = None) -> None:
        super().__init__(headers={"user-agent": "App"})
        self.token = token

    def call(self, method: str, path: str, data: dict[str, Any] | None = None) -> Any:
        response = self.generic(
            method,
            API.format(client=self.kind, path=path),
            "" if data is None else self._encode_json(data, "application/json"),
            content_type="application/json",
            headers={"X-Session-Token": self.token} if self.token else {},
        )
        if response.status_code in (200, 401):
            self.token = response.json().get("meta", {}).get("session_token", self.token)
        return response

    def sign_in(self, user: User) -> Any:
        return self.call("POST", "auth/login", {"email": user.email, "password": PASSWORD})

    def account(self) -> str | None:
        response = self.call("GET", "auth/session")
        return response.json()["data"]["user"]["email"] if response.status_code == 200 else None


class Page(App):
    """A script in a browser: allauth's headless API, with the one cookie."""

    kind = "browser"


class TestApp:
    def test_a_token_shows_exactly_its_account(self, ada, grace):
        first, second = App(), App()
        assert first.sign_in(ada).status_code == 200
        assert second.sign_in(grace).status_code == 200
        assert first.token != second.token
        assert (first.account(), second.account()) == (ada.email, grace.email)
        assert not first.cookies

    def test_a_further_account_is_a_further_token(self, ada, grace):
        app = App()
        app.sign_in(ada)
        assert app.sign_in(grace).status_code == 409
        assert app.account() == ada.email
        other = App()
        other.sign_in(grace)
        assert (app.account(), other.account()) == (ada.email, grace.email)

    def test_signing_out_ends_this_token_and_no_other(self, ada, grace):
        first, second = App(), App()
        first.sign_in(ada)
        second.sign_in(grace)
        token = first.token
        assert first.call("DELETE", "auth/session").status_code == 401
        assert App(token).call("GET", "auth/session").status_code in (401, 410)
        assert second.account() == grace.email

    def test_a_password_change_gives_a_new_token(self, ada):
        app, elsewhere = App(), App()
        app.sign_in(ada)
        elsewhere.sign_in(ada)
        old = app.token
        response = app.call(
            "POST",
            "account/password/change",
            {"current_password": PASSWORD, "new_password": "a quite new one"},
        )
        assert response.status_code == 200
        assert app.token != old
        assert app.account() == ada.email
        assert elsewhere.account() is None
        assert App(old).account() is None

    def test_the_cookie_of_a_browser_is_a_token_for_its_active_account(
        self, browser, ada, grace, sign_in
    ):
        sign_in(browser, ada)
        was_adas = browser.cookie
        sign_in(browser, grace)
        assert App(browser.cookie).account() == grace.email
        assert App(was_adas).account() == ada.email
        settled(browser, "/")
        assert App(was_adas).account() is None

    def test_a_revoked_token_is_gone_at_once(self, ada):
        app = App()
        app.sign_in(ada)
        Session.objects.get(user=ada).revoke()
        assert app.account() is None

    def test_the_list_of_sessions_shows_apps_and_ends_one(self, ada):
        app, lost = App(), App()
        lost.sign_in(ada)
        app.sign_in(ada)
        rows = app.call("GET", "auth/sessions").json()["data"]
        assert len(rows) == 2
        [elsewhere] = [row["id"] for row in rows if not row["is_current"]]
        assert app.call("DELETE", "auth/sessions", {"sessions": [elsewhere]}).status_code == 200
        assert lost.account() is None
        assert app.account() == ada.email


class TestBrowserClient:
    def test_signs_in_and_out(self, ada):
        page = Page()
        assert page.sign_in(ada).status_code == 200
        assert page.who() == ada.email
        assert page.call("DELETE", "auth/session").status_code == 401
        assert page.who() is None

    def test_refuses_a_second_sign_in_while_somebody_is_active(self, ada, grace):
        page = Page()
        page.sign_in(ada)
        assert page.sign_in(grace).status_code == 409
        assert page.accounts() == {ada.email}

    def test_adds_an_account_when_nobody_is_active(self, ada, grace, alan):
        page = Page()
        page.sign_in(ada)
        page.call("DELETE", "auth/session")
        page.sign_in(grace)
        assert page.accounts() == {grace.email}
        page.call("DELETE", "auth/session")
        page.sign_in(ada)
        assert page.accounts() == {ada.email}
