"""django-axes: counts wrong passwords, and logs sign-ins and sign-outs."""

import pytest
from axes.models import AccessAttempt, AccessLog

from multisession.models import Session
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def axes_as_it_comes(settings):
    """With its access log, which is on by default."""
    settings.AXES_ENABLED = True
    settings.AXES_DISABLE_ACCESS_LOG = False
    settings.AXES_FAILURE_LIMIT = 3


@pytest.fixture
def sign_in():
    def through_the_project(browser, user, password=PASSWORD):
        form = {"username": user.email, "password": password}
        return browser.post("/accounts/sign-in/", form)

    return through_the_project


def test_a_second_sign_in_adds_an_account(browser, ada, grace, sign_in):
    sign_in(browser, ada)
    sign_in(browser, grace)
    assert browser.who() == grace.email
    assert browser.accounts() == {ada.email, grace.email}


def test_signing_in_again_makes_no_second_session(browser, ada, grace, sign_in):
    sign_in(browser, ada)
    sign_in(browser, grace)
    sign_in(browser, ada)
    assert Session.objects.filter(user=ada).live().count() == 1
    assert browser.accounts() == {ada.email, grace.email}


def test_wrong_passwords_for_one_account_lock_out_neither_the_other_nor_who_is_in(
    browser, ada, grace, sign_in
):
    sign_in(browser, ada)
    for _ in range(3):
        answer = sign_in(browser, grace, "wrong")
    assert answer.status_code == 429
    assert sign_in(browser, grace).status_code == 429
    assert browser.who() == ada.email
    browser.post("/accounts/sign-out/")
    assert sign_in(browser, ada).status_code == 302
    assert browser.who() == ada.email


def test_a_successful_sign_in_resets_only_its_own_attempts(browser, ada, grace, sign_in):
    sign_in(browser, ada, "wrong")
    sign_in(browser, grace, "wrong")
    sign_in(browser, grace)
    assert [attempt.username for attempt in AccessAttempt.objects.all()] == [ada.email]


def test_the_access_log_pairs_sign_in_and_sign_out_of_an_account(browser, ada, sign_in):
    sign_in(browser, ada)
    session = browser.get("/whoami").wsgi_request.multisession.session
    browser.post("/multisession/sign-out/", {"session": session.public_id})
    [entry] = AccessLog.objects.all()
    assert entry.logout_time is not None


def test_the_access_log_misses_a_sign_out_if_the_key_changed_in_between(
    browser, ada, grace, sign_in
):
    sign_in(browser, ada)
    sign_in(browser, grace)
    browser.switch_to(ada)
    session = browser.get("/whoami").wsgi_request.multisession.session
    browser.post("/multisession/sign-out/", {"session": session.public_id})
    assert AccessLog.objects.get(username=ada.email).logout_time is None
