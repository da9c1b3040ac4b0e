"""The menu, the chooser and the actions, through the front door: forms, redirects, htmx."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from accounts.models import User
from multisession import signals
from multisession.models import Session
from tests.conftest import PASSWORD
from tests.stories import settled

HTMX = {"HX-Request": "true"}
ACTIONS = ["set-active", "sign-out", "sign-out-all", "forget"]
CHOOSE = "/accounts/choose/"


@pytest.fixture
def browser(client: Client, ada: User, grace: User) -> Client:
    """Ada and Grace are signed in; Grace, who came last, is active."""
    sign_in(client, ada)
    sign_in(client, grace)
    return client


def sign_in(browser: Client, user: User) -> None:
    form = {"username": user.email, "password": PASSWORD}
    assert browser.post("/accounts/sign-in/", form).status_code == 302
    assert active(browser) == user.email


def active(browser: Client) -> str | None:
    return browser.get("/whoami").json()["user"]


def stepped_aside(browser: Client) -> str | None:
    """Nobody is active; the account that one can go back to."""
    assert active(browser) is None
    session = browser.get("/whoami").wsgi_request.multisession.stepped_aside
    return session and session.user.email


def id_of(user: User) -> str:
    return Session.objects.filter(user=user).latest("pk").public_id


def post(browser: Client, action: str, session: str = "", **kwargs):
    form = {"session": session, **kwargs.pop("form", {})}
    return browser.post(f"/multisession/{action}/", form, **kwargs)


def said(browser: Client) -> list[str]:
    """The messages waiting to be read; reading takes them away."""
    return [str(message) for message in browser.get("/").context["messages"]]


class Buttons(HTMLParser):
    """The names of a page's buttons and links, as somebody who can't see it hears them."""

    def __init__(self, response) -> None:
        super().__init__()
        self.names: list[str] = []
        self.open: list[tuple[str, bool]] = []
        self.feed(response.text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        within_hidden = bool(self.open and self.open[-1][1])
        if tag in {"button", "a"} and not within_hidden:
            self.names.append("")
        if tag not in {"input", "meta", "link", "img", "br"}:
            is_said = given.get("aria-hidden") != "true" and "hidden" not in given
            # The stylesheet hides what went wrong until the script says that something did.
            hidden = within_hidden or not is_said or given.get("class") == "ms-problem"
            self.open.append((tag, hidden))

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        within = any(tag in {"button", "a"} for tag, _ in self.open)
        if within and not self.open[-1][1]:
            self.names[-1] = " ".join(f"{self.names[-1]} {data}".split())


def pressed(browser: Client, page, words: str, **kwargs):
    """The answer to the form whose button has these words: what it sends, to where it goes."""
    forms = re.findall(r"<form.*?</form>", page.text, re.DOTALL)
    form = next(form for form in forms if words in strip_tags(form))
    action = re.search(r'action="([^"]*)"', form)
    assert action is not None
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    given = {name: unescape(value) for name, value in fields}
    return browser.post(unescape(action[1]), given, **kwargs)


class TestSwitching:
    def test_switching_makes_another_account_active(self, browser, ada, grace):
        response = post(browser, "set-active", id_of(ada))
        assert (response.status_code, response["Location"]) == (302, "/")
        assert active(browser) == ada.email
        assert said(browser)[-1] == "Now Ada Lovelace"
        post(browser, "set-active", id_of(grace))
        assert active(browser) == grace.email

    def test_switching_leads_where_the_form_says(self, browser, ada):
        response = post(browser, "set-active", id_of(ada), form={"next": "/note?a=b#c"})
        assert response["Location"] == "/note?a=b#c"

    def test_switching_under_htmx_is_a_full_page_load(self, browser, ada):
        response = post(browser, "set-active", id_of(ada), headers=HTMX)
        assert (response.status_code, response["HX-Redirect"]) == (200, "/")
        assert "Location" not in response
        assert active(browser) == ada.email

    def test_switching_to_the_active_account_changes_nothing(self, browser, grace):
        assert post(browser, "set-active", id_of(grace)).status_code == 302
        assert active(browser) == grace.email

    def test_switching_to_an_account_whose_password_changed_asks_for_the_new_one(
        self, browser, ada, grace
    ):
        session = id_of(ada)
        ada.set_password("another long password")
        ada.save()
        response = post(browser, "set-active", session, form={"next": "/note"})
        assert response["Location"] == f"/accounts/sign-in/?session={session}&next=/note"
        assert stepped_aside(browser) == grace.email
        page = browser.get(response["Location"])
        assert page.context["form"]["username"].value() == ada.email
        assert "Sign in again to use Ada Lovelace, ada@example.com." in page.text

    def test_switching_to_a_deactivated_account_asks_to_sign_in_again(self, browser, ada, grace):
        session = id_of(ada)
        User.objects.filter(pk=ada.pk).update(is_active=False)
        response = post(browser, "set-active", session, headers=HTMX)
        assert response["HX-Redirect"] == f"/accounts/sign-in/?session={session}"
        assert stepped_aside(browser) == grace.email

    def test_switching_to_a_deleted_account_is_not_found(self, browser, ada, grace):
        session = id_of(ada)
        ada.delete()
        assert post(browser, "set-active", session).status_code == 404
        assert active(browser) == grace.email

    def test_a_switch_that_a_receiver_refuses_changes_nothing(self, browser, ada, grace):
        def refuse(entering, **kwargs):
            raise PermissionDenied

        signals.active_session_changing.connect(refuse)
        try:
            assert post(browser, "set-active", id_of(ada)).status_code == 403
        finally:
            signals.active_session_changing.disconnect(refuse)
        assert active(browser) == grace.email


class TestSigningOut:
    def test_signing_out_of_the_active_account_leaves_the_choice_to_the_person(
        self, browser, ada, grace
    ):
        response = post(browser, "sign-out", id_of(grace))
        assert response["Location"] == CHOOSE
        assert active(browser) is None
        chooser = browser.get(CHOOSE)
        assert [session.user for session in chooser.context["sessions"]] == [ada]
        assert [row["session"].user for row in chooser.context["signed_out"]] == [grace]

    def test_signing_out_of_the_active_account_leads_where_the_form_says(self, browser, grace):
        response = post(browser, "sign-out", id_of(grace), form={"next": "/note"})
        assert response["Location"] == "/note"

    def test_signing_out_may_activate_the_next_account(self, browser, ada, grace, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "AFTER_SIGN_OUT": "next"}
        assert post(browser, "sign-out", id_of(grace))["Location"] == "/"
        assert active(browser) == ada.email
        assert post(browser, "sign-out", id_of(ada))["Location"] == CHOOSE

    def test_signing_out_of_another_account_leaves_the_active_one(self, browser, ada, grace):
        assert post(browser, "sign-out", id_of(ada))["Location"] == CHOOSE
        assert active(browser) == grace.email

    def test_signing_out_of_another_account_renews_the_menu_in_place(self, browser, ada, grace):
        response = post(browser, "sign-out", id_of(ada), headers=HTMX)
        assert response.status_code == 200
        assert "HX-Redirect" not in response
        assert grace.email in response.text
        assert ada.email not in response.text
        assert "<html" not in response.text

    def test_signing_out_of_another_account_in_the_chooser_loads_the_chooser_again(
        self, browser, ada
    ):
        form = {"next": "/accounts/choose/?next=/note"}
        response = post(browser, "sign-out", id_of(ada), headers=HTMX, form=form)
        assert response["HX-Redirect"] == "/accounts/choose/?next=/note"

    def test_signing_out_of_all_forgets_all(self, browser, ada, grace):
        response = post(browser, "sign-out-all")
        assert (response.status_code, response["Location"]) == (302, CHOOSE)
        assert active(browser) is None
        chooser = browser.get(CHOOSE)
        assert chooser.context["sessions"] == chooser.context["signed_out"] == []

    def test_signing_out_of_all_works_under_htmx(self, browser):
        response = post(browser, "sign-out-all", headers=HTMX, form={"next": "/note"})
        assert response["HX-Redirect"] == "/note"

    def test_signing_out_of_all_works_when_nobody_is_signed_in(self, client, db):
        assert post(client, "sign-out-all").status_code == 302


class TestForgetting:
    def test_forgetting_takes_a_signed_out_account_off_the_list(self, browser, ada, grace):
        post(browser, "sign-out", id_of(ada))
        response = post(browser, "forget", id_of(ada))
        assert response["Location"] == CHOOSE
        assert browser.get(CHOOSE).context["signed_out"] == []
        assert active(browser) == grace.email

    def test_forgetting_the_active_account_leaves_nobody_active(self, browser, ada, grace):
        post(browser, "forget", id_of(grace))
        assert active(browser) is None
        chooser = browser.get(CHOOSE)
        assert [session.user for session in chooser.context["sessions"]] == [ada]
        assert chooser.context["signed_out"] == []


class TestTheChooser:
    def test_the_chooser_marks_the_active_account_and_offers_the_others(self, browser):
        page = browser.get(CHOOSE)
        names = Buttons(page).names
        assert "Continue as Grace Hopper, grace@example.com Active" in names
        assert "Switch to Ada Lovelace, ada@example.com" in names
        assert "Sign out of Ada Lovelace, ada@example.com" in names
        assert "Sign out of all accounts" in names
        assert page.text.count('aria-current="true"') == 2  # here, and in the menu above

    def test_the_chooser_offers_to_sign_in_again_or_to_forget(self, browser, ada):
        session = id_of(ada)
        post(browser, "sign-out", session)
        page = browser.get(CHOOSE, {"next": "/note"})
        names = Buttons(page).names
        assert "Sign in again as Ada Lovelace, ada@example.com" in names
        assert "Remove Ada Lovelace, ada@example.com from this browser" in names
        again = pressed(browser, page, "Sign in again as Ada")
        assert again["Location"] == f"/accounts/sign-in/?session={session}&next=/note"

    def test_the_chooser_leads_on_to_where_one_wanted_to_go(self, browser):
        context = browser.get(CHOOSE, {"next": "/note"}).context
        assert context["continue_url"] == context["next"] == "/note"
        added = pressed(browser, browser.get(CHOOSE, {"next": "/note"}), "Add account")
        assert added["Location"] == "/accounts/sign-in/?next=/note"

    def test_the_chooser_offers_a_stranger_to_sign_in(self, client, db):
        page = client.get(CHOOSE)
        assert "No account is signed in on this browser." in page.text
        assert "Sign in" in Buttons(page).names
        assert Session.objects.count() == 0

    def test_the_chooser_works_without_a_base_template_of_the_project(self, browser, settings):
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
        page = browser.get("/multisession/choose/")
        assert "<title>Choose an account</title>" in page.text
        assert "multisession/user_button.css" in page.text


class TestTheMenu:
    def test_the_menu_shows_the_active_account_and_each_other_one_click_away(self, browser):
        names = Buttons(browser.get("/multisession/menu/", headers=HTMX)).names
        assert names == [
            "Manage account",
            "Sign out",
            "Choose an organization",
            "Devices",
            "Your accounts",
            "Switch to Ada Lovelace, ada@example.com",
            "Add account",
            "Sign out of all accounts",
        ]

    def test_the_menu_of_one_account_offers_to_add_another(self, client, ada):
        sign_in(client, ada)
        names = Buttons(client.get("/multisession/menu/", headers=HTMX)).names
        in_order = ["Manage account", "Sign out", "Choose an organization", "Devices"]
        assert names == [*in_order, "Add account"]

    def test_the_menu_leads_to_the_chooser_when_nobody_is_active(self, browser, grace):
        post(browser, "sign-out", id_of(grace))
        names = Buttons(browser.get("/multisession/menu/", headers=HTMX)).names
        assert names == ["Choose an account"]

    def menu_on_page_of(self, browser: Client, user: User, **kwargs):
        return browser.get("/multisession/menu/", {"session": id_of(user)}, headers=HTMX, **kwargs)

    def test_the_menu_on_a_page_of_an_account_that_was_left_says_who_is_active(
        self, browser, ada, grace
    ):
        post(browser, "set-active", id_of(ada))
        text = " ".join(strip_tags(self.menu_on_page_of(browser, grace).text).split())
        assert "This page still shows Grace Hopper, grace@example.com." in text
        assert "You've switched to Ada Lovelace, ada@example.com in another tab." in text
        assert "This page is still" not in self.menu_on_page_of(browser, ada).text

    def test_the_menu_of_a_signed_out_account_asks_to_sign_in_again(self, client, ada):
        sign_in(client, ada)
        Session.objects.update(status="expired")
        menu = self.menu_on_page_of(client, ada)
        assert "was signed out. Sign in again to continue." in menu.text
        assert f"/accounts/sign-in/?session={id_of(ada)}" in menu.text
        assert Buttons(menu).names[-1] == "Choose an account"

    def test_the_menu_offers_the_account_of_the_page_when_nobody_is_active(
        self, browser, ada, grace
    ):
        post(browser, "sign-out", id_of(grace))
        names = Buttons(self.menu_on_page_of(browser, ada)).names
        assert names == ["Switch to Ada Lovelace, ada@example.com", "Choose an account"]

    def test_the_menu_says_nothing_of_an_account_of_another_browser(self, browser, alan):
        elsewhere = Client()
        sign_in(elsewhere, alan)
        assert "alan@example.com" not in self.menu_on_page_of(browser, alan).text

    def test_the_menu_isolates_names_from_the_text_around_them(self, browser, ada):
        User.objects.filter(pk=ada.pk).update(name="<b>\u202eAda</b>\n")
        menu = browser.get("/multisession/menu/")
        assert '<bdi class="ms-name">&lt;b&gt;\u202eAda&lt;/b&gt;</bdi>' in menu.text
        assert "<b>" not in menu.text


class TestThePlaceForAButton:
    """A page that is the same for everybody fetches the button."""

    def test_the_mount_tag_loads_the_button_of_the_active_account(self, browser):
        button = browser.get("/multisession/button/", headers=HTMX)
        assert "Open user menu: Grace Hopper, grace@example.com" in button.text
        assert "no-store" in button["Cache-Control"]
        assert "Cookie" in button["Vary"]

    def test_the_mount_tag_loads_a_link_to_sign_in_that_leads_back(self, client, db):
        where = {"HX-Current-URL": "http://testserver/note"}
        button = client.get("/multisession/button/", headers=HTMX | where)
        assert Buttons(button).names == ["Sign in"]
        assert "/accounts/sign-in/?next=/note" in button.text
        assert Session.objects.count() == 0

    def test_the_mount_tags_url_accepts_signed_options_only(self, browser):
        forged = signing.dumps({"profile_url": "https://evil.example"})
        assert "evil.example" not in browser.get("/multisession/button/", {"options": forged}).text

    def test_the_mount_tags_url_accepts_get_only(self, browser):
        assert browser.post("/multisession/button/").status_code == 405


class TestCosts:
    """Statements, whatever the number of accounts."""

    @pytest.fixture
    def crowd(self, client, db) -> Client:
        for number in range(10):
            user = User.objects.create_user(f"user{number}@example.com", PASSWORD)
            sign_in(client, user)
        return client

    def count(self, browser: Client, url: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(url).status_code == 200
        return len(queries)

    @pytest.mark.parametrize("url", ["/multisession/menu/", CHOOSE])
    def test_the_list_of_accounts_costs_one_query(self, url, client, ada, crowd):
        alone = Client()
        sign_in(alone, ada)
        said(settled(alone, "/whoami")), said(settled(crowd, "/whoami"))
        assert self.count(alone, url) == 2
        assert self.count(crowd, url) == 2


@pytest.mark.parametrize("action", ACTIONS)
class TestVillains:
    def test_a_link_or_an_image_changes_nothing(self, action, browser, ada, grace):
        for method in (browser.get, browser.head, browser.put, browser.delete):
            response = method(f"/multisession/{action}/?session={id_of(ada)}")
            assert (response.status_code, response["Allow"]) == (405, "POST")
        assert active(browser) == grace.email

    def test_a_form_on_another_site_has_no_token(self, action, ada, grace):
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(ada)
        browser.force_login(grace)
        for headers in ({}, HTMX):
            assert post(browser, action, id_of(ada), headers=headers).status_code == 403
        assert active(browser) == grace.email

    @pytest.mark.parametrize(
        "next_url",
        [
            "https://evil.example/",
            "//evil.example/",
            "/\\evil.example",
            "http:///evil.example",
            "javascript:alert(1)",
            "\x00//evil.example",
            "foo",
            "home",
            "multisession:choose",
            "note/?a=b",
            "?a=b",
            "../note",
            " /note",
            "http://[",
            "/" + "x" * 10_000,
            "/\r\nSet-Cookie: a=b",
        ],
    )
    def test_no_next_leads_away_or_breaks_a_header(self, action, next_url, browser, ada):
        session = id_of(ada)
        for headers, header in (({}, "Location"), (HTMX, "HX-Redirect")):
            response = post(browser, action, session, form={"next": next_url}, headers=headers)
            if header not in response:  # gone by the second time, or the menu in place
                assert response.status_code in {200, 404}
                continue
            target = response[header]
            assert target in {"/", CHOOSE, "/%0D%0ASet-Cookie:%20a=b"} or target.startswith(
                "/accounts/sign-in/?session="
            )


@pytest.mark.parametrize("action", ["set-active", "sign-out", "forget"])
class TestVillainsWithIds:
    GARBAGE = (
        "",
        "sess_doesnotexist",
        "sess_" + "0" * 27,
        "None",
        "\x00",
        "sess_\x00",
        "x" * 10_000,
        "٣",
        "' OR 1=1 --",
        "\ud7ff\U0010ffff",
    )

    @pytest.mark.parametrize("session", GARBAGE)
    def test_garbage_is_not_found(self, action, session, browser, grace):
        assert post(browser, action, session).status_code == 404
        assert active(browser) == grace.email

    def test_no_id_at_all_is_not_found(self, action, browser, grace):
        assert browser.post(f"/multisession/{action}/").status_code == 404
        assert active(browser) == grace.email

    def test_the_session_of_another_browser_is_as_unknown_as_any(self, action, browser, alan):
        elsewhere = Client()
        sign_in(elsewhere, alan)
        said(browser)
        foreign = post(browser, action, id_of(alan))
        unknown = post(browser, action, "sess_" + "0" * 27)
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.headers == unknown.headers
        assert active(elsewhere) == alan.email

    def test_a_stranger_finds_nothing(self, action, ada, browser):
        assert post(Client(), action, id_of(ada)).status_code == 404

    def test_a_menu_that_is_out_of_date_shows_what_is_true(self, action, browser, grace):
        response = post(browser, action, "sess_" + "0" * 27, headers=HTMX)
        assert (response.status_code, response["HX-Redirect"]) == (404, CHOOSE)
        assert active(browser) == grace.email


@pytest.mark.parametrize("url", ["/multisession/menu/", CHOOSE, "/multisession/choose/"])
class TestPersonalPages:
    def test_personal_pages_are_kept_by_no_cache(self, url, browser):
        response = browser.get(url)
        assert {"private", "no-store"} <= set(response["Cache-Control"].split(", "))
        assert {"Cookie", "HX-Request"} <= set(response["Vary"].split(", "))

    def test_answer_to_strangers_without_writing_a_row(self, url, client, db):
        assert client.get(url).status_code == 200
        assert Session.objects.count() == 0

    def test_personal_pages_accept_get_only(self, url, browser):
        assert browser.head(url).status_code == 200
        assert browser.post(url).status_code == 405


@pytest.mark.parametrize("action", ACTIONS)
def test_answers_of_actions_are_kept_by_no_cache(action, browser, ada):
    response = post(browser, action, id_of(ada))
    assert {"private", "no-store"} <= set(response["Cache-Control"].split(", "))
    assert "Cookie" in response["Vary"]
