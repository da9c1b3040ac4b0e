"""Limit the size of the scripts of a page with the menu, as a server sends them."""

import gzip
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Response, expect

from accounts.models import User
from tests.browser.test_menu import Menu, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

KILOBYTE = 1024


def scripts_of(page: Page, url: str = "/") -> dict[str, int]:
    """The bytes, compressed, of each script that the page and its opened menu ask for, by name."""
    found: dict[str, Response] = {}

    def note(response: Response) -> None:
        if response.request.resource_type == "script":
            found[PurePosixPath(urlsplit(response.url).path).name] = response

    page.on("response", note)
    page.goto(url)
    page.locator("[data-multisession-button] > summary").click()
    expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_visible()
    return {
        name: len(gzip.compress(response.body(), 9)) for name, response in sorted(found.items())
    }


def test_pages_load_no_script_where_scripts_are_off(new_browser, ada: User, grace: User):
    page = new_browser(java_script_enabled=False)
    sign_in(page, grace, ada)
    assert scripts_of(page) == {}


def test_the_menu_needs_htmx_and_under_two_kilobytes(new_browser, capsys, ada: User, grace: User):
    page = new_browser()
    sign_in(page, grace, ada)
    # What tells a page of a change in another tab is another feature, and may be left out.
    page.route("**/notice.js", lambda route: route.fulfill(body=""))
    scripts = scripts_of(page)
    scripts.pop("notice.js")
    Menu(page).is_loaded()
    with capsys.disabled():
        print(f"\n  gzip, bytes: {scripts}")  # noqa: T201
    htmx = scripts.pop("htmx-2.min.js")
    assert set(scripts) == {"user_button.js"}
    assert sum(scripts.values()) <= 1.625 * KILOBYTE
    assert htmx < 18 * KILOBYTE
