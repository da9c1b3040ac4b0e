"""A page of one organization never writes in another one, nor in none."""

import json
import re

import pytest
from django.test import Client

from multisession.test import set_active, sign_in
from tests.organization_urls import PROVIDER, WRITTEN, join, leave
from tests.stories import session_of
from tests.test_guard import follow_form

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.organization_urls")]

AS_FORM = {
    "Sec-Fetch-Mode": "navigate",
    "Accept": "text/html",
    "Origin": "http://testserver",
    "Referer": "http://testserver/form/",
}
PLACES = ("acme", "globex", "")


@pytest.fixture(autouse=True)
def provider(settings):
    settings.MULTISESSION = {**settings.MULTISESSION, **PROVIDER}
    WRITTEN.clear()


@pytest.fixture
def firefox(ada, grace):
    """Ada and Grace, both members of Acme and Globex, are signed in; Ada is active."""
    for user in (ada, grace):
        join(user, "acme", "globex")
    client = Client(enforce_csrf_checks=True)
    sign_in(client, grace, ada)
    return client


def enter(client, place):
    assert client.post("/enter/", {"to": place}).status_code == 200


def token(client):
    return client.get("/form/").text


def send(client, token, path="/write/", headers=AS_FORM, **fields):
    return client.post(path, {"csrfmiddlewaretoken": token, "text": "x", **fields}, headers=headers)


@pytest.mark.parametrize("account", ["the same", "the other"])
@pytest.mark.parametrize("active", PLACES)
@pytest.mark.parametrize("page", PLACES)
class TestPageAndActive:
    def bring_about(self, firefox, grace, page, active, account):
        enter(firefox, page)
        drawn = token(firefox)
        if account == "the other":
            set_active(firefox, grace)
        enter(firefox, active)
        return drawn

    def test_a_form_is_written_only_where_it_was_drawn(
        self, firefox, ada, grace, page, active, account
    ):
        drawn = self.bring_about(firefox, grace, page, active, account)
        response = send(firefox, drawn)
        if account == "the same" and page == active:
            assert [(ada.email, page or None)] == WRITTEN
            return
        assert response.status_code == 409
        assert WRITTEN == []

    def test_a_person_switches_and_sends_it_there(self, firefox, ada, grace, page, active, account):
        drawn = self.bring_about(firefox, grace, page, active, account)
        response = send(firefox, drawn)
        if response.status_code == 200:
            return
        assert follow_form(firefox, response, "and send").status_code == 200
        assert [(ada.email, page or None)] == WRITTEN

    def test_a_script_is_told(self, firefox, grace, page, active, account):
        drawn = self.bring_about(firefox, grace, page, active, account)
        headers = {"Sec-Fetch-Mode": "cors", "Accept": "*/*", "Origin": "http://testserver"}
        response = send(firefox, drawn, headers=headers)
        if response.status_code == 200:
            return
        assert response["X-Multisession"] == "wrong-account"
        told = json.loads(response.content)
        kind = "wrong_organization" if account == "the same" else "wrong_account"
        assert told["error"] == kind
        assert (told.get("page_organization") or "") == page
        assert (told.get("active_organization") or "") == active
        assert WRITTEN == []

    def test_a_script_that_names_its_page_is_refused_as_well(
        self, firefox, ada, grace, page, active, account
    ):
        """It reads the cookie, which speaks for the browser; notice.js says which page it is."""
        self.bring_about(firefox, grace, page, active, account)
        cookie = token(firefox)
        name = session_of(ada).public_id + (f":{page}" if page else "")
        headers = {"Sec-Fetch-Mode": "cors", "Accept": "*/*", "X-Multisession-Page": name}
        response = send(firefox, cookie, headers=headers)
        is_right = account == "the same" and page == active
        assert response.status_code == (200 if is_right else 409)
        assert len(WRITTEN) == is_right


class TestAnOrganizationThatOneWasThrownOutOf:
    @pytest.fixture
    def drawn(self, firefox, ada):
        enter(firefox, "acme")
        drawn = token(firefox)
        leave(ada, "acme")
        return drawn

    def test_a_form_of_an_organization_that_one_left_writes_nowhere(self, firefox, drawn):
        response = send(firefox, drawn)
        assert response.status_code == 409
        assert "no longer a member" in response.text
        assert "Acme" not in response.text
        assert WRITTEN == []

    def test_a_form_of_an_organization_that_one_left_writes_nowhere_when_sent_again(
        self, firefox, drawn
    ):
        again = {"multisession-send": "a" * 22}
        assert send(firefox, drawn, **again).status_code == 409
        enter(firefox, "globex")
        assert send(firefox, drawn, **again).status_code == 409
        assert WRITTEN == []

    def test_a_person_may_send_the_text_where_they_are_now(self, firefox, ada, drawn):
        assert follow_form(firefox, send(firefox, drawn), "Send as").status_code == 200
        assert [(ada.email, None)] == WRITTEN

    def test_a_script_is_told(self, firefox, drawn):
        headers = {"Sec-Fetch-Mode": "cors", "Accept": "*/*"}
        told = send(firefox, drawn, headers=headers).json()
        assert told["error"] == "wrong_organization"
        assert told["page_organization"] is None
        assert WRITTEN == []

    def test_the_page_after_losing_membership_is_in_no_organization(self, firefox, ada, drawn):
        assert send(firefox, token(firefox)).status_code == 200
        assert [(ada.email, None)] == WRITTEN

    def test_a_form_of_another_account_s_lost_organization_writes_nowhere(
        self, firefox, grace, drawn
    ):
        set_active(firefox, grace)
        response = send(firefox, drawn)
        assert response.status_code == 409
        answer = follow_form(firefox, response, "and send")
        assert answer.status_code == 409
        assert WRITTEN == []


class TestTheRestOfTheGuard:
    def test_a_view_about_the_browser_takes_every_page(self, firefox, ada):
        enter(firefox, "acme")
        drawn = token(firefox)
        enter(firefox, "globex")
        assert send(firefox, drawn, "/any/").status_code == 200
        assert [(ada.email, "globex")] == WRITTEN

    def test_htmx_gets_a_sheet_that_switches_back_and_keeps_the_page(self, firefox, ada):
        enter(firefox, "acme")
        drawn = token(firefox)
        enter(firefox, "globex")
        headers = {"Sec-Fetch-Mode": "cors", "Accept": "*/*", "HX-Request": "true"}
        response = send(firefox, drawn, headers=headers)
        assert response.status_code == 409
        words = " ".join(re.sub(r"<[^>]+>", " ", response.text).split())
        assert "This page belongs to Acme. You are now using Globex." in words
        assert follow_form(firefox, response, "Switch to Acme").status_code == 204
        assert send(firefox, drawn).status_code == 200
        assert [(ada.email, "acme")] == WRITTEN

    def test_the_notice_tells_of_it_in_the_other_tab(self, firefox, ada):
        enter(firefox, "acme")
        page = f"{session_of(ada).public_id}:acme"
        assert firefox.get("/multisession/notice/", {"session": page}).status_code == 204
        enter(firefox, "globex")
        answer = firefox.get("/multisession/notice/", {"session": page})
        words = " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())
        assert "You are now using Globex in another tab." in words
        assert answer["X-Multisession-Page"] == f"{session_of(ada).public_id}:globex"
        assert follow_form(firefox, answer, "Switch back to Acme").status_code == 204
        assert firefox.get("/multisession/notice/", {"session": page}).status_code == 204

    def test_the_notice_of_an_organization_that_one_has_left(self, firefox, ada):
        enter(firefox, "acme")
        page = f"{session_of(ada).public_id}:acme"
        leave(ada, "acme")
        answer = firefox.get("/multisession/notice/", {"session": page})
        assert "no longer a member" in answer.text
        assert "Acme" not in answer.text

    def test_a_page_says_its_organization(self, firefox, ada):
        enter(firefox, "acme")
        name = f'data-multisession-page="{session_of(ada).public_id}:acme"'
        assert name in firefox.get("/accounts/profile/").text

    def test_a_form_from_before_signing_in_again_keeps_to_its_organization(self, firefox, ada):
        enter(firefox, "acme")
        drawn = token(firefox)
        session_of(ada).end()
        sign_in(firefox, ada)
        response = send(firefox, drawn)
        assert response.status_code == 409
        assert follow_form(firefox, response, "Switch to Acme and send").status_code == 200
        assert [(ada.email, "acme")] == WRITTEN

    def test_with_the_secret_in_the_session_older_pages_are_refused(self, firefox, settings, ada):
        settings.CSRF_USE_SESSIONS = True
        enter(firefox, "acme")
        drawn = token(firefox)
        assert send(firefox, drawn).status_code == 200
        enter(firefox, "globex")
        assert send(firefox, drawn).status_code == 403
        assert send(firefox, token(firefox)).status_code == 200
        leave(ada, "globex")
        drawn = token(firefox)
        assert send(firefox, drawn).status_code == 200
        assert [(ada.email, "acme"), (ada.email, "globex"), (ada.email, None)] == WRITTEN
