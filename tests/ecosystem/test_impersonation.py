"""django-hijack and django-loginas: an administrator acts as somebody else, and stops."""

from collections.abc import Callable

import pytest

from accounts.models import User
from multisession.models import Session
from tests.conftest import PASSWORD
from tests.ecosystem.conftest import Browser

pytestmark = pytest.mark.django_db(transaction=True)

Acquire = Callable[[Browser, User], None]
Release = Callable[[Browser], None]


def hijack(browser: Browser, user: User) -> None:
    assert browser.post("/hijack/acquire/", {"user_pk": user.pk}).status_code == 302


def hijack_release(browser: Browser) -> None:
    assert browser.post("/hijack/release/").status_code == 302


def log_in_as(browser: Browser, user: User) -> None:
    assert browser.post(f"/loginas/login/user/{user.pk}/").status_code == 302


def log_in_as_release(browser: Browser) -> None:
    assert browser.get("/loginas/logout/").status_code == 302


@pytest.fixture(
    params=[(hijack, hijack_release), (log_in_as, log_in_as_release)], ids=["hijack", "loginas"]
)
def package(request: pytest.FixtureRequest) -> tuple[Acquire, Release]:
    return request.param


@pytest.fixture
def acquire(package: tuple[Acquire, Release]) -> Acquire:
    return package[0]


@pytest.fixture
def release(package: tuple[Acquire, Release]) -> Release:
    return package[1]


@pytest.fixture
def desk(browser: Browser, root: User, sign_in: Callable[..., None]) -> Browser:
    """The administrator's browser."""
    sign_in(browser, root)
    return browser


def state_of(user: User) -> list[str]:
    return [session.status for session in Session.objects.filter(user=user).order_by("pk")]


class TestActingAsSomebody:
    def test_shows_the_administrators_own_account_beside_it(self, desk, root, ada, acquire):
        acquire(desk, ada)
        assert desk.who() == ada.email
        assert desk.accounts() == {ada.email, root.email}

    def test_does_not_touch_the_browser_of_the_person(
        self, desk, another_browser, ada, acquire, release, sign_in
    ):
        sign_in(another_browser, ada)
        acquire(desk, ada)
        release(desk)
        assert another_browser.who() == ada.email


class TestGoingBack:
    def test_returns_to_the_administrator_and_leaves_nobody_below(
        self, desk, root, ada, acquire, release
    ):
        acquire(desk, ada)
        release(desk)
        assert desk.who() == root.email
        assert desk.accounts() == {root.email}
        assert desk.remembered() == set()
        assert state_of(ada) == [Session.Status.REMOVED]

    def test_to_the_very_session_that_the_administrator_had(
        self, desk, root, ada, acquire, release
    ):
        before = desk.get("/whoami").wsgi_request.multisession.session.public_id
        acquire(desk, ada)
        release(desk)
        assert desk.get("/whoami").wsgi_request.multisession.session.public_id == before
        assert state_of(root) == [Session.Status.ACTIVE]

    def test_then_signing_out_signs_out(self, desk, root, ada, acquire, release):
        acquire(desk, ada)
        release(desk)
        desk.post("/allauth/logout/")
        assert desk.who() is None
        assert desk.accounts() == set()

    def test_and_keeps_the_administrators_other_accounts(
        self, desk, root, ada, grace, acquire, release, sign_in
    ):
        sign_in(desk, grace)
        desk.switch_to(root)
        acquire(desk, ada)
        assert desk.accounts() == {root.email, grace.email, ada.email}
        release(desk)
        assert desk.accounts() == {root.email, grace.email}
        assert desk.who() == root.email

    def test_ends_a_session_of_the_administrators_own_that_it_took_over(
        self, desk, root, ada, acquire, release, sign_in
    ):
        sign_in(desk, ada)
        desk.switch_to(root)
        acquire(desk, ada)
        release(desk)
        assert desk.who() == root.email
        assert desk.accounts() == {root.email}

    def test_again_and_again(self, desk, root, ada, grace, acquire, release):
        for user in (ada, grace, ada):
            acquire(desk, user)
            assert desk.who() == user.email
            release(desk)
            assert desk.who() == root.email
        assert desk.accounts() == {root.email}


class TestGoingElsewhere:
    """Not by the button that was meant for it."""

    def test_by_a_switch(self, desk, root, ada, acquire):
        acquire(desk, ada)
        desk.switch_to(root)
        assert desk.accounts() == {root.email}
        assert state_of(ada) == [Session.Status.REMOVED]

    def test_by_signing_in_as_somebody(self, desk, root, ada, grace, acquire, sign_in):
        acquire(desk, ada)
        sign_in(desk, grace)
        assert desk.who() == grace.email
        assert desk.accounts() == {root.email, grace.email}

    def test_by_signing_out_of_the_impersonated_account(self, desk, root, ada, acquire):
        acquire(desk, ada)
        desk.post("/allauth/logout/")
        assert desk.who() is None
        assert desk.accounts() == {root.email}
        assert desk.remembered() == set()

    def test_by_signing_out_where_the_next_account_takes_over(
        self, desk, root, ada, acquire, settings
    ):
        settings.MULTISESSION = {**settings.MULTISESSION, "AFTER_SIGN_OUT": "next"}
        acquire(desk, ada)
        desk.post("/allauth/logout/")
        assert desk.who() == root.email
        assert desk.accounts() == {root.email}

    def test_an_ordinary_account_is_left_alone(self, desk, root, ada, sign_in):
        sign_in(desk, ada)
        desk.switch_to(root)
        assert desk.accounts() == {root.email, ada.email}


class TestTheAdministratorsOwnSession:
    """Who acts as somebody else does so by their own right, and only as long as they have it."""

    @pytest.fixture
    def acting(self, desk: Browser, ada: User, acquire: Acquire) -> Browser:
        acquire(desk, ada)
        return desk

    def test_when_it_is_revoked_nobody_is_signed_in_any_more(self, acting, root, ada):
        Session.objects.get(user=root).revoke()
        assert acting.who() is None
        assert acting.accounts() == set()
        assert state_of(ada) == [Session.Status.REMOVED]

    def test_and_there_is_no_way_back_to_it(self, acting, root, release):
        Session.objects.get(user=root).revoke()
        acting.post("/hijack/release/")
        acting.get("/loginas/logout/")
        assert acting.who() is None

    def test_when_it_is_signed_out_of_from_the_menu_so_is_the_other(self, acting, root):
        session = Session.objects.get(user=root)
        acting.post("/multisession/sign-out/", {"session": session.public_id})
        assert acting.who() is None
        assert acting.accounts() == set()

    def test_somebody_elses_end_changes_nothing(self, acting, another_browser, root, ada, sign_in):
        sign_in(another_browser, root)
        Session.objects.filter(user=root).latest("pk").revoke()
        assert acting.who() == ada.email


class TestChains:
    """Only django-hijack acts as a second person from within the first."""

    def test_one_step_back_at_a_time(self, desk, root, ada):
        chief = User.objects.create_superuser("chief@example.com", PASSWORD)
        hijack(desk, chief)
        hijack(desk, ada)
        assert desk.accounts() == {root.email, ada.email}
        hijack_release(desk)
        assert desk.who() == chief.email
        assert desk.accounts() == {root.email, chief.email}
        hijack_release(desk)
        assert desk.who() == root.email
        assert desk.accounts() == {root.email}


class TestPlacesOfTheirOwn:
    def test_hijack_still_tells_the_templates(self, desk, ada):
        hijack(desk, ada)
        assert desk.get("/whoami").wsgi_request.user.is_hijacked
        hijack_release(desk)
        assert not desk.get("/whoami").wsgi_request.user.is_hijacked

    def test_hijack_needs_its_own_history_to_release(self, desk):
        assert desk.post("/hijack/release/").status_code == 403
