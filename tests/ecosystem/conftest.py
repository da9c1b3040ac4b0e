"""Users and browsers for these tests."""

import os
from collections.abc import Callable

import pytest
from django.conf import settings as django_settings
from django.test import Client

from accounts.models import User
from multisession.models import Session
from tests.conftest import PASSWORD

SETTINGS = "tests.ecosystem.settings"

# Run by `make test-ecosystem`: the packages must be installed, and their settings chosen, before
# Django starts.
collect_ignore_glob = [] if os.environ.get("DJANGO_SETTINGS_MODULE") == SETTINGS else ["test_*"]


class Browser(Client):
    """A test client that says who is signed in, and can send a story's usual requests."""

    def who(self) -> str | None:
        """Whom the site takes this browser for."""
        return self.get("/whoami").json()["user"]

    def accounts(self) -> set[str]:
        """Everybody who is signed in on this browser."""
        return {session.user.email for session in self.sessions()}

    def sessions(self) -> list[Session]:
        return self.get("/whoami").wsgi_request.multisession.sessions

    def remembered(self) -> set[str]:
        """Who is signed out and still on this browser's list."""
        request = self.get("/whoami").wsgi_request
        return {session.user.email for session in request.multisession.signed_out_sessions}

    def switch_to(self, user: User) -> None:
        """As by a click in the menu."""
        [session] = [session for session in self.sessions() if session.user == user]
        response = self.post("/multisession/set-active/", {"session": session.public_id})
        assert response.status_code == 302
        assert self.who() == user.email

    @property
    def cookie(self) -> str | None:
        """The value of the one cookie."""
        found = self.cookies.get(django_settings.SESSION_COOKIE_NAME)
        return found.value if found else None


@pytest.fixture
def browser() -> Browser:
    return Browser(headers={"user-agent": "Firefox"})


@pytest.fixture
def another_browser() -> Browser:
    return Browser(headers={"user-agent": "Konqueror"})


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root@example.com", PASSWORD, name="Root")


@pytest.fixture
def sign_in() -> Callable[..., None]:
    """Through allauth's own page."""

    def through_allauth(browser: Browser, user: User, *, remember: bool = True) -> None:
        form = {"login": user.email, "password": PASSWORD}
        response = browser.post("/allauth/login/", form | ({"remember": "on"} if remember else {}))
        assert response.status_code == 302, response.content.decode()

    return through_allauth
