"""django-allauth: its own pages, for a person with several accounts."""

import re

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.contrib.auth import SESSION_KEY
from django.core import mail

from accounts.models import User
from multisession.backends.db import SessionStore
from multisession.models import Session
from tests.conftest import PASSWORD
from tests.ecosystem.conftest import Browser
from tests.stories import settled

pytestmark = pytest.mark.django_db

SIGN_IN = "/allauth/login/"
SIGN_UP = "/allauth/signup/"
SIGN_OUT = "/allauth/logout/"
CHANGE_PASSWORD = "/allauth/password/change/"
SESSIONS = "/allauth/sessions/"


class TestSigningIn:
    def test_a_second_sign_in_adds_an_account(self, browser, ada, grace, sign_in):
        sign_in(browser, ada)
        sign_in(browser, grace)
        assert browser.who() == grace.email
        assert browser.accounts() == {ada.email, grace.email}

    def test_one_person_switches_and_each_account_keeps_its_own_data(
        self, browser, ada, grace, sign_in
    ):
        sign_in(browser, ada)
        browser.post("/api/notes/", {"text": "Ada's"})
        sign_in(browser, grace)
        assert browser.get("/api/notes/").json() == {"user": grace.email, "notes": []}
        browser.switch_to(ada)
        assert browser.get("/api/notes/").json() == {"user": ada.email, "notes": ["Ada's"]}

    def test_a_wrong_password_leaves_everybody_as_they_were(self, browser, ada, grace, sign_in):
        sign_in(browser, ada)
        page = browser.post(SIGN_IN, {"login": grace.email, "password": "wrong"})
        assert page.status_code == 200
        assert browser.who() == ada.email
        assert browser.accounts() == {ada.email}

    def test_signing_in_again_makes_no_second_session(self, browser, ada, grace, sign_in):
        sign_in(browser, ada)
        sign_in(browser, grace)
        sign_in(browser, ada)
        assert browser.who() == ada.email
        assert sorted(session.user.email for session in browser.sessions()) == [
            ada.email,
            grace.email,
        ]

    def test_a_new_person_signs_up_below_the_one_who_is_there(self, browser, ada, sign_in):
        sign_in(browser, ada)
        response = browser.post(SIGN_UP, {"email": "new@example.com", "password1": PASSWORD})
        assert response.status_code == 302
        assert browser.who() == "new@example.com"
        assert browser.accounts() == {ada.email, "new@example.com"}

    def test_without_its_setting_allauth_sends_signed_in_people_away_from_its_page(
        self, browser, ada, sign_in, settings
    ):
        settings.ACCOUNT_AUTHENTICATED_LOGIN_REDIRECTS = True
        sign_in(browser, ada)
        assert browser.get(SIGN_IN).status_code == 302
        settings.ACCOUNT_AUTHENTICATED_LOGIN_REDIRECTS = False
        assert browser.get(SIGN_IN).status_code == 200


class TestOneAccountAtATime:
    def test_a_sign_in_replaces_who_was_there(self, browser, ada, grace, sign_in, settings):
        settings.ACCOUNT_ADAPTER = "tests.ecosystem.recipes.OneAccountAtATimeAdapter"
        sign_in(browser, ada)
        sign_in(browser, grace)
        assert browser.accounts() == {grace.email}
        assert browser.remembered() == set()
        assert Session.objects.get(user=ada).status == Session.Status.REPLACED


class TestProvingItAgain:
    """allauth asks for the password again before what matters most."""

    def add_address(self, browser: Browser, address: str) -> bool:
        """Whether it went through without a password."""
        response = browser.post("/allauth/email/", {"action_add": "", "email": address})
        return "reauthenticate" not in response["Location"]

    def test_reauthentication_is_proof_for_one_account_only(
        self, browser, ada, grace, sign_in, settings
    ):
        settings.ACCOUNT_REAUTHENTICATION_REQUIRED = True
        sign_in(browser, grace)
        sign_in(browser, ada)
        assert not self.add_address(browser, "ada@example.org")
        browser.post("/allauth/reauthenticate/", {"password": PASSWORD})
        assert self.add_address(browser, "ada@example.org")
        browser.switch_to(grace)
        assert not self.add_address(browser, "grace@example.org")
        browser.switch_to(ada)
        assert self.add_address(browser, "countess@example.org")


class TestSigningOut:
    def test_signing_out_of_one_account_leaves_the_other(self, browser, ada, grace, sign_in):
        sign_in(browser, ada)
        sign_in(browser, grace)
        assert browser.post(SIGN_OUT).status_code == 302
        assert browser.who() is None
        assert browser.accounts() == {ada.email}
        assert browser.remembered() == {grace.email}
        browser.switch_to(ada)

    def test_signing_out_of_one_account_activates_the_next_if_the_project_wants_it(
        self, browser, ada, grace, sign_in, settings
    ):
        settings.MULTISESSION = {**settings.MULTISESSION, "AFTER_SIGN_OUT": "next"}
        sign_in(browser, ada)
        sign_in(browser, grace)
        browser.post(SIGN_OUT)
        assert browser.who() == ada.email


class TestPasswordChange:
    @pytest.fixture
    def changed(self, browser, another_browser, ada, grace, sign_in):
        """Grace, below whom Ada is signed in, has changed her password."""
        sign_in(another_browser, grace)
        sign_in(browser, ada)
        sign_in(browser, grace)
        before = browser.cookie
        response = browser.post(
            CHANGE_PASSWORD,
            {
                "oldpassword": PASSWORD,
                "password1": "a quite new one",
                "password2": "a quite new one",
            },
        )
        assert response.status_code == 302
        assert browser.cookie != before
        return browser

    def test_a_password_change_keeps_this_account_and_does_not_touch_the_other(
        self, changed, ada, grace
    ):
        assert changed.who() == grace.email
        assert changed.accounts() == {ada.email, grace.email}
        changed.switch_to(ada)

    def test_ends_the_account_in_every_other_browser(self, changed, another_browser):
        assert another_browser.who() is None

    def test_a_password_change_with_sign_out_on_change_signs_out_of_this_account(
        self, browser, ada, grace, sign_in, settings
    ):
        settings.ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
        sign_in(browser, ada)
        sign_in(browser, grace)
        browser.post(
            CHANGE_PASSWORD,
            {
                "oldpassword": PASSWORD,
                "password1": "a quite new one",
                "password2": "a quite new one",
            },
        )
        assert browser.who() is None
        assert browser.accounts() == {ada.email}


class TestRememberMe:
    """One cookie, several wishes: it goes with the browser as soon as one account asked for it."""

    def max_age(self, browser):
        return browser.cookies["sessionid"]["max-age"]

    def test_the_cookie_is_persistent_if_all_accounts_wish_to_be_remembered(
        self, browser, ada, grace, sign_in
    ):
        sign_in(browser, ada)
        sign_in(browser, grace)
        assert self.max_age(browser) > 0

    def test_unticked_below_a_persistent_account(self, browser, ada, grace, sign_in):
        sign_in(browser, ada, remember=False)
        assert self.max_age(browser) == ""
        sign_in(browser, grace)
        assert self.max_age(browser) == ""
        assert browser.who() == grace.email

    def test_unticked_above_a_persistent_account(self, browser, ada, grace, sign_in):
        sign_in(browser, ada)
        assert self.max_age(browser) > 0
        sign_in(browser, grace, remember=False)
        assert self.max_age(browser) == ""

    def test_a_switch_does_not_prolong_remember_me(self, browser, ada, grace, sign_in):
        sign_in(browser, ada, remember=False)
        sign_in(browser, grace)
        browser.switch_to(ada)
        assert self.max_age(browser) == ""
        browser.switch_to(grace)
        assert self.max_age(browser) == ""

    def test_the_cookie_is_persistent_again_after_an_unremembered_account_signed_out(
        self, browser, ada, grace, sign_in
    ):
        sign_in(browser, ada)
        sign_in(browser, grace, remember=False)
        browser.post(SIGN_OUT)
        assert self.max_age(browser) > 0
        assert browser.accounts() == {ada.email}


class TestSignInInSteps:
    """By a code in an e-mail. A second factor and a verified address take the same road."""

    def ask_for_a_code(self, browser: Browser, user: User) -> str:
        browser.post("/allauth/login/code/", {"email": user.email})
        found = re.search(r"^[A-Z0-9]{3,5}-?[A-Z0-9]{3,5}$", mail.outbox[-1].body, re.MULTILINE)
        assert found is not None, mail.outbox[-1].body
        return found[0]

    def test_sign_in_in_steps_works_while_nobody_is_active(self, browser, ada, grace, sign_in):
        sign_in(browser, ada)
        sign_in(browser, grace)
        browser.post(SIGN_OUT)
        code = self.ask_for_a_code(browser, grace)
        browser.post("/allauth/login/code/confirm/", {"code": code})
        assert browser.who() == grace.email
        assert browser.accounts() == {ada.email, grace.email}

    def test_sign_in_in_steps_is_refused_by_allauth_while_somebody_is_active(
        self, browser, ada, grace, sign_in
    ):
        sign_in(browser, ada)
        code = self.ask_for_a_code(browser, grace)
        browser.post("/allauth/login/code/confirm/", {"code": code})
        assert browser.who() == ada.email
        assert browser.accounts() == {ada.email}

    def test_sign_in_in_steps_works_after_a_step_aside(self, browser, ada, grace, sign_in):
        sign_in(browser, ada)
        browser.post("/multisession/add-account/")
        assert browser.who() is None
        assert browser.accounts() == {ada.email}
        code = self.ask_for_a_code(browser, grace)
        browser.post("/allauth/login/code/confirm/", {"code": code})
        assert browser.who() == grace.email
        assert browser.accounts() == {ada.email, grace.email}


class TestSteppingAside:
    """*Add account*, where the sign-in pages are for nobody but visitors."""

    @pytest.fixture(autouse=True)
    def allauth_as_it_comes(self, settings):
        settings.ACCOUNT_AUTHENTICATED_LOGIN_REDIRECTS = True

    def test_signing_in_after_stepping_aside_adds_an_account(self, browser, ada, grace, sign_in):
        sign_in(browser, ada)
        page = browser.post("/multisession/add-account/", follow=True)
        assert page.redirect_chain == [(SIGN_IN, 302)]
        sign_in(browser, grace)
        assert browser.accounts() == {ada.email, grace.email}

    def test_going_back_after_stepping_aside_needs_no_password(self, browser, ada, sign_in):
        sign_in(browser, ada)
        browser.post("/multisession/add-account/")
        browser.switch_to(ada)

    def test_signing_in_again_after_stepping_aside_makes_no_second_session(
        self, browser, ada, sign_in
    ):
        sign_in(browser, ada)
        browser.post("/multisession/add-account/")
        sign_in(browser, ada)
        assert [session.user for session in browser.sessions()] == [ada]

    def test_stepping_aside_lasts_even_if_the_next_account_takes_over_after_a_sign_out(
        self, browser, ada, sign_in, settings
    ):
        settings.MULTISESSION = {**settings.MULTISESSION, "AFTER_SIGN_OUT": "next"}
        sign_in(browser, ada)
        browser.post("/multisession/add-account/")
        assert browser.who() is None
        assert browser.accounts() == {ada.email}

    def test_a_visitor_just_gets_the_sign_in_page(self, browser):
        assert browser.post("/multisession/add-account/", follow=True).redirect_chain == [
            (SIGN_IN, 302)
        ]
        assert browser.cookie is None


class TestLinksInEmails:
    """allauth signs out who is active when they open a link for another account."""

    def link(self, pattern: str) -> str:
        found = re.search(rf"http://testserver({pattern}\S+)", mail.outbox[-1].body)
        assert found is not None, mail.outbox[-1].body
        return found[1]

    @pytest.fixture
    def reset_link(self, another_browser, grace):
        another_browser.post("/allauth/password/reset/", {"email": grace.email})
        return self.link("/allauth/password/reset/key/")

    @pytest.fixture
    def confirmation_link(self, another_browser, grace, sign_in):
        sign_in(another_browser, grace)
        another_browser.post("/allauth/email/", {"action_send": "", "email": grace.email})
        return self.link("/allauth/confirm-email/")

    def test_a_password_reset_link_signs_the_active_account_out(
        self, browser, ada, grace, sign_in, reset_link
    ):
        sign_in(browser, ada)
        page = browser.get(reset_link, follow=True)
        new = {"password1": "a quite new one", "password2": "a quite new one"}
        assert browser.post(page.wsgi_request.path, new).status_code == 302
        grace.refresh_from_db()
        assert grace.check_password("a quite new one")
        # The one who was active is signed out, as allauth wants it, and remembered.
        assert browser.accounts() == set()
        assert browser.remembered() == {ada.email}

    def test_a_confirmation_link_signs_the_active_account_out(
        self, browser, ada, grace, sign_in, confirmation_link
    ):
        sign_in(browser, ada)
        browser.get(confirmation_link)
        assert browser.post(confirmation_link).status_code == 302
        assert browser.accounts() == set()
        assert browser.remembered() == {ada.email}

    def test_links_in_emails_sign_nobody_out_with_the_recipes_views(
        self, browser, ada, grace, sign_in, confirmation_link, reset_link
    ):
        sign_in(browser, ada)
        link = f"/with-recipe{confirmation_link}"
        browser.get(link)
        assert browser.post(link).status_code == 302
        assert EmailAddress.objects.get(email=grace.email).verified
        page = browser.get(f"/with-recipe{reset_link}", follow=True)
        new = {"password1": "a quite new one", "password2": "a quite new one"}
        assert browser.post(page.wsgi_request.path, new).status_code == 302
        grace.refresh_from_db()
        assert grace.check_password("a quite new one")
        assert browser.who() == ada.email


class TestSessionList:
    """allauth.usersessions knows a session by its key, and a key is the active account's."""

    def listed(self, browser: Browser) -> list[UserSession]:
        return browser.get(SESSIONS).context["sessions"]

    def test_the_session_list_shows_the_active_account_in_each_browser(
        self, browser, another_browser, ada, sign_in
    ):
        sign_in(browser, ada)
        sign_in(another_browser, ada)
        rows = self.listed(browser)
        assert {row.user_agent for row in rows} == {"Firefox", "Konqueror"}
        assert {row.user for row in rows} == {ada}

    def test_the_session_list_never_hands_a_row_to_another_account(
        self, browser, ada, grace, sign_in
    ):
        sign_in(browser, ada)
        [row] = UserSession.objects.all()
        sign_in(browser, grace)
        browser.switch_to(ada)
        browser.switch_to(grace)
        for row in UserSession.objects.all():
            user = SessionStore(row.session_key).get(SESSION_KEY)
            assert user in (None, str(row.user_id))

    def test_ending_the_other_sessions_keeps_this_one(self, browser, another_browser, ada, sign_in):
        sign_in(another_browser, ada)
        sign_in(browser, ada)
        assert browser.post(SESSIONS).status_code == 302
        assert another_browser.who() is None
        assert browser.who() == ada.email

    def test_ending_a_session_elsewhere_ends_only_its_account_there(
        self, browser, another_browser, ada, grace, sign_in
    ):
        sign_in(another_browser, grace)
        sign_in(another_browser, ada)
        sign_in(browser, ada)
        browser.post(SESSIONS)
        assert another_browser.who() is None
        assert another_browser.accounts() == {grace.email}
        assert [row.user_agent for row in self.listed(browser)] == ["Firefox"]

    def test_after_a_further_sign_in_an_account_is_missing_from_its_own_list(
        self, browser, another_browser, ada, grace, sign_in
    ):
        """Its key was of the cookie of before, which ends once the new one has arrived."""
        sign_in(browser, ada)
        sign_in(browser, grace)
        browser.who()
        sign_in(another_browser, ada)
        agents = {row.user_agent for row in self.listed(another_browser)}
        assert agents == {"Firefox", "Konqueror"}
        settled(browser, "/")
        assert [row.user_agent for row in self.listed(another_browser)] == ["Konqueror"]
        # Ours knows both.
        ours = Session.objects.filter(user=ada).live()
        assert {session.client.user_agent for session in ours} == {"Firefox", "Konqueror"}

    def test_an_account_is_on_its_own_list_if_allauth_tracks_every_request(
        self, browser, another_browser, ada, grace, sign_in, settings
    ):
        settings.USERSESSIONS_TRACK_ACTIVITY = True
        settings.MIDDLEWARE = [
            *settings.MIDDLEWARE,
            "allauth.usersessions.middleware.UserSessionsMiddleware",
        ]
        sign_in(browser, ada)
        sign_in(browser, grace)
        browser.switch_to(ada)
        sign_in(another_browser, ada)
        listed = self.listed(another_browser)
        assert {row.user_agent for row in listed} == {"Firefox", "Konqueror"}
