"""The main pages in Arabic, Japanese and German: all texts are translated and fit the window."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from tests.browser.test_looks import AXE, RULES, open_menu
from tests.browser.test_menu import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

#: Where, and with how many accounts.
PAGES = [
    ("/", 3),
    ("/accounts/choose/", 3),
    ("/accounts/sign-in/", 3),
    ("/accounts/profile/", 3),
    ("/accounts/sessions/", 3),
    ("/nowhere", 3),
    ("/", 0),
    ("/accounts/choose/", 0),
    ("/accounts/sign-up/", 0),
]
#: The same word in both languages.
ALIKE = {
    "ar": set(),
    "ja": set(),
    "de": {"Name", "Status"},
}
#: What people read or hear, but for the names of the languages, and ids.
WORDS = """
() => {
  const spoken = (node) => !node.closest("script, style, noscript, option, code, .ms-avatar");
  const found = [document.title.split(" · ")[0]];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode())
    if (spoken(walker.currentNode.parentElement)) found.push(walker.currentNode.data);
  for (const name of ["aria-label", "title", "placeholder", "alt"])
    for (const node of document.querySelectorAll(`body [${name}]`))
      found.push(node.getAttribute(name));
  return found.map((text) => text.replace(/\\s+/g, " ").trim());
}
"""


def words_of(page: Page, url: str, users: list[User]) -> set[str]:
    """What stands on the page, and in its menu, that is no name or address of somebody."""
    page.goto(url)
    if users:
        open_menu(page)
        expect(page.locator("[data-multisession-panel] .ms-footer")).to_be_visible()
    names = {user.name for user in users}
    words = {text for text in page.evaluate(WORDS) if sum(map(str.isalpha, text)) > 1}
    return {text for text in words - names if not re.fullmatch(r"\S+@\S+", text)}


@pytest.fixture
def accounts(ada: User, grace: User, alan: User) -> list[User]:
    for user in (ada, grace, alan):
        user.notes.create(text="42")
    return [alan, grace, ada]


@pytest.mark.parametrize("code", ["ar", "ja", "de"])
def test_pages_speak_one_language_and_fit(new_browser, complaints, accounts, code):
    for count in (3, 0):
        english, other = new_browser(locale="en-US"), new_browser(locale=code)
        for page in (english, other):
            if count:
                sign_in(page, *accounts[-count:])
        for url in [url for url, wanted in PAGES if wanted == count]:
            users = accounts[-count:] if count else []
            original = words_of(english, url, users)
            assert len(original) > 5, url
            left = words_of(other, url, users) & original
            assert left <= ALIKE[code], url
            html = other.locator("html")
            expect(html).to_have_attribute("lang", code)
            expect(html).to_have_attribute("dir", "rtl" if code == "ar" else "ltr")
            other.set_viewport_size({"width": 320, "height": 800})
            assert other.evaluate("document.scrollingElement.scrollWidth") <= 320, url
            if url == "/":
                found = AXE.run(other, None, {"runOnly": RULES})
                assert found.violations_count == 0, found.generate_report()
            other.set_viewport_size({"width": 1280, "height": 800})
    complaints.expect("404")


def test_the_switch_works_by_keyboard_and_without_scripts(new_browser, accounts):
    page = new_browser(java_script_enabled=False)
    sign_in(page, *accounts)
    page.get_by_label("Language").focus()
    page.keyboard.type("Deu")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Hallo, Ada Lovelace")
    expect(page.get_by_label("Sprache")).to_have_value("de")
    expect(page.get_by_role("group", name="Kontobereich")).to_have_count(0)
    page.locator("[data-multisession-button] > summary").click()
    expect(page.get_by_role("button", name="Abmelden")).to_be_visible()
