"""People with browsers, who use the project's own pages only."""

from __future__ import annotations

import datetime
import json
from contextlib import ExitStack
from typing import Any
from unittest import mock

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth import get_user_model
from django.shortcuts import resolve_url
from django.test import AsyncClient, Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from .browser import Browser, Page, Stuck

PASSWORD = "correct horse battery staple"


class Person(Browser):
    """A browser that knows the pages of the project. A project with other pages overrides it."""

    #: Talk to the project over ASGI.
    asynchronous = False

    def __init__(self, site: Site, name: str = "Firefox", host: str = "testserver") -> None:
        client = AsyncClient if self.asynchronous else Client
        self._client: Any = client(enforce_csrf_checks=True, raise_request_exception=False)
        self._site = site
        super().__init__(self._through_django, name=name, host=host)

    def sign_in(self, name: str, page: Page | None = None, *, password: str = PASSWORD) -> Page:
        """Fill in the project's sign-in form, or the one of a page that is open already."""
        page = page or self.sign_in_page()
        return self.submit(page.form("password"), username=name, password=password)

    def sign_in_page(self) -> Page:
        return self.open(resolve_url(settings.LOGIN_URL))

    def sign_out(self) -> Page:
        """Press *Sign out* on the project's own page."""
        return self.submit(self.home().form("Leave the site"))

    def home(self) -> Page:
        return self.open(reverse("home"))

    def home_or_chooser(self) -> Page:
        """Open the home page; where it is for members only, and nobody is active, the chooser."""
        return self.home()

    def who(self) -> str | None:
        """Return whom the project takes this browser for."""
        return self._whoami()["user"]

    def accounts(self) -> list[str]:
        """Return who is signed in on this browser."""
        return self._whoami()["accounts"]

    def note(self) -> str:
        """Return what the active account has in its session."""
        return self._whoami()["note"]

    def write_note(self, text: str, page: Page | None = None) -> Page:
        return self.submit((page or self.home()).form("note"), note=text)

    def chooser(self) -> Page:
        return self.open(reverse("multisession:choose"))

    def menu(self) -> Page:
        """Open the menu of the button on the home page."""
        page = self.home()
        if not page.loads:
            raise Stuck(f"no menu on {page}")
        return self.open(page.loads[0])

    def press_add_account(self) -> Page:
        """Press *Add account* in the menu. Leads to the project's sign-in page."""
        return self.submit(self.menu().form("Add account"))

    def add_account(self, name: str) -> Page:
        return self.sign_in(name, self.press_add_account())

    def switch_to(self, name: str) -> Page:
        page = self.chooser()
        # While no account is active, one continues as one of them.
        verb = "Switch to" if page.has_form("Switch to", name) else "Continue as"
        return self.submit(page.form(verb, name))

    def _whoami(self) -> dict[str, Any]:
        page = self.open(reverse("whoami"))
        if page.status != 200:
            raise Stuck(f"{page} does not say who is signed in")
        return json.loads(page.text)

    def _through_django(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        kind = headers.pop("content-type", "text/plain")
        # The server in front of a project takes the prefix away.
        path = path.removeprefix((settings.FORCE_SCRIPT_NAME or "").rstrip("/"))
        self._client.cookies.clear()  # we keep them ourselves, by domain and path
        send = self._client.generic
        if self.asynchronous:
            send = async_to_sync(send)
            headers.pop("host")  # that client has its own, and a header for cookies
            self._client.cookies.load(headers.pop("cookie", ""))
        response = send(method, path, body, content_type=kind, headers=headers)
        error = getattr(response, "exc_info", None)
        if error:
            self._site.troubles.append(f"{method} {path}: {error[0].__name__}: {error[1]}")
        elif response.status_code >= 400:
            self._site.troubles.append(f"{method} {path}: {response.status_code}")
        cookies = [("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values()]
        content = response.getvalue() if not response.streaming else _streamed(response)
        return response.status_code, [*response.items(), *cookies], content


def _streamed(response: Any) -> bytes:
    if response.is_async:

        async def everything() -> bytes:
            return b"".join([part async for part in response.streaming_content])

        return async_to_sync(everything)()
    return b"".join(response.streaming_content)


class Site:
    """The project as its operator sees it: users, the clock, and what went wrong."""

    def __init__(self, person: type[Person], *, ours: bool) -> None:
        self.person = person
        self.ours = ours
        self.troubles: list[str] = []
        self._patches = ExitStack()

    def browser(self, name: str = "Firefox") -> Person:
        return self.person(self, name)

    def create_users(self) -> None:
        self.create("ada")
        self.create("grace")
        self.create("root", is_superuser=True)

    def create(self, name: str, **fields: Any) -> Any:
        """Everybody is staff, so that everybody can use the admin's sign-in page."""
        users = get_user_model()._default_manager
        given = {"username": name, "email": f"{name}@example.com", "is_staff": True}
        return users.create_user(password=PASSWORD, **given, **fields)

    def user(self, name: str) -> Any:
        users = get_user_model()
        return users._default_manager.get(**{users.USERNAME_FIELD: name})

    def later(self, **delta: float) -> None:
        """Let so much time pass, for the rest of this story."""
        real, ahead = timezone.now, datetime.timedelta(**delta)
        patch = mock.patch("django.utils.timezone.now", side_effect=lambda: real() + ahead)
        self._patches.enter_context(patch)

    def end_story(self) -> None:
        self._patches.close()

    def has(self, name: str, *args: Any) -> bool:
        """Return whether the project has a page of this name."""
        try:
            return bool(reverse(name, args=args))
        except NoReverseMatch:
            return False
