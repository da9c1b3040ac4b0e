"""An account has ended: its pages are covered, and signing in again uncovers them.

And a half-filled form is asked about before a switch leaves its page. LOOKS=folder stores a
screenshot of each way to see the cover.
"""

import datetime
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, Playwright, expect

from accounts.models import Note, User
from config.middleware import PrivatePagesMiddleware
from multisession.models import Session
from tests.browser.conftest import FLAGS
from tests.browser.test_looks import PICTURES, WITHOUT_AN_EDGE
from tests.browser.test_wrong_account import (
    by_form,
    by_htmx,
    executed,
    fill_in_password,
    new_tab,
    notice,
    refusal,
    sign_in,
    sign_out,
    switch,
    whoami,
    written,
)
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SECRET = "the merger is on Friday"
TO_THE_FRONT = 'document.dispatchEvent(new Event("visibilitychange", {bubbles: true}))'

#: What somebody without developer tools gets to see of the page beneath: what find-in-page, a
#: screen reader, printing and a mouse can reach.
READABLE = """() => {
  const faults = [];
  const cover = document.querySelector("dialog.ms-cover");
  for (const item of document.querySelectorAll("body *"))
    if (!cover.contains(item) && item.checkVisibility({visibilityProperty: true}))
      faults.push(item.outerHTML.slice(0, 80));
  for (let x = 5; x < innerWidth; x += 40)
    for (let y = 5; y < innerHeight; y += 40)
      if (!cover.contains(document.elementFromPoint(x, y))) faults.push([x, y]);
  if (getComputedStyle(cover).backgroundColor.match(/rgba|transparent/)) faults.push("see-through");
  if (!cover.matches(":modal")) faults.push("not modal");
  return faults;
}"""


#: What of the cover can't be brought into the window whole, or lies under something else.
NOT_WHOLE = """() => {
  const shown = (item) => item.checkVisibility() && !item.ariaHidden;
  const items = document.querySelectorAll("dialog.ms-cover :is(h1, p, a, button, input, label)");
  return [...items].filter(shown).filter((item) => {
    item.scrollIntoView({ block: "center", behavior: "instant" });
    const { left, right, top, bottom } = item.getBoundingClientRect();
    if (left < 0 || right > innerWidth || top < 0 || bottom > innerHeight) return true;
    const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    return !item.contains(hit) && !hit.contains(item);
  }).map((item) => item.outerHTML.slice(0, 200));
}"""

#: Ways to see the cover: options of the browser.
WAYS = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "forced-colors": {"forced_colors": "active"},
    "forced-colors-dark": {"forced_colors": "active", "color_scheme": "dark"},
    "narrow": {"viewport": {"width": 320, "height": 640}},
    "enlarged-four-times": {"viewport": {"width": 320, "height": 256}},
    "right-to-left": {"locale": "ar"},
    "right-to-left-narrow-dark": {
        "locale": "ar",
        "viewport": {"width": 320, "height": 640},
        "color_scheme": "dark",
    },
}


@pytest.fixture
def page(new_browser, ada: User, grace: User) -> Page:
    """Ada's page with a note, and Grace signed in beside her."""
    Note.objects.create(user=ada, text=SECRET)
    page = new_browser(reduced_motion="reduce")
    sign_in(page, grace, ada)
    expect(page.get_by_role("link", name=SECRET)).to_be_visible()
    return page


def cover(page: Page) -> Locator:
    return page.locator("dialog.ms-cover")


def is_covered(page: Page) -> None:
    nothing_is_read(page)
    expect(page).to_have_title("Signed out")


def nothing_is_read(page: Page) -> None:
    expect(cover(page)).to_be_visible()
    assert page.evaluate(READABLE) == []
    assert not page.evaluate(f"find({SECRET!r})"), "The browser's search finds it."
    expect(page.get_by_role("link", name=SECRET)).to_have_count(0)  # by the accessibility tree


def type_password(page: Page, password: str = PASSWORD) -> None:
    field = cover(page).get_by_label("Password")
    expect(field).to_be_focused()
    page.keyboard.type(password)
    page.keyboard.press("Enter")


class TestTheCover:
    def test_signing_out_elsewhere_covers_the_page_and_a_password_uncovers_it(self, page, ada):
        page.get_by_label("New note").fill("half a note")
        title = page.title()
        page.evaluate("scrollTo(0, 40)")
        tab = new_tab(page)
        beside = new_tab(page, "/accounts/profile/")
        sign_out(tab, ada)
        page.bring_to_front()
        is_covered(page)
        expect(cover(page)).to_contain_text(f"{ada.name}, {ada.email} was signed out.")
        type_password(page, "not it")
        expect(cover(page)).to_contain_text("Wrong e-mail address or password.")
        is_covered(page)
        type_password(page)
        expect(cover(page)).to_have_count(0)
        expect(page.get_by_role("link", name=SECRET)).to_be_visible()
        expect(page).to_have_title(title)
        expect(page.get_by_label("New note")).to_have_value("half a note")
        assert whoami(page) == ada.email
        expect(cover(beside)).to_have_count(0)
        page.get_by_role("button", name="Add note").click()
        expect(page.get_by_role("link", name="half a note")).to_be_visible()

    def test_signing_out_of_all_covers_every_tab_and_names_nobody(self, page, ada, grace):
        other = new_tab(page, "/accounts/profile/")
        tab = new_tab(page)
        tab.get_by_role("button", name="Sign out of all accounts").locator("visible=true").click()
        expect(tab.get_by_role("heading", name="You are signed out")).to_be_visible()
        for covered in (page, other):
            expect(cover(covered)).to_be_visible()
            assert covered.evaluate(READABLE) == []
            text = cover(covered).inner_text()
            assert "You are signed out." in text
            assert not any(word in text for word in (ada.name, ada.email, grace.name))
        page.bring_to_front()
        is_covered(page)
        cover(page).get_by_label("E-mail address").fill(ada.email)
        cover(page).get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        # The browser has forgotten whose page it was.
        reload = cover(page).get_by_role("link", name=f"Reload as {ada.name}")
        expect(reload).to_be_visible()
        is_covered(page)
        reload.click()
        expect(page.get_by_role("link", name=SECRET)).to_be_visible()

    def test_a_page_beside_hears_that_another_account_signed_its_own_out(self, page, ada, grace):
        tab = new_tab(page)
        switch(tab, grace)
        expect(notice(page)).to_be_visible()
        tab.goto("/accounts/choose/")
        tab.get_by_role("button", name=f"Sign out of {ada.name}").click()
        expect(tab.get_by_role("button", name=f"Sign in again as {ada.name}")).to_be_visible()
        is_covered(page)
        assert whoami(page) == grace.email
        page.bring_to_front()
        type_password(page)
        expect(cover(page)).to_have_count(0)
        expect(page.get_by_role("link", name=SECRET)).to_be_visible()
        assert whoami(page) == ada.email

    def test_one_signs_in_again_on_the_cover_while_another_account_is_active(
        self, page, ada, grace
    ):
        switch(new_tab(page), grace)
        Session.objects.get(user=ada).revoke()
        page.get_by_label("New note").fill("half a note")
        page.evaluate(TO_THE_FRONT)
        is_covered(page)
        type_password(page)
        expect(cover(page)).to_have_count(0)
        expect(page.get_by_label("New note")).to_have_value("half a note")
        page.get_by_role("button", name="Add note").click()
        expect(page.get_by_role("link", name="half a note")).to_be_visible()
        assert whoami(page) == ada.email

    def test_a_sign_in_page_that_sends_the_active_account_away_opens_in_a_tab_where_nobody_is(
        self, page, ada, grace, settings
    ):
        settings.LOGIN_URL = "admin:login"
        User.objects.update(is_staff=True, is_superuser=True)
        switch(new_tab(page), grace)
        Session.objects.get(user=ada).revoke()
        page.evaluate(TO_THE_FRONT)
        is_covered(page)
        with page.context.expect_page() as opened:
            cover(page).get_by_role("button", name=f"Sign in as {ada.name}").click()
        tab = opened.value
        tab.get_by_label("E-mail").fill(ada.email)
        tab.get_by_label("Password").fill(PASSWORD)
        tab.get_by_role("button", name="Log in").click()
        expect(tab.get_by_text("Site administration")).to_be_visible()
        page.evaluate(TO_THE_FRONT)
        expect(cover(page)).to_have_count(0)
        assert whoami(page) == ada.email

    @pytest.mark.parametrize("end", ["revoked", "expired"])
    def test_a_page_whose_session_ended_is_covered_as_it_comes_to_the_front(self, page, ada, end):
        session = Session.objects.get(user=ada)
        if end == "revoked":
            session.revoke()
        else:
            past = session.expire_at - datetime.timedelta(days=60)
            Session.objects.filter(pk=session.pk).update(expire_at=past)
        page.evaluate(TO_THE_FRONT)
        is_covered(page)
        type_password(page)
        expect(cover(page)).to_have_count(0)
        expect(page.get_by_role("link", name=SECRET)).to_be_visible()

    def test_another_active_account_covers_nothing(self, page, grace):
        switch(new_tab(page), grace)
        expect(notice(page)).to_be_visible()
        expect(cover(page)).to_have_count(0)
        expect(page.get_by_role("link", name=SECRET)).to_be_visible()

    def test_the_next_person_gets_by_no_key_past_the_cover(self, page, ada):
        sign_out(new_tab(page), ada)
        page.bring_to_front()
        is_covered(page)
        expect(cover(page).get_by_label("Password")).to_be_focused()
        for key in ("Escape", "Escape", "Escape", "Control+a"):
            page.keyboard.press(key)
            is_covered(page)
        for _ in range(6):
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.matches('body, .ms-cover, .ms-cover *')")
        page.reload()
        expect(page.get_by_text(SECRET)).to_have_count(0)

    def test_what_the_page_shows_on_top_of_everything_is_not_seen_either(self, new_browser, ada):
        page = new_browser(bypass_csp=True)
        sign_in(page, ada)
        page.evaluate(
            """() => document.querySelector("main").insertAdjacentHTML("beforeend", `
                <p class="shown">Seen</p><p popover>Seen</p><dialog>Seen</dialog>`)"""
        )
        page.add_style_tag(content=".shown { visibility: visible !important }")
        open_all = """() => {
            document.querySelector("main p[popover]").showPopover();
            document.querySelector("main dialog").showModal();
        }"""
        hidden = "() => [...document.querySelectorAll('main :is(p, dialog)')].every(item =>"
        hidden += " !item.checkVisibility({visibilityProperty: true}))"
        assert not page.evaluate(hidden)
        Session.objects.get(user=ada).revoke()
        page.evaluate(TO_THE_FRONT)
        is_covered(page)
        page.evaluate(open_all)
        assert page.evaluate(hidden)

    def test_a_stranger_who_signs_in_on_the_cover_does_not_uncover_it(
        self, page, ada, grace, settings
    ):
        sign_out(new_tab(page), ada)
        page.bring_to_front()
        form = cover(page).locator("form")
        expect(form.get_by_label("Password")).to_be_focused()
        form.locator("[name=username]").evaluate(
            "(field, value) => { field.value = value; }", grace.email
        )
        type_password(page)
        expect(cover(page)).to_contain_text(f"You are now using {grace.name}")
        is_covered(page)

    def test_a_cover_that_finds_no_server_stays(self, page, ada, complaints):
        sign_out(new_tab(page), ada)
        page.bring_to_front()
        is_covered(page)
        page.route("**/*", lambda route: route.abort())
        type_password(page)
        page.wait_for_timeout(200)
        is_covered(page)
        page.unroute("**/*")
        page.keyboard.press("Enter")
        expect(cover(page)).to_have_count(0)
        complaints.expect("ERR_FAILED")

    @pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
    @pytest.mark.parametrize("name", ["Ada Lovelace", "Ada " + "Lovelace" * 10], ids=["", "long"])
    def test_the_cover_hides_the_page_and_is_used_however_it_is_seen(
        self, new_browser, ada, way, name
    ):
        User.objects.filter(pk=ada.pk).update(name=name)
        Note.objects.create(user=ada, text=SECRET)
        page = new_browser(reduced_motion="reduce", **way)
        sign_in(page, ada)
        Session.objects.get(user=ada).revoke()
        page.evaluate(TO_THE_FRONT)
        expect(cover(page).locator("[type=password]")).to_be_focused()
        if PICTURES:
            file = re.sub(r"\W+", "-", f"cover {name[:20]} {way}")
            page.screenshot(path=Path(PICTURES) / f"{file}.png")
        nothing_is_read(page)
        for _ in range(6):
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.matches('body, .ms-cover, .ms-cover *')")
        # Where the system chooses the colours, axe reads those of the style sheet.
        rules = {"color-contrast": {"enabled": "forced_colors" not in way}}
        found = Axe().run(page, options={"preload": False, "rules": rules}).response["violations"]
        assert [each["id"] for each in found] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("document.querySelector('.ms-cover').scrollWidth <= innerWidth")
        assert page.evaluate(NOT_WHOLE) == []
        if "forced_colors" in way:
            assert page.evaluate(WITHOUT_AN_EDGE) == []


class TestOtherSignInPages:
    def test_djangos_own_form_works_on_the_cover(self, page, ada, settings):
        settings.LOGIN_URL = "admin:login"
        User.objects.filter(pk=ada.pk).update(is_staff=True)
        Session.objects.get(user=ada).revoke()
        page.evaluate(TO_THE_FRONT)
        name = cover(page).locator("[name=username]")
        expect(name).to_have_value(ada.email)
        assert not name.is_editable()
        type_password(page)
        expect(cover(page)).to_have_count(0)
        expect(page.get_by_role("link", name=SECRET)).to_be_visible()

    def test_a_page_without_a_password_is_a_link_away(self, page, ada, settings):
        settings.LOGIN_URL = "/whoami"  # a provider's page, say
        Session.objects.get(user=ada).revoke()
        page.evaluate(TO_THE_FRONT)
        expect(cover(page)).to_be_visible()
        link = cover(page).get_by_role("link", name=f"Sign in as {ada.name}")
        with page.context.expect_page() as opened:
            link.click()
        tab = opened.value
        tab.goto("/accounts/sign-in/")
        fill_in_password(tab)
        expect(cover(page)).to_have_count(0)

    def test_a_form_that_was_refused_leaves_a_link_to_its_page(self, page, ada):
        Session.objects.get(user=ada).revoke()
        page.evaluate(TO_THE_FRONT)
        link = cover(page).get_by_role("link", name=f"Sign in as {ada.name}")
        expect(cover(page).get_by_label("Password")).to_be_focused()
        expect(link).to_have_count(0)
        # As a form does without the scripts of its page.
        type_password(page, "not it")
        with page.context.expect_page() as opened:
            link.click()
        fill_in_password(opened.value)
        expect(cover(page)).to_have_count(0)

    def test_a_sign_in_url_that_redirects_leads_to_the_form_and_back(self, page, ada, settings):
        settings.LOGIN_URL = "/accounts/sign-in"
        Session.objects.get(user=ada).revoke()
        page.evaluate(TO_THE_FRONT)
        type_password(page)
        expect(cover(page)).to_have_count(0)


class TestUserContent:
    """Somebody has put content into a page without a content policy.

    The sanitizer keeps attributes that begin with ``data-``.
    """

    @pytest.fixture
    def page(self, new_browser, ada: User) -> Page:
        page = new_browser(bypass_csp=True)
        sign_in(page, ada)
        return page

    def put(self, page: Page, where: str, html: str) -> None:
        script = "([where, html]) => document.body.insertAdjacentHTML(where, html)"
        page.evaluate(script, [where, html])

    FORM = "<form action='{}'><input type='password'><img src='x' onerror='window.ran = 1'></form>"
    PLACE = "<div class='ms-wrong-account'><i data-multisession-again='{}'>A comment</i></div>"

    @pytest.mark.parametrize(
        ("url", "kind"),
        [
            ("http://evil.example/form", {"content-type": "text/html"}),
            ("/upload", {"content-type": "text/plain"}),
            ("/upload", {"content-type": "text/html", "content-disposition": "attachment"}),
        ],
    )
    def test_no_form_comes_from_where_content_of_the_page_leads(self, page, complaints, url, kind):
        marked = {
            "access-control-allow-origin": "*",
            "access-control-expose-headers": "*",
            "x-multisession": "signed-out",
        }
        form = self.FORM.format(page.url)
        page.route(f"**{url}*", lambda route: route.fulfill(headers=kind | marked, body=form))
        self.put(page, "beforeend", self.PLACE.format(url))
        page.wait_for_timeout(300)
        expect(page.get_by_text("A comment")).to_be_visible()
        assert page.evaluate("window.ran") is None
        complaints.allow("same-origin")

    def test_no_script_comes_from_where_content_of_the_page_leads(self, page):
        asked: list[str] = []

        def answer(route):
            asked.append(route.request.url)
            headers = {"access-control-allow-origin": "*", "content-type": "text/javascript"}
            route.fulfill(headers=headers, body="export const signIn = () => {}")

        page.route("**://evil.example/**", answer)
        url = "http://evil.example/more.js"
        content = f"<p data-multisession-page='' data-multisession-more='{url}'></p>"
        self.put(page, "afterbegin", content)
        page.get_by_label("New note").press_sequentially("half a note")
        page.wait_for_timeout(300)
        assert asked == []

    def test_content_with_the_id_of_the_cover_does_not_prevent_it(self, page, ada):
        content = "<p id='ms-wrong-account'>A comment</p>"
        self.put(page, "afterbegin", f"<div>{content}</div>")
        Session.objects.get(user=ada).revoke()
        page.evaluate(TO_THE_FRONT)
        is_covered(page)
        type_password(page)
        expect(cover(page)).to_have_count(0)

    LIKE_A_REFUSAL = "<p data-multisession-wrong-account>A comment</p>"

    def test_content_that_looks_like_a_refusal_does_not_prevent_the_cover(self, page, ada):
        self.put(page, "afterbegin", self.LIKE_A_REFUSAL)
        Session.objects.get(user=ada).revoke()
        page.evaluate(TO_THE_FRONT)
        is_covered(page)

    def test_content_that_looks_like_a_refusal_does_not_prevent_one(
        self, new_browser, ada, grace, complaints
    ):
        page = new_browser(bypass_csp=True)
        sign_in(page, grace, ada)
        self.put(page, "afterbegin", self.LIKE_A_REFUSAL)
        switch(new_tab(page), grace)
        by_htmx(page, "from Ada's page")
        expect(page.get_by_role("dialog").get_by_role("heading")).to_have_text("Nothing was sent")
        complaints.expect("409")


class TestWhatWasTyped:
    def test_a_refused_request_is_sent_again_after_the_password(self, page, ada, complaints):
        Session.objects.get(user=ada).revoke()
        by_htmx(page, "from Ada's page")
        is_covered(page)
        expect(cover(page).get_by_role("heading")).to_have_text("Nothing was sent")
        type_password(page)
        expect(cover(page)).to_have_count(0)
        assert written() == [(ada.email, SECRET)]
        with executed(page):
            page.get_by_role("button", name="Save").click()
        assert (ada.email, "from Ada's page") in written()
        complaints.expect("409")

    def test_a_refused_form_is_sent_by_the_password(self, page, ada, complaints):
        Session.objects.get(user=ada).revoke()
        by_form(page, "from Ada's page")
        card = refusal(page)
        field = card.get_by_label("Password")
        expect(field).to_be_focused()
        field.fill("not it")
        page.keyboard.press("Enter")
        expect(card).to_contain_text("Wrong e-mail address or password.")
        card.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name="from Ada's page")).to_be_visible()
        assert (ada.email, "from Ada's page") in written()
        assert len(written()) == 2
        complaints.expect("409")

    def test_a_refused_form_is_never_sent_as_the_one_who_signs_in(
        self, page, ada, grace, complaints
    ):
        Session.objects.get(user=ada).revoke()
        by_form(page, "from Ada's page")
        field = refusal(page).get_by_label("Password")
        expect(field).to_be_focused()
        refusal(page).locator("[name=username]").evaluate(
            "(field, value) => { field.value = value; }", grace.email
        )
        field.fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(refusal(page)).to_contain_text(f"You are now using {grace.name}")
        assert written() == [(ada.email, SECRET)]
        complaints.expect("409")


@pytest.fixture
def with_back_cache(
    playwright: Playwright, executable, live_server, complaints, ada, grace, monkeypatch
):
    """A page in a Chromium that keeps whole pages to go back to, as people's browsers do.

    And of a project that sends no Cache-Control.
    """
    monkeypatch.setattr(PrivatePagesMiddleware, "process_response", lambda *args: args[-1])
    browser = playwright.chromium.launch(
        executable_path=executable,
        args=FLAGS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    Note.objects.create(user=ada, text=SECRET)
    page = browser.new_context(base_url=live_server.url).new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    sign_in(page, grace, ada)
    yield page
    browser.close()


class TestGoingBack:
    def go_back(self, page: Page) -> bool:
        """Return True if the browser had kept the page whole."""
        page.go_back(wait_until="commit")
        page.wait_for_function("document.readyState === 'complete'")
        return bool(page.evaluate("window.kept"))

    def test_going_back_shows_the_page_while_its_account_is_signed_in(self, with_back_cache):
        page = with_back_cache
        page.get_by_label("New note").fill("half a note")
        page.evaluate("window.kept = true")
        page.goto("/accounts/profile/")
        assert self.go_back(page), "Nothing is tested: the browser has loaded the page again."
        expect(page.get_by_role("link", name=SECRET)).to_be_visible()
        expect(page.get_by_label("New note")).to_have_value("half a note")

    def test_going_back_after_an_expiry_shows_nothing(self, with_back_cache, ada):
        page = with_back_cache
        page.evaluate("window.kept = true")
        # What would be seen before the server has answered.
        page.evaluate(
            f"""addEventListener("pageshow", () => {{
                window.seen = find({SECRET!r}) || getComputedStyle(document.body).visibility;
            }})"""
        )
        page.goto("/accounts/profile/")
        Session.objects.get(user=ada).revoke()
        assert self.go_back(page), "Nothing is tested: the browser has loaded the page again."
        is_covered(page)
        assert page.evaluate("window.seen") == "hidden"

    def test_content_of_the_page_does_not_show_it_to_who_goes_back(self, with_back_cache, ada):
        page = with_back_cache
        page.evaluate(
            f"""() => {{
                const item = document.createElement("p");
                item.dataset.multisessionWrongAccount = "";
                document.body.prepend(item);
                window.kept = true;
                addEventListener("pageshow", () => {{ window.seen = find({SECRET!r}); }});
            }}"""
        )
        page.goto("/accounts/profile/")
        Session.objects.get(user=ada).revoke()
        assert self.go_back(page), "Nothing is tested: the browser has loaded the page again."
        is_covered(page)
        assert page.evaluate("window.seen") is False

    def test_going_back_without_a_connection_shows_nothing(self, with_back_cache, ada):
        page = with_back_cache
        page.evaluate("window.kept = true")
        page.goto("/accounts/profile/")
        Session.objects.get(user=ada).revoke()
        page.context.set_offline(True)
        page.go_back(wait_until="commit")
        page.wait_for_timeout(500)
        assert SECRET not in page.evaluate("document.body.innerText")
        page.context.set_offline(False)

    def test_going_back_after_signing_out_of_all_shows_nothing(self, with_back_cache, ada):
        page = with_back_cache
        page.goto("/accounts/choose/")
        page.get_by_role("button", name="Sign out of all accounts").locator("visible=true").click()
        expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
        for _ in range(2):
            page.go_back(wait_until="commit")
            page.wait_for_timeout(500)
            assert SECRET not in page.evaluate("document.body.innerText")
            assert ada.email not in page.evaluate("document.body.innerText")

    @pytest.mark.parametrize("scripts", [True, False])
    def test_going_back_and_reloading_without_the_cache_of_pages(
        self, new_browser, ada, grace, scripts
    ):
        Note.objects.create(user=ada, text=SECRET)
        page = new_browser(java_script_enabled=scripts)
        sign_in(page, grace, ada)
        page.goto("/accounts/choose/")
        page.get_by_role("button", name="Sign out of all accounts").locator("visible=true").click()
        expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("link", name="Sign in").first).to_be_visible()
        assert SECRET not in page.content()
        page.reload()
        assert SECRET not in page.content()


class TestTextThatWouldBeLost:
    QUESTION = "Leave this page? The text that you typed was not sent."

    def answer(self, page: Page, *, leave: bool) -> list[str]:
        asked: list[str] = []

        def decide(dialog):
            asked.append(dialog.message)
            dialog.accept() if leave else dialog.dismiss()

        page.on("dialog", decide)
        return asked

    def type_half_a_note(self, page: Page) -> None:
        page.get_by_label("New note").press_sequentially("half a note")
        self.has_loaded_the_question(page)

    def has_loaded_the_question(self, page: Page) -> None:
        """Wait for the script that the first letter loads: here it is the same, loaded once."""
        page.evaluate(
            """async () => {
                const { dataset } = document.querySelector("[data-multisession-more]");
                await import(dataset.multisessionMore);
            }"""
        )

    def switch(self, page: Page, user: User) -> None:
        page.locator("[data-multisession-button] > summary").click()
        page.get_by_role("button", name=f"Switch to {user.name}").click()

    def test_a_half_filled_form_is_asked_about_before_a_switch(self, page, ada, grace):
        asked = self.answer(page, leave=False)
        self.type_half_a_note(page)
        self.switch(page, grace)
        expect(page.get_by_label("New note")).to_have_value("half a note")
        assert asked == [self.QUESTION]
        assert whoami(page) == ada.email
        # Asked again, and again nothing is lost.
        page.get_by_role("button", name=f"Switch to {grace.name}").click()
        assert asked == [self.QUESTION] * 2
        assert whoami(page) == ada.email

    def test_the_switch_goes_on_if_the_text_may_be_lost(self, page, grace):
        asked = self.answer(page, leave=True)
        self.type_half_a_note(page)
        self.switch(page, grace)
        expect(page.get_by_text(f"Now {grace.name}")).to_be_visible()
        assert asked == [self.QUESTION]

    def test_the_way_out_of_a_notice_is_asked_about_too(self, page, grace):
        asked = self.answer(page, leave=False)
        self.type_half_a_note(page)
        switch(new_tab(page), grace)
        page.bring_to_front()
        notice(page).get_by_role("link", name="Reload as").click()
        assert asked == [self.QUESTION]
        expect(page.get_by_label("New note")).to_have_value("half a note")

    def test_a_field_that_was_left_before_the_script_came_is_asked_about(self, page, grace):
        asked = self.answer(page, leave=False)

        def leave_the_field(route):
            page.get_by_label("Anything you like").focus()
            route.continue_()

        page.route("**/more*.js", leave_the_field)
        page.get_by_label("New note").press("h")
        self.has_loaded_the_question(page)
        expect(page.get_by_label("Anything you like")).to_be_focused()
        self.switch(page, grace)
        expect(page.get_by_label("New note")).to_have_value("h")
        assert asked == [self.QUESTION]

    @pytest.mark.parametrize("what", ["nothing", "taken back", "a search", "sent"])
    def test_nobody_is_asked_about_text_that_is_not_lost(self, page, ada, grace, what):
        asked = self.answer(page, leave=False)
        if what == "taken back":
            page.get_by_label("New note").press_sequentially("x")
            page.keyboard.press("Backspace")
        elif what == "a search":
            page.evaluate(
                """() => {
                    const form = document.createElement("form");
                    form.innerHTML = "<input name=q aria-label=Query>";
                    document.querySelector("main").append(form);
                    form.method = "get";
                }"""
            )
            page.get_by_label("Query").press_sequentially("engine")
        elif what == "sent":
            field = page.get_by_label("Anything you like")
            field.press_sequentially("kept")
            with executed(page):
                page.get_by_role("button", name="Save").click()
            expect(page.get_by_text("Saved.")).to_be_visible()
        self.has_loaded_the_question(page)
        self.switch(page, grace)
        expect(page.get_by_text(f"Now {grace.name}")).to_be_visible()
        assert asked == []

    def test_a_half_filled_form_is_asked_about_in_the_tab_of_an_account(
        self, settings, page, ada, grace
    ):
        # The fixture of the settings comes first: a page asks for its icon late.
        settings.MULTISESSION = {**settings.MULTISESSION, "ACCOUNT_PATHS": True}
        number = Session.objects.get(user=ada).number
        page.goto(f"/u/{number}/")
        asked = self.answer(page, leave=False)
        self.type_half_a_note(page)
        page.locator("[data-multisession-button] > summary").click()
        link = page.get_by_role("link", name=f"Switch to {grace.name}")
        link.click()
        assert asked == [self.QUESTION]
        expect(page.get_by_label("New note")).to_have_value("half a note")
        # Beside this tab nothing is lost.
        with page.context.expect_page() as opened:
            link.click(modifiers=["Control"])
        expect(opened.value.get_by_role("heading", name=f"Hello, {grace.name}")).to_be_visible()
        assert asked == [self.QUESTION]
