"""Every page and every state of the menu: light and dark, narrow and wide, both directions.

Each is loaded once and checked in all eight combinations: axe finds no violation of WCAG 2.2 AA,
everything fits the window, and targets are large enough. Then with forced colours, without motion,
at 400 %, and with the keyboard only. No page may log anything to the console, with htmx 2 or
htmx 4. LOOKS=folder stores a screenshot of each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from axes.models import AccessAttempt
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template import RequestContext, Template
from django.test import Client
from django.urls import include, path
from django.utils import timezone
from django.utils.http import urlencode
from django.views.defaults import permission_denied, server_error
from playwright.sync_api import Page, Route, expect

from accounts.models import Membership, Note, Team, User
from config.urls import urlpatterns as demo_urls
from multisession.models import Session
from tests.browser.test_devices import FIREFOX
from tests.browser.test_menu import as_htmx_4, sign_in
from tests.conftest import PASSWORD

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls(__name__),
]

AXE = Axe()
PICTURES = os.environ.get("LOOKS", "")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
#: What can differ between two ways of looking at the same page.
RULES_OF_LOOKS = [
    "color-contrast",
    "link-in-text-block",
    "scrollable-region-focusable",
    "target-size",
]
WAYS = [
    (scheme, width, direction)
    for direction in ("ltr", "rtl")
    for width in (1280, 320)
    for scheme in ("light", "dark")
]

NAMES = [
    (
        "wolfe@example.com",
        "Wolfeschlegelsteinhausenbergerdorff Hubert Blaine the Third of Far Away",
    ),
    ("a.very.long.address.that.goes.on.and.on@department.university.example.org", "Bo"),
    ("karim@example.com", "محمد الفاتح بن عبد الرحمن"),
    ("zhang@example.cn", "张伟"),
    ("fox@example.com", "🦊 Foxy 👩‍🚀"),
    ("nameless@example.com", ""),
    ("priya@example.com", "Priya Natarajan"),
]


class State(NamedTuple):
    """A page, as somebody with so many accounts sees it, after these steps."""

    name: str
    url: str = "/"
    accounts: int = 3
    steps: Callable[[Page], Any] = lambda page: None
    #: What Chromium itself says of an answer that is no success, or of none.
    complaint: str = ""
    #: Of Django, while it is looked at.
    settings: dict[str, Any] = {}


def panel(page: Page):
    return page.locator("[data-multisession-panel]").first


def open_menu(page: Page) -> None:
    trigger = page.locator("[data-multisession-button] > summary").first
    trigger.click()
    expect(panel(page)).to_be_visible()
    # It stands there until the accounts have come.
    expect(panel(page).locator("[data-multisession-loader]")).to_have_count(0)


def answered(
    pattern: str, answer: Callable[[Route], Any], click: str = ""
) -> Callable[[Page], None]:
    """The menu while requests to a URL are answered like this; then a click on such a button."""

    def steps(page: Page) -> None:
        page.route(pattern, answer)
        if not click:
            page.locator("[data-multisession-button] > summary").click()
            return
        open_menu(page)
        panel(page).get_by_role("button", name=click).click(no_wait_after=True)

    return steps


WAITING: list[Route] = []


def never(route: Route) -> None:
    """No answer for as long as the page is open."""
    WAITING.append(route)


def failing(route: Route) -> None:
    route.fulfill(status=500, body="x")


def refusing(route: Route) -> None:
    route.fulfill(status=409, body="x")


def lost(route: Route) -> None:
    route.abort()


def problem(steps: Callable[[Page], None], text: str) -> Callable[[Page], None]:
    def and_read(page: Page) -> None:
        steps(page)
        expect(panel(page).get_by_role("alert")).to_contain_text(text)

    return and_read


def is_loaded(page: Page) -> None:
    expect(panel(page)).to_contain_text("Other accounts")


def add_account(page: Page) -> None:
    open_menu(page)
    panel(page).get_by_role("button", name="Add account", exact=True).click()
    expect(panel(page).get_by_label("E-mail address")).to_be_focused()


def add_with_a_wrong_password(page: Page) -> None:
    add_account(page)
    panel(page).get_by_label("E-mail address").fill("grace@example.com")
    panel(page).get_by_label("Password").fill("wrong")
    panel(page).get_by_role("button", name="Sign in").click()
    expect(panel(page).get_by_label("Password")).to_be_focused()
    # The form says what is wrong; the menu has nothing to add.
    expect(panel(page).locator(".ms-problem p:visible")).to_have_count(0)


def expire_active(page: Page) -> None:
    Session.objects.filter(user__email="ada@example.com").update(
        status=Session.Status.EXPIRED, expire_at=timezone.now()
    )
    open_menu(page)
    expect(panel(page)).to_contain_text("was signed out. Sign in again to continue.")


def switch_elsewhere(page: Page) -> None:
    other = page.context.new_page()
    other.goto("/accounts/choose/")
    other.get_by_role("button", name="Switch to Grace").click()
    expect(other.get_by_text("Now Grace Hopper")).to_be_visible()
    other.wait_for_load_state()  # Only then has its script told the others.
    other.close()
    page.get_by_role("button", name="Dismiss").click()


def left(page: Page) -> None:
    switch_elsewhere(page)
    open_menu(page)
    expect(panel(page)).to_contain_text("This page still shows Ada Lovelace")


def sign_out_active(page: Page) -> None:
    open_menu(page)
    panel(page).get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Choose an account")).to_be_visible()


def sign_out_and_go_home(page: Page) -> None:
    sign_out_active(page)
    page.goto("/")
    expect(page.get_by_role("banner").get_by_role("link", name="Choose an account")).to_be_visible()


def step_aside_to(url: str) -> Callable[[Page], None]:
    def steps(page: Page) -> None:
        page.goto("/accounts/choose/")
        page.get_by_role("main").get_by_role("button", name="Add account", exact=True).click()
        expect(page.get_by_role("heading", name="Add another account")).to_be_visible()
        page.goto(url)
        expect(page.get_by_role("button", name="Back to Ada Lovelace").first).to_be_visible()

    return steps


def submit(button: str, *errors: str, **fields: str) -> Callable[[Page], None]:
    def steps(page: Page) -> None:
        for name, value in fields.items():
            page.locator(f"main [name={name}]").fill(value)
        page.locator("main").get_by_role("button", name=button).last.click()
        for error in errors:
            expect(page.locator("main")).to_contain_text(error)

    return steps


def sent_as_another(page: Page) -> None:
    switch_elsewhere(page)
    page.get_by_label("New note").fill("Ada's own")
    page.get_by_role("button", name="Add note").click()
    expect(page.get_by_role("heading", name="Nothing was sent")).to_be_visible()


def from_before(page: Page) -> None:
    """A form whose token no longer fits."""
    page.get_by_role("button", name="Save").evaluate(
        "({form}) => { form.elements.csrfmiddlewaretoken.value = 'old'; form.submit(); }"
    )
    expect(page.get_by_role("heading", name="This form has expired")).to_be_visible()


def guess(page: Page) -> None:
    """The last of too many wrong passwords; the others were somebody else's."""
    AccessAttempt.objects.create(
        username="ada@example.com",
        ip_address="127.0.0.1",
        failures_since_start=10,
        attempt_time=timezone.now(),
    )
    submit("Sign in", "Too many attempts", username="ada@example.com", password="no")(page)


def use_elsewhere(page: Page) -> None:
    """Ada is signed in on two more browsers."""
    ada = {"username": "ada@example.com", "password": PASSWORD}
    for name in (FIREFOX, "an-unknown-program/1"):
        Client(headers={"user-agent": name}).post("/accounts/sign-in/", ada)
    page.goto("/accounts/sessions/")
    expect(page.get_by_text("Firefox on Windows").first).to_be_visible()


def confirm(page: Page) -> None:
    use_elsewhere(page)
    page.get_by_role("button", name="Sign out of all other browsers").click()
    expect(page.get_by_label("Password")).to_be_focused()


def confirm_wrongly(page: Page) -> None:
    confirm(page)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign out of all other browsers").click()
    expect(page.get_by_text("Wrong password.")).to_be_visible()


def read_note(page: Page, of: str = "ada@example.com") -> None:
    note = Note.objects.create(user=User.objects.get(email=of), text="Milk, flour, and a\nbook.")
    page.goto(f"/notes/{note.pk}/")


def read_note_of_another(page: Page) -> None:
    read_note(page, "grace@example.com")
    expect(page.get_by_role("button", name="Switch to Grace Hopper").first).to_be_visible()


def join_teams(page: Page, url: str = "/multisession/organizations/") -> None:
    """Ada is in two teams, and in one of them now."""
    ada = User.objects.get(email="ada@example.com")
    for slug in ("acme", "globex"):
        team = Team.objects.create(name=slug.title(), slug=slug)
        team.memberships.create(user=ada, role="owner")
    page.goto("/multisession/organizations/")
    page.get_by_role("button", name="Switch to Acme").click()
    expect(page.get_by_text("You are now using Acme.")).to_be_visible()
    page.goto(url)


def open_switcher(page: Page) -> None:
    join_teams(page, "/accounts/teams/acme/")
    page.locator(".ms-organization-switcher > summary").click()


def open_menu_of_team(page: Page) -> None:
    join_teams(page, "/")
    open_menu(page)


def sent_from_another_team(page: Page) -> None:
    join_teams(page, "/")
    ada = Session.objects.get(user__email="ada@example.com")
    Session.objects.filter(pk=ada.pk).update(organization="globex")
    page.get_by_label("New note").fill("for Acme")
    page.get_by_role("button", name="Add note").click()
    expect(page.get_by_role("button", name="Switch to Acme and send")).to_be_visible()


def sent_from_a_team_left(page: Page) -> None:
    join_teams(page, "/")
    Membership.objects.filter(team__slug="acme").delete()
    page.get_by_label("New note").fill("for Acme")
    page.get_by_role("button", name="Add note").click()
    expect(page.get_by_role("button", name="Send as Personal account")).to_be_visible()


def write_notes(page: Page) -> None:
    ada = User.objects.get(email="ada@example.com")
    for text in ("Milk", "Ein sehr langes " + "Wort" * 30, "خبز وحليب"):
        Note.objects.create(user=ada, text=text)
    page.goto("/")


def bare(tag: str) -> str:
    return f"/bare/?{urlencode({'tag': tag})}"


def page_with(request: HttpRequest) -> HttpResponse:
    """A page of the demo with nothing on it but what the test asks for."""
    html = (
        '{% extends "base.html" %}{% load multisession %}{% block title %}Bare{% endblock %}'
        "{% block user_button %}{% endblock %}"
        "{% block content %}<h1>Bare</h1><div>" + request.GET["tag"] + "</div>{% endblock %}"
    )
    return HttpResponse(Template(html).render(RequestContext(request)))


def broken(request: HttpRequest) -> HttpResponse:
    return server_error(request)


def forbidden(request: HttpRequest) -> HttpResponse:
    return permission_denied(request, PermissionDenied())


urlpatterns = [
    path("bare/", page_with),
    path("500/", broken),
    path("403/", forbidden),
    path("", include(demo_urls)),
]

ITEMS = (
    '{% user_button_with show_name=True %}{% menu_link "Billing" "/" icon="settings" %}'
    '{% menu_link "A line of words that will not fit beside its icon on a telephone" "/" '
    'icon="help" %}{% menu_action "Empty the basket" "/note" place="before" %}'
    "{% enduser_button_with %}"
)

SINGLE_SESSION = {"MULTISESSION": {**settings.MULTISESSION, "MAX_ACCOUNTS": 1}}

MENUS = [
    State("closed"),
    State("of-one", accounts=1, steps=open_menu),
    State("of-two", accounts=2, steps=open_menu),
    State("of-ten", accounts=10, steps=open_menu),
    State("loading", steps=answered("**/menu/*", never)),
    State(
        "not-loaded",
        steps=problem(answered("**/menu/*", lost), "Couldn't reach the server."),
        complaint="ERR_FAILED htmx:",
    ),
    State(
        "load-failed",
        steps=problem(answered("**/menu/*", failing), "Something went wrong"),
        complaint="500",
    ),
    State("busy", steps=answered("**/set-active/", never, "Switch to Grace")),
    State(
        "lost",
        steps=problem(
            answered("**/set-active/", lost, "Switch to Grace"), "Couldn't reach the server."
        ),
        complaint="ERR_FAILED htmx:",
    ),
    State(
        "refused",
        steps=problem(answered("**/set-active/", refusing, "Switch to Grace"), "has expired"),
        complaint="409",
    ),
    State(
        "failed",
        steps=problem(answered("**/set-active/", failing, "Switch to Grace"), "went wrong"),
        complaint="500",
    ),
    State("expired", accounts=1, steps=expire_active),
    State("left", steps=left),
    State("add-account", steps=add_account),
    State("wrong-password", steps=add_with_a_wrong_password, complaint="422"),
    State("own-lines", bare(ITEMS), steps=open_menu),
    State("of-a-team", steps=open_menu_of_team),
    State("switcher", steps=open_switcher),
    State("two", bare("{% user_button %}{% user_button show_name=True %}"), steps=open_menu),
    State("open", bare("{% user_button default_open=True %}"), accounts=2, steps=is_loaded),
    State("fetched", bare("{% user_button_mount %}"), steps=open_menu),
    State("signed-out", bare("{% user_button_mount show_name=True %}"), accounts=0),
    State("single-session", accounts=1, steps=open_menu, settings=SINGLE_SESSION),
]

PAGES = [
    State("welcome", accounts=0),
    State("sign-in", "/accounts/sign-in/", accounts=0),
    State("add-another-account", "/accounts/sign-in/", accounts=2),
    State(
        "sign-in-refused",
        "/accounts/sign-in/",
        accounts=0,
        steps=submit(
            "Sign in", "Wrong e-mail address or password", username="a@b.ch", password="no"
        ),
    ),
    State("sign-up", "/accounts/sign-up/", accounts=0),
    State(
        "sign-up-refused",
        "/accounts/sign-up/",
        accounts=0,
        steps=submit(
            "Create account",
            "too common",
            email="a@b.ch",
            password1="password",
            password2="password",
        ),
    ),
    State("choose", "/accounts/choose/", accounts=10),
    State("choose-none-active", steps=sign_out_active),
    State("choose-stepped-aside", steps=step_aside_to("/accounts/choose/")),
    State("sign-in-stepped-aside", steps=step_aside_to("/accounts/sign-in/")),
    State("welcome-stepped-aside", steps=step_aside_to("/")),
    State("welcome-none-active", steps=sign_out_and_go_home),
    State("choose-nobody", "/accounts/choose/", accounts=0),
    State("manage-account", "/accounts/profile/"),
    State(
        "manage-account-refused",
        "/accounts/profile/",
        steps=submit(
            "Change password", "incorrectly", old_password="x", new_password1="y", new_password2="z"
        ),
    ),
    State("where", "/accounts/sessions/"),
    State("history", "/multisession/sessions/history/"),
    State("where-elsewhere", steps=use_elsewhere),
    State("confirm-password", steps=confirm),
    State("confirm-password-wrong", steps=confirm_wrongly),
    State("notes", steps=write_notes),
    State("note", steps=read_note),
    State("note-of-another", steps=read_note_of_another, complaint="404"),
    State("organizations", steps=join_teams),
    State("organizations-none", "/multisession/organizations/"),
    State("new-team", "/accounts/teams/new/"),
    State("wrong-organization", steps=sent_from_another_team, complaint="409"),
    State("left-organization", steps=sent_from_a_team_left, complaint="409"),
    State("choose-single-session", "/accounts/choose/", accounts=1, settings=SINGLE_SESSION),
    State("out-of-date", steps=from_before, complaint="403"),
    State(
        "too-many-attempts",
        "/accounts/sign-in/",
        accounts=0,
        steps=guess,
        complaint="429",
        settings={"AXES_ENABLED": True},
    ),
    State("nothing-here", "/nowhere", complaint="404"),
    State("not-allowed", "/403/", complaint="403"),
    State("server-error", "/500/", complaint="500"),
    State("wrong-account", steps=sent_as_another, complaint="409"),
]


@pytest.fixture
def accounts(ada: User, grace: User, alan: User) -> list[User]:
    """In the order in which they sign in: the last is active."""
    others = [User.objects.create_user(email, PASSWORD, name=name) for email, name in NAMES]
    return [*others, alan, grace, ada]


def look_at(page: Page, state: State, within: str) -> None:
    """In all eight ways; the first time at all of the page, then ``within`` a part of it."""
    assert page.evaluate(MOVING) == [], "somebody asked for less motion"
    for number, (scheme, width, direction) in enumerate(WAYS):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate(f"document.documentElement.dir = '{direction}'")
        way = f"{state.name}, {scheme}, {width}, {direction}"
        options = {"runOnly": RULES if number == 0 else RULES_OF_LOOKS}
        found = AXE.run(page, None if number == 0 else within, options)
        assert found.violations_count == 0, f"{way}\n{found.generate_report()}"
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width, way
        assert page.evaluate(TOO_SMALL) == [], way
        if PICTURES:
            page.screenshot(path=Path(PICTURES) / f"{way}.png", full_page=True)


def look_otherwise(page: Page, state: State, within: str) -> None:
    """By keyboard forwards; with forced colours, and backwards; at 400 %; and with motion."""
    walk(page, state, "Tab", within)
    page.emulate_media(forced_colors="active")
    assert page.evaluate(WITHOUT_AN_EDGE) == [], state.name
    walk(page, state, "Shift+Tab", within)
    page.emulate_media(forced_colors="none")
    page.set_viewport_size({"width": 320, "height": 180})  # 1280×720, enlarged four times
    lines = within.replace("[open]", "[open] > [data-multisession-panel]")
    assert page.evaluate(OUT_OF_REACH, lines) == [], state.name
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(MOVING) != []


def walk(page: Page, state: State, key: str, within: str) -> None:
    """From one end to the other: each thing in the order of the page, with a ring around it."""
    expected = page.evaluate(SET_OUT, [within, key])
    for _ in expected[1:]:
        page.keyboard.press(key)
    walked = page.evaluate("walked")
    assert [name for name, _ in walked] == expected, f"{state.name}, {key}"
    assert [name for name, ring in walked if not ring] == [], f"{state.name}, {key}: no ring"


@pytest.fixture
def arrive(new_browser, complaints, accounts, settings) -> Iterator[Callable[[State], Page]]:
    """Go to a state; what Chromium has to say of it is heard at the end."""
    states: list[State] = []

    def go_there(state: State, *, htmx_4: bool = False) -> Page:
        states.append(state)
        for name, value in state.settings.items():
            setattr(settings, name, value)
        page: Page = new_browser(reduced_motion="reduce")
        page.set_viewport_size({"width": 1280, "height": 800})
        if htmx_4:
            page.context.route(
                "**/htmx-2.min*.js", lambda route: route.continue_(url=as_htmx_4(route))
            )
        if state.accounts:
            sign_in(page, *accounts[-state.accounts :], at=state.url)
        else:
            page.goto(state.url)
        state.steps(page)
        return page

    yield go_there
    while WAITING:
        WAITING.pop().fulfill(status=204)
    for state in states:
        for part in state.complaint.split():
            complaints.expect(part)


#: What is not a link within a text has to be hit by a finger.
TOO_SMALL = """
[...document.querySelectorAll("button, summary, input, .button, [class^=ms-][href]")]
  .filter((hit) => hit.checkVisibility() && !hit.ariaHidden && hit.offsetHeight < 44)
  .map((hit) => hit.outerHTML)
"""


#: ``tabbable(within)``: what Tab leads to, in the order of the page.
TABBABLE = """
const tabbable = (within) => [...document.querySelectorAll(
    "a[href], button, input:not([type=hidden]), textarea, select, summary, [tabindex]")]
  .filter((stop) => stop.closest(within) && stop.tabIndex >= 0 && stop.checkVisibility());
const nameOf = (stop) => (stop.ariaLabel || stop.innerText || stop.name || "").trim();
"""

SET_OUT = (
    "([within, key]) => {"
    + TABBABLE
    + """
  const stops = tabbable(within);
  if (key != "Tab") stops.reverse();
  window.walked = [];
  const note = ({ target }) => {
    const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(target);
    const ring = outlineStyle != "none" && parseFloat(outlineWidth) >= 2;
    walked.push([nameOf(target), ring && !outlineColor.endsWith("0, 0, 0, 0)")]);
  };
  document.activeElement.blur();
  removeEventListener("focusin", window.note);
  addEventListener("focusin", (window.note = note));
  stops[0]?.focus({ focusVisible: true });
  return stops.map(nameOf);
}"""
)

OUT_OF_REACH = (
    "(within) => {"
    + TABBABLE
    + """
  return tabbable(within).filter((stop) => {
    stop.focus();
    stop.scrollIntoView({ block: "center", behavior: "instant" });
    const { left, right, top, bottom } = stop.getBoundingClientRect();
    if (left < 0 || right > innerWidth) return true;
    const y = Math.min(Math.max((top + bottom) / 2, 1), innerHeight - 1);
    const hit = document.elementFromPoint((left + right) / 2, y);
    return !hit || !(stop.contains(hit) || hit.contains(stop));
  }).map(nameOf);
}"""
)

#: What moves by itself, or would when touched.
MOVING = """
[...document.querySelectorAll("*")]
  .flatMap((element) => ["", "::before", "::after"].map((part) => getComputedStyle(element, part)))
  .flatMap((style) => [style.transitionDuration, style.animationDuration])
  .filter((durations) => durations.split(",").some((duration) => parseFloat(duration) > 0))
"""

#: Forced colours drop grounds and shadows: then an edge has to show where something is.
WITHOUT_AN_EDGE = """
[...document.querySelectorAll(
    ".ms-badge, .ms-avatar, .ms-panel, .ms-chooser, .ms-button, " +
    ".card, .button, .badge, .message, input:not([type=hidden], [readonly]), textarea")]
  .filter((thing) => thing.checkVisibility())
  .filter((thing) => {
    const { borderBlockEndStyle: style, borderBlockEndWidth: width, borderBlockEndColor: colour } =
      getComputedStyle(thing);
    return style == "none" || parseFloat(width) < 1 || colour.endsWith("0, 0, 0, 0)");
  })
  .map((thing) => thing.outerHTML.slice(0, 200))
"""


@pytest.mark.parametrize("state", MENUS, ids=lambda state: state.name)
def test_every_state_of_the_menu_looks_right(state, arrive):
    page = arrive(state)
    look_at(page, state, within="header" if state.url == "/" else "main")
    look_otherwise(page, state, within="[data-multisession-button][open]")


@pytest.mark.parametrize("state", PAGES, ids=lambda state: state.name)
def test_every_page_looks_right(state, arrive):
    page = arrive(state)
    look_at(page, state, within="body")
    look_otherwise(page, state, within="body")


@pytest.mark.parametrize("state", [*MENUS, *PAGES], ids=lambda state: state.name)
def test_htmx_4_has_nothing_to_complain_of(state, arrive):
    """The demo ships htmx 2; everything above is seen with that."""
    found = AXE.run(arrive(state, htmx_4=True), None, {"runOnly": RULES})
    assert found.violations_count == 0, f"{state.name}\n{found.generate_report()}"
