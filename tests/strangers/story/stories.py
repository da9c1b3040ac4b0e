"""The stories that run in every project.

A story is a generator of steps: (the subject, what was seen, what is right). It runs in
every project of ``projects/``, also under Django's own sessions; ``@story(ours=True)`` is for
what those do not have, such as a second account.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.apps import apps
from django.conf import settings
from django.core import mail
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from .browser import Page
from .person import PASSWORD, Person, Site

Step = tuple[str, Any, Any]
Steps = Iterator[Step]


@dataclass(frozen=True)
class Story:
    tell: Callable[[Site], Steps]
    ours: bool
    #: Names of pages without which there is nothing to tell.
    needs: tuple[str, ...]


STORIES: dict[str, Story] = {}


def story(*, ours: bool = False, needs: tuple[str, ...] = (), name: str = "") -> Any:
    def keep(tell: Callable[[Site], Steps]) -> Callable[[Site], Steps]:
        STORIES[name or tell.__name__] = Story(tell, ours, needs)
        return tell

    return keep


# In, out, and in again


@story()
def sign_in_out_and_in_again(site: Site) -> Steps:
    browser = site.browser()
    yield "at first", browser.who(), None
    page = browser.sign_in("ada")
    yield "signed in", (page.status, browser.who()), (200, "ada")
    yield "greeted", "Hello ada" in browser.home().text, True
    for time in ("once", "twice"):
        page = browser.sign_out()
        yield f"signed out {time}", (page.status, browser.who()), (200, None)
        page = browser.sign_in("ada")
        yield f"signed in again, {time}", (page.status, browser.who()), (200, "ada")


@story()
def sign_out_and_in_as_another(site: Site) -> Steps:
    browser = site.browser()
    browser.sign_in("ada")
    browser.write_note("of ada")
    browser.sign_out()
    browser.sign_in("grace")
    yield "signed in", browser.who(), "grace"
    yield "note", browser.note(), ""
    yield "greeted", "Hello grace" in browser.home().text, True


@story(needs=("admin:login", "admin:logout"))
def sign_in_out_and_in_again_in_the_admin(site: Site) -> Steps:
    browser = site.browser()
    admin = reverse("admin:index")
    for time in ("once", "twice"):
        page = browser.sign_in("root", browser.open(admin))
        yield f"signed in {time}", (page.status, browser.who()), (200, "root")
        page = browser.submit(browser.open(admin).form(reverse("admin:logout")))
        yield f"signed out {time}", (page.status, browser.who()), (200, None)


@story()
def a_wrong_password(site: Site) -> Steps:
    browser = site.browser()
    page = browser.sign_in("ada", password="wrong")
    yield "refused", browser.who(), None
    page = browser.sign_in("ada", page if page.has_form("password") else None)
    yield "signed in from the same page", (page.status, browser.who()), (200, "ada")


@story()
def two_sign_in_pages_opened_as_nobody(site: Site) -> Steps:
    browser = site.browser()
    tab_1, tab_2 = browser.sign_in_page(), browser.sign_in_page()
    page = browser.sign_in("ada", tab_1)
    yield "the first", (page.status, browser.who()), (200, "ada")
    page = browser.sign_in("grace", tab_2)
    yield "the second", (page.status, browser.who()), (200, "grace")


@story()
def a_sign_in_page_that_was_open_before(site: Site) -> Steps:
    browser = site.browser()
    old = browser.sign_in_page()
    browser.sign_in("ada")
    browser.sign_out()
    page = browser.sign_in("ada", old)
    yield "signed in", (page.status, browser.who()), (200, "ada")


@story()
def a_visitor_takes_along_what_he_has(site: Site) -> Steps:
    browser = site.browser()
    home = browser.home()
    if not home.has_form("note"):
        return  # a site for members only
    browser.write_note("basket", home)
    yield "as a visitor", browser.note(), "basket"
    browser.sign_in("ada")
    yield "signed in", (browser.who(), browser.note()), ("ada", "basket")
    browser.sign_out()
    yield "signed out", (browser.who(), browser.note()), (None, "")


# The session ends without a sign-out


def expire(site: Site) -> None:
    site.later(days=15)


def revoke(site: Site) -> None:
    if site.ours:
        user = str(site.user("ada").pk)
        call_command("revokesessions", user=user, interactive=False, stdout=io.StringIO())
    else:
        apps.get_model("sessions.Session").objects.all().delete()


def change_password(site: Site) -> None:
    user = site.user("ada")
    user.set_password(f"{PASSWORD}!")
    user.save()


def deactivate(site: Site) -> None:
    user = site.user("ada")
    user.is_active = False
    user.save()


def delete(site: Site) -> None:
    site.user("ada").delete()


ENDS = {
    "expired": expire,
    "revoked": revoke,
    "password_changed": change_password,
    "deactivated": deactivate,
    "deleted": delete,
}


def tell_how_it_ends(how: str) -> None:
    end = ENDS[how]
    password = f"{PASSWORD}!" if how == "password_changed" else PASSWORD

    def may_come_back(site: Site) -> None:
        if how == "deactivated":
            user = site.user("ada")
            user.is_active = True
            user.save()
        if how == "deleted":
            site.create("ada")

    def signed_in(site: Site) -> Person:
        browser = site.browser()
        browser.sign_in("ada")
        browser.home()  # its forms, and the token in them, are ada's
        return browser

    @story(name=f"{how}_then_sign_in")
    def then_sign_in(site: Site) -> Steps:
        browser = signed_in(site)
        end(site)
        yield "nobody", browser.who(), None
        if how in ("deactivated", "deleted"):
            browser.sign_in("ada")
            yield "refused", browser.who(), None
            may_come_back(site)
            yield "let in again", browser.who(), None
        page = (
            browser.sign_in("ada", password=password) if browser.who() is None else browser.home()
        )
        yield "signed in again", (page.status, browser.who()), (200, "ada")
        page = browser.write_note("new")
        yield "writes", (page.status, browser.note()), (200, "new")

    @story(name=f"{how}_then_sign_in_as_another")
    def as_another(site: Site) -> Steps:
        browser = signed_in(site)
        end(site)
        # Straight to the sign-in page: nothing else tells the browser that ada has gone.
        page = browser.sign_in("grace")
        yield "signed in", (page.status, browser.who()), (200, "grace")
        browser.sign_out()
        yield "signed out", browser.who(), None

    @story(name=f"{how}_then_the_admin", needs=("admin:login",))
    def then_the_admin(site: Site) -> Steps:
        browser = signed_in(site)
        end(site)
        page = browser.sign_in("root", browser.open(reverse("admin:login")))
        yield "signed in", (page.status, browser.who()), (200, "root")

    @story(name=f"{how}_then_forgot_password", needs=("password_reset",))
    def then_forgot_password(site: Site) -> Steps:
        browser = signed_in(site)
        end(site)
        page = browser.open(reverse("password_reset"))
        page = browser.submit(page.form("email"), email="grace@example.com")
        yield "sent", (page.status, len(mail.outbox)), (200, 1)
        (link,) = re.findall(r"https?://[^/]+(\S+)", mail.outbox[0].body)
        page = browser.open(link)
        new = {"new_password1": "a fresh start 7", "new_password2": "a fresh start 7"}
        page = browser.submit(page.form("new_password1"), **new)
        page = browser.sign_in("grace", password="a fresh start 7")
        yield "signed in with it", (page.status, browser.who()), (200, "grace")


for how in ENDS:
    tell_how_it_ends(how)


@story()
def a_form_that_was_open_when_the_session_was_revoked(site: Site) -> Steps:
    browser = site.browser()
    browser.sign_in("ada")
    page = browser.home()
    revoke(site)
    page = browser.write_note("of whom?", page)
    yield "the answer", page.status, 403 if settings.CSRF_USE_SESSIONS else 409
    yield "the note of nobody", browser.note(), ""
    browser.sign_in("ada")
    yield "the note of ada", browser.note(), ""


# One's own account


@story()
def changing_ones_own_password(site: Site) -> Steps:
    if not site.has("password_change"):
        return
    browser = site.browser()
    browser.sign_in("ada")
    elsewhere = site.browser("Chrome")
    elsewhere.sign_in("ada")
    page = browser.open(reverse("password_change"))
    new = {"new_password1": "a fresh start 7", "new_password2": "a fresh start 7"}
    page = browser.submit(page.form("new_password1"), old_password=PASSWORD, **new)
    yield "still signed in", (page.status, browser.who()), (200, "ada")
    yield "elsewhere", elsewhere.who(), None
    page = browser.write_note("new")
    yield "writes", (page.status, browser.note()), (200, "new")


def tell_how_it_leaves(button: str, name: str) -> None:
    @story(name=f"{name}_ones_own_account")
    def leave(site: Site) -> Steps:
        browser = site.browser()
        browser.sign_in("ada")
        page = browser.submit(browser.home().form(button))
        yield "the answer", (page.status, browser.who()), (200, None)
        if apps.is_installed("django.contrib.messages"):
            yield "the message", "Your account is closed." in page.text, True
        page = browser.sign_in("ada")
        yield "closed", browser.who(), None
        page = browser.sign_in("grace")
        yield "signed in as another", (page.status, browser.who()), (200, "grace")

    @story(name=f"{name}_one_of_two_accounts", ours=True)
    def leave_one(site: Site) -> Steps:
        browser = site.browser()
        browser.sign_in("grace")
        browser.add_account("ada")
        page = browser.submit(browser.home().form(button))
        yield "the answer", (page.status, browser.who()), (200, None)
        if apps.is_installed("django.contrib.messages"):
            yield "the message", "Your account is closed." in page.text, True
        yield "who stays", browser.accounts(), ["grace"]
        page = browser.switch_to("grace")
        yield "goes on", (page.status, browser.who()), (200, "grace")


for button, name in [
    ("Delete my account", "delete"),
    ("Deactivate my account", "deactivate"),
    ("Delete and sign out", "delete_and_log_out"),
]:
    tell_how_it_leaves(button, name)


def tell_how_it_is_cleared(button: str, name: str) -> None:
    @story(name=f"{name}_as_a_sign_out")
    def cleared(site: Site) -> Steps:
        browser = site.browser()
        browser.sign_in("ada")
        page = browser.submit(browser.home().form(button))
        yield "signed out", (page.status, browser.who()), (200, None)
        page = browser.sign_in("ada")
        yield "signed in again", (page.status, browser.who()), (200, "ada")

    @story(name=f"{name}_as_a_sign_out_of_one", ours=True)
    def cleared_one(site: Site) -> Steps:
        browser = site.browser()
        browser.sign_in("grace")
        browser.add_account("ada")
        page = browser.submit(browser.home().form(button))
        yield "nobody is active", (page.status, browser.who()), (200, None)
        yield "who stays", browser.accounts(), ["grace"]
        page = browser.switch_to("grace")
        yield "goes on", (page.status, browser.who()), (200, "grace")


for button, name in [("Clear", "clear"), ("Flush", "flush"), ("Pop", "pop")]:
    tell_how_it_is_cleared(button, name)


# Several accounts


@story(ours=True)
def add_an_account(site: Site) -> Steps:
    browser = site.browser()
    browser.sign_in("ada")
    browser.write_note("of ada")
    page = browser.press_add_account()
    yield "the sign-in page", page.status, 200
    yield "nobody is active", (browser.who(), browser.accounts()), (None, ["ada"])
    page = browser.sign_in("grace", page)
    yield "added", (page.status, browser.who()), (200, "grace")
    yield "accounts", browser.accounts(), ["ada", "grace"]
    yield "the note of grace", browser.note(), ""
    yield "greeted", "Hello grace" in browser.home().text, True
    browser.switch_to("ada")
    yield "the note of ada", browser.note(), "of ada"


@story(ours=True)
def cancel_half_way_then_add(site: Site) -> Steps:
    browser = site.browser()
    browser.sign_in("ada")
    browser.press_add_account()
    page = browser.submit(browser.home_or_chooser().form("Back to", "ada"))
    yield "back", (page.status, browser.who()), (200, "ada")
    browser.press_add_account()
    page = browser.submit(browser.chooser().form("ada"))
    yield "back by the chooser", (page.status, browser.who()), (200, "ada")
    page = browser.add_account("grace")
    yield "added", (page.status, browser.who()), (200, "grace")
    yield "accounts", browser.accounts(), ["ada", "grace"]


@story(ours=True)
def a_wrong_password_while_adding(site: Site) -> Steps:
    browser = site.browser()
    browser.sign_in("ada")
    page = browser.press_add_account()
    page = browser.sign_in("grace", page, password="wrong")
    yield "refused", (browser.who(), browser.accounts()), (None, ["ada"])
    page = browser.sign_in("grace", page if page.has_form("password") else None)
    yield "added", (page.status, browser.who()), (200, "grace")


@story(ours=True)
def add_in_two_tabs(site: Site) -> Steps:
    browser = site.browser()
    browser.sign_in("ada")
    tab_1 = browser.press_add_account()
    tab_2 = browser.sign_in_page()
    browser.sign_in("grace", tab_1)
    page = browser.sign_in("root", tab_2)
    yield "the second", (page.status, browser.who()), (200, "root")
    yield "accounts", browser.accounts(), ["ada", "grace", "root"]


@story(ours=True)
def sign_in_again_as_one_who_is_here(site: Site) -> Steps:
    browser = site.browser()
    browser.sign_in("ada")
    browser.write_note("of ada")
    browser.add_account("grace")
    page = browser.add_account("ada")
    yield "signed in", (page.status, browser.who()), (200, "ada")
    yield "accounts", browser.accounts(), ["ada", "grace"]
    yield "the note", browser.note(), "of ada"


def with_two(site: Site) -> Person:
    browser = site.browser()
    browser.sign_in("ada")
    browser.write_note("of ada")
    browser.add_account("grace")
    return browser


@story(ours=True)
def switch(site: Site) -> Steps:
    browser = with_two(site)
    for name, other in (("ada", "grace"), ("grace", "ada")):
        page = browser.switch_to(name)
        yield f"to {name}", (page.status, browser.who()), (200, name)
        yield f"greeted as {name}", f"Hello {name}" in browser.home().text, True
        yield f"the menu of {name}", browser.menu().has_form("Switch to", other), True
        yield f"{name} writes", browser.write_note(f"by {name}").status, 200
        yield f"the note of {name}", browser.note(), f"by {name}"


@story(ours=True)
def a_form_of_another_account(site: Site) -> Steps:
    browser = with_two(site)
    page = browser.home()
    browser.switch_to("ada")
    answer = browser.write_note("of grace", page)
    yield "refused", answer.status, 409
    yield "nothing was written", browser.note(), "of ada"
    answer = browser.submit(answer.form("Switch to", "send"))
    yield "sent", (answer.status, browser.who(), browser.note()), (200, "grace", "of grace")


@story(ours=True)
def sign_out_of_one_by_the_projects_page(site: Site) -> Steps:
    browser = with_two(site)
    page = browser.sign_out()
    yield "nobody is active", (page.status, browser.who()), (200, None)
    yield "who stays", browser.accounts(), ["ada"]
    yield "the button", browser.home_or_chooser().has_link("Choose an account"), True
    page = browser.switch_to("ada")
    yield "goes on", (page.status, browser.who(), browser.note()), (200, "ada", "of ada")
    page = browser.sign_out()
    yield "nobody is left", (browser.who(), browser.accounts()), (None, [])
    page = browser.sign_in("grace")
    yield (
        "signed in again",
        (page.status, browser.who(), browser.accounts()),
        (200, "grace", ["grace"]),
    )


@story(ours=True)
def sign_out_of_one_by_the_menu(site: Site) -> Steps:
    browser = with_two(site)
    page = browser.submit(browser.menu().form("Sign out", "/sign-out/"))
    yield "nobody is active", (page.status, browser.who()), (200, None)
    yield "who stays", browser.accounts(), ["ada"]
    page = browser.sign_in("grace")
    yield "signed in again", (page.status, browser.who()), (200, "grace")
    page = browser.submit(browser.chooser().form("Sign out of", "ada"))
    yield (
        "of the other",
        (page.status, browser.who(), browser.accounts()),
        (200, "grace", ["grace"]),
    )


@story(ours=True)
def sign_out_of_all(site: Site) -> Steps:
    browser = with_two(site)
    page = browser.submit(browser.menu().form("Sign out of all accounts"))
    yield "signed out", (page.status, browser.who(), browser.accounts()), (200, None, [])
    page = browser.sign_in("ada")
    yield "signed in again", (page.status, browser.who(), browser.accounts()), (200, "ada", ["ada"])
    yield "a fresh session", browser.note(), ""


@story(ours=True)
def one_of_two_is_revoked(site: Site) -> Steps:
    browser = with_two(site)
    browser.switch_to("ada")
    revoke(site)
    yield "nobody is active", (browser.who(), browser.accounts()), (None, ["grace"])
    page = browser.sign_in("ada")
    yield "signed in again", (page.status, browser.who()), (200, "ada")
    yield "accounts", browser.accounts(), ["ada", "grace"]


# The lists


@story(ours=True)
def where_one_is_signed_in(site: Site) -> Steps:
    browser, elsewhere = site.browser("Firefox"), site.browser("Chrome")
    browser.sign_in("ada")
    elsewhere.sign_in("ada")
    page = browser.open(reverse("multisession:sessions"))
    yield "the page", page.status, 200
    yield "this browser", "Firefox on Linux" in page.text, True
    yield "the other", page.has_form("Sign out of Chrome on Linux"), True
    page = browser.submit(page.form("Sign out of Chrome on Linux"))
    yield "signed out there", (page.status, elsewhere.who(), browser.who()), (200, None, "ada")


@story(ours=True, needs=("admin:multisession_session_changelist",))
def what_administrators_see(site: Site) -> Steps:
    browser, office = site.browser("Firefox"), site.browser("Chrome")
    browser.sign_in("ada")
    office.sign_in("root", office.open(reverse("admin:login")))
    base = reverse("admin:multisession_session_changelist")
    pk = quote(str(site.user("ada").pk))
    page = office.open(base)
    yield "the list", (page.status, _rows(page)), (200, 2)
    page = office.open(f"{base}?user={pk}")
    yield "of one user", (page.status, _rows(page)), (200, 1)
    page = office.open(f"{base}?q=ada")
    yield "found", (page.status, _rows(page)), (200, 1)
    page = office.open(office.open(base).link_to("/change/"))
    yield "one of them", (page.status, "sess_" in page.text), (200, True)
    page = office.open(reverse("admin:multisession_event_changelist"))
    yield "the trail", (page.status, page.text.count("igned in") >= 2), (200, True)
    page = office.open(reverse("admin:multisession_session_export_csv"))
    rows = list(csv.DictReader(io.StringIO(page.text)))
    yield "the CSV", (page.status, len(rows)), (200, 2)
    page = office.open(reverse("admin:multisession_session_export_json"))
    yield "the JSON", (page.status, page.text.count('"sess_')), (200, 2)
    page = office.open(f"{base}?user={pk}")
    page = office.open(office.open(page.link_to("/change/")).link("Revoke…"))
    page = office.submit(page.form("Revoke 1 session"))
    yield "revoked", (page.status, browser.who()), (200, None)


def _rows(page: Page) -> int:
    return len(set(re.findall(r"/session/(\d+)/change/", page.text)))


@story(ours=True, needs=("admin:index",))
def an_administrator_deletes_who_is_signed_in(site: Site) -> Steps:
    user = site.user("ada")
    delete = f"admin:{user._meta.app_label}_{user._meta.model_name}_delete"
    if not site.has(delete, user.pk):
        return
    browser, office = site.browser("Firefox"), site.browser("Chrome")
    browser.sign_in("ada")
    office.sign_in("root", office.open(reverse("admin:login")))
    page = office.open(reverse(delete, args=[user.pk]))
    page = office.submit(page.form("sure"))
    yield "deleted", (page.status, browser.who()), (200, None)
    out = io.StringIO()
    call_command("listsessions", user=str(user.pk), json=True, stdout=out)
    yield "the sessions", json.loads(out.getvalue())["total_count"], 0


@story(ours=True)
def what_programs_see(site: Site) -> Steps:
    browser = site.browser()
    browser.sign_in("ada")
    pk = str(site.user("ada").pk)
    secret = _told("multisession_keys", "create", "my script", "--scope", "revoke").strip()
    bearer = {"authorization": f"Bearer {secret}"}
    program = site.browser("curl")
    url = f"{reverse('multisession_api:session_list')}?user_id=user_{quote(pk)}&paginated=true"
    page = program.send("GET", url, headers=bearer)
    yield "the API", page.status, 200
    found = json.loads(page.text)
    yield "how many", (found["total_count"], len(found["data"])), (1, 1)
    now = timezone.now().timestamp() * 1000
    first = found["data"][0]
    yield "signed in just now", abs(now - first["created_at"]) < 60_000, True
    yield "active just now", abs(now - first["last_active_at"]) < 120_000, True
    two_weeks = 14 * 24 * 60 * 60 * 1000
    yield "for two weeks", abs(first["expire_at"] - now - two_weeks) < 120_000, True
    revoke = reverse("multisession_api:revoke", args=[first["id"]])
    page = program.send("POST", revoke, headers=bearer)
    yield "revoked", (page.status, browser.who()), (200, None)


@story(ours=True)
def what_a_terminal_shows(site: Site) -> Steps:
    browser = site.browser()
    browser.sign_in("ada")
    pk = str(site.user("ada").pk)
    yield "listsessions", "1 of 1" in _told("listsessions", user=pk), True
    yield "as JSON", json.loads(_told("listsessions", user=pk, json=True))["total_count"], 1
    _told("clearsessions")
    yield "after clearsessions", browser.who(), "ada"
    _told("revokesessions", user=pk, interactive=False)
    yield "after revokesessions", browser.who(), None
    site.later(days=100)
    _told("clearsessions")
    total = json.loads(_told("listsessions", user=pk, json=True))["total_count"]
    yield "a hundred days later", total, 0


def _told(command: str, *args: Any, **options: Any) -> str:
    out = io.StringIO()
    call_command(command, *args, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


# The installation


@story(ours=True)
def what_check_says(site: Site) -> Steps:
    """After the README's lines ``check`` has nothing to say, but about messages in a cookie."""
    out = io.StringIO()
    call_command("check", stdout=out, stderr=out)
    alarms = set(re.findall(r"multisession\.\w+", out.getvalue()))
    named = {"multisession.W001"} if "cookie" in settings.MESSAGE_STORAGE else set()
    yield "what it names", sorted(alarms ^ named), []
    yield (
        "migrations",
        _told("makemigrations", "multisession", check_changes=True, dry_run=True, verbosity=0),
        "",
    )


@story(ours=True)
def names_in_the_menu(site: Site) -> Steps:
    browser = with_two(site)
    for name, page in (
        ("button", browser.home()),
        ("menu", browser.menu()),
        ("chooser", browser.chooser()),
        ("devices", browser.open(reverse("multisession:sessions"))),
    ):
        yield name, (page.status, "grace" in page.text, "None" in page.text), (200, True, False)
