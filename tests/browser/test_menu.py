"""The UserButton in a real browser: loading, keys, focus, double clicks, with htmx 2 and 4."""

import re

import pytest
from django.template import Context, Template
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, Request, Route, expect

from accounts.models import User
from multisession.models import Session

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


class Menu:
    """A page with the menu on it, as Ada, with Grace and Alan beside her."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.button = page.locator("[data-multisession-button]")
        self.trigger = self.button.locator("> summary")
        self.panel = self.button.locator("[data-multisession-panel]")
        self.requests: list[Request] = []
        page.on("request", lambda request: self.requests.append(request))

    def requests_to(self, url: str) -> int:
        return sum(url in request.url for request in self.requests)

    def is_loaded(self) -> None:
        expect(self.panel.get_by_text("Other accounts", exact=True)).to_have_count(1)

    def open(self) -> None:
        self.trigger.click()
        self.is_loaded()

    def whoami(self) -> str | None:
        return self.page.request.get("/whoami").json()["user"]

    def focused(self) -> str:
        """The accessible name of what has the focus."""
        [line] = self.page.locator(":focus").aria_snapshot().splitlines()[:1]
        return re.findall(r'"(.*)"', line)[0]


def sign_in(page: Page, *users: User, at: str = "/") -> None:
    """Give the page's browser the cookie of one in which these users signed in, the last active."""
    browser = Client()
    for user in users:
        browser.force_login(user)
    page.goto("/whoami")  # A cookie needs an address; this one has the least on it.
    value = browser.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": value, "url": page.url}])
    page.goto(at)


@pytest.fixture(params=["htmx-2", "htmx-4"])
def page(request, new_browser, ada: User, grace: User, alan: User) -> Page:
    """The demo under the htmx that it ships with, and the same pages under the other one."""
    page = new_browser(reduced_motion="reduce")
    if request.param == "htmx-4":
        page.route("**/htmx-2.min*.js", lambda route: route.continue_(url=as_htmx_4(route)))
    sign_in(page, alan, grace, ada)
    version = page.evaluate("htmx.version")
    assert version.startswith(request.param[-1])
    # htmx 4 begins in a timer, which may come after the page's load event. Ours comes later still.
    page.evaluate("new Promise((begun) => setTimeout(begun))")
    return page


def as_htmx_4(route) -> str:
    return re.sub(r"htmx-2\.min[.\w]*\.js", "htmx-4.min.js", route.request.url)


@pytest.fixture
def menu(page: Page) -> Menu:
    return Menu(page)


class TestLoading:
    def test_nothing_is_loaded_until_somebody_comes_near(self, menu):
        menu.page.wait_for_load_state("networkidle")
        assert menu.requests_to("/menu/") == 0
        assert menu.panel.get_by_text("grace@example.com").count() == 0

    def test_hover_loads_the_accounts_once_before_the_menu_opens(self, menu):
        menu.trigger.hover()
        menu.is_loaded()
        assert not menu.panel.is_visible()
        menu.open()
        menu.trigger.click()
        menu.trigger.click()
        menu.page.wait_for_load_state("networkidle")
        assert menu.requests_to("/menu/") == 1

    def test_focus_loads_the_accounts(self, menu):
        menu.trigger.focus()
        menu.is_loaded()
        menu.page.keyboard.press("Enter")
        expect(menu.panel).to_be_visible()
        menu.page.wait_for_load_state("networkidle")
        assert menu.requests_to("/menu/") == 1

    def test_the_active_account_can_be_used_while_the_others_load(self, menu, complaints):
        menu.page.route("**/menu/*", lambda route: route.abort())
        menu.trigger.click()
        expect(menu.panel.get_by_role("button", name="Sign out", exact=True)).to_be_visible()
        menu.panel.get_by_role("link", name="Your accounts").click()
        expect(menu.page).to_have_url(re.compile("/accounts/choose/"))
        complaints.expect("ERR_FAILED")
        complaints.expect("htmx:")

    def test_after_a_lost_connection_the_accounts_are_loaded_again(self, menu, complaints):
        menu.page.route("**/menu/*", lambda route: route.abort(), times=1)
        with menu.page.expect_event("requestfailed"):
            menu.trigger.hover()
        menu.open()
        complaints.expect("ERR_FAILED")
        complaints.expect("htmx:")


class TestKeys:
    ORDER = (
        "Manage account",
        "Sign out",
        "Choose an organization",
        "Devices",
        "Your accounts",
        "Switch to Grace Hopper, grace@example.com",
        "Switch to Alan Turing, alan@example.com",
        "Add account",
        "Sign out of all accounts",
    )

    def press(self, menu: Menu, key: str) -> str:
        menu.page.keyboard.press(key)
        return menu.focused()

    def test_tab_goes_through_the_menu_in_visual_order_and_closes_it_behind(self, menu):
        menu.trigger.focus()
        menu.is_loaded()
        menu.page.keyboard.press("Enter")
        assert tuple(self.press(menu, "Tab") for _ in self.ORDER) == self.ORDER
        menu.page.keyboard.press("Tab")
        expect(menu.panel).to_be_hidden()

    def test_arrows_wrap_and_home_and_end_jump(self, menu):
        menu.trigger.focus()
        menu.is_loaded()
        assert self.press(menu, "ArrowDown") == self.ORDER[0]  # and it has opened
        assert [self.press(menu, "ArrowDown") for _ in self.ORDER] == [
            *self.ORDER[1:],
            self.ORDER[0],
        ]
        assert self.press(menu, "ArrowUp") == self.ORDER[-1]
        assert self.press(menu, "Home") == self.ORDER[0]
        assert self.press(menu, "End") == self.ORDER[-1]

    @pytest.mark.parametrize(("key", "line"), [("ArrowDown", 0), ("End", 4)])
    def test_a_key_pressed_before_the_accounts_have_arrived_keeps_its_line(self, menu, key, line):
        held = hold(menu, "**/menu/*")
        menu.trigger.focus()
        menu.page.keyboard.press("ArrowDown")
        assert self.press(menu, key) == self.ORDER[1 if key == "ArrowDown" else line]
        if key == "ArrowDown":
            assert self.press(menu, "ArrowUp") == self.ORDER[line]
        menu.page.wait_for_timeout(300)
        held.pop().continue_()
        menu.is_loaded()
        assert menu.focused() == self.ORDER[line]
        assert self.press(menu, "ArrowDown") == self.ORDER[line + 1]

    def test_typing_letters_finds_an_account_by_its_name(self, menu):
        menu.open()
        assert self.press(menu, "g") == self.ORDER[5]
        menu.page.wait_for_timeout(750)
        assert self.press(menu, "a") == self.ORDER[6]
        assert self.press(menu, "d") == self.ORDER[7]  # "ad": Add account, not Alan

    def test_escape_closes_and_gives_the_focus_back(self, menu):
        menu.open()
        self.press(menu, "End")
        menu.page.keyboard.press("Escape")
        expect(menu.panel).to_be_hidden()
        expect(menu.trigger).to_be_focused()
        expect(menu.trigger).to_have_attribute("aria-expanded", "false")

    def test_the_trigger_says_what_it_does_and_for_whom(self, menu):
        menu.trigger.focus()
        assert menu.focused() == "Open user menu: Ada Lovelace, ada@example.com"
        menu.page.keyboard.press("Enter")
        assert menu.focused() == "Close user menu: Ada Lovelace, ada@example.com"
        expect(menu.trigger).to_have_attribute("aria-expanded", "true")

    def test_a_click_elsewhere_closes_the_menu(self, menu):
        menu.open()
        menu.page.mouse.click(5, 300)
        expect(menu.panel).to_be_hidden()

    def test_do_everything_without_a_mouse(self, menu, ada, grace, alan):
        page = menu.page
        grace_row = "Switch to Grace Hopper, grace@example.com"
        page.locator("body").press("Tab")
        assert menu.focused() == "Skip to the content"
        page.keyboard.press("Tab")
        assert self.press(menu, "Tab") == "Open user menu: Ada Lovelace, ada@example.com"
        menu.is_loaded()
        page.keyboard.press("ArrowDown")
        assert self.press(menu, "g") == grace_row
        page.keyboard.press("Enter")
        expect(page.get_by_role("status").filter(has_text=f"Now {grace.name}")).to_be_focused()
        for name, leads_to in (
            ("Sign out", "Choose an account"),
            ("Continue as Ada Lovelace, ada@example.com", f"Hello, {ada.name}"),
            ("Sign out of all accounts", "You are signed out"),
        ):
            if name.startswith("Sign out"):
                expect(page.locator(".messages")).to_be_focused()
                assert self.press(menu, "Shift+Tab").startswith("Open user menu: ")
                page.keyboard.press("Enter")
                menu.is_loaded()
            while self.press(menu, "Tab") != name:
                pass
            page.keyboard.press("Enter")
            expect(page.get_by_role("heading", name=leads_to)).to_be_visible()
        assert menu.whoami() is None

    def test_keys_in_the_sign_in_form_are_for_typing(self, menu):
        menu.open()
        menu.panel.get_by_role("button", name="Add account", exact=True).click()
        field = menu.panel.get_by_label("E-mail address")
        expect(field).to_be_focused()
        field.press_sequentially("grace")
        field.press("Home")
        field.press("ArrowDown")
        expect(field).to_be_focused()
        expect(field).to_have_value("grace")


class TestActing:
    def test_a_double_click_switches_once(self, menu, grace):
        menu.open()
        menu.panel.get_by_role("button", name="Switch to Grace").dblclick()
        message = f"Now {grace.name}"
        expect(menu.page.get_by_text(message)).to_have_count(1)
        assert menu.requests_to("/set-active/") == 1
        assert menu.whoami() == grace.email

    def test_a_click_in_two_rows_makes_the_first_one_active(self, menu, grace):
        menu.open()
        held = hold(menu, "**/set-active/")
        menu.panel.get_by_role("button", name="Switch to Grace").click(no_wait_after=True)
        busy = menu.panel.locator("form[aria-busy=true]")
        expect(busy).to_have_count(1)
        second = menu.panel.get_by_role("button", name="Switch to Alan")
        second.click(force=True, no_wait_after=True)
        held.pop().continue_()
        expect(menu.page.get_by_text(f"Now {grace.name}")).to_be_visible()
        assert menu.requests_to("/set-active/") == 1

    def test_while_a_switch_is_under_way_no_key_starts_another(self, menu, grace):
        menu.open()
        held = hold(menu, "**/set-active/")
        menu.panel.get_by_role("button", name="Switch to Grace").press("Enter", no_wait_after=True)
        expect(menu.panel.locator("form[aria-busy=true]")).to_have_count(1)
        menu.panel.get_by_role("button", name="Switch to Alan").press("Enter", no_wait_after=True)
        held.pop().continue_()
        expect(menu.page.get_by_text(f"Now {grace.name}")).to_be_visible()
        assert menu.requests_to("/set-active/") == 1

    def test_sign_out_of_one_and_of_all(self, menu, alan):
        menu.open()
        menu.panel.get_by_role("button", name="Sign out", exact=True).click()
        expect(menu.page.get_by_role("heading", name="Choose an account")).to_be_visible()
        assert menu.whoami() is None
        menu.page.get_by_role("button", name="Continue as Alan").click()
        expect(menu.page.get_by_text(f"Now {alan.name}")).to_be_visible()
        assert menu.whoami() == alan.email
        menu.open()
        menu.panel.get_by_role("button", name="Sign out of all accounts").click()
        expect(menu.page.get_by_role("link", name="Sign in").first).to_be_visible()
        assert menu.whoami() is None

    def test_an_outdated_row_leads_to_the_current_list(self, menu, grace, complaints):
        menu.open()
        grace.delete()
        menu.panel.get_by_role("button", name="Switch to Grace").click()
        expect(menu.page).to_have_url(re.compile("/accounts/choose/"))
        said = menu.page.get_by_role("status").filter(has_text="no longer signed in here")
        expect(said).to_be_focused()
        expect(menu.page.get_by_role("button", name="Switch to Alan").first).to_be_visible()
        assert menu.page.get_by_role("button", name="Switch to Grace").count() == 0
        complaints.expect("404")

    def test_add_account_opens_in_place_and_goes_back(self, menu):
        menu.open()
        menu.panel.get_by_role("button", name="Add account", exact=True).click()
        expect(menu.panel.get_by_label("E-mail address")).to_be_focused()
        expect(menu.panel.get_by_role("button", name="Switch to Grace")).to_be_hidden()
        menu.panel.get_by_role("link", name="Back to your accounts").click()
        expect(menu.panel.get_by_role("button", name="Add account")).to_be_focused()
        expect(menu.panel.get_by_role("button", name="Switch to Grace")).to_be_visible()


class TestProblems:
    """Each says what happened and what to do; nothing else of the menu is lost by it."""

    LOST = "Couldn't reach the server. Check your connection and try again."
    OUT_OF_DATE = "This page has expired. Nothing was changed. Reload the page"
    FAILED = "Something went wrong on the server. Try again in a moment."

    def says(self, menu: Menu, text: str) -> None:
        expect(menu.panel.get_by_role("alert").locator("p:visible")).to_have_text([text])
        expect(menu.panel.locator("[aria-busy]")).to_have_count(0)

    def test_a_failed_action_shows_an_error_and_can_be_repeated(self, menu, grace, complaints):
        menu.open()
        switch = menu.panel.get_by_role("button", name="Switch to Grace")
        for answer, text in (
            (lambda route: route.fulfill(status=409, body="<h1>x</h1>"), self.OUT_OF_DATE),
            (lambda route: route.abort(), self.LOST),
            (lambda route: route.fulfill(status=500, body="<h1>x</h1>"), self.FAILED),
            (lambda route: route.fulfill(status=403, body="<h1>x</h1>"), self.OUT_OF_DATE),
        ):
            menu.page.route("**/set-active/", answer, times=1)
            switch.click()
            self.says(menu, text)
            expect(switch).to_be_focused()
        complaints.clear()
        switch.click()
        expect(menu.page.get_by_text(f"Now {grace.name}")).to_be_visible()
        assert menu.whoami() == grace.email

    @pytest.mark.parametrize(
        ("status", "text"), [(0, LOST), (500, FAILED), (403, OUT_OF_DATE)], ids=str
    )
    def test_a_failure_to_load_the_accounts_shows_an_error_and_can_be_repeated(
        self, status, text, menu, complaints
    ):
        answer = (lambda route: route.fulfill(status=status)) if status else Route.abort
        menu.page.route("**/menu/*", lambda route: answer(route))
        menu.trigger.click()
        self.says(menu, text)
        menu.page.unroute("**/menu/*")
        complaints.clear()
        menu.trigger.click()
        menu.open()  # again
        expect(menu.panel.get_by_role("alert").locator("p:visible")).to_have_count(0)

    def test_an_expired_account_is_shown_with_a_link_to_sign_in_again(self, menu, ada):
        Session.objects.filter(user=ada).update(status="expired", expire_at=timezone.now())
        menu.trigger.click()
        expect(menu.panel.get_by_role("status")).to_contain_text("was signed out.")
        menu.panel.get_by_role("link", name="Sign in again").click()
        expect(menu.page.locator("main [name=username][readonly]")).to_have_value(ada.email)


class TestAnotherPlace:
    """More than one button, and a page that has only a place for one."""

    def page_with(self, page: Page, html: str) -> Page:
        page.route(
            re.compile(r"/$"),
            lambda route: route.fulfill(
                response=(answer := route.fetch()),
                body=re.sub(r"<main.*</main>", f"<main>{html}</main>", answer.text(), flags=re.S),
            ),
        )
        page.goto("/")
        return page

    def test_the_mount_tag_loads_a_working_button(self, page, grace):
        mount = "<div class=ms-mount hx-get=/multisession/button/ hx-trigger=load "
        self.page_with(page, mount + "hx-target=this hx-swap=outerHTML></div>")
        button = page.locator("main [data-multisession-button]")
        button.locator("> summary").focus()
        page.keyboard.press("ArrowDown")
        button.get_by_role("button", name="Switch to Grace").press("Enter")
        expect(page.get_by_role("heading", name="Hello")).to_have_count(0)
        expect(page.locator("main summary")).to_contain_text("Open user menu: Grace Hopper")

    @pytest.mark.parametrize("status", [0, 500])
    def test_a_place_to_which_no_button_comes_leads_to_the_accounts(self, page, complaints, status):
        held: list[Route] = []
        page.route(re.compile("/button/"), lambda route: held.append(route))
        tag = "{% load multisession %}{% user_button_mount show_name=True %}"
        self.page_with(page, Template(tag).render(Context()))
        link = page.locator("main").get_by_role("link", name="Accounts")
        page.wait_for_timeout(700)
        expect(link).to_be_hidden()  # as long as an answer may come
        [route] = held
        route.fulfill(status=status) if status else route.abort()
        link.click()
        expect(page).to_have_url(re.compile("/accounts/choose/"))
        complaints.clear()

    def test_the_mount_tag_links_to_the_chooser_without_scripts(self, new_browser, ada):
        page = new_browser(java_script_enabled=False)
        sign_in(page, ada)
        tag = "{% load multisession %}{% user_button_mount %}"
        self.page_with(page, Template(tag).render(Context()))
        page.locator("main").get_by_role("link", name="Accounts").click()
        expect(page).to_have_url(re.compile("/accounts/choose/"))

    def test_only_one_of_two_menus_is_open_at_a_time(self, page):
        mount = "<div class=ms-mount hx-get=/multisession/button/ hx-trigger=load "
        self.page_with(page, mount + "hx-target=this hx-swap=outerHTML></div>")
        first, second = page.locator("header details"), page.locator("main details")
        second.locator("> summary").click()
        expect(second.get_by_text("Other accounts", exact=True)).to_be_visible()
        first.locator("> summary").click()
        expect(first.get_by_text("Other accounts", exact=True)).to_be_visible()
        expect(second.locator("[data-multisession-panel]")).to_be_hidden()
        page.keyboard.press("Escape")
        expect(first.locator("[data-multisession-panel]")).to_be_hidden()
        expect(first.locator("> summary")).to_be_focused()

    def test_a_menu_that_begins_open_has_its_accounts_and_escape_closes_it(self, page):
        """Or that somebody opened before htmx had come."""
        closed = "data-multisession-button"
        page.route(
            re.compile(r"/$"),
            lambda route: route.fulfill(
                response=(answer := route.fetch()),
                body=answer.text().replace(closed, f"{closed} open"),
            ),
        )
        menu = Menu(page)
        page.goto("/")
        menu.is_loaded()
        assert menu.requests_to("/menu/") == 1
        page.keyboard.press("Escape")
        expect(menu.panel).to_be_hidden()
        expect(menu.trigger).to_be_focused()


def hold(menu: Menu, url: str) -> list[Route]:
    """Requests to it wait here until they are let go."""
    held: list[Route] = []
    menu.page.route(url, lambda route: held.append(route))
    return held


class TestLooks:
    @pytest.mark.parametrize("width", [320, 1280])
    @pytest.mark.parametrize(
        "corner", ["top left", "top right", "bottom left", "bottom right", "top", "bottom"]
    )
    def test_wherever_the_button_is_its_panel_turns_to_where_there_is_room(
        self, menu, width, corner
    ):
        menu.page.set_viewport_size({"width": width, "height": 700})
        menu.page.evaluate(
            """(corner) => {
              const { style } = document.querySelector("[data-multisession-button]");
              style.position = "fixed";
              style.insetInlineStart = "45vw";
              for (const side of corner.split(" ")) style[side] = "4px";
              if (corner.includes("right")) style.left = "auto";
            }""",
            corner,
        )
        menu.open()
        panel, button = menu.panel.bounding_box(), menu.trigger.bounding_box()
        assert panel is not None
        assert button is not None
        assert panel["x"] >= 0
        assert panel["x"] + panel["width"] <= width
        assert panel["y"] >= 0
        assert panel["y"] + panel["height"] <= 700
        above, below = panel["y"] + panel["height"], button["y"] + button["height"]
        assert above <= button["y"] if "bottom" in corner else below <= panel["y"]

    @pytest.mark.parametrize("direction", ["ltr", "rtl"])
    @pytest.mark.parametrize("width", [320, 1280])
    def test_the_panel_stays_in_the_window_and_is_easy_to_hit(self, menu, width, direction):
        menu.page.set_viewport_size({"width": width, "height": 700})
        menu.page.evaluate(f"document.documentElement.dir = '{direction}'")
        menu.open()
        box = menu.panel.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= 700
        for target in [menu.trigger, *menu.panel.locator("a:visible, button:visible").all()]:
            size = target.bounding_box()
            assert size is not None
            assert min(size["width"], size["height"]) >= 44
