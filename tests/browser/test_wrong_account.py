"""Two tabs of one browser: Ada's page sends requests while Grace is active."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from playwright.sync_api import Locator, Page, Route, expect

from accounts.models import Note, User
from multisession.models import Session
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def sign_in(page: Page, *users: User, at: str = "/") -> None:
    """Give the page's browser the cookie of one in which these users signed in, the last active."""
    browser = Client()
    for user in users:
        browser.force_login(user)
        browser.get("/whoami")
    page.goto("/whoami")
    value, site = browser.cookies["sessionid"].value, page.evaluate("origin")
    page.context.add_cookies([{"name": "sessionid", "value": value, "url": site}])
    page.goto(at)


def new_tab(page: Page, url: str = "/accounts/choose/") -> Page:
    tab = page.context.new_page()
    tab.goto(url)
    return tab


def switch(tab: Page, user: User) -> None:
    """In this tab, by the page on which one chooses."""
    tab.goto("/accounts/choose/")
    name = re.escape(user.name).replace("/", r"\/")
    tab.get_by_role("button", name=re.compile(f"(Switch to|Continue as) {name}")).click()
    expect(tab.get_by_role("heading", name=f"Hello, {user.name}")).to_be_visible()


def sign_out(tab: Page, user: User) -> None:
    tab.goto("/accounts/choose/")
    tab.get_by_role("button", name=f"Sign out of {user.name}").click()
    expect(tab.get_by_role("link", name=f"Sign in again as {user.name}")).to_be_visible()


def fill_in_password(tab: Page) -> None:
    form = tab.locator("main form:has([autocomplete=current-password])")
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_text("You are now using")).to_be_visible()


def whoami(page: Page) -> str | None:
    return page.request.get("/whoami").json()["user"]


def written() -> list[tuple[str, str]]:
    """All that was written in either place, and whose it became."""
    notes = list(Note.objects.values_list("user__email", "text"))
    for session in Session.objects.accounts().live().select_related("user"):
        if text := session.get_decoded().get("note"):
            notes.append((session.user.email, text))
    return notes


# Ways to send something from a page.


def by_form(page: Page, text: str) -> None:
    page.get_by_label("New note").fill(text)
    page.get_by_role("button", name="Add note").click()


def by_htmx(page: Page, text: str) -> None:
    page.get_by_label("Anything you like").fill(text)
    page.get_by_role("button", name="Save").click()


COOKIE = "document.cookie.match(/csrftoken=(\\w+)/)[1]"
OF_THE_PAGE = 'document.querySelector("[name=csrfmiddlewaretoken]").value'

#: What a page's own script does when its button is pressed.
FETCH = """fetch(new Request("/notes/", {
    method: "post", body: new URLSearchParams({text}), headers: {"X-CSRFToken": %s},
}))"""
REQUEST = """new Promise(resolve => {
    const request = new XMLHttpRequest();
    request.open("POST", "notes/");
    request.setRequestHeader("X-CSRFToken", %s);
    request.onload = () => resolve(request);
    request.send(new URLSearchParams({text}));
})"""


def by_button(page: Page, text: str, send: str) -> None:
    """Press a button whose script sends what is typed; the first time it is put into the page."""
    if not page.locator("#own").count():
        page.evaluate(
            f"""() => {{
                const button = document.createElement("button");
                Object.assign(button, {{id: "own", type: "button", textContent: "Save it"}});
                document.querySelector("main").append(button);
                button.addEventListener("click", async () => {{
                    const text = document.querySelector("[name=text]").value;
                    const answer = await {send};
                    button.dataset.status = answer.status;
                }});
            }}"""
        )
        page.get_by_label("New note").fill(text)
    page.get_by_role("button", name="Save it").click()


def by_fetch(page: Page, text: str) -> None:
    """With the token that the page carries."""
    by_button(page, text, FETCH % OF_THE_PAGE)


def by_fetch_and_cookie(page: Page, text: str) -> None:
    """With the token that the cookie has at this moment: the newer account's."""
    by_button(page, text, FETCH % COOKIE)


def by_xhr_and_cookie(page: Page, text: str) -> None:
    by_button(page, text, REQUEST % COOKIE)


#: These leave the page where it is.
IN_PLACE = [by_htmx, by_fetch, by_fetch_and_cookie, by_xhr_and_cookie]


@contextmanager
def executed(page: Page) -> Iterator[None]:
    """Wait for the answer to what is sent in this block: it is no refusal.

    What the page shows is no sign of that where it shows the same as before.
    """
    with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        yield
    assert answered.value.status < 400


def refusal(page: Page) -> Locator:
    return page.locator("[data-multisession-wrong-account]")


@pytest.fixture(params=IN_PLACE, ids=lambda way: way.__name__)
def send(request, settings) -> Callable[[Page, str], None]:
    # Other projects' scripts may read it; the demo's need not.
    settings.CSRF_COOKIE_HTTPONLY = False
    return request.param


@pytest.fixture
def page(new_browser, ada: User, grace: User) -> Page:
    """Ada's page, with Grace signed in beside her."""
    page = new_browser(reduced_motion="reduce")
    sign_in(page, grace, ada)
    return page


#: Where something else lies over the open panel.
IN_FRONT = """() => {
  const panel = document.querySelector("[data-multisession-panel]");
  const { left, right, top, bottom } = panel.getBoundingClientRect();
  const faults = [];
  for (let x = left + 9; x < right - 8; x += 20)
    for (let y = top + 9; y < bottom - 8; y += 20)
      if (!panel.contains(document.elementFromPoint(x, y))) faults.push([x, y]);
  return faults;
}"""


class TestAForm:
    """A navigation: the answer is a page, and what was typed is in it."""

    def test_a_refused_form_can_be_sent_after_a_switch(self, page, ada, grace, complaints):
        switch(new_tab(page), grace)
        by_form(page, "from Ada's page")
        card = refusal(page)
        expect(card).to_contain_text(f"This page belongs to {ada.name}, {ada.email}.")
        expect(card).to_contain_text(f"You are now using {grace.name}, {grace.email}.")
        button = card.get_by_role("button", name=f"Switch to {ada.name} and send")
        expect(button).to_be_focused()
        expect(refusal(page)).to_have_count(1)
        assert written() == []
        assert whoami(page) == grace.email
        button.click()
        expect(page.get_by_role("heading", name=f"Hello, {ada.name}")).to_be_visible()
        assert written() == [(ada.email, "from Ada's page")]
        assert whoami(page) == ada.email
        complaints.expect("409")

    @pytest.mark.parametrize("scripts", [True, False])
    def test_a_refused_form_is_sent_once_if_its_button_is_pressed_twice(
        self, new_browser, ada, grace, complaints, scripts
    ):
        page = new_browser(java_script_enabled=scripts, reduced_motion="reduce")
        sign_in(page, grace, ada)
        switch(new_tab(page), grace)
        by_form(page, "from Ada's page")
        refusal(page).get_by_role("button", name="and send").dblclick()
        outcome = page.get_by_role("heading", name=re.compile(f"Hello, {ada.name}|Already sent"))
        expect(outcome).to_be_visible()
        page.goto("/")
        assert written() == [(ada.email, "from Ada's page")]
        complaints.expect("409")

    def test_a_refused_form_is_sent_once_if_pressed_again_after_going_back(
        self, page, ada, grace, complaints
    ):
        switch(new_tab(page), grace)
        by_form(page, "from Ada's page")
        button = refusal(page).get_by_role("button", name="and send")
        fields = button.locator("xpath=ancestor::form").evaluate(
            "form => [form.getAttribute('action'), [...new FormData(form)]]"
        )
        button.click()
        expect(page.get_by_role("heading", name=f"Hello, {ada.name}")).to_be_visible()
        page.evaluate(
            """([action, fields]) => {
                const form = document.createElement("form");
                Object.assign(form, {action, method: "post"});
                for (const [name, value] of fields) {
                    const field = document.createElement("input");
                    Object.assign(field, {type: "hidden", name, value});
                    form.append(field);
                }
                document.body.append(form);
                form.submit();
            }""",
            fields,
        )
        expect(page.get_by_role("heading", name="Already sent")).to_be_visible()
        page.get_by_role("link", name="Continue").click()
        expect(page.get_by_role("heading", name=f"Hello, {ada.name}")).to_be_visible()
        assert written() == [(ada.email, "from Ada's page")]
        complaints.expect("409")

    def test_a_refused_form_is_sent_once_if_reloaded_after_going_back(
        self, page, ada, grace, complaints
    ):
        switch(new_tab(page), grace)
        by_form(page, "from Ada's page")
        refusal(page).get_by_role("button", name="and send").click()
        expect(page.get_by_role("link", name="from Ada's page")).to_be_visible()
        page.go_back()
        page.reload()
        expect(page.get_by_role("heading", name=f"Hello, {ada.name}")).to_be_visible()
        assert written() == [(ada.email, "from Ada's page")]
        complaints.expect("409")

    def test_a_refused_form_can_be_discarded(self, page, grace, complaints):
        switch(new_tab(page), grace)
        by_form(page, "from Ada's page")
        refusal(page).get_by_role("link", name="Discard").click()
        expect(page.get_by_role("heading", name=f"Hello, {grace.name}")).to_be_visible()
        expect(refusal(page)).to_have_count(0)
        assert written() == []
        complaints.expect("409")

    def test_sign_in_again_in_another_tab_and_send(self, page, ada, complaints):
        Session.objects.get(user=ada).revoke()
        by_form(page, "from Ada's page")
        card = refusal(page)
        expect(card).to_contain_text("No account is active.")
        tab = new_tab(page, "/accounts/sign-in/")
        fill_in_password(tab)
        assert written() == []
        card.get_by_role("button", name=f"Send as {ada.name}").click()
        expect(page.get_by_role("heading", name=f"Hello, {ada.name}")).to_be_visible()
        assert written() == [(ada.email, "from Ada's page")]
        complaints.expect("409")

    def test_a_form_sent_before_the_sign_in_is_kept(self, page, ada, complaints):
        Session.objects.get(user=ada).revoke()
        by_form(page, "from Ada's page")
        # The sign-in form comes above the button and moves it.
        expect(refusal(page).get_by_label("Password")).to_be_focused()
        refusal(page).get_by_role("button", name=f"Send as {ada.name}").click()
        expect(refusal(page)).to_contain_text(f"{ada.name} is not signed in yet.")
        fill_in_password(new_tab(page, "/accounts/sign-in/"))
        refusal(page).get_by_role("button", name=f"Send as {ada.name}").click()
        expect(page.get_by_role("link", name="from Ada's page")).to_be_visible()
        assert written() == [(ada.email, "from Ada's page")]
        complaints.expect("409")

    def test_a_form_is_kept_when_the_cookies_are_gone(self, page, ada, complaints):
        page.context.clear_cookies(name="sessionid")
        by_form(page, "from Ada's page")
        card = refusal(page)
        expect(card).to_contain_text("an account that is no longer signed in here")
        form = card.locator("form:has([type=password])")
        form.get_by_label("E-mail address").fill(ada.email)
        form.get_by_label("Password").fill(PASSWORD)
        form.get_by_role("button", name="Sign in").click()
        expect(card.get_by_role("button", name=f"Send as {ada.name}")).to_be_visible()
        assert written() == []
        card.get_by_role("button", name=f"Send as {ada.name}").click()
        expect(page.get_by_role("link", name="from Ada's page")).to_be_visible()
        assert written() == [(ada.email, "from Ada's page")]
        complaints.expect("409")

    @pytest.mark.parametrize("way", [by_form, by_htmx], ids=["form", "htmx"])
    def test_a_refused_form_is_sent_as_its_account_without_scripts(
        self, new_browser, ada, grace, complaints, way
    ):
        page = new_browser(java_script_enabled=False)
        sign_in(page, grace, ada)
        switch(new_tab(page), grace)
        way(page, "from Ada's page")
        expect(refusal(page)).to_contain_text("Nothing was sent")
        assert written() == []
        refusal(page).get_by_role("button", name=f"Switch to {ada.name} and send").click()
        expect(page.get_by_role("heading", name=f"Hello, {ada.name}")).to_be_visible()
        assert written() == [(ada.email, "from Ada's page")]
        complaints.expect("409")


def typed(page: Page) -> list[str]:
    return [
        page.get_by_label("New note").input_value(),
        page.get_by_label("Anything you like").input_value(),
    ]


class TestAScript:
    """The page stays with all that was typed: the way back leads through a sheet on top of it."""

    def test_switch_here_and_press_again(self, page, send, ada, grace, complaints):
        switch(new_tab(page), grace)
        send(page, "from Ada's page")
        sheet = refusal(page)
        expect(sheet).to_contain_text(f"This page belongs to {ada.name}, {ada.email}.")
        assert sheet.evaluate("sheet => sheet.matches('dialog:modal')")
        expect(sheet.get_by_role("button", name=f"Switch to {ada.name}")).to_be_focused()
        assert written() == []
        before = typed(page)
        assert "from Ada's page" in before
        sheet.get_by_role("button", name=f"Switch to {ada.name}").click()
        expect(sheet).to_have_count(0)
        assert typed(page) == before
        assert whoami(page) == ada.email
        assert written() == []
        with executed(page):
            send(page, "from Ada's page")
        expect(refusal(page)).to_have_count(0)
        page.goto("/")
        assert written() == [(ada.email, "from Ada's page")]
        complaints.expect("409")

    @pytest.mark.parametrize("how", ["Escape", "Keep editing"])
    def test_a_sheet_without_notice_js_closes_as_well(
        self, new_browser, ada, grace, complaints, how
    ):
        page = new_browser(reduced_motion="reduce")
        page.route("**/notice*.js", lambda route: route.fulfill(body=""))
        sign_in(page, grace, ada)
        switch(new_tab(page), grace)
        by_htmx(page, "from Ada's page")
        sheet = page.locator("dialog.ms-wrong-account")
        expect(sheet).to_be_visible()
        if how == "Escape":
            page.keyboard.press("Escape")
        else:
            sheet.get_by_role("button", name=how).click()
        expect(sheet).to_be_hidden()
        expect(page.get_by_label("Anything you like")).to_have_value("from Ada's page")
        complaints.expect("409")

    @pytest.mark.parametrize("how", ["Escape", "Keep editing"])
    def test_keep_editing_closes_the_sheet_and_keeps_the_text(
        self, page, send, grace, complaints, how
    ):
        switch(new_tab(page), grace)
        send(page, "from Ada's page")
        sheet = refusal(page)
        expect(sheet).to_be_visible()
        before = typed(page)
        if how == "Escape":
            page.keyboard.press("Escape")
        else:
            sheet.get_by_role("button", name=how).click()
        expect(sheet).to_have_count(0)
        assert typed(page) == before
        own = page.get_by_role("button", name="Save")
        expect(own.and_(page.locator(":focus"))).to_have_count(1)
        assert whoami(page) == grace.email
        assert written() == []
        complaints.expect("409")

    def test_sign_in_again_in_another_tab(self, page, ada, complaints):
        Session.objects.get(user=ada).revoke()
        by_htmx(page, "from Ada's page")
        sheet = refusal(page)
        expect(sheet).to_contain_text("Nothing was sent")
        fill_in_password(new_tab(page, "/accounts/sign-in/"))
        # The sheet has heard of it.
        expect(sheet).to_have_count(0)
        with executed(page):
            by_htmx(page, "from Ada's page")
        expect(refusal(page)).to_have_count(0)
        page.goto("/")
        assert written() == [(ada.email, "from Ada's page")]
        complaints.expect("409")

    def test_a_script_of_an_ended_account_gets_the_projects_own_answer(self, page, ada, complaints):
        Session.objects.get(user=ada).revoke()
        by_fetch(page, "from Ada's page")
        # The demo redirects to its sign-in page, as a stock project does; fetch follows.
        expect(page.locator("#own")).to_have_attribute("data-status", "200")
        cover = page.locator("dialog.ms-cover")
        expect(cover).to_contain_text(f"{ada.name}, {ada.email} was signed out.")
        fill_in_password(new_tab(page, "/accounts/sign-in/"))
        expect(cover).to_have_count(0)
        assert "from Ada's page" in typed(page)
        with executed(page):
            by_fetch(page, "from Ada's page")
        expect(page.locator("#own")).to_have_attribute("data-status", "200")
        page.goto("/")
        assert written() == [(ada.email, "from Ada's page")]

    def test_json_is_answered_in_json(self, page, grace, complaints):
        name = "<section data-multisession-wrong-account><img src=x onerror=alert(1)></section>"
        User.objects.filter(pk=grace.pk).update(name=name)
        grace.refresh_from_db()
        switch(new_tab(page), grace)
        answer = page.evaluate(
            """() => fetch("/notes/", {
                method: "POST",
                body: "{}",
                headers: {"Content-Type": "application/json"},
            }).then(async answer => [answer.status, await answer.json()])"""
        )
        assert answer[0] == 409
        assert answer[1]["error"] == "wrong_account"
        expect(refusal(page)).to_have_count(0)
        complaints.expect("409")


class TestInTheBackground:
    """Nobody pressed anything: a timer, a poll, a preview. Nothing opens; the notice says it."""

    PING = """() => fetch("/notes/", {
        method: "POST", body: new URLSearchParams({text: "ping"}),
    }).then(answer => answer.status)"""

    def test_a_refused_background_request_opens_no_sheet_and_shows_one_notice(
        self, page, grace, complaints
    ):
        switch(new_tab(page), grace)
        expect(notice(page)).to_be_visible()
        notice(page).get_by_role("button", name="Dismiss").click()
        page.wait_for_timeout(600)  # That was a click; a moment later it is over.
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        assert [page.evaluate(self.PING) for _ in range(3)] == [409] * 3
        page.wait_for_timeout(300)
        expect(refusal(page)).to_have_count(0)
        assert len([url for url in asked if "/notice/" in url]) <= 1
        complaints.expect("409")

    def test_a_ping_beside_a_click_into_a_field_opens_nothing(self, page, grace, complaints):
        switch(new_tab(page), grace)
        field = page.get_by_label("New note")
        field.evaluate(
            f"field => field.addEventListener('focus', () => setTimeout({self.PING}, 50))"
        )
        with page.expect_response("**/notes/") as answered:
            field.click()
        assert answered.value.status == 409
        page.wait_for_timeout(300)
        expect(refusal(page)).to_have_count(0)
        expect(field).to_be_focused()
        complaints.expect("409")

    def test_a_ping_beside_a_click_on_a_button_opens_nothing(self, page, grace, complaints):
        """It has been seen to be sent by itself."""
        page.evaluate(self.PING)
        switch(new_tab(page), grace)
        button = page.get_by_role("button", name="Save")
        button.evaluate(
            f"button => button.addEventListener('pointerdown', () => setTimeout({self.PING}, 250))"
        )
        page.route("**/note", lambda route: route.fulfill(status=204))
        with page.expect_response("**/notes/") as answered:
            button.click()
        assert answered.value.status == 409
        page.wait_for_timeout(300)
        expect(refusal(page)).to_have_count(0)
        complaints.expect("403")  # The first had no token.
        complaints.expect("409")

    def test_a_beacon_from_the_page_writes_nothing(self, page, grace, complaints):
        switch(new_tab(page), grace)
        with page.expect_response("**/notes/") as answered:
            page.evaluate(
                f"""() => {{
                    const data = new FormData();
                    data.append("csrfmiddlewaretoken", {OF_THE_PAGE});
                    data.append("text", "beacon");
                    navigator.sendBeacon("/notes/", data);
                }}"""
            )
        assert answered.value.status == 409
        assert answered.value.headers["content-type"].startswith("application/json")
        expect(refusal(page)).to_have_count(0)
        assert written() == []
        complaints.expect("409")


class TestUnderHtmx:
    """With the configuration that htmx has by itself: version 2 shows nothing of a 409."""

    @pytest.mark.parametrize("version", ["2", "4"])
    @pytest.mark.parametrize("script", ["notice.js", "no script of ours"])
    def test_the_refusal_is_shown_once(self, new_browser, ada, grace, complaints, version, script):
        if (version, script) == ("2", "no script of ours"):
            pytest.skip(
                "Then htmx 2 shows nothing of a 409 but by its configuration, as the demo's."
            )
        page = new_browser(reduced_motion="reduce")
        if version == "4":
            page.route(
                "**/htmx-2.min*.js",
                lambda route: route.continue_(
                    url=re.sub(r"htmx-2\.min[.\w]*\.js", "htmx-4.min.js", route.request.url)
                ),
            )
        if script != "notice.js":
            page.route("**/notice*.js", lambda route: route.fulfill(body=""))
        sign_in(page, grace, ada)
        if version == "2":
            page.evaluate(
                """htmx.config.responseHandling = [
                    {code: "204", swap: false},
                    {code: "[23]..", swap: true},
                    {code: "[45]..", swap: false, error: true},
                ]"""
            )
        switch(new_tab(page), grace)
        by_htmx(page, "from Ada's page")
        card = refusal(page)
        expect(card.get_by_role("button", name="Switch to")).to_be_visible()
        page.wait_for_timeout(300)
        expect(card).to_have_count(1)
        expect(page.get_by_label("Anything you like")).to_have_value("from Ada's page")
        assert written() == []
        card.get_by_role("button", name="Switch to").click()
        expect(card).to_have_count(0)
        with executed(page):
            page.get_by_role("button", name="Save").click()
        page.goto("/")
        assert written() == [(ada.email, "from Ada's page")]
        complaints.expect("409")


def test_the_admins_change_form_of_another_account_is_refused(
    new_browser, ada, grace, alan, complaints
):
    User.objects.filter(pk__in=[ada.pk, grace.pk]).update(is_staff=True, is_superuser=True)
    page = new_browser(reduced_motion="reduce")
    sign_in(page, grace, ada, at=f"/admin/accounts/user/{alan.pk}/change/")
    expect(page.locator("#user-tools")).to_contain_text(ada.get_short_name())
    switch(new_tab(page), grace)
    expect(notice(page)).to_contain_text(f"You are now using {grace.name}")
    page.get_by_label("Name").fill("Alan Mathison Turing")
    page.get_by_role("button", name="Save", exact=True).click()
    card = refusal(page)
    expect(card).to_contain_text(f"This page belongs to {ada.name}")
    alan.refresh_from_db()
    assert alan.name == "Alan Turing"
    assert not LogEntry.objects.exists()
    card.get_by_role("button", name=f"Switch to {ada.name} and send").click()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    alan.refresh_from_db()
    assert alan.name == "Alan Mathison Turing"
    assert [entry.user for entry in LogEntry.objects.all()] == [ada]
    complaints.expect("409")


def test_the_admins_sign_in_says_who_is_active(new_browser, ada, grace):
    grace.is_staff = grace.is_superuser = True
    grace.save()
    page = new_browser()
    sign_in(page, ada)
    tab = new_tab(page, "/admin/")
    tab.get_by_label("E-mail address").fill(grace.email)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Log in").click()
    expect(tab.locator("#user-tools")).to_contain_text(grace.get_short_name())
    expect(notice(page)).to_contain_text(f"You are now using {grace.name}")


def notice(page: Page) -> Locator:
    return page.locator("[data-multisession-said]")


class TestTheNotice:
    def test_the_notice_after_a_switch_can_reload_the_page(self, page, ada, grace):
        switch(new_tab(page), grace)
        said = notice(page)
        expect(said).to_contain_text(
            f"You are now using {grace.name}, {grace.email} in another tab."
        )
        expect(said).to_have_role("status")
        said.get_by_role("link", name=f"Reload as {grace.name}").click()
        expect(page.get_by_role("heading", name=f"Hello, {grace.name}")).to_be_visible()
        expect(notice(page)).to_have_count(0)

    def test_the_notice_after_a_switch_can_switch_back(self, page, ada, grace):
        page.goto("/accounts/profile/?a=1&b=ü")
        tab = new_tab(page)
        switch(tab, grace)
        page.evaluate("window.stayed = true")
        notice(page).get_by_role("button", name=f"Switch back to {ada.name}").click()
        expect(notice(page)).to_have_count(0)
        assert page.evaluate("window.stayed"), "The page was loaded anew."
        assert whoami(page) == ada.email
        expect(notice(tab)).to_contain_text(f"You are now using {ada.name}")

    def test_the_notice_is_shown_after_an_account_was_added(self, page, alan):
        tab = new_tab(page, "/accounts/sign-in/")
        tab.locator("main").get_by_label("E-mail address").fill(alan.email)
        fill_in_password(tab)
        expect(notice(page)).to_contain_text(f"You are now using {alan.name}")

    def test_the_notice_is_shown_on_a_page_without_an_account(self, new_browser, ada):
        page = new_browser(reduced_motion="reduce")
        page.goto("/")
        tab = new_tab(page, "/accounts/sign-in/")
        tab.locator("main").get_by_label("E-mail address").fill(ada.email)
        fill_in_password(tab)
        said = notice(page)
        expect(said).to_contain_text(f"You are now using {ada.name}")
        expect(said.get_by_role("button", name="Switch back")).to_have_count(0)
        said.get_by_role("link", name=f"Reload as {ada.name}").click()
        expect(page.get_by_role("heading", name=f"Hello, {ada.name}")).to_be_visible()

    def test_the_notice_goes_when_the_account_is_back(self, page, ada, grace):
        tab = new_tab(page)
        switch(tab, grace)
        expect(notice(page)).to_have_count(1)
        switch(tab, ada)
        expect(notice(page)).to_have_count(0)

    @pytest.mark.parametrize(
        "event",
        [
            'document.dispatchEvent(new Event("visibilitychange", {bubbles: true}))',
            'dispatchEvent(new PageTransitionEvent("pagehide", {persisted: true})),'
            'dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}))',
        ],
        ids=["coming-to-the-front", "out-of-the-back-forward-cache"],
    )
    def test_the_notice_is_shown_as_the_page_loads(self, page, ada, grace, event):
        """Of what no tab has announced. Dismissed, it stays so until something changes."""
        expect(notice(page)).to_have_count(0)
        # By a browser's other program, which has no page to announce it.
        page.request.post(
            "/multisession/set-active/",
            form={
                "session": Session.objects.get(user=grace).public_id,
                "csrfmiddlewaretoken": page.evaluate(OF_THE_PAGE),
            },
        )
        page.evaluate(event)
        expect(notice(page)).to_contain_text(f"You are now using {grace.name}")
        notice(page).get_by_role("button", name="Dismiss").click()
        expect(notice(page)).to_be_hidden()
        with page.expect_response("**/notice/*"):
            page.evaluate(event)
        page.wait_for_timeout(200)
        expect(notice(page)).to_be_hidden()
        expect(notice(page)).to_have_count(1)
        # And it goes on listening.
        switch(new_tab(page), ada)
        expect(notice(page)).to_have_count(0)

    def test_the_same_notice_is_not_drawn_again(self, page, grace):
        """It may have the focus, or be about to be clicked."""
        tab = new_tab(page)
        switch(tab, grace)
        link = notice(page).get_by_role("link", name="Reload as")
        link.focus()
        with page.expect_response("**/notice/*"):
            page.evaluate('document.dispatchEvent(new Event("visibilitychange", {bubbles: true}))')
        page.wait_for_timeout(200)
        expect(link).to_be_focused()

    @pytest.mark.parametrize("width", [320, 1280])
    def test_the_notice_does_not_cover_the_open_menu(self, page, grace, width):
        page.set_viewport_size({"width": width, "height": 800})
        page.locator("[data-multisession-button] > summary").click()
        panel = page.locator("[data-multisession-panel]")
        expect(panel).to_contain_text("Other accounts")
        row = panel.get_by_role("link", name="Manage account")
        row.focus()
        switch(new_tab(page), grace)
        expect(notice(page).get_by_role("link", name="Reload as")).to_have_count(1)
        page.bring_to_front()
        assert page.evaluate(IN_FRONT) == []
        expect(row).to_be_focused()
        page.keyboard.press("Escape")
        expect(notice(page).get_by_role("link", name="Reload as")).to_be_visible()

    def test_asks_nothing_while_nothing_happens(self, page, ada, grace):
        asked = []
        page.wait_for_load_state("networkidle")
        page.on("request", lambda request: asked.append(request.url))
        tab = new_tab(page, "/")
        tab.goto("/accounts/profile/")
        assert asked == []
        switch(tab, grace)
        expect(notice(page)).to_have_count(1)
        by_form(tab, "Grace's note")
        expect(tab.get_by_role("link", name="Grace's note")).to_be_visible()
        for url in ("/", "/accounts/profile/", "/"):
            tab.goto(url)
        page.wait_for_timeout(200)
        assert [url for url in asked if "/notice/" not in url] == []
        assert len(asked) == 1

    def test_a_page_that_took_long_to_load_hides_no_later_change(self, page, ada, grace):
        """It says whose it is when it is there, and that may be over by then."""
        tab = new_tab(page)
        switch(tab, grace)
        tab.goto("/accounts/choose/")
        notice(page).get_by_role("button", name="Switch back").click()
        expect(notice(page)).to_have_count(0)
        other = new_tab(page)
        with page.expect_response("**/notice/*"):
            tab.evaluate(
                """new BroadcastChannel("multisession").postMessage(
                    document.querySelector("[data-multisession-page]").dataset.multisessionPage
                )"""
            )
        expect(notice(page)).to_have_count(0)
        other.get_by_role("button", name=f"Switch to {grace.name}").click()
        expect(notice(page)).to_contain_text(f"You are now using {grace.name}")

    def test_the_notice_comes_after_a_sheet_that_the_browser_has_not_yet_called_closed(
        self, page, ada, grace, complaints
    ):
        """In a tab behind another one the event waits until somebody looks at it."""
        page.evaluate("addEventListener('close', event => event.stopImmediatePropagation(), true)")
        tab = new_tab(page)
        switch(tab, grace)
        by_htmx(page, "written in the back")
        # Neither the refusal nor the sheet, both of which are answered about now.
        with page.expect_response("**/set-active/"):
            refusal(page).get_by_role("button", name="Switch to").click()
        switch(tab, grace)
        expect(notice(page)).to_contain_text(f"You are now using {grace.name}")
        complaints.expect("409")

    def test_the_sheet_of_a_click_opens_though_the_page_asks_for_a_notice_meanwhile(
        self, page, grace, complaints
    ):
        """As when a timer of the page is refused just after the click."""
        switch(new_tab(page), grace)
        expect(notice(page)).to_be_visible()
        held: list[Route] = []
        page.route(re.compile("/notice/.*refused"), lambda route: held.append(route))
        with page.expect_request(re.compile("/notice/.*refused")):
            by_htmx(page, "clicked")
        with page.expect_response("**/notice/*"):
            page.evaluate('document.dispatchEvent(new Event("visibilitychange", {bubbles: true}))')
        held[0].continue_()
        expect(refusal(page)).to_be_visible()
        complaints.expect("409")

    def test_the_notice_is_silent_without_a_connection(self, page, grace, complaints):
        page.route("**/notice/*", lambda route: route.abort(), times=1)
        tab = new_tab(page)
        switch(tab, grace)
        page.wait_for_timeout(300)
        expect(notice(page)).to_have_count(0)
        page.evaluate('document.dispatchEvent(new Event("visibilitychange", {bubbles: true}))')
        expect(notice(page)).to_be_visible()
        complaints.expect("ERR_FAILED")


class TestTheScriptAndOthers:
    """It stands between other scripts and the network, and must not be noticed there."""

    def headers(self, page: Page, script: str) -> dict[str, str]:
        with page.expect_request("**/echo*") as sent:
            page.evaluate(f"() => {{ {script} }}")
        return sent.value.headers

    @pytest.fixture
    def page(self, page):
        page.route("**/echo*", lambda route: route.fulfill(body="{}"))
        return page

    @pytest.mark.parametrize(
        "script",
        [
            'fetch("/echo", {method: "POST"})',
            'fetch("echo", {method: "delete", headers: {"X-Own": "1"}})',
            'fetch(new URL("/echo", location), {method: "PUT", headers: [["X-Own", "1"]]})',
            'fetch(new Request("/echo", {method: "PATCH", headers: {"X-Own": "1"}, body: "b"}))',
            'fetch(new Request("/echo"), {method: "POST", headers: new Headers({"X-Own": "1"})})',
            'const x = new XMLHttpRequest(); x.open("post", "echo"); '
            'x.setRequestHeader("X-Own", "1"); x.send("b")',
            'const x = new XMLHttpRequest(); x.open("PUT", new URL("/echo", location), true); '
            "x.responseType = 'json'; x.send()",
        ],
    )
    def test_an_unsafe_call_says_whose_page_it_is(self, page, ada, script):
        headers = self.headers(page, script)
        assert headers["x-multisession-page"] == Session.objects.get(user=ada).public_id
        assert headers.get("x-own", "1") == "1"

    @pytest.mark.parametrize(
        "script",
        [
            'fetch("/echo")',
            'fetch(new Request("/echo"))',
            'fetch("/echo", {method: "head"})',
            'fetch("https://other.example/echo", {method: "POST", mode: "no-cors"})',
            'fetch(new Request("//other.example/echo", {method: "POST", mode: "no-cors"}))',
            'const x = new XMLHttpRequest(); x.open("GET", "/echo"); x.send()',
            'const x = new XMLHttpRequest(); x.open("POST", "https://other.example/echo"); '
            "x.onerror = () => {}; x.send()",
        ],
    )
    def test_requests_to_other_sites_carry_no_header_of_ours(self, page, script, complaints):
        # The demo's content policy would not let these out at all.
        page.route(
            "**/",
            lambda route: route.fulfill(
                response=(found := route.fetch()),
                headers={
                    name: value
                    for name, value in found.headers.items()
                    if name != "content-security-policy"
                },
            ),
        )
        page.goto("/")
        assert "x-multisession-page" not in self.headers(page, script)
        complaints.clear()

    def test_a_mistake_in_a_call_is_the_callers_to_handle(self, page):
        caught = page.evaluate(
            """async () => {
                const found = [];
                for (const given of [["http://["], [], ["/echo", {method: "B AD"}]])
                    await fetch(...given).catch(error => found.push(error.name));
                try { new XMLHttpRequest().open("POST", "http://["); }
                catch (error) { found.push(error.name); }
                return found;
            }"""
        )
        assert caught == ["TypeError", "TypeError", "TypeError", "SyntaxError"]

    def test_a_foreign_answer_is_never_put_into_the_page(self, page, complaints):
        """A redirect of ours may end at another site that says the same words."""
        page.route(
            "**/echo*",
            lambda route: route.fulfill(
                status=409,
                headers={
                    "X-Multisession": "wrong-account",
                    "Access-Control-Allow-Origin": "*",
                    "Access-Control-Expose-Headers": "*",
                },
                body="<section data-multisession-wrong-account>evil</section>",
            ),
        )
        shown = page.evaluate(
            """async () => {
                const own = Object.getOwnPropertyDescriptor(Response.prototype, "url");
                const url = {configurable: true, get: () => "https://evil.example/"};
                Object.defineProperty(Response.prototype, "url", url);
                await fetch("/echo", {method: "POST"});
                await new Promise(resolve => setTimeout(resolve, 250));
                Object.defineProperty(Response.prototype, "url", own);
                return document.body.textContent.includes("evil");
            }"""
        )
        assert shown is False
        complaints.expect("409")

    def test_a_plain_get_carries_no_header_of_ours(self, page):
        """Redirected to another site, it would have to be allowed there."""
        for script in ('fetch("/echo")', 'fetch("/echo", {headers: {"X-Own": "1"}})'):
            assert not [name for name in self.headers(page, script) if "multisession" in name]
        script = 'const x = new XMLHttpRequest(); x.open("GET", "/echo"); x.send()'
        assert not [name for name in self.headers(page, script) if "multisession" in name]

    @pytest.mark.parametrize(
        "script",
        [
            'fetch("/echo", {headers: {"HX-Request": "true"}})',
            'const x = new XMLHttpRequest(); x.open("GET", "/echo"); '
            'x.setRequestHeader("HX-Request", "true"); x.send()',
        ],
    )
    def test_a_get_of_htmx_says_that_nobody_caused_it(self, page, script):
        assert self.headers(page, script)["x-multisession-background"] == "true"

    def test_a_request_may_be_the_second_argument_of_fetch(self, page):
        with page.expect_request("**/echo*") as sent:
            page.evaluate(
                'fetch("/echo", new Request("/other", {method: "PUT", body: "b", '
                'headers: {"X-Own": "1"}, referrerPolicy: "no-referrer"})).then(() => null)'
            )
        assert sent.value.method == "PUT"
        assert sent.value.headers["x-own"] == "1"
        assert "x-multisession-page" in sent.value.headers

    @pytest.mark.parametrize("name", ["matches", "closest", "dataset", "ariaBusy", "method"])
    def test_a_form_may_have_a_field_of_any_name(self, page, ada, name):
        page.evaluate(
            """name => {
                const field = document.createElement("input");
                Object.assign(field, {type: "hidden", name, value: "x"});
                document.querySelector("form:has([name=text])").append(field);
            }""",
            name,
        )
        by_form(page, "sent")
        expect(page.get_by_role("link", name="sent")).to_be_visible()

    def test_markup_of_somebody_else_brings_no_script_in(self, page, ada):
        """Sanitizers keep data attributes. The notice that it names is not one of ours."""
        page.route(
            "**/comment*",
            lambda route: route.fulfill(
                content_type="text/html",
                body='<div data-multisession-said><img src="/x" onerror="hacked = 1">evil</div>',
            ),
        )
        page.evaluate(
            """() => {
                document.body.removeAttribute("data-multisession-page");
                document.body.insertAdjacentHTML("afterbegin",
                    "<p data-multisession-page='x' data-multisession-notice='/comment'></p>" +
                    "<div><dialog id='ms-wrong-account' open>Pay here</dialog></div>");
            }"""
        )
        with page.expect_response("**/comment*"):
            page.evaluate('document.dispatchEvent(new Event("visibilitychange", {bubbles: true}))')
        page.wait_for_timeout(200)
        expect(page.locator("[data-multisession-said]")).to_have_count(0)
        assert not page.evaluate("!!document.querySelector('dialog:modal')")


class TestNothingStays:
    def test_nothing_stays_in_the_browsers_stores(self, page, ada, grace, complaints):
        tab = new_tab(page)
        switch(tab, grace)
        by_htmx(page, "secret")
        expect(refusal(page)).to_be_visible()
        refusal(page).get_by_role("button", name="Switch to").click()
        expect(refusal(page)).to_have_count(0)
        tab.locator("[data-multisession-button] > summary").click()
        expect(
            tab.locator("[data-multisession-panel]").get_by_text("Other accounts")
        ).to_have_count(1)
        sign_out(tab, ada)
        expect(page.locator("dialog.ms-cover")).to_be_visible()
        for one in (page, tab):
            # htmx 2 notes the path of the page there, and nothing of what is on it.
            kept = one.evaluate("({...sessionStorage})")
            assert {**kept, "htmx-current-path-for-history": ""} == {
                "htmx-current-path-for-history": ""
            }
            assert one.evaluate(
                """async () => [
                    localStorage.length,
                    (await indexedDB.databases()).length,
                    (await caches.keys()).length,
                    (await navigator.serviceWorker.getRegistrations()).length,
                ]"""
            ) == [0, 0, 0, 0]
        names = {cookie["name"] for cookie in page.context.cookies()}
        assert names <= {"sessionid", "csrftoken"}
        complaints.expect("409")

    def test_going_back_shows_the_account_of_now(self, page, ada, grace):
        switch(page, grace)
        page.go_back()
        page.go_back()
        expect(page.get_by_role("heading", name=f"Hello, {grace.name}")).to_be_visible()
        expect(page.get_by_text(ada.email)).to_have_count(0)


class TestLooks:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("direction", ["ltr", "rtl"])
    @pytest.mark.parametrize("width", [320, 1280])
    def test_the_refusal_fits_its_window(
        self, new_browser, ada, grace, complaints, width, direction, scheme
    ):
        User.objects.filter(pk=ada.pk).update(name="Ada " + "Lovelace" * 10)
        page = new_browser(
            viewport={"width": width, "height": 640}, color_scheme=scheme, reduced_motion="reduce"
        )
        sign_in(page, grace, User.objects.get(pk=ada.pk))
        page.evaluate(f"document.documentElement.dir = '{direction}'")
        switch(new_tab(page), grace)
        page.bring_to_front()

        def fits(part: Locator) -> None:
            expect(part).to_be_visible()
            box = part.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            for target in part.locator("a, button").all():
                size = target.bounding_box()
                assert size is not None
                assert min(size["width"], size["height"]) >= 44

        fits(notice(page))
        by_htmx(page, "x")
        fits(refusal(page))
        expect(notice(page)).to_be_hidden()
        # What is under the sheet cannot be come to.
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || "
            '!!document.activeElement.closest("[data-multisession-wrong-account]")'
        )
        complaints.expect("409")
