"""The switcher, its page, the line in the UserButton, and the decorator."""

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.template import TemplateSyntaxError
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from multisession.test import set_active, sign_in
from tests.organization_urls import PROVIDER, join, leave
from tests.stories import session_of
from tests.test_guard import follow_form

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.organization_urls")]

PAGE = "/multisession/organizations/"


@pytest.fixture(autouse=True)
def provider(settings):
    settings.MULTISESSION = {**settings.MULTISESSION, **PROVIDER}


@pytest.fixture
def firefox(ada, grace):
    """Ada is in Acme (an admin) and Globex, Grace in Acme. Both signed in, Ada is active."""
    join(ada, "acme", "globex")
    join(grace, "acme")
    client = Client(enforce_csrf_checks=True)
    sign_in(client, grace, ada)
    return client


def where(client):
    return client.get("/where/").json()


def press(client, page, words):
    """Press a button of this page; return where it leads."""
    answer = follow_form(client, client.get(page), words)
    assert answer.status_code == 302, answer.text
    return answer["Location"]


class TestTheSwitcher:
    def test_it_names_the_current_place_and_offers_the_others(self, firefox):
        html = firefox.get("/switcher/").text
        assert "Open organization menu: Personal account" in html
        assert "Switch to Acme, admin" in html
        assert "Switch to Globex, member" in html
        press(firefox, "/switcher/", "Switch to Acme")
        html = firefox.get("/switcher/").text
        assert "Open organization menu: Acme" in html
        assert "Switch to Acme" not in html
        assert 'href="/acme/"' in html
        assert "Manage organization" in html

    def test_the_forms_enter_and_come_back_to_the_personal_account(self, firefox):
        assert press(firefox, "/switcher/", "Switch to Acme") == "/"
        assert where(firefox)["in"] == "acme"
        press(firefox, "/switcher/", "Switch to Personal account")
        assert where(firefox)["in"] is None
        assert "You are now using Personal account." in firefox.get("/").text

    def test_its_options(self, firefox):
        assert "Choose an organization" in firefox.get("/switcher/?show_personal=False").text
        html = firefox.get('/switcher/?create_url="/new/"').text
        assert 'href="/new/"' in html
        assert "Create organization" in html
        assert press(firefox, '/switcher/?after_switch_url="/where/"', "Acme") == "/where/"
        for options in ('placement="left"', "unknown=1"):
            with pytest.raises(TemplateSyntaxError, match="organization_switcher"):
                firefox.get(f"/switcher/?{options}")

    def test_where_there_is_nothing_to_choose_it_is_not_there(self, alan, settings):
        assert Client().get("/switcher/").text.strip() == ""
        client = Client()
        sign_in(client, alan)
        assert client.get("/switcher/").text.strip() == ""
        assert "Create organization" in client.get('/switcher/?create_url="/new/"').text
        settings.MULTISESSION = {}
        assert client.get('/switcher/?create_url="/new/"').text.strip() == ""

    def test_it_costs_the_providers_two_answers(self, firefox):
        firefox.get("/switcher/")
        press(firefox, "/switcher/", "Switch to Acme")
        firefox.get("/switcher/")
        with CaptureQueriesContext(connection) as captured:
            firefox.get("/switcher/")
        assert len(captured) == 3

    def test_an_old_form_acts_as_the_account_that_it_was_drawn_for(self, firefox, ada, grace):
        page = firefox.get("/switcher/")
        set_active(firefox, grace)
        assert follow_form(firefox, page, "Switch to Globex").status_code == 302
        assert where(firefox) == {"user": ada.email, "in": "globex"}

    def test_an_organization_that_one_has_left_is_not_entered(self, firefox, ada):
        page = firefox.get("/switcher/")
        leave(ada, "globex")
        assert follow_form(firefox, page, "Switch to Globex").status_code == 404
        assert where(firefox)["in"] is None

    def test_a_foreign_session_is_not_switched(self, firefox, alan):
        join(alan, "acme")
        other = Client()
        sign_in(other, alan)
        token = firefox.get("/form/").text
        form = {"session": session_of(alan).public_id, "organization": "acme"}
        form["csrfmiddlewaretoken"] = token
        assert firefox.post("/multisession/set-organization/", form).status_code == 404
        assert other.get("/where/").json()["in"] is None

    def test_a_tenant_with_its_own_domain_is_a_link(self, firefox, monkeypatch):
        from tests import organization_urls

        own = organization_urls.Organization(id="acme", name="Acme", url="https://acme.test/")
        provider = organization_urls.Groups
        monkeypatch.setattr(provider, "organizations_of", lambda self, user: [own])
        html = firefox.get("/switcher/").text
        assert '<a class="ms-row" href="https://acme.test/"' in html

    def test_names_are_escaped(self, firefox, ada):
        from django.contrib.auth.models import Group

        from tests.organization_urls import Organization

        assert Group.objects.exists()
        with pytest.raises(ValueError, match="url"):
            Organization(id="x", name="X", url="javascript:alert(1)")
        organization = Organization(id="x", name="<script>alert(1)</script>")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "tests.organization_urls.Groups.organizations_of", lambda self, user: [organization]
            )
            assert "<script>alert(1)" not in firefox.get("/switcher/").text


class TestThePage:
    def test_it_lists_the_organizations_and_leads_back(self, firefox):
        assert press(firefox, f"{PAGE}?next=/where/", "Switch to Globex") == "/where/"
        assert where(firefox)["in"] == "globex"
        assert 'href="/where/"' in firefox.get(f"{PAGE}?next=/where/").text
        assert press(firefox, f"{PAGE}?next=https://evil.test/", "Switch to Acme") == "/"

    def test_an_account_without_organizations_is_told(self, alan):
        client = Client()
        sign_in(client, alan)
        assert "This account belongs to no organization." in client.get(PAGE).text

    def test_nobody_is_sent_to_the_sign_in_page(self, db):
        assert Client().get(PAGE)["Location"].startswith("/accounts/sign-in/?next=")

    def test_the_user_button_has_a_line(self, firefox):
        html = firefox.get("/accounts/profile/").text
        assert f'href="{PAGE}"' in html
        assert "Choose an organization" in html
        press(firefox, "/switcher/", "Switch to Acme")
        assert "Acme" in firefox.get("/accounts/profile/").text

    def test_without_a_provider_it_has_none(self, firefox, settings):
        settings.MULTISESSION = {"CHOOSE_URL": "accounts:choose"}
        assert PAGE not in firefox.get("/").text


class TestTheDecorator:
    def test_nobody_signs_in_first(self, db):
        assert Client().get("/members/")["Location"] == "/accounts/sign-in/?next=/members/"

    def test_in_none_one_chooses_first_and_comes_back(self, firefox):
        location = firefox.get("/members/")["Location"]
        assert location == f"{PAGE}?next=/members/"
        assert press(firefox, location, "Switch to Globex") == "/members/"
        assert firefox.get("/members/").text == "for members"

    def test_whoever_was_thrown_out_chooses_again(self, firefox, ada):
        press(firefox, PAGE, "Switch to Globex")
        leave(ada, "globex")
        assert firefox.get("/members/").status_code == 302

    def test_without_the_role_another_organization_or_account_is_offered(self, firefox, grace):
        press(firefox, PAGE, "Switch to Globex")
        refused = firefox.get("/admins/", headers={"Accept": "text/html"})
        assert refused.status_code == 403
        assert "Switch to Acme, Ada Lovelace" in refused.text
        assert "Switch to Acme, Grace Hopper" in refused.text
        answer = follow_form(firefox, refused, "Switch to Acme, Grace Hopper")
        assert answer["Location"] == "/admins/"
        assert where(firefox) == {"user": grace.email, "in": "acme"}
        assert firefox.get("/admins/").text == "for admins"

    def test_a_program_gets_the_plain_403(self, firefox):
        press(firefox, PAGE, "Switch to Globex")
        refused = firefox.get("/admins/", headers={"Accept": "application/json"})
        assert refused.status_code == 403
        assert "Acme" not in refused.text

    def test_coroutines_as_well(self, firefox):
        client = AsyncClient()
        client.cookies = firefox.cookies

        def get():
            return async_to_sync(client.get)("/async-admins/", headers={"Accept": "text/html"})

        assert get()["Location"] == f"{PAGE}?next=/async-admins/"
        press(firefox, PAGE, "Switch to Globex")
        assert "Switch to Acme" in get().text
        press(firefox, PAGE, "Switch to Acme")
        assert get().text == "for admins"
