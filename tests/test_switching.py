"""A switch keeps the page, says who is active now, and offers the way back."""

import re

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from accounts.models import Note, User
from multisession.models import Session

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
        from django.template import engines

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
        from multisession.templatetags.multisession import switch_back

        assert switch_back({"request": request}, message)["session"] is None

    def test_the_way_back_needs_a_token(self, ada, grace):
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(ada)
        browser.force_login(grace)
        assert browser.post(SET_ACTIVE, {"session": id_of(ada)}).status_code == 403
        assert who(browser) == grace.email
