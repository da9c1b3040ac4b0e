"""Pages with JavaScript libraries send requests while their account is not the active one.

Each page is written as in its library's documentation, without code for this package. The text that
the person has typed is never stored as another account. It stays in its field, and is stored as Ada
in the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from tests.strangers.packages.site import ADA
from tests.strangers.pages import person as happenings
from tests.strangers.pages.person import Person, happens

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Kind:
    """A page, and what it is."""

    name: str
    path: str
    #: Sends by itself, again and again.
    has_timer: bool = False
    #: Shows an error of its own when a save fails.
    has_error: bool = True
    #: Its script gets the project's own answer when the account is over.
    is_script: bool = True
    save: str = "#save"

    def __str__(self) -> str:
        return self.name


KINDS = (
    Kind("jquery3", "/jquery3/", has_timer=True),
    Kind("jquery4", "/jquery4/", has_timer=True),
    Kind("htmx2", "/htmx2/", has_timer=True, is_script=False),
    Kind("htmx4", "/htmx4/", has_timer=True, is_script=False),
    Kind("turbo", "/turbo/", has_error=False, is_script=False),
    Kind("turbo-frame", "/frame/", has_error=False, is_script=False),
    Kind("inertia", "/inertia/", has_timer=True, is_script=False),
    Kind("spa-fetch", "/spa/", has_timer=True),
    Kind("spa-axios", "/spa/", has_timer=True, save="#axios"),
    Kind("fetch", "/fetch/"),
)


#: One of each sort, for what the server alone has to tell apart.
SORTS = tuple(kind for kind in KINDS if kind.name in {"jquery4", "htmx4", "inertia", "spa-axios"})


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


def nothing_has_happened(person: Person, kind: Kind, typed: str) -> None:
    """What the page sends by itself opens nothing and takes nothing away."""
    if kind.has_timer:
        person.wait_for_refusals()
    expect(person.dialogs).to_have_count(0)
    expect(person.text).to_have_value(typed)


def press_save(person: Person, kind: Kind) -> None:
    person.page.locator(kind.save).click()


def is_saved(person: Person, typed: str) -> None:
    expect(person.page.locator("#status")).to_have_text(f"Saved: {typed}")
    assert person.stored(typed) == [ADA]


@happens(*happenings.LIVE)
def test_switching_back_in_place(person, kind, happening):
    typed = f"{kind}, {happening.__name__}"
    person.open(kind.path, typed)
    happening(person)
    nothing_has_happened(person, kind, typed)

    press_save(person, kind)
    expect(person.sheet).to_be_visible()
    expect(person.dialogs).to_have_count(1)
    if kind.has_error:
        assert person.error.text_content()
    expect(person.text).to_have_value(typed)
    assert person.stored(typed) == []

    person.sheet.get_by_role("button", name="Switch to ada").click()
    expect(person.dialogs).to_have_count(0)
    expect(person.notice).to_have_count(0)
    expect(person.page.locator(kind.save)).to_be_focused()
    press_save(person, kind)
    is_saved(person, typed)


@happens(happenings.expired, *happenings.OVER_BUT_GRACE)
def test_signing_in_again_in_another_tab(person, kind, happening):
    signs_in_again(person, kind, happening)


@pytest.mark.parametrize("kind", SORTS, ids=str)
@happens(happenings.revoked, happenings.signed_out)
def test_another_end_of_the_session(person, kind, happening):
    signs_in_again(person, kind, happening)


def signs_in_again(person, kind, happening):
    typed = f"{kind}, {happening.__name__}"
    person.open(kind.path, typed)
    happening(person)
    # A page that sends by itself hears of it by the answer.
    if happening not in happenings.TOLD and not kind.has_timer:
        nothing_has_happened(person, kind, typed)
        press_save(person, kind)
        if kind.is_script:
            # The project's own answer, which the page handles as it always does.
            expect(person.error).not_to_be_empty()
    expect(person.sheet).to_be_visible()
    expect(person.dialogs).to_have_count(1)
    person.sign_in_here()
    expect(person.dialogs).to_have_count(0)
    expect(person.text).to_have_value(typed)
    press_save(person, kind)
    is_saved(person, typed)
