"""A switch keeps the page, says who is active now, and offers the way back."""

import re

import pytest
from django.contrib.messages import get_messages
from django.template import engines
from django.test import Client

from accounts.models import Note, User
from multisession.models import Session
from multisession.templatetags.multisession import switch_back
from tests.conftest import PASSWORD

MENU = "/multisession/menu/"
SET_ACTIVE = "/multisession/set-active/"
PROFILE = "/accounts/profile/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def both(client, ada, grace) -> Client:
    """A browser with Ada and Grace, who is active."""
    client.force_login(ada)
    client.force_login(grace)
    return client


def id_of(user: User) -> str:
    found: str = Session.objects.get(user=user).public_id
    return found


def who(browser: Client) -> str:
    found: str = browser.get("/whoami").json()["user"]
    return found


def menu_on(browser: Client, url: str, page=None) -> str:
    """The menu as htmx loads it on this page."""
    shown = (page or browser.get(url)).text
    menu = re.search(r'hx-get="([^"]*/menu/[^"]*)"', shown)[1].replace("&amp;", "&")
    here = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{url}"}
    return browser.get(menu, headers=here).text


def press(browser: Client, form: str, **options):
    """Send the one form of this text to where it says."""
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    action = re.search(r'action="([^"]*)"', form)[1]
    return browser.post(action, fields, **options)


def form_with(text: str, html: str) -> str:
    return next(f for f in re.findall(r"<form.*?</form>", html, re.DOTALL) if text in f)


class TestTheMessage:
    def test_a_switch_keeps_the_page_and_says_now_ada_with_the_way_back(self, both, ada, grace):
        menu = menu_on(both, f"{PROFILE}?a=b")
        page = press(both, form_with("Switch to Ada", menu), follow=True)
        assert page.redirect_chain == [(f"{PROFILE}?a=b", 302)]
        assert who(both) == ada.email
        assert "<span>Now Ada Lovelace</span>" in page.text
        back = press(both, form_with("Back to Grace Hopper", page.text), follow=True)
        assert back.redirect_chain == [(f"{PROFILE}?a=b", 302)]
        assert who(both) == grace.email
        assert "<span>Now Grace Hopper</span>" in back.text

    def test_without_scripts_the_chooser_leads_back_to_the_page(self, both):
        link = re.search(r'href="(/accounts/choose/[^"]*)"', both.get(PROFILE).text)[1]
        chooser = both.get(link).text
        page = press(both, form_with("Switch to Ada", chooser), follow=True)
        assert page.redirect_chain == [(PROFILE, 302)]

    def test_the_page_of_the_project_comes_before_the_page_at_hand(self, both):
        tag = '{% load multisession %}{% user_button after_switch_url="/start/" %}'
        request = both.get(PROFILE).wsgi_request
        button = engines["django"].from_string(tag).render({"csrf_token": "x"}, request)
        menu = re.search(r'hx-get="([^"]*)"', button)[1].replace("&amp;", "&")
        here = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{PROFILE}"}
        shown = both.get(menu, headers=here).text
        assert 'name="next" value="/start/"' in form_with("Switch to Ada", shown)

    def test_the_answer_to_a_form_is_not_asked_for_again(self, both):
        refused = both.post("/notes/", {"text": ""})
        assert refused.status_code == 422
        menu = menu_on(both, "/notes/", refused)
        assert press(both, form_with("Switch to Ada", menu))["Location"] == "/"
        # Without scripts, too.
        refused = both.post("/notes/", {"text": ""})
        assert 'href="/accounts/choose/"' in refused.text

    def test_a_page_that_the_new_account_may_not_open_offers_the_one_before(self, both, ada, grace):
        note = Note.objects.create(user=grace, text="Nanoseconds")
        url = f"/notes/{note.pk}/"
        page = press(both, form_with("Switch to Ada", menu_on(both, url)), follow=True)
        assert page.status_code == 404
        assert "Open this page with another account?" in page.text
        assert "Nanoseconds" not in page.text
        assert "Now Ada Lovelace" in page.text
        again = press(both, form_with("Switch to Grace Hopper", page.text), follow=True)
        assert "Nanoseconds" in again.text

    def test_two_accounts_of_one_name_are_told_apart(self, both, ada, grace):
        User.objects.update(name="Ada Lovelace")
        both.post(SET_ACTIVE, {"session": id_of(ada)})
        assert "Now Ada Lovelace, ada@example.com" in both.get("/").text

    def test_from_nobody_there_is_no_way_back(self, both, ada):
        both.post("/multisession/add-account/")
        both.post(SET_ACTIVE, {"session": id_of(ada)})
        page = both.get("/").text
        assert "Now Ada Lovelace" in page
        assert "Back to" not in page

    def test_nor_to_an_account_that_has_signed_out_since(self, both, ada, grace):
        both.post(SET_ACTIVE, {"session": id_of(ada)})
        Session.objects.get(user=grace).revoke()
        page = both.get("/").text
        assert "Now Ada Lovelace" in page
        assert "Back to" not in page

    def test_our_own_pages_have_it_in_any_project(self, both, ada, settings):
        [engine] = settings.TEMPLATES
        settings.TEMPLATES = [{**engine, "DIRS": []}]
        both.post(SET_ACTIVE, {"session": id_of(ada)})
        page = both.get("/multisession/sessions/").text
        assert "site-header" not in page
        assert form_with("Back to Grace Hopper", page)


class TestVillains:
    @pytest.mark.parametrize(
        "url", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"]
    )
    def test_a_page_elsewhere_is_not_kept(self, both, url):
        here = {"HX-Request": "true", "HX-Current-URL": url}
        menu = both.get(MENU, headers=here).text
        assert "evil" not in menu
        assert press(both, form_with("Switch to Ada", menu))["Location"] == "/"

    def test_a_forged_message_offers_no_account_of_another_browser(self, both, ada, alan):
        stranger = Client()
        stranger.force_login(alan)
        both.post(SET_ACTIVE, {"session": id_of(ada)})
        request = both.get("/multisession/icon.svg").wsgi_request
        [message] = get_messages(request)
        message.extra_tags = f"multisession-switched {id_of(alan)}"
        assert switch_back({"request": request}, message)["session"] is None

    def test_the_way_back_needs_a_token(self, ada, grace):
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(ada)
        browser.force_login(grace)
        assert browser.post(SET_ACTIVE, {"session": id_of(ada)}).status_code == 403
        assert who(browser) == grace.email


class TestTheExit:
    """What the pages say after a sign-out is true."""

    def test_after_signing_out_of_all_one_reads_that_one_is_signed_out(self, both):
        page = both.post("/multisession/sign-out-all/", follow=True)
        assert page.redirect_chain == [("/accounts/choose/", 302)]
        assert "<h1>You are signed out</h1>" in page.text
        assert "No account is signed in on this browser." in page.text

    def test_after_the_last_one_too_and_it_can_come_back(self, client, ada):
        client.force_login(ada)
        page = client.post("/multisession/sign-out/", {"session": id_of(ada)}, follow=True)
        assert "<h1>You are signed out</h1>" in page.text
        assert "Sign in again as Ada Lovelace, ada@example.com" in page.text

    def test_while_others_are_signed_in_nobody_reads_that(self, both, grace):
        page = both.post("/multisession/sign-out/", {"session": id_of(grace)}, follow=True)
        assert "You are signed out" not in page.text
        assert "No account is active." in page.text

    def test_an_open_page_of_a_forgotten_account_does_not_say_that_all_are_signed_out(
        self, both, ada, grace
    ):
        forgotten = id_of(grace)
        both.post("/multisession/forget/", {"session": forgotten})
        for url in ("/multisession/menu/", "/multisession/notice/"):
            said = both.get(url, {"session": forgotten}).text
            assert "signed out." not in said.replace("This page's account was signed out.", "")
            assert "not signed in to any" not in said
        both.post(SET_ACTIVE, {"session": id_of(ada)})
        said = both.get(f"/multisession/notice/?session={forgotten}").text
        assert "This page's account was signed out." in said
        assert "You are signed out." not in said
        both.post("/multisession/sign-out-all/")
        assert "You are signed out." in both.get(f"/multisession/notice/?session={forgotten}").text

    def test_while_nobody_is_active_header_and_home_lead_with_the_faces(
        self, both, ada, grace, alan
    ):
        both.force_login(alan)
        both.post("/multisession/add-account/")
        both.post(SET_ACTIVE, {"session": id_of(alan)})
        both.post("/multisession/forget/", {"session": id_of(alan)})
        home = both.get("/").text
        header = home[home.index("<header") : home.index("</header")]
        assert "No account is active." in header
        assert header.count('class="ms-avatar') == 2
        assert "Continue as</h1>" in home
        for user in (ada, grace):
            assert f"Continue as {user.name}, {user.email}" in home
        page = press(both, form_with("Continue as Ada", home), follow=True)
        assert who(both) == ada.email
        assert "Now Ada Lovelace" in page.text

    def test_signing_in_again_asks_for_the_password_alone(self, both, ada, grace):
        session = id_of(grace)
        both.post("/multisession/sign-out/", {"session": session})
        url = f"/accounts/sign-in/?session={session}&next={PROFILE}"
        page = both.get(url).text
        form = form_with('type="password"', page)
        assert "E-mail address" not in form
        typed = re.findall(r'<input(?![^>]*(?:hidden|readonly))[^>]*name="(\w+)"', form)
        assert typed == ["password"]
        wrong = both.post(url, {"username": grace.email, "password": "wrong"}).text
        assert "Wrong e-mail address or password." in wrong
        assert "E-mail address<" not in form_with('type="password"', wrong)
        done = both.post(url, {"username": grace.email, "password": PASSWORD, "next": PROFILE})
        assert done["Location"] == PROFILE
        assert who(both) == grace.email

    def test_another_account_is_a_link_away(self, both, grace):
        Session.objects.get(user=grace).revoke()
        page = both.get("/accounts/sign-in/").text
        assert "E-mail address" not in form_with('type="password"', page)
        link = re.search(r'href="([^"]*)">Use another account', page)[1].replace("&amp;", "&")
        assert "E-mail address" in form_with('type="password"', both.get(link).text)

    def test_the_focus_does_not_scroll_the_list_of_accounts_out_of_sight(self, both):
        assert "autofocus" in Client().get("/accounts/sign-in/").text
        page = both.get("/accounts/sign-in/")
        assert "Switch to Ada Lovelace" in page.text
        assert "autofocus" not in page.text
        wrong = both.post("/accounts/sign-in/", {"username": "", "password": "x"})
        assert "autofocus" in wrong.text

    def test_a_villain_gets_no_address_of_an_account_that_the_browser_does_not_know(
        self, both, alan
    ):
        stranger = Client()
        stranger.force_login(alan)
        page = both.get("/accounts/sign-in/", {"session": id_of(alan)}).text
        assert alan.email not in page
        assert "E-mail address" in form_with('type="password"', page)

    def test_a_villain_who_sends_another_address_is_told_which_one_was_sent(self, both, ada, grace):
        session = id_of(grace)
        both.post("/multisession/sign-out/", {"session": session})
        url = f"/accounts/sign-in/?session={session}"
        page = both.post(url, {"username": ada.email, "password": "wrong"}).text
        form = form_with('type="password"', page)
        assert "E-mail address" in form
        assert f'value="{ada.email}"' in form
