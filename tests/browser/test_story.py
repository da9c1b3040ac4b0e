"""The whole story of several accounts in a browser, with and without JavaScript."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def people(ada: User, grace: User, alan: User) -> tuple[User, User, User]:
    return ada, grace, alan


class Person:
    """What somebody does at a browser. Without JavaScript some of it takes a page more."""

    def __init__(self, page: Page, *, scripts: bool) -> None:
        self.page = page
        self.scripts = scripts

    def whoami(self) -> dict[str, str | None]:
        """Asked on the side, with this browser's cookie."""
        return json.loads(self.page.request.get("/whoami").text())

    def uses(self, user: User | None) -> None:
        assert self.whoami()["user"] == (user.email if user else None)

    def open_menu(self) -> None:
        self.page.locator("[data-multisession-button] > summary").click()
        expect(self.menu.get_by_role("button", name="Sign out", exact=True)).to_be_visible()

    @property
    def menu(self):
        return self.page.locator("[data-multisession-panel]")

    def fill_in_sign_in(self, user: User, password: str = PASSWORD) -> None:
        form = self.page.locator("form:has([autocomplete=current-password]):visible")
        form.get_by_label("Password").fill(password)  # Waits until the form has arrived.
        address = form.get_by_label("E-mail address")
        if address.count():  # Who signs in again is asked for the password alone.
            address.fill(user.email)
        form.get_by_role("button", name="Sign in").click()

    def sign_in(self, user: User) -> None:
        self.page.goto("/")
        self.page.get_by_role("link", name="Sign in").first.click()
        self.fill_in_sign_in(user)
        self.is_greeted_as(user)

    def is_greeted_as(self, user: User) -> None:
        said = re.compile(f"^(You are now using {user.email}\\.|Now {user.name})$")
        expect(self.page.get_by_text(said)).to_be_visible()
        expect(self.page.get_by_role("heading", name=f"Hello, {user.name}")).to_be_visible()
        self.uses(user)

    def go_to_the_accounts(self) -> None:
        """To where the other accounts are: in the menu, or one link further."""
        self.open_menu()
        if not self.scripts:
            self.menu.get_by_role("link", name="Your accounts").click()
            expect(self.page).to_have_url(re.compile("/accounts/choose/"))

    def add_account(self, user: User) -> None:
        self.go_to_the_accounts()
        where = self.page.url
        self.page.get_by_role("button", name="Add account", exact=True).locator(
            "visible=true"
        ).click()
        if self.scripts:
            expect(self.menu.get_by_role("heading", name="Add account")).to_be_visible()
            assert self.page.url == where  # in place
        else:
            expect(self.page.get_by_role("heading", name="Add another account")).to_be_visible()
        self.fill_in_sign_in(user)
        self.is_greeted_as(user)

    def switch_to(self, user: User) -> None:
        self.go_to_the_accounts()
        self.page.get_by_role("button", name=f"Switch to {user.name}").click()
        self.is_greeted_as(user)

    def write_on_the_scratchpad(self, text: str) -> None:
        self.page.goto("/")
        self.page.get_by_label("Anything you like").fill(text)
        with self.page.expect_response(lambda answer: answer.request.method == "POST"):
            self.page.get_by_role("button", name="Save").click()
        if self.scripts:
            expect(self.page.get_by_text("Saved.")).to_be_visible()
        assert self.whoami()["note"] == text

    def add_note(self, text: str) -> None:
        self.page.goto("/")
        self.page.get_by_label("New note").fill(text)
        self.page.get_by_role("button", name="Add note").click()
        expect(self.page.get_by_role("link", name=text)).to_be_visible()

    def sees(self, *, scratchpad: str, notes: list[str]) -> None:
        self.page.goto("/")
        expect(self.page.get_by_label("Anything you like")).to_have_value(scratchpad)
        expect(self.page.locator(".rows a")).to_have_text(notes)


@pytest.fixture(params=[True, False], ids=["scripts", "no-scripts"])
def person(request, new_browser) -> Person:
    scripts = request.param
    return Person(new_browser(java_script_enabled=scripts), scripts=scripts)


def test_several_accounts_in_one_browser(person, people):
    ada, grace, alan = people
    page = person.page

    person.sign_in(ada)
    person.write_on_the_scratchpad("Ada was here")
    person.add_note("Ada's note")

    person.add_account(grace)
    person.sees(scratchpad="", notes=[])
    person.write_on_the_scratchpad("Grace was here")
    person.add_note("Grace's note")

    person.add_account(alan)
    person.sees(scratchpad="", notes=[])

    # Each finds its own things again, and nothing else.
    person.switch_to(ada)
    person.sees(scratchpad="Ada was here", notes=["Ada's note"])
    person.switch_to(grace)
    person.sees(scratchpad="Grace was here", notes=["Grace's note"])

    # Manage account is about the account in use.
    person.open_menu()
    person.menu.get_by_role("link", name="Manage account").click()
    expect(page.get_by_role("heading", name="Manage account")).to_be_visible()
    expect(page.get_by_label("E-mail address")).to_have_value(grace.email)

    # Grace signs out. Nobody is active until the person chooses; the others stay.
    person.open_menu()
    person.menu.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Choose an account")).to_be_visible()
    assert "/accounts/choose/" in page.url
    person.uses(None)
    expect(page.get_by_role("link", name=f"Sign in again as {grace.name}")).to_be_visible()
    page.get_by_role("button", name=f"Continue as {ada.name}").click()
    person.is_greeted_as(ada)
    person.sees(scratchpad="Ada was here", notes=["Ada's note"])

    # Signing in again asks for the password alone, and finds none of what the ended session held.
    page.goto("/accounts/choose/")
    page.get_by_role("button", name=f"Sign in again as {grace.name}").click()
    expect(page.locator("main [name=username][readonly]")).to_have_value(grace.email)
    person.fill_in_sign_in(grace)
    person.is_greeted_as(grace)
    person.sees(scratchpad="", notes=["Grace's note"])

    # All of them sign out, for certain.
    person.go_to_the_accounts()
    page.get_by_role("button", name="Sign out of all accounts").locator("visible=true").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    person.uses(None)
    page.goto("/accounts/choose/")
    for user in people:
        expect(page.get_by_text(user.email)).to_have_count(0)


def test_a_new_account_joins_the_others(person, people):
    ada, *_ = people
    page = person.page
    person.sign_in(ada)
    page.goto("/accounts/sign-up/")
    page.get_by_label("E-mail address").fill("edsger@example.com")
    page.get_by_label("Name").fill("Edsger Dijkstra")
    for label in ("Password", "Password confirmation"):
        page.get_by_label(label, exact=True).fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Create account").click()
    person.is_greeted_as(User.objects.get(email="edsger@example.com"))
    person.switch_to(ada)


def test_adding_an_account_cancelled_halfway(person, people):
    ada, grace, _ = people
    person.sign_in(ada)
    page = person.page
    page.goto("/accounts/choose/")
    page.get_by_role("main").get_by_role("button", name="Add account", exact=True).click()
    expect(page.get_by_role("heading", name="Add another account")).to_be_visible()
    assert person.whoami()["user"] is None
    expect(page.get_by_role("banner").get_by_role("link", name="Choose an account")).to_be_visible()
    page.get_by_role("main").get_by_role("button", name="Back to Ada Lovelace").click()
    person.is_greeted_as(ada)

    page.goto("/accounts/choose/")
    page.get_by_role("main").get_by_role("button", name="Add account", exact=True).click()
    expect(page.get_by_role("heading", name="Add another account")).to_be_visible()
    page.goto("/")
    page.get_by_role("banner").get_by_role("button", name="Back to Ada Lovelace").click()
    person.is_greeted_as(ada)
    person.add_account(grace)


def test_a_wrong_password_is_explained_where_it_was_typed(person, people, complaints):
    ada, grace, _ = people
    person.sign_in(ada)
    person.go_to_the_accounts()
    person.page.get_by_role("button", name="Add account", exact=True).locator(
        "visible=true"
    ).click()
    person.fill_in_sign_in(grace, "wrong")
    expect(person.page.get_by_text("Wrong e-mail address or password")).to_be_visible()
    password = person.page.locator("[autocomplete=current-password]:visible")
    expect(password).to_have_attribute("aria-invalid", "true")
    expect(password).to_be_focused()
    if person.scripts:
        # The browser itself notes every answer that is not a success.
        complaints.expect("status of 422")
        person.uses(ada)
    else:
        assert person.whoami()["user"] is None  # Ada has stepped aside.
    person.fill_in_sign_in(grace)
    person.is_greeted_as(grace)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_no_page_is_wider_than_its_window(new_browser, people, scheme, width):
    ada, *_ = people
    User.objects.filter(pk=ada.pk).update(name="Ada " + "Lovelace" * 12)
    page = new_browser(color_scheme=scheme, viewport={"width": width, "height": 700})
    urls = ["/", "/accounts/sign-in/", "/accounts/sign-up/", "/accounts/choose/"]

    def fits() -> bool:
        return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    for url in urls:
        page.goto(url)
        assert fits(), url
    page.goto("/accounts/sign-in/")
    Person(page, scripts=True).fill_in_sign_in(ada)
    page.wait_for_url("**/")
    for url in [*urls, "/accounts/profile/"]:
        page.goto(url)
        assert fits(), url
        Person(page, scripts=True).open_menu()
        assert fits(), f"{url} with its menu"


def test_the_admin_keeps_to_the_content_policy(new_browser, complaints, people):
    staff = User.objects.create_superuser("root@example.com", PASSWORD, name="Root")
    page = new_browser()
    page.goto("/admin/")
    page.get_by_label("E-mail address").fill(staff.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Site administration")).to_be_visible()
    for url in ("accounts/user/", f"accounts/user/{staff.pk}/change/", "accounts/user/add/"):
        page.goto(f"/admin/{url}")
        page.wait_for_load_state("networkidle")
    page.goto("/admin/multisession/session/")
    expect(page.locator("#result_list")).to_contain_text(staff.email)
    complaints.expect("autocomplete attributes")  # of Django's own forms
