"""The accounts of a browser in the chooser and above the sign-in form."""

import datetime

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from multisession.models import Session
from tests.conftest import PASSWORD
from tests.stories import settled
from tests.test_views import Buttons, pressed

CHOOSE = "/accounts/choose/"
SIGN_IN = "/accounts/sign-in/"
PROFILE = "/accounts/profile/"
NOTE = "was signed out. Sign in again to continue."
NEW_PASSWORD = "another horse, another staple"

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(client: Client, ada: User, grace: User) -> Client:
    """Ada and Grace are signed in; Grace is active."""
    sign_in(client, ada)
    sign_in(client, grace)
    return client


def sign_in(browser: Client, user: User, password: str = PASSWORD) -> None:
    form = {"username": user.email, "password": password}
    assert browser.post(SIGN_IN, form).status_code == 302
    assert browser.get("/whoami").json()["user"] == user.email
    browser.get("/")  # the message has been read


def session_of(user: User) -> Session:
    return Session.objects.filter(user=user).latest("pk")


def post(browser: Client, action: str, user: User, **form):
    form["session"] = session_of(user).public_id
    return browser.post(f"/multisession/{action}/", form, follow=True)


def live(page) -> set[User]:
    return {session.user for session in page.wsgi_request.multisession.sessions}


def signed_out(page) -> list[User]:
    return [session.user for session in page.wsgi_request.multisession.signed_out_sessions]


def offers_to_sign_in_again(page, user: User) -> bool:
    names = Buttons(page).names
    again = f"Sign in again as {user.name}, {user.email}" in names
    assert again == (f"Remove {user.name}, {user.email} from this browser" in names)
    return again


def expire(user: User) -> None:
    past = timezone.now() - datetime.timedelta(seconds=1)
    Session.objects.filter(user=user).update(expire_at=past)


def expire_and_mark(user: User) -> None:
    """A job has found that it is over, and marked it."""
    expire(user)
    session_of(user).close(Session.Status.EXPIRED)


def abandon(user: User) -> None:
    session_of(user).close(Session.Status.ABANDONED)


def revoke(user: User) -> None:
    session_of(user).revoke()


def change_password(user: User) -> None:
    """In another browser."""
    user.set_password(NEW_PASSWORD)
    user.save()


DEATHS = [
    pytest.param(expire, id="expired"),
    pytest.param(revoke, id="revoked"),
    pytest.param(change_password, id="password changed"),
    pytest.param(expire_and_mark, id="marked as expired"),
    pytest.param(abandon, id="abandoned"),
]
every_death = pytest.mark.parametrize("die", DEATHS)


class TestAfterSigningOut:
    def test_signing_out_of_the_active_account_leads_to_the_chooser(self, browser, ada, grace):
        page = post(browser, "sign-out", grace)
        assert page.redirect_chain == [(CHOOSE, 302)]
        assert "No account is active." in page.text
        assert f"Continue as {ada.name}, {ada.email}" in Buttons(page).names
        assert offers_to_sign_in_again(page, grace)
        assert session_of(grace).status == Session.Status.ENDED

    def test_the_address_is_filled_in_of_the_account_one_asks_for(self, browser, grace):
        page = post(browser, "sign-out", grace)
        (account,) = page.context["signed_out"]
        form = browser.get(account["sign_in_url"])
        assert f'value="{grace.email}"' in form.text
        assert NOTE not in form.text  # She did it herself.

    def test_forget_takes_an_account_off_the_list(self, browser, grace):
        post(browser, "sign-out", grace)
        page = post(browser, "forget", grace)
        assert not offers_to_sign_in_again(page, grace)
        assert session_of(grace).status == Session.Status.REMOVED

    def test_forget_is_for_good_however_often_one_was_here(self, browser, ada, grace):
        post(browser, "sign-out", grace)
        sign_in(browser, grace)
        post(browser, "sign-out", grace)
        assert signed_out(post(browser, "forget", grace)) == []

    def test_forgetting_the_active_account_forgets_its_earlier_sessions(self, browser, ada, grace):
        post(browser, "sign-out", grace)
        sign_in(browser, grace)
        assert signed_out(post(browser, "forget", grace)) == []

    def test_after_signing_out_of_all_nobody_is_remembered(self, browser, ada, grace):
        post(browser, "sign-out", ada)
        browser.post("/multisession/sign-out-all/")
        page = browser.get(CHOOSE)
        assert "<h1>You are signed out</h1>" in page.text
        assert "No account is signed in on this browser." in page.text
        assert {session_of(user).status for user in (ada, grace)} == {Session.Status.REMOVED}


class TestAfterTheActiveAccountDied:
    """It expired, was revoked, or its password was changed elsewhere."""

    @every_death
    def test_a_page_leads_to_the_sign_in_page_which_tells_who(self, die, browser, ada, grace):
        die(grace)
        page = browser.get(PROFILE, follow=True)
        assert page.redirect_chain == [(f"{SIGN_IN}?next={PROFILE}", 302)]
        assert f"<bdi>{grace.email}</bdi> {NOTE}" in page.text
        assert f'value="{grace.email}"' in page.text
        assert offers_to_sign_in_again(page, grace)
        assert f"Continue as {ada.name}, {ada.email}" in Buttons(page).names

    @every_death
    def test_signing_in_there_goes_on_to_the_page(self, die, browser, grace):
        die(grace)
        asked = browser.get(PROFILE, follow=True)
        password = NEW_PASSWORD if die is change_password else PASSWORD
        form = {"username": grace.email, "password": password, "next": asked.context["next"]}
        response = browser.post(SIGN_IN, form, follow=True)
        assert response.redirect_chain == [(PROFILE, 302)]
        assert signed_out(response) == []

    @every_death
    def test_the_other_account_goes_on_with_one_click(self, die, browser, ada, grace):
        die(grace)
        browser.get(PROFILE, follow=True)
        page = post(browser, "set-active", ada, next=PROFILE)
        assert page.redirect_chain == [(PROFILE, 302)]
        assert page.context["user"] == ada

    @every_death
    def test_the_chooser_lists_an_ended_account_until_it_is_forgotten(
        self, die, browser, ada, grace
    ):
        die(grace)
        browser.get(PROFILE)
        page = browser.get(CHOOSE)
        assert (live(page), signed_out(page)) == ({ada}, [grace])
        assert offers_to_sign_in_again(page, grace)
        page = post(browser, "forget", grace)
        assert (live(page), signed_out(page)) == ({ada}, [])
        assert NOTE not in browser.get(SIGN_IN).text

    @every_death
    def test_another_account_that_died_is_listed_but_not_filled_in(self, die, browser, ada, grace):
        die(ada)
        page = browser.get(SIGN_IN)
        assert (live(page), signed_out(page)) == ({grace}, [ada])
        assert NOTE not in page.text
        assert f'value="{ada.email}"' not in page.text

    @every_death
    def test_the_last_account_of_all(self, die, client, ada):
        sign_in(client, ada)
        die(ada)
        page = client.get(PROFILE, follow=True)
        assert f'value="{ada.email}"' in page.text
        assert signed_out(client.get(CHOOSE)) == [ada]

    def test_signing_out_of_all_forgets_an_ended_account(self, browser, grace):
        revoke(grace)
        browser.post("/multisession/sign-out-all/")
        assert signed_out(browser.get(CHOOSE)) == []

    def test_the_form_asks_for_the_password(self, browser, grace):
        revoke(grace)
        form = browser.get(SIGN_IN).context["form"]
        assert "autofocus" in form.fields["password"].widget.attrs
        assert "autofocus" not in form.fields["username"].widget.attrs

    def test_whom_one_asks_for_comes_first(self, browser, ada, grace):
        revoke(grace)
        page = browser.get(SIGN_IN, {"session": session_of(ada).public_id})
        assert page.context["form"].initial["username"] == ada.email
        assert NOTE not in page.text


class TestAboveTheSignInForm:
    def test_account_list_shows_the_accounts_as_in_the_chooser(self, browser, ada, grace):
        post(browser, "sign-out", ada)
        page = browser.get(SIGN_IN, {"next": PROFILE})
        names = Buttons(page).names
        assert f"Continue as {grace.name}, {grace.email} Active" in names
        assert f"Sign out of {grace.name}, {grace.email}" in names
        assert offers_to_sign_in_again(page, ada)
        again = pressed(browser, page, f"Sign in again as {ada.name}")
        assert again["Location"] == f"{SIGN_IN}?session={session_of(ada).public_id}&next={PROFILE}"

    def test_switching_there_leads_on(self, browser, ada):
        browser.get(SIGN_IN, {"next": PROFILE})
        assert post(browser, "set-active", ada, next=PROFILE).redirect_chain == [(PROFILE, 302)]

    def test_no_link_leads_to_another_site(self, browser, grace):
        page = browser.get(SIGN_IN, {"next": "https://evil.example/"})
        assert 'href="https://evil.example/' not in page.text
        assert 'name="next" value="https://evil.example/' not in page.text

    def test_a_stranger_sees_the_form_alone(self, client):
        page = client.get(SIGN_IN)
        assert "Your accounts" not in page.text
        assert NOTE not in page.text
        assert Session.objects.count() == 0

    def test_the_form_in_the_menu_stays_a_form(self, browser):
        page = browser.get(SIGN_IN, headers={"HX-Request": "true"})
        assert "Your accounts" not in page.text

    def test_account_list_costs_one_query_for_any_number_of_accounts(
        self, client, ada, grace, alan
    ):
        counts = []
        for user in (ada, grace, alan):
            sign_in(client, user)
            settled(client, "/whoami")
            with CaptureQueriesContext(connection) as queries:
                client.get(SIGN_IN)
            counts.append(len(queries))
        assert counts == [2, 2, 2]  # session and user, list


class TestVillains:
    def test_the_list_of_one_browser_is_no_other_browsers(self, browser, grace):
        revoke(grace)
        page = Client().get(SIGN_IN, {"session": session_of(grace).public_id})
        assert grace.email not in page.text

    def test_a_session_that_was_replaced_is_not_remembered_twice(self, browser, grace):
        change_password(grace)
        sign_in(browser, grace, NEW_PASSWORD)
        assert signed_out(browser.get(CHOOSE)) == []
        post(browser, "sign-out", grace)
        assert signed_out(browser.get(CHOOSE)) == [grace]

    def test_what_a_program_removed_stays_removed(self, browser, grace):
        session_of(grace).remove()
        assert signed_out(browser.get(CHOOSE)) == []
        assert NOTE not in browser.get(SIGN_IN).text

    def test_nobody_is_remembered_for_ever(self, browser, grace):
        revoke(grace)
        long_ago = timezone.now() - datetime.timedelta(days=91)
        Session.objects.filter(user=grace).update(updated_at=long_ago)
        call_command("clearsessions")
        assert signed_out(browser.get(CHOOSE)) == []
