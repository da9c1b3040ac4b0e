"""django-hijack, -loginas, -su and a project's own "login as": act as somebody, and go back."""

from collections.abc import Callable
from unittest import mock

import pytest
from django.contrib.auth.signals import user_logged_in
from django.db import connection
from django.test import Client

from accounts.models import User
from multisession.api import keys
from multisession.models import Event, Session
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


def su(browser: Browser, user: User) -> None:
    assert browser.post(f"/su/{user.pk}/").status_code == 302


def su_release(browser: Browser) -> None:
    assert browser.get("/su/").status_code == 302


def own(browser: Browser, user: User) -> None:
    assert browser.post(f"/login-as/{user.pk}/").status_code == 302


def own_release(browser: Browser) -> None:
    assert browser.post("/login-as/back/").status_code == 302


@pytest.fixture(
    params=[
        (hijack, hijack_release),
        (log_in_as, log_in_as_release),
        (su, su_release),
        (own, own_release),
    ],
    ids=["hijack", "loginas", "su", "own"],
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


def actor_of(user: User) -> User | None:
    return Session.objects.filter(user=user).latest("pk").actor


def told(user: User) -> list[str]:
    """What the trail says of the user's sessions, without what their own browsers did."""
    events = Event.objects.filter(user_id=str(user.pk)).exclude(actor=user.email).order_by("pk")
    return [f"{event.kind} by {event.actor.partition('@')[0]}" for event in events]


class TestActingAsSomebody:
    def test_acting_as_somebody_shows_the_administrators_own_account_beside_it(
        self, desk, root, ada, acquire
    ):
        acquire(desk, ada)
        assert desk.who() == ada.email
        assert desk.accounts() == {ada.email, root.email}

    def test_acting_as_somebody_does_not_touch_the_browser_of_the_person(
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

    def test_going_back_leads_to_the_session_that_the_administrator_had(
        self, desk, root, ada, acquire, release
    ):
        before = desk.get("/whoami").wsgi_request.multisession.session.public_id
        acquire(desk, ada)
        release(desk)
        assert desk.get("/whoami").wsgi_request.multisession.session.public_id == before
        assert state_of(root) == [Session.Status.ACTIVE]

    def test_signing_out_after_going_back_signs_out(self, desk, root, ada, acquire, release):
        acquire(desk, ada)
        release(desk)
        desk.post("/allauth/logout/")
        assert desk.who() is None
        assert desk.accounts() == set()

    def test_going_back_keeps_the_administrators_other_accounts(
        self, desk, root, ada, grace, acquire, release, sign_in
    ):
        sign_in(desk, grace)
        desk.switch_to(root)
        acquire(desk, ada)
        assert desk.accounts() == {root.email, grace.email, ada.email}
        release(desk)
        assert desk.accounts() == {root.email, grace.email}
        assert desk.who() == root.email

    def test_going_back_ends_a_session_of_the_administrators_own_that_was_taken_over(
        self, desk, root, ada, acquire, release, sign_in
    ):
        sign_in(desk, ada)
        desk.switch_to(root)
        acquire(desk, ada)
        release(desk)
        assert desk.who() == root.email
        assert desk.accounts() == {root.email}

    def test_acting_and_going_back_can_be_repeated(self, desk, root, ada, grace, acquire, release):
        for user in (ada, grace, ada):
            acquire(desk, user)
            assert desk.who() == user.email
            release(desk)
            assert desk.who() == root.email
        assert desk.accounts() == {root.email}


class TestGoingElsewhere:
    """Not by the button that was meant for it."""

    def test_a_switch_ends_the_impersonated_session(self, desk, root, ada, acquire):
        acquire(desk, ada)
        desk.switch_to(root)
        assert desk.accounts() == {root.email}
        assert state_of(ada) == [Session.Status.REMOVED]

    def test_signing_in_as_somebody_ends_the_impersonated_session(
        self, desk, root, ada, grace, acquire, sign_in
    ):
        acquire(desk, ada)
        sign_in(desk, grace)
        assert desk.who() == grace.email
        assert desk.accounts() == {root.email, grace.email}

    def test_signing_out_of_the_impersonated_account_ends_it_for_good(
        self, desk, root, ada, acquire
    ):
        acquire(desk, ada)
        desk.post("/allauth/logout/")
        assert desk.who() is None
        assert desk.accounts() == {root.email}
        assert desk.remembered() == set()

    def test_signing_out_ends_the_impersonated_session_where_the_next_account_takes_over(
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

    def test_revoking_the_administrators_session_ends_the_impersonated_one(self, acting, root, ada):
        Session.objects.get(user=root).revoke()
        assert acting.who() is None
        assert acting.accounts() == set()
        assert state_of(ada) == [Session.Status.REMOVED]

    def test_a_revoked_administrator_cannot_go_back(self, acting, root, release):
        Session.objects.get(user=root).revoke()
        acting.post("/hijack/release/")
        acting.get("/loginas/logout/")
        acting.get("/su/")
        acting.post("/login-as/back/")
        assert acting.who() is None

    def test_signing_out_the_administrator_from_the_menu_ends_the_impersonated_session(
        self, acting, root
    ):
        session = Session.objects.get(user=root)
        acting.post("/multisession/sign-out/", {"session": session.public_id})
        assert acting.who() is None
        assert acting.accounts() == set()

    def test_somebody_elses_end_changes_nothing(self, acting, another_browser, root, ada, sign_in):
        sign_in(another_browser, root)
        Session.objects.filter(user=root).latest("pk").revoke()
        assert acting.who() == ada.email


class TestChains:
    """Acting as a second person from within the first."""

    @pytest.fixture
    def chief(self, db: None) -> User:
        return User.objects.create_superuser("chief@example.com", PASSWORD)

    @pytest.mark.parametrize(("act", "stop"), [(hijack, hijack_release), (su, su_release)])
    def test_a_chain_of_impersonations_goes_back_one_step_at_a_time(
        self, desk, root, chief, ada, act, stop
    ):
        act(desk, chief)
        act(desk, ada)
        assert desk.accounts() == {root.email, ada.email}
        assert actor_of(ada) == root
        stop(desk)
        assert desk.who() == chief.email
        assert actor_of(chief) == root
        assert desk.accounts() == {root.email, chief.email}
        stop(desk)
        assert desk.who() == root.email
        assert desk.accounts() == {root.email}
        assert actor_of(root) is None

    def test_loginas_leads_back_to_the_first_person_and_it_is_still_the_administrator(
        self, desk, root, chief, ada, settings
    ):
        settings.CAN_LOGIN_AS = lambda request, user: True
        log_in_as(desk, chief)
        log_in_as(desk, ada)
        assert actor_of(ada) == root
        log_in_as_release(desk)
        assert desk.who() == chief.email
        assert actor_of(chief) == root
        desk.switch_to(root)
        assert desk.accounts() == {root.email}

    def test_acting_as_oneself_is_no_impersonation(self, desk, root, chief):
        hijack(desk, chief)
        hijack(desk, root)
        assert desk.who() == root.email
        assert actor_of(root) is None


class TestOnRecord:
    """What is done as somebody else is done by the administrator."""

    def test_the_trail_names_the_administrator(self, desk, root, ada, acquire, release):
        acquire(desk, ada)
        release(desk)
        end = ["ended", "forgotten"] if acquire is log_in_as else ["removed"]  # it logs out first
        assert told(ada) == [f"{kind} by root" for kind in ("signed-in", *end)]

    def test_the_trail_names_the_administrator_for_what_is_done_meanwhile(
        self, desk, another_browser, root, ada, acquire, sign_in
    ):
        sign_in(another_browser, ada)
        elsewhere = Session.objects.get(user=ada)
        acquire(desk, ada)
        desk.post("/multisession/sessions/sign-out/", {"session": elsewhere.public_id})
        assert told(ada)[-1] == "revoked by root"

    def test_the_trail_names_the_administrator_for_the_sign_out(self, desk, root, ada, acquire):
        acquire(desk, ada)
        desk.post("/allauth/logout/")
        assert told(ada) == ["signed-in by root", "ended by root", "forgotten by root"]

    def test_the_trail_names_the_administrator_if_another_app_saves_the_session_too_early(
        self, desk, root, ada, acquire
    ):
        def store_it(sender, request, **kwargs):
            request.session.save()

        user_logged_in.connect(store_it)
        try:
            acquire(desk, ada)
        finally:
            user_logged_in.disconnect(store_it)
        assert told(ada) == ["signed-in by root"]
        assert actor_of(ada) == root

    def test_the_trail_names_the_administrator_for_a_replaced_account(
        self, desk, root, ada, grace, acquire, sign_in, settings
    ):
        settings.MULTISESSION = {**settings.MULTISESSION, "MAX_ACCOUNTS": 2}
        sign_in(desk, grace)
        desk.switch_to(root)
        acquire(desk, ada)
        assert told(grace)[-1] == "replaced by root"

    def test_the_api_names_the_administrator_as_the_actor(self, desk, root, ada, acquire, release):
        _key, secret = keys.issue("a script")
        program = Client(headers={"authorization": f"Bearer {secret}"})
        acquire(desk, ada)
        for _live in (True, False):
            [found] = program.get(f"/v1/sessions?user_id=user_{ada.pk}").json()
            assert found["actor"] == {"sub": f"user_{root.pk}"}
            release(desk) if found["status"] == "active" else None
        [own_session] = program.get(f"/v1/sessions?user_id=user_{root.pk}").json()
        assert own_session["actor"] is None

    def test_that_an_administrator_acted_stays_on_record_when_that_one_is_deleted(
        self, desk, root, ada, acquire
    ):
        acquire(desk, ada)
        root.delete()
        session = Session.objects.get(user=ada)
        assert (session.actor_id, session.actor, session.is_live) == ("erased", "erased", False)


class TestThePersonsOwnList:
    TEXT = "Signed in by an administrator"

    def test_the_persons_own_list_shows_an_impersonation(
        self, desk, another_browser, ada, acquire, release, sign_in
    ):
        sign_in(another_browser, ada)
        assert self.TEXT not in another_browser.get("/multisession/sessions/").content.decode()
        acquire(desk, ada)
        assert another_browser.get("/multisession/sessions/").content.decode().count(self.TEXT) == 1
        release(desk)
        assert self.TEXT not in another_browser.get("/multisession/sessions/").content.decode()

    def test_the_person_can_end_it(self, desk, another_browser, ada, acquire, sign_in):
        sign_in(another_browser, ada)
        acquire(desk, ada)
        session = Session.objects.filter(user=ada).latest("pk")
        form = {"session": session.public_id}
        another_browser.post("/multisession/sessions/sign-out/", form)
        assert desk.who() is None


class TestOneAccountAtATime:
    """``MAX_ACCOUNTS = 1``: the impersonated account takes the administrator's place."""

    @pytest.mark.parametrize("atomic", [False, True])
    def test_impersonation_works_where_a_browser_holds_one_account(
        self, desk, root, ada, acquire, release, settings, atomic
    ):
        settings.MULTISESSION = {**settings.MULTISESSION, "MAX_ACCOUNTS": 1}
        with mock.patch.dict(connection.settings_dict, {"ATOMIC_REQUESTS": atomic}):
            acquire(desk, ada)
            assert desk.who() == ada.email
            assert desk.accounts() == {ada.email}


class TestPlacesOfTheirOwn:
    def test_hijack_still_tells_the_templates(self, desk, ada):
        hijack(desk, ada)
        assert desk.get("/whoami").wsgi_request.user.is_hijacked
        hijack_release(desk)
        assert not desk.get("/whoami").wsgi_request.user.is_hijacked

    def test_hijack_needs_its_own_history_to_release(self, desk):
        assert desk.post("/hijack/release/").status_code == 403
