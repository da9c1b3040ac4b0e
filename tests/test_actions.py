"""The verbs: what a person may do to the accounts of one browser, and what is refused.

The stories also run with the async twins.
"""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import logout
from django.contrib.sessions.backends.base import UpdateError
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import connection
from django.http import Http404
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from multisession import actions, signals
from multisession.backends.db import SessionStore
from multisession.engine.placing import ASIDE
from multisession.models import Event, Session
from tests.stories import (
    COOKIE,
    NOBODY,
    Browser,
    EitherSetting,
    EveryWay,
    later,
    listening,
    session_of,
    settled,
    signed_in,
    silent,
    statuses,
    with_engine_urls,
)

pytestmark = with_engine_urls


@pytest.fixture
def firefox(ada, grace):
    """Ada and Grace are signed in; Grace is active."""
    return signed_in(ada, grace)


def request_of(browser: Browser):
    """The request behind the browser's next page, to call a verb on."""
    return browser.get("/who-by-sid/").wsgi_request


class TestSetActive(EveryWay):
    @pytest.fixture(autouse=True)
    def _two_accounts(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.put("theirs", "of Ada")
        browser.sign_in(grace)
        browser.put("theirs", "of Grace")

    def test_the_other_account_becomes_active_with_its_own_data(self, browser, ada, grace):
        assert browser.switch(ada).json()["user"] == "ada"
        assert browser.page() == {"user": "ada", "data": {"theirs": "of Ada"}}
        browser.switch(grace)
        assert browser.page() == {"user": "grace", "data": {"theirs": "of Grace"}}
        assert browser.accounts() == ["ada", "grace"]

    def test_unsaved_data_stays_with_the_account_that_is_left(self, browser, ada, grace):
        browser.switch(ada, put="draft")
        assert browser.page()["data"] == {"theirs": "of Ada"}
        browser.switch(grace)
        assert browser.page()["data"] == {"theirs": "of Grace", "draft": "unsaved"}

    def test_set_active_of_the_active_account_changes_nothing(self, browser, grace):
        before = browser.cookie
        assert silent(browser.switch(grace))
        assert (browser.cookie, browser.who()) == (before, "grace")

    def test_set_active_none_removes_the_active_account_and_keeps_the_other(
        self, browser, ada, grace
    ):
        assert browser.verb("set_active").json()["user"] == NOBODY
        assert statuses(grace) == ["removed"]
        listed = browser.listed()
        assert (listed["sessions"], listed["signed_out"]) == (["ada"], [])

    def test_a_switch_answered_500_has_switched_and_lost_nothing(self, browser, ada):
        browser.switch(ada, status=500)
        assert (browser.who(), browser.accounts()) == ("ada", ["ada", "grace"])


class TestNone:
    """``set_active(None)``: "removes the current one and activates no other"."""

    @pytest.mark.parametrize("after_sign_out", ["choose", "next"])
    def test_set_active_none_activates_no_other_account(self, settings, after_sign_out, firefox):
        settings.MULTISESSION = {"AFTER_SIGN_OUT": after_sign_out}
        firefox.verb("set_active")
        assert firefox.who() == NOBODY
        assert firefox.accounts() == ["ada"]

    def test_set_active_none_changes_nothing_while_nobody_is_active(self, firefox):
        firefox.verb("set_active")
        firefox.verb("set_active")
        assert (firefox.who(), firefox.accounts()) == (NOBODY, ["ada"])

    def test_a_visitor_may_call_set_active_none(self, db):
        assert Browser().verb("set_active").status_code == 200


class TestStepAside(EveryWay):
    """Nobody is active, everybody stays signed in, and the way back is known."""

    @pytest.fixture(autouse=True)
    def _two_accounts(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        browser.put("theirs", "of Grace")

    def test_stepping_aside_leaves_everybody_signed_in_and_nobody_active(self, browser, ada, grace):
        assert browser.verb("step_aside").json() == {
            **({"before": "grace"} if browser.asynchronous else {}),
            "user": NOBODY,
            "status": "active",
        }
        assert browser.page() == {"user": NOBODY, "data": {}}
        assert browser.accounts() == ["ada", "grace"]
        assert browser.listed()["stepped_aside"] == ["grace"]
        assert statuses(ada) == statuses(grace) == ["active"]

    def test_stepping_aside_lasts_until_an_account_is_chosen(self, browser, ada):
        """Whatever ``AFTER_SIGN_OUT`` says: nobody has signed out."""
        browser.verb("step_aside")
        assert [browser.who() for _ in range(3)] == [NOBODY] * 3
        browser.put("basket", "full")
        assert browser.who() == NOBODY
        browser.switch(ada)
        assert browser.who() == "ada"
        assert browser.listed()["stepped_aside"] == []

    def test_stepping_aside_lasts_longer_than_a_visitors_session(self, browser, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "VISITOR_AGE": 24 * 60 * 60}
        browser.verb("step_aside")
        with later(days=2):
            assert browser.who() == NOBODY
            assert browser.accounts() == ["ada", "grace"]
            assert browser.listed()["stepped_aside"] == []

    def test_going_back_finds_everything_as_it_was(self, browser, grace):
        browser.verb("step_aside", put="draft")
        browser.switch(grace)
        data = {"theirs": "of Grace", "draft": "unsaved"}
        assert browser.page() == {"user": "grace", "data": data}
        assert statuses(grace) == ["active"]

    def test_a_sign_in_adds_an_account_with_the_visitors_data_and_without_the_mark(
        self, browser, ada, grace, alan
    ):
        browser.verb("step_aside")
        browser.put("basket", "full")
        browser.sign_in(alan)
        assert browser.page() == {"user": "alan", "data": {"basket": "full"}}
        assert browser.accounts() == ["ada", "alan", "grace"]
        assert browser.listed()["stepped_aside"] == []
        for user in (ada, grace, alan):
            assert ASIDE not in session_of(user).get_decoded()

    def test_the_same_account_may_sign_in_again(self, browser, grace):
        browser.verb("step_aside")
        browser.sign_in(grace)
        assert browser.page() == {"user": "grace", "data": {"theirs": "of Grace"}}
        assert statuses(grace) == ["active"]
        assert ASIDE not in session_of(grace).get_decoded()

    def test_stepping_aside_twice_is_the_same_as_once(self, browser):
        browser.verb("step_aside")
        cookie = browser.cookie
        assert silent(browser.verb("step_aside"))
        assert (browser.cookie, browser.listed()["stepped_aside"]) == (cookie, ["grace"])

    def test_the_account_that_has_ended_meanwhile_is_not_offered(self, browser, grace):
        browser.verb("step_aside")
        session_of(grace).revoke()
        assert browser.listed()["stepped_aside"] == []
        assert browser.who() == NOBODY

    def test_an_answer_500_has_stepped_aside_and_lost_nobody(self, browser):
        browser.verb("step_aside", status=500)
        assert (browser.who(), browser.accounts()) == (NOBODY, ["ada", "grace"])


class TestStepAsideAndVillains:
    def test_a_stranger_may_ask_and_leaves_no_row(self, db):
        browser = Browser()
        assert silent(browser.verb("step_aside"))
        assert Session.objects.count() == 0

    def test_a_receiver_may_refuse_a_step_aside(self, firefox, ada):
        heard = []

        def refuse(leaving, entering, **kwargs):
            heard.append((leaving.user.email, entering))
            raise PermissionDenied

        with listening(signals.active_session_changing, refuse):
            assert firefox.verb("step_aside").status_code == 403
        assert heard == [("grace@example.com", None)]
        assert firefox.who() == "grace"

    def test_stepping_aside_through_an_ended_cookie_does_nothing(self, firefox, alan):
        late = firefox.late()
        firefox.sign_in(alan)
        settled(firefox)
        assert late.verb("step_aside").json()["user"] == NOBODY  # it is nobody's anyway
        assert firefox.who() == "alan"

    @pytest.mark.parametrize("kept", ["first", "second"])
    def test_two_clicks_on_add_account_lose_nothing_whichever_answer_arrives(
        self, firefox, grace, kept
    ):
        late = firefox.late()
        assert firefox.verb("step_aside").status_code == 200
        assert late.verb("step_aside").status_code == 200
        browser = firefox if kept == "first" else late
        assert (browser.who(), browser.accounts()) == (NOBODY, ["ada", "grace"])
        assert browser.listed()["stepped_aside"] == ["grace"]
        browser.switch(grace)
        assert browser.who() == "grace"

    @pytest.mark.parametrize(
        "mark", ["sess_nobody", {"session": ["x"]}, {"session": None}, {}, ["session"], 1]
    )
    def test_a_forged_mark_is_nobodys(self, firefox, mark):
        firefox.verb("step_aside")
        write_mark(firefox, mark)
        assert firefox.listed()["stepped_aside"] == []
        assert (firefox.who(), firefox.accounts()) == (NOBODY, ["ada", "grace"])

    def test_the_session_of_another_client_is_not_offered(self, firefox, alan):
        safari = signed_in(alan)
        firefox.verb("step_aside")
        write_mark(firefox, {"session": safari.id_of(alan), "page": "/"})
        assert firefox.listed()["stepped_aside"] == []
        assert firefox.verb("set_active", safari.id_of(alan)).status_code == 404

    def test_a_mark_in_an_accounts_data_means_nothing(self, firefox, ada, grace):
        row = session_of(grace)
        mark = {ASIDE: {"session": firefox.id_of(ada), "page": "/"}}
        row.session_data = SessionStore().encode({**row.get_decoded(), **mark})
        row.save()
        assert firefox.who() == "grace"
        assert firefox.listed()["stepped_aside"] == []

    def test_a_sign_in_that_is_refused_leaves_the_way_back(self, firefox, alan):
        firefox.verb("step_aside")

        def refuse(entering, **kwargs):
            raise PermissionDenied

        with listening(signals.active_session_changing, refuse):
            assert firefox.sign_in(alan).status_code == 403
        assert firefox.who() == NOBODY
        assert firefox.listed()["stepped_aside"] == ["grace"]

    def test_the_limit_refuses_and_leaves_the_way_back(self, settings, firefox, grace, alan):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 2, "AT_LIMIT": "refuse"}
        firefox.verb("step_aside")
        assert firefox.sign_in(alan).status_code == 403
        assert (firefox.who(), firefox.accounts()) == (NOBODY, ["ada", "grace"])
        assert firefox.listed()["stepped_aside"] == ["grace"]
        firefox.switch(grace)
        assert firefox.who() == "grace"

    def test_the_limit_replaces_the_one_used_least_recently(self, settings, firefox, alan):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 2}
        firefox.verb("step_aside")
        firefox.sign_in(alan)
        assert (firefox.who(), firefox.accounts()) == ("alan", ["alan", "grace"])

    def test_where_a_browser_holds_one_account_a_sign_in_replaces_it(self, settings, ada, alan):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 1}
        browser = signed_in(ada)
        browser.verb("step_aside")
        assert browser.accounts() == ["ada"]
        browser.sign_in(alan)
        assert (browser.who(), browser.accounts()) == ("alan", ["alan"])
        assert statuses(ada) == ["replaced"]


def write_mark(browser: Browser, mark) -> None:
    """What the visitor of this browser is said to have stepped aside from."""
    request = request_of(browser)
    row = request.session.row
    assert row.user_id is None
    row.session_data = SessionStore().encode({ASIDE: mark})
    row.save()


class TestIdsThatAreNotOurs(EveryWay):
    """Unknown, foreign and dead ids have one answer, and change nothing."""

    @pytest.fixture
    def ids(self, browser, ada, grace, alan):
        safari = signed_in(alan)
        foreign = safari.id_of(alan)
        browser.sign_in(alan)
        removed = session_of(alan)
        browser.sign_in(ada)
        browser.sign_in(grace)
        removed.remove()
        return {
            "random": "sess_" + "x" * 27,
            "empty": "",
            "nonsense": "\x00'é",
            "client": browser.listed()["client"],
            "prefix": browser.id_of(ada)[:-1],
            "blanks": f" {browser.id_of(ada)} ",
            "foreign": foreign,
            "removed": removed.public_id,
        }

    @pytest.mark.parametrize("verb", ["set_active", "sign_out", "forget"])
    def test_ids_that_are_not_of_this_browser_are_not_found(
        self, browser, ids, verb, ada, grace, alan
    ):
        cookie = browser.cookie
        before = [(s.pk, s.status) for s in Session.objects.order_by("pk")]
        for kind, public_id in ids.items():
            response = browser.verb(verb, public_id)
            assert response.status_code == 404, kind
            assert response.json() == {"refused": "not found"}, kind
            assert silent(response), kind
        assert browser.cookie == cookie
        assert [(s.pk, s.status) for s in Session.objects.order_by("pk")] == before
        assert (browser.who(), browser.accounts()) == ("grace", ["ada", "grace"])

    @pytest.mark.parametrize("verb", ["set_active", "sign_out", "forget"])
    def test_a_forgotten_session_is_not_found(self, browser, verb, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        forgotten = browser.id_of(ada)
        browser.verb("forget", forgotten)
        assert browser.verb(verb, forgotten).json() == {"refused": "not found"}
        assert statuses(ada) == ["removed"]

    def test_a_visitor_finds_no_session(self, browser, ids):
        for verb in ("set_active", "sign_out", "forget"):
            visitor = Browser(asynchronous=browser.asynchronous)
            assert visitor.verb(verb, ids["foreign"]).json() == {"refused": "not found"}


class TestSignInAgain(EveryWay):
    """Known here, but not good enough any more; nothing else is lost."""

    @pytest.fixture(autouse=True)
    def _two_accounts(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)

    @pytest.fixture(params=["password", "signed out", "expired", "inactive"])
    def why(self, request, browser, ada):
        """Why Ada has to sign in again."""
        self.make_stale(request.param, browser, ada)
        return request.param

    def make_stale(self, why: str, browser: Browser, user: User) -> None:
        if why == "password":
            user.set_password("changed elsewhere")
            user.save()
        elif why == "signed out":
            browser.verb("sign_out", browser.id_of(user))
        elif why == "expired":
            Session.objects.filter(user=user).update(expire_at="2000-01-01T00:00Z")
        elif why == "inactive":
            User.objects.filter(pk=user.pk).update(is_active=False)

    def test_a_switch_is_refused_and_nothing_else_lost(self, browser, why, ada):
        response = browser.switch(ada)
        assert response.json() == {"refused": "sign in again", "user": ada.email}
        assert (response.status_code, silent(response)) == (404, True)
        assert (browser.who(), browser.accounts()) == ("grace", ["grace"])
        assert browser.listed()["signed_out"] == ["ada"]

    @pytest.mark.parametrize("reason", ["password", "signed out", "expired"])
    def test_signing_in_again_makes_a_stale_account_usable(self, browser, ada, reason):
        self.make_stale(reason, browser, ada)
        browser.sign_in(ada)
        assert (browser.who(), browser.accounts()) == ("ada", ["ada", "grace"])
        assert browser.listed()["signed_out"] == []

    def test_a_sign_in_method_that_was_taken_away_no_longer_counts(self, browser, settings, ada):
        settings.AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend"]
        assert browser.switch(ada).json()["refused"] == "sign in again"
        assert (browser.who(), browser.accounts()) == (NOBODY, [])

    def test_an_account_that_has_to_sign_in_again_can_be_forgotten(self, browser, why, ada):
        browser.verb("forget", browser.id_of(ada))
        assert "ada" not in browser.listed()["ids"]

    def test_a_deleted_user_is_not_found(self, browser, ada):
        public_id = browser.id_of(ada)
        ada.delete()
        assert browser.verb("set_active", public_id).json() == {"refused": "not found"}
        assert (browser.who(), browser.accounts()) == ("grace", ["grace"])


class TestSignOut(EveryWay):
    def test_sign_out_of_the_active_account_is_djangos_logout(self, browser, then, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        assert browser.verb("sign_out", browser.id_of(grace)).json()["user"] == NOBODY
        assert browser.who() == then("ada")
        listed = browser.listed()
        assert (listed["sessions"], listed["signed_out"]) == (["ada"], ["grace"])

    def test_sign_out_of_another_account_leaves_the_active_one_and_its_cookie(
        self, browser, ada, grace
    ):
        browser.sign_in(ada)
        browser.sign_in(grace)
        response = browser.verb("sign_out", browser.id_of(ada))
        assert silent(response)
        assert browser.who() == "grace"
        assert (statuses(ada), statuses(grace)) == (["ended"], ["active"])

    def test_sign_out_ends_the_account_on_this_browser_only(self, browser, ada):
        safari = signed_in(ada)
        browser.sign_in(ada)
        browser.verb("sign_out", browser.id_of(ada))
        assert (browser.who(), safari.who()) == (NOBODY, "ada")

    def test_sign_out_returns_the_session_that_has_ended(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        for user in (ada, grace):
            answer = browser.verb("sign_out", browser.id_of(user)).json()
            assert answer["status"] == "ended", user

    def test_signing_out_twice_is_refused(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        public_id = browser.id_of(ada)
        browser.verb("sign_out", public_id)
        assert browser.verb("sign_out", public_id).json() == {"refused": "not found"}
        assert browser.listed()["signed_out"] == ["ada"]

    def test_any_account_can_be_signed_out_while_nobody_is_active(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        browser.verb("sign_out", browser.id_of(grace))
        browser.verb("sign_out", browser.id_of(ada))
        assert (browser.who(), browser.accounts()) == (NOBODY, [])


class TestSignOutOfAll(EveryWay):
    @pytest.fixture(autouse=True)
    def _three_accounts_and_one_that_signed_out(self, browser, ada, grace, alan):
        for user in (alan, ada, grace):
            browser.sign_in(user)
        browser.verb("sign_out", browser.id_of(alan))

    def test_every_account_ends_and_the_cookie_goes(self, browser, ada, grace, alan):
        response = browser.verb("sign_out_all")
        assert response.cookies[COOKIE]["max-age"] == 0
        assert [statuses(user) for user in (ada, grace, alan)] == [["removed"]] * 3
        assert (browser.cookie, browser.who()) == (None, NOBODY)

    def test_no_value_that_the_cookie_ever_had_opens_anything(self, browser, ada, grace, alan):
        kept = [browser.late()]
        browser.switch(ada)
        kept.append(browser.late())
        browser.switch(grace)
        kept.append(browser.late())
        browser.verb("sign_out_all")
        for old in kept:
            assert (old.who(), old.listed()["ids"]) == (NOBODY, {})

    def test_the_next_person_finds_no_remembered_account_after_a_sign_out_of_all(
        self, browser, alan
    ):
        browser.verb("sign_out_all")
        browser.sign_in(alan)
        listed = browser.listed()
        assert (listed["sessions"], listed["signed_out"]) == (["alan"], [])

    def test_other_browsers_stay_signed_in(self, browser, ada):
        safari = signed_in(ada)
        browser.verb("sign_out_all")
        assert safari.who() == "ada"

    def test_sign_out_of_all_ends_the_rest_while_nobody_is_active(self, browser, ada):
        browser.verb("set_active")
        browser.verb("sign_out_all")
        assert statuses(ada) == ["removed"]

    def test_nothing_written_in_the_same_request_outlives_a_sign_out_of_all(self, browser, db):
        browser.verb("sign_out_all", put="theirs")
        assert browser.page() == {"user": NOBODY, "data": {}}

    def test_a_sign_out_of_all_answered_500_has_signed_out_of_all(self, browser, db):
        browser.verb("sign_out_all", status=500)
        assert (browser.who(), browser.listed()["ids"]) == (NOBODY, {})


class TestForget(EveryWay):
    def test_a_remembered_account_is_gone_from_the_list(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        browser.verb("sign_out", browser.id_of(ada))
        browser.verb("forget", browser.id_of(ada))
        assert browser.listed()["ids"].keys() == {"grace"}
        assert statuses(ada) == ["removed"]

    def test_forgetting_a_live_account_signs_it_out(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        browser.verb("forget", browser.id_of(ada))
        assert (browser.who(), browser.listed()["ids"].keys()) == ("grace", {"grace"})

    def test_forgetting_the_active_account_signs_it_out(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        browser.verb("forget", browser.id_of(grace))
        assert browser.listed()["ids"].keys() == {"ada"}
        assert statuses(grace) == ["removed"]

    def test_an_account_that_signed_out_more_than_once_is_forgotten_as_a_whole(
        self, browser, ada, grace
    ):
        browser.sign_in(grace)
        for _ in range(3):
            browser.sign_in(ada)
            browser.verb("sign_out", browser.id_of(ada))
        browser.verb("forget", browser.id_of(ada))
        assert "ada" not in browser.listed()["ids"]

    @pytest.mark.parametrize("active", [False, True])
    def test_a_live_account_that_signed_out_before_is_forgotten_as_a_whole(
        self, browser, ada, grace, active
    ):
        browser.sign_in(ada)
        browser.verb("sign_out", browser.id_of(ada))
        for user in (grace, ada) if active else (ada, grace):
            browser.sign_in(user)
        browser.verb("forget", browser.id_of(ada))
        assert "ada" not in browser.listed()["ids"]

    def test_removing_the_active_account_forgets_it_as_a_whole(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.verb("sign_out", browser.id_of(ada))
        browser.sign_in(grace)
        browser.sign_in(ada)
        browser.verb("set_active")
        assert browser.listed()["ids"].keys() == {"grace"}

    def test_forget_returns_the_session_that_is_removed(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        for user in (ada, grace):
            answer = browser.verb("forget", browser.id_of(user)).json()
            assert answer["status"] == "removed", user


class TestRevoke:
    def test_the_next_request_of_a_revoked_session_is_nobodys(self, firefox, grace, ada):
        admin = User.objects.create_user("admin@example.com")
        assert actions.revoke(session_of(grace), by=admin)
        assert (firefox.who(), firefox.accounts()) == (NOBODY, ["ada"])
        assert statuses(grace) == ["revoked"]
        assert firefox.listed()["signed_out"] == ["grace"]  # to be signed in again

    def test_an_account_below_the_active_one_can_be_revoked(self, firefox, ada):
        actions.revoke(session_of(ada))
        assert (firefox.who(), firefox.accounts()) == ("grace", ["grace"])

    def test_revoke_says_whether_it_ended_anything(self, firefox, ada):
        session = session_of(ada)
        assert actions.revoke(session) is True
        assert session.status == "revoked"
        assert actions.revoke(session) is False

    def test_revoke_keeps_the_status_of_an_ended_session(self, firefox, grace):
        kept = session_of(grace)
        firefox.sign_out()
        assert actions.revoke(kept) is False
        assert statuses(grace) == ["ended"]

    def test_many_at_once_take_as_many_queries_as_one(self, ada):
        costs = []
        for number in (1, 5):
            for _ in range(number):
                signed_in(ada)
            with CaptureQueriesContext(connection) as queries:
                assert actions.revoke_all(Session.objects.filter(user=ada)) == number
            costs.append(len(queries))
        assert statuses(ada) == ["revoked"] * 6
        # What is live, locked; the names; the write; the trail. MariaDB asks for the keys first.
        assert costs == [5 + (connection.vendor == "mysql")] * 2

    def test_revoke_has_async_twins(self, firefox, ada, grace):
        assert async_to_sync(actions.arevoke)(session_of(ada)) is True
        assert async_to_sync(actions.arevoke_all)([session_of(grace)]) == 1
        assert firefox.accounts() == []


class TestActivity:
    """``last_active_at`` is written at most once in ACTIVITY_INTERVAL."""

    @pytest.fixture
    def writes(self, ada):
        """How often it was written, looked at after each of the given moments (seconds)."""

        def count(browser: Browser, *moments: float, act=Browser.who) -> list[float]:
            start, seen = session_of(ada).last_active_at, []
            for moment in moments:
                with later(start, seconds=moment):
                    act(browser)
                seen.append(round((session_of(ada).last_active_at - start).total_seconds()))
            return seen

        return count

    def test_activity_is_written_at_most_once_a_minute(self, ada, writes):
        assert writes(signed_in(ada), 30, 59, 61, 90, 120, 122) == [0, 0, 61, 61, 61, 122]

    def test_activity_is_written_as_often_as_the_setting_says(self, ada, writes, settings):
        settings.MULTISESSION = {"ACTIVITY_INTERVAL": 3600}
        assert writes(signed_in(ada), 600, 3590, 3601) == [0, 0, 3601]

    def test_a_page_that_does_not_ask_for_the_account_is_no_activity(self, ada, writes):
        def nothing(browser):
            browser.get("/nothing/")

        assert writes(signed_in(ada), 600, act=nothing) == [0]

    def test_a_page_that_writes_session_data_is_activity(self, ada, writes):
        def put(browser):
            browser.put("theirs")

        assert writes(signed_in(ada), 30, 61) == [0, 61]
        assert writes(signed_in(ada), 30, 61, act=put) == [0, 61]

    def test_every_page_under_save_every_request_is_activity(self, ada, writes, settings):
        settings.SESSION_SAVE_EVERY_REQUEST = True
        assert writes(signed_in(ada), 30, 61) == [0, 61]

    def test_a_revoked_session_is_not_touched(self, ada):
        signed_in(ada)
        session = session_of(ada)
        kept = session_of(ada)
        session.revoke()
        with later(hours=1):
            assert kept.touch() is False

    def test_a_session_that_expires_during_a_request_does_not_come_back(self, ada, settings):
        settings.MULTISESSION = {"INACTIVITY": 3600}
        firefox = signed_in(ada)
        kept = session_of(ada)
        with later(hours=1):
            assert kept.touch() is False
            assert (session_of(ada).expire_at, firefox.who()) == (kept.expire_at, NOBODY)

    def test_two_requests_at_once_write_once(self, ada):
        signed_in(ada)
        twice = session_of(ada), session_of(ada)
        with later(hours=1):
            assert [session.touch() for session in twice] == [True, False]

    def test_the_verb_touches_the_active_account(self, firefox, ada, grace):
        before = session_of(ada).last_active_at
        with later(hours=1):
            assert firefox.verb("touch").status_code == 200
        assert session_of(grace).last_active_at > session_of(ada).last_active_at
        assert session_of(ada).last_active_at == before

    def test_a_deactivated_account_is_not_active(self, ada, writes):
        browser = signed_in(ada)
        User.objects.filter(pk=ada.pk).update(is_active=False)
        assert writes(browser, 600) == [0]


class TestMostRecentlyUsed:
    """The order of the lists, and who is "next", follow use and not the order of sign-in."""

    def test_a_switch_counts_as_use_at_once(self, ada, grace, alan):
        firefox = signed_in(ada, grace, alan)
        firefox.switch(ada)
        assert firefox.listed()["sessions"][0] == "ada"

    def test_signing_in_again_counts_as_use_at_once(self, ada, grace):
        firefox = signed_in(ada, grace, ada)
        assert firefox.listed()["sessions"] == ["ada", "grace"]

    def test_the_next_account_is_the_most_recently_used(self, settings, ada, grace, alan):
        settings.MULTISESSION = {"AFTER_SIGN_OUT": "next"}
        firefox = signed_in(ada, grace, alan)
        firefox.switch(ada)
        firefox.switch(alan)
        firefox.sign_out()
        assert firefox.who() == "ada"


class TestNextOnlyOnASafeRequest:
    @pytest.fixture(autouse=True)
    def _next(self, settings):
        settings.MULTISESSION = {"AFTER_SIGN_OUT": "next"}

    def test_a_write_meant_for_grace_does_not_reach_ada(self, firefox, ada):
        firefox.sign_out()
        firefox.put("meant-for-grace")
        assert "meant-for-grace" not in session_of(ada).get_decoded()

    def test_a_page_fetched_in_advance_activates_nobody(self, firefox):
        firefox.sign_out()
        response = firefox.get("/who/", headers={"sec-purpose": "prefetch"})
        assert (response.json()["user"], silent(response)) == (NOBODY, True)
        assert firefox.who() == "ada"

    def test_a_link_that_signs_somebody_in_makes_no_other_account_active(
        self, firefox, ada, grace, alan
    ):
        """The password of the active account was changed elsewhere, so ``login()`` finds nobody."""
        grace.set_password("another")
        grace.save()
        firefox.get(f"/sign-in/{alan.pk}/")
        assert firefox.who() == "alan"
        assert not Event.objects.filter(kind="switched").exists()


class TestForms(EitherSetting):
    """A form drawn for one account never posts as another (its CSRF token went with it)."""

    @pytest.fixture
    def form(self, ada, grace):
        """Firefox, which checks CSRF, and the fields of a form that was drawn for Grace."""
        firefox = Browser(enforce_csrf_checks=True)
        for user in (ada, grace):
            firefox.post(f"/sign-in/{user.pk}/", self.drawn(firefox))
        return firefox, self.drawn(firefox)

    def drawn(self, browser: Browser) -> dict[str, str]:
        return {"csrfmiddlewaretoken": browser.get("/form/").content.decode()}

    def check(self, browser: Browser, form: dict[str, str]) -> None:
        assert browser.post("/put/theirs/1/", form).status_code in (403, 409)
        assert browser.page()["data"] == {}

    def test_a_form_of_another_account_is_good_after_a_sign_out(self, form, then, ada):
        firefox, fields = form
        firefox.post("/sign-out/", fields)
        if firefox.who() == NOBODY:
            firefox.post(
                "/verb/set_active/", {**self.drawn(firefox), "session": firefox.id_of(ada)}
            )
        assert firefox.who() == "ada"
        self.check(firefox, fields)

    def test_a_form_is_good_after_a_switch(self, form, ada):
        firefox, fields = form
        response = firefox.post("/verb/set_active/", {**fields, "session": firefox.id_of(ada)})
        assert (response.status_code, firefox.who()) == (200, "ada")
        self.check(firefox, fields)


class TestRefusal:
    """A receiver of ``active_session_changing`` may refuse: then nothing has changed."""

    @pytest.fixture
    def refusing(self):
        def refuse(**kwargs):
            raise PermissionDenied("not now")

        with listening(signals.active_session_changing, refuse):
            yield

    def unchanged(self, browser: Browser) -> None:
        assert (browser.who(), browser.accounts()) == ("grace", ["ada", "grace"])
        assert set(Session.objects.values_list("status", flat=True)) == {"active"}

    @pytest.mark.parametrize("trouble", [None, "boom"])
    def test_a_receiver_can_refuse_a_switch(self, firefox, ada, refusing, trouble):
        cookie = firefox.cookie
        query = {} if trouble is None else {"trouble": trouble}
        assert firefox.switch(ada, **query).status_code == 403
        assert firefox.cookie == cookie
        self.unchanged(firefox)

    def test_a_receiver_can_refuse_a_sign_in_as_somebody_else(self, firefox, alan, refusing):
        firefox.put("theirs")
        cookie = firefox.cookie
        assert firefox.sign_in(alan).status_code == 403
        assert firefox.cookie == cookie
        self.unchanged(firefox)
        assert firefox.page()["data"] == {"theirs": "1"}

    def test_a_receiver_can_refuse_a_first_sign_in(self, ada, refusing):
        firefox = Browser()
        firefox.put("cart")
        assert firefox.sign_in(ada).status_code == 403
        assert firefox.page() == {"user": NOBODY, "data": {"cart": "1"}}
        assert not Session.objects.accounts().exists()

    def test_a_receiver_can_refuse_a_sign_in_as_an_account_that_is_here(
        self, firefox, ada, refusing
    ):
        assert firefox.sign_in(ada).status_code == 403
        self.unchanged(firefox)

    def test_a_receiver_can_refuse_djangos_logout(self, firefox, refusing):
        assert firefox.sign_out().status_code == 403
        self.unchanged(firefox)

    @pytest.mark.parametrize("verb", ["sign_out", "forget"])
    def test_a_receiver_can_refuse_a_verb_about_the_active_account(
        self, firefox, grace, refusing, verb
    ):
        assert firefox.verb(verb, firefox.id_of(grace)).status_code == 403
        self.unchanged(firefox)

    @pytest.mark.parametrize("verb", ["set_active", "sign_out_all"])
    def test_a_receiver_can_refuse_a_verb_without_a_session(self, firefox, refusing, verb):
        assert firefox.verb(verb).status_code == 403
        self.unchanged(firefox)

    def test_a_sign_out_of_another_account_is_not_asked_about(self, firefox, ada, refusing):
        assert firefox.verb("sign_out", firefox.id_of(ada)).status_code == 200


class TestCallingTheVerbs:
    """In Python, as a project's own views do."""

    def test_a_session_is_as_good_as_its_public_id(self, firefox, ada):
        request = request_of(firefox)
        found = actions.set_active(request, session_of(ada))
        assert (found, request.user, request.multisession.session) == (found, ada, found)
        assert found.user == ada

    def test_a_session_of_another_browser_is_not_found(self, firefox, alan):
        signed_in(alan)
        with pytest.raises(actions.SessionNotFound):
            actions.set_active(request_of(firefox), session_of(alan))

    def test_the_refusals_are_a_404_for_views_that_do_not_care(self):
        assert issubclass(actions.SessionNotFound, Http404)
        assert issubclass(actions.SignInAgain, actions.SessionNotFound)

    def test_the_lists_are_up_to_date_after_a_verb(self, firefox, ada, grace):
        request = request_of(firefox)
        assert [s.user for s in request.multisession.other_sessions] == [ada]
        actions.set_active(request, session_of(ada))
        assert [s.user for s in request.multisession.other_sessions] == [grace]
        actions.sign_out(request, session_of(grace))
        assert request.multisession.other_sessions == []
        assert [s.user for s in request.multisession.signed_out_sessions] == [grace]
        assert actions.sign_out_all(request) == [session_of(ada)]
        assert request.multisession.sessions == []
        assert request.multisession.session is None
        assert request.user.is_anonymous

    def test_the_lists_are_up_to_date_after_djangos_logout(self, firefox, grace):
        request = request_of(firefox)
        assert len(request.multisession.sessions) == 2
        logout(request)
        assert grace not in [s.user for s in request.multisession.sessions]

    def test_a_switch_whose_cookie_has_ended_meanwhile_is_refused(self, firefox, ada, alan):
        kept = request_of(firefox)
        assert len(kept.multisession.sessions) == 2
        firefox.sign_in(alan)
        settled(firefox)
        with pytest.raises(UpdateError):
            actions.set_active(kept, session_of(ada))
        assert (firefox.who(), firefox.accounts()) == ("alan", ["ada", "alan", "grace"])

    def test_a_project_without_the_engine_is_told_what_to_install(self, ada):
        request = RequestFactory().get("/")
        with pytest.raises(ImproperlyConfigured, match="SESSION_ENGINE = 'multisession"):
            actions.sign_out_all(request)


class TestMessages(EitherSetting):
    """A message is for the account that it was written for."""

    def read(self, browser: Browser) -> list[str]:
        return browser.get("/messages/").json()["messages"]

    def test_an_unread_message_waits_for_its_account(self, firefox, ada, grace):
        firefox.post("/messages/for Grace/")
        firefox.switch(ada)
        assert self.read(firefox) == []
        firefox.switch(grace)
        assert self.read(firefox) == ["for Grace"]

    def test_a_message_written_just_before_a_switch_stays_behind(self, firefox, ada, grace):
        firefox.switch(ada, message="for Grace")
        assert self.read(firefox) == []
        firefox.switch(grace)
        assert self.read(firefox) == ["for Grace"]

    def test_a_message_of_the_sign_in_itself_is_for_the_new_account(self, firefox, alan):
        firefox.post("/messages/for Grace/")
        firefox.sign_in(alan, message="Welcome, Alan")
        assert self.read(firefox) == ["Welcome, Alan"]

    def test_unread_messages_that_were_counted_before_a_sign_in_stay_behind(
        self, firefox, alan, grace
    ):
        """A middleware or a view that asks how many there are has loaded them."""
        firefox.post("/messages/for Grace/")
        firefox.sign_in(alan, count=1, message="Welcome, Alan")
        assert self.read(firefox) == ["Welcome, Alan"]
        firefox.switch(grace)
        assert self.read(firefox) == ["for Grace"]

    def test_messages_do_not_outlive_a_sign_out_of_all(self, firefox):
        firefox.post("/messages/for Grace/")
        firefox.verb("sign_out_all", message="more for Grace")
        assert self.read(firefox) == []
