"""Ways into the admin and out of it, with several accounts on the browser."""

import re

import pytest
from django.apps import AppConfig
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from multisession.contrib.admin.sites import AccountsMixin
from tests.stories import NOBODY, Browser, session_of, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.office_urls")]


@pytest.fixture
def staff(db) -> User:
    return User.objects.create_superuser("staff@example.com", name="Stella Staff")


@pytest.fixture
def clerk(db) -> User:
    return User.objects.create_superuser("office@example.com", name="Clara Clerk")


def offered(response) -> list[str]:
    """The ids of the sessions that a page offers to switch to."""
    text = response.content.decode().partition("data-multisession-other-account")[2]
    return re.findall(r'name="session" value="(sess_\w+)"', text)


def test_the_entry_makes_the_stock_site_one_with_accounts():
    entry = AppConfig.create("multisession.contrib.admin")
    assert (entry.name, entry.label) == ("django.contrib.admin", "admin")
    assert isinstance(admin.site, AccountsMixin)  # the demo has this entry


class TestIn:
    @pytest.mark.parametrize("path", ["/admin/", "/admin/multisession/session/?status=active"])
    def test_an_account_without_rights_is_offered_the_staff_account(self, ada, staff, path):
        firefox = signed_in(staff, ada)
        response = firefox.get(path)
        assert response.status_code == 403
        assert offered(response) == [session_of(staff).public_id]
        text = response.content.decode()
        assert "Stella Staff" in text
        assert f'name="next" value="{path}"' in text
        firefox.switch(staff)
        assert firefox.get(path).status_code == 200

    def test_only_accounts_that_may_enter_are_offered(self, ada, grace, staff, clerk):
        firefox = signed_in(grace, staff, clerk, ada)
        assert offered(firefox.get("/office/")) == [session_of(clerk).public_id]

    def test_while_nobody_is_active_the_staff_account_is_offered(self, ada, staff):
        firefox = signed_in(staff, ada)
        firefox.sign_out()
        assert firefox.who() == NOBODY
        assert offered(firefox.get("/admin/")) == [session_of(staff).public_id]

    def test_without_such_an_account_the_sign_in_page_comes_as_ever(self, ada, grace):
        for browser in (Browser(), signed_in(ada), signed_in(ada, grace)):
            response = browser.get("/admin/")
            assert response["Location"] == "/admin/login/?next=/admin/"
            assert browser.get(response["Location"]).status_code == 200

    def test_the_sign_in_page_itself_stays_a_sign_in_page(self, ada, staff):
        response = signed_in(staff, ada).get("/admin/login/?next=/admin/")
        assert response.status_code == 200
        assert 'name="password"' in response.content.decode()

    def test_an_account_that_is_signed_out_is_not_offered(self, ada, staff):
        firefox = signed_in(staff, ada)
        session_of(staff).revoke()
        assert firefox.get("/admin/").status_code == 302

    def test_a_form_is_never_sent_as_another_account(self, ada, staff):
        firefox = signed_in(staff, ada)
        path = f"/admin/accounts/user/{ada.pk}/delete/"
        assert firefox.post(path, {"post": "yes"}).status_code == 302
        assert User.objects.filter(pk=ada.pk).exists()
        assert firefox.who() == "ada"

    def test_people_with_one_account_pay_no_query_for_it(self, staff):
        firefox = signed_in(staff)
        with CaptureQueriesContext(connection) as queries:
            firefox.get("/admin/")
        accounts = [q for q in queries if 'FROM "multisession_session"' in q["sql"]]
        assert len(accounts) <= 1  # the page's own


class TestOut:
    def test_signing_out_leads_to_the_accounts_that_are_left(self, ada, staff):
        firefox = signed_in(ada, staff)
        response = firefox.post("/admin/logout/")
        assert response["Location"] == "/accounts/choose/?next=/admin/"
        assert (firefox.who(), firefox.accounts()) == (NOBODY, ["ada"])

    def test_with_next_the_next_account_is_asked_for_the_admin(self, settings, ada, staff):
        settings.MULTISESSION = {"AFTER_SIGN_OUT": "next"}
        firefox = signed_in(ada, staff)
        assert firefox.post("/admin/logout/")["Location"] == "/admin/"

    def test_the_last_sign_out_says_who_was_signed_out(self, settings, staff):
        settings.LOGOUT_REDIRECT_URL = None
        firefox = signed_in(staff)
        response = firefox.post("/admin/logout/")
        text = response.content.decode()
        assert response.status_code == 200
        assert "You&#x27;ve signed out of" in text or "You've signed out of" in text
        assert "Stella Staff" in text
        assert "No account is signed in on this browser." in text
        assert 'href="/admin/"' in text
        assert firefox.accounts() == []

    def test_a_project_s_own_page_after_the_last_sign_out_stays(self, settings, staff):
        settings.LOGOUT_REDIRECT_URL = "/goodbye/"
        assert signed_in(staff).post("/admin/logout/")["Location"] == "/goodbye/"

    def test_opening_the_address_signs_nobody_out(self, staff):
        firefox = signed_in(staff)
        assert firefox.get("/admin/logout/").status_code == 405
        assert firefox.who() == "staff"

    def test_a_visitor_s_sign_out_is_answered_as_ever(self):
        assert Browser().post("/admin/logout/").status_code == 302


def test_the_links_of_a_site_of_one_s_own_stay_in_it(clerk, ada):
    signed_in(ada)
    office = signed_in(clerk)
    session = session_of(ada)
    pages = [
        "/office/multisession/session/",
        f"/office/multisession/session/{session.pk}/change/",
        f"/office/multisession/session/revoke/?user={ada.pk}",
        "/office/multisession/event/",
    ]
    for path in pages:
        response = office.get(path)
        assert response.status_code == 200
        assert '="/admin/multisession' not in response.content.decode(), path
    response = office.post(f"/office/multisession/session/{session.pk}/revoke/")
    assert response["Location"] == f"/office/multisession/session/{session.pk}/change/"
