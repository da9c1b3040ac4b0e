"""``ASK_AT_SWITCH``: a switch that needs the password of the account."""

import pytest
from django.core.checks import run_checks
from django.test import Client

from tests.conftest import PASSWORD
from tests.stories import COOKIE, session_of
from tests.test_recent_sign_in import answered

pytestmark = pytest.mark.django_db

HERE = {"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"}
SWITCH = "/multisession/set-active/"


def grace_asks(request, session):
    """The project's rule."""
    return session.user.email == "grace@example.com"


def broken(request, session):
    raise RuntimeError("no answer")


@pytest.fixture(autouse=True)
def rule(settings):
    settings.MULTISESSION = {
        **settings.MULTISESSION,
        "ASK_AT_SWITCH": f"{__name__}.grace_asks",
    }


@pytest.fixture
def browser(ada, grace) -> Client:
    """Grace and Ada are signed in; Ada is active."""
    browser = Client(raise_request_exception=False)
    for user in (grace, ada):
        browser.post("/accounts/sign-in/", {"username": user.email, "password": PASSWORD})
        assert who(browser) == user.email
    return browser


def who(browser: Client) -> str | None:
    return browser.get("/whoami").json()["user"]


def switch(browser: Client, user, **fields):
    return browser.post(SWITCH, {"session": session_of(user).public_id, **fields})


class TestTheGoodOne:
    def test_the_password_of_that_account_is_asked_for(self, browser, grace):
        asked = switch(browser, grace, next="/notes/1/")
        assert asked.status_code == 302
        page = browser.get(asked["Location"])
        assert "grace@example.com" in page.content.decode()
        assert who(browser) == "ada@example.com"
        cookie = browser.cookies[COOKIE].value
        done = browser.post(SWITCH, answered(page))
        assert (done.status_code, done["Location"]) == (302, "/notes/1/")
        assert who(browser) == "grace@example.com"
        assert browser.cookies[COOKIE].value != cookie

    def test_other_accounts_switch_as_before(self, browser, ada, grace):
        browser.post(SWITCH, {**answered(browser.get(switch(browser, grace)["Location"]))})
        cookie = browser.cookies[COOKIE].value
        switch(browser, ada)
        assert (who(browser), browser.cookies[COOKIE].value) == ("ada@example.com", cookie)

    def test_signing_in_needs_no_other_proof(self, browser, grace):
        form = {"username": grace.email, "password": PASSWORD}
        browser.post("/accounts/sign-in/", form)
        assert who(browser) == grace.email

    def test_htmx_is_led_to_the_page(self, browser, grace):
        form = {"session": session_of(grace).public_id}
        asked = browser.post(SWITCH, form, headers={"HX-Request": "true"})
        assert asked["HX-Redirect"].startswith("/multisession/confirm-switch/?session=sess_")

    def test_whoever_has_no_password_signs_in_again(self, browser, grace):
        grace.set_unusable_password()
        grace.save()
        browser.force_login(grace)
        switch(browser, session_of(grace).user)
        page = browser.get(
            "/multisession/confirm-switch/", {"session": session_of(grace).public_id}
        )
        assert "multisession-password" not in page.content.decode()
        assert "/accounts/sign-in/?" in page.content.decode()


class TestVillains:
    @pytest.mark.parametrize("password", ["", "wrong", PASSWORD.upper()])
    def test_a_wrong_password_switches_nothing(self, browser, grace, password):
        answer = switch(browser, grace, **{"multisession-password": password})
        assert answer.status_code == 422
        assert who(browser) == "ada@example.com"

    def test_the_active_accounts_password_is_the_wrong_one(self, browser, ada, grace):
        ada.set_password("only hers")
        ada.save()
        browser.post("/accounts/sign-in/", {"username": ada.email, "password": "only hers"})
        assert switch(browser, grace, **{"multisession-password": "only hers"}).status_code == 422
        assert who(browser) == ada.email

    def test_scripts_cannot_go_around_it(self, browser, grace):
        asked = browser.post(
            SWITCH,
            {"session": session_of(grace).public_id},
            headers={"accept": "application/json"},
        )
        assert (asked.status_code, asked.json()) == (403, {"error": "confirmation_needed"})
        assert who(browser) == "ada@example.com"

    def test_the_frontend_api_cannot_go_around_it(self, browser, ada, grace):
        answers = [
            browser.post(
                f"/__clerk/v1/client/sessions/{session_of(user).public_id}/touch",
                "{}",
                content_type="application/json",
                headers=HERE,
            )
            for user in (ada, grace)
        ]
        assert [answer.status_code for answer in answers] == [200, 403]
        assert answers[1].json()["errors"][0]["code"] == "confirmation_needed"
        assert who(browser) == "ada@example.com"

    def test_a_sheet_that_stays_cannot_go_around_it(self, browser, grace):
        assert switch(browser, grace, stay="1").status_code == 409
        assert who(browser) == "ada@example.com"

    def test_another_browsers_session_is_unknown(self, browser, alan):
        other = Client()
        other.force_login(alan)
        session = session_of(alan).public_id
        page = browser.get("/multisession/confirm-switch/", {"session": session})
        assert page.status_code == 404
        assert switch(browser, alan, **{"multisession-password": PASSWORD}).status_code == 404

    def test_the_next_page_stays_on_the_site(self, browser, grace):
        asked = switch(browser, grace, next="https://evil.example/")
        assert "evil" not in asked["Location"]
        done = browser.post(
            SWITCH,
            {**answered(browser.get(asked["Location"])), "next": "https://evil.example/"},
        )
        assert "evil" not in done["Location"]

    def test_it_does_not_follow_by_itself(self, browser, settings, ada):
        settings.MULTISESSION = {**settings.MULTISESSION, "AFTER_SIGN_OUT": "next"}
        browser.post("/multisession/sign-out/", {"session": session_of(ada).public_id})
        assert who(browser) is None

    def test_a_rule_that_fails_lets_nobody_in(self, browser, settings, grace):
        settings.MULTISESSION = {**settings.MULTISESSION, "ASK_AT_SWITCH": f"{__name__}.broken"}
        assert switch(browser, grace).status_code == 500
        assert who(browser) == "ada@example.com"

    def test_paths_that_need_no_switch_are_an_error(self, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "ACCOUNT_PATHS": True}
        assert "multisession.E006" in {message.id for message in run_checks()}
