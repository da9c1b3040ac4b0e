"""The values of a browser's cookie: the current one, old ones, planted, lost and late ones.

The cookie gets a new value when an account signs in and when a person proves their identity, but
not at a switch or a sign-out. An *old* value keeps showing the same until its successor has arrived
for good: for a day after the successor was first presented, and until the successor is presented a
minute or more after it was made, which *settles* it. From then on the old value has *ended*, and is
treated like a made-up one. Two successors of one value are *siblings*, and both stay valid.
"""

from contextlib import ExitStack
from unittest import mock

import pytest
from django.contrib.auth import SESSION_KEY
from django.db.models.signals import post_save
from django.utils import timezone

from accounts.models import User
from multisession import signals
from multisession.backends.db import SessionStore
from multisession.ground import tokens
from multisession.models import Event, Session
from multisession.models.tokens import Token
from multisession.upkeep.purge import ENDED_TOKENS, purge
from tests.engine_urls import name_of
from tests.stories import (
    COOKIE,
    NOBODY,
    Browser,
    EitherSetting,
    EveryWay,
    count_rows,
    later,
    listening,
    session_of,
    shown_by,
    signed_in,
    silent,
    statuses,
    with_engine_urls,
)

pytestmark = with_engine_urls

UNKNOWN = "0123456789abcdefghijklmnopqrstuv"
#: To settle a value: present it this much later than it was made.
SETTLED = {"seconds": 61}


@pytest.fixture
def mallory(django_user_model):
    return django_user_model.objects.create_user("mallory@example.com", "p")


@pytest.fixture
def eve(django_user_model):
    return django_user_model.objects.create_user("eve@example.com", "p")


@pytest.fixture
def current(ada, grace):
    """Ada and Grace are signed in, Grace is active, and the cookie has been settled."""
    with later(minutes=-10):
        firefox = signed_in(ada, grace)
    with later(minutes=-8):
        firefox.who()
    return firefox


@pytest.fixture(params=["on its way", "presented"])
def old(request, current, alan):
    """The cookie from before Alan was added, whose successor has not been settled."""
    late = current.late()
    current.sign_in(alan)
    if request.param == "presented":
        assert current.who() == "alan"
    return late


@pytest.fixture
def ended(current, alan):
    """The cookie from before Alan was added, whose successor has arrived for good."""
    late = current.late()
    with later(minutes=-5):
        current.sign_in(alan)
    assert current.who() == "alan"
    return late


@pytest.fixture
def unknown(current):
    return Browser(UNKNOWN)


def key_of(browser: Browser) -> str | None:
    """The key of the active account, as a websocket, a job or another package keeps it."""
    return SessionStore(browser.cookie).session_key


def digest_of(browser: Browser) -> str:
    return tokens.digest(str(browser.cookie))


def living() -> int:
    """How many values of cookies there are that have not ended."""
    return Token.objects.living().count()


def reused() -> list[str]:
    """For which accounts it is on record that an old cookie was used."""
    return sorted(name.partition("@")[0] for name in _reused().values_list("account", flat=True))


def _reused():
    return Event.objects.filter(kind="reused")


class TestCurrentCookie(EitherSetting):
    """The value that the browser has: everything."""

    def test_the_current_cookie_reads_the_active_account_and_lists_all(self, current):
        assert current.who() == "grace"
        assert current.accounts() == ["ada", "grace"]

    def test_the_current_cookie_writes_into_the_active_account_and_is_not_sent_again(
        self, current, grace
    ):
        assert silent(current.put("theirs"))
        assert session_of(grace).get_decoded()["theirs"] == "1"

    def test_a_sign_in_adds_an_account_and_changes_the_cookie(self, current, alan):
        before = current.cookie
        assert not silent(current.sign_in(alan))
        assert current.cookie != before
        assert current.accounts() == ["ada", "alan", "grace"]

    def test_signing_in_again_as_another_account_changes_the_cookie_and_keeps_the_session(
        self, current, ada
    ):
        before, session = current.cookie, current.id_of(ada)
        assert not silent(current.sign_in(ada))
        assert current.cookie != before
        assert (current.who(), current.id_of(ada)) == ("ada", session)
        assert statuses(ada) == ["active"]

    def test_signing_in_as_the_active_account_changes_nothing_and_is_on_record(
        self, current, grace
    ):
        session = session_of(grace)
        recorded = Event.objects.filter(kind="signed-in", session_id=session.public_id)
        assert recorded.count() == 1
        assert silent(current.sign_in(grace))
        assert recorded.count() == 2
        assert (statuses(grace), session_of(grace)) == (["active"], session)
        assert (Token.objects.count(), living()) == (2, 1)

    def test_a_switch_does_not_change_the_cookie(self, current, ada):
        assert silent(current.switch(ada))
        assert current.who() == "ada"

    def test_a_sign_out_does_not_change_the_cookie(self, current, then):
        assert silent(current.sign_out())
        response = current.get("/who/")
        assert (response.json()["user"], silent(response)) == (then("ada"), True)
        assert current.accounts() == ["ada"]

    def test_a_write_after_a_sign_out_does_not_change_the_cookie(self, current):
        assert silent(current.sign_out(put="said"))
        assert silent(current.get("/who/"))

    def test_a_bare_flush_does_not_change_the_cookie_while_others_are_signed_in(
        self, current, grace
    ):
        assert silent(current.flush())
        assert statuses(grace) == ["removed"]
        assert current.accounts() == ["ada"]

    @pytest.mark.parametrize("verb", ["sign_out", "forget"])
    def test_forgetting_another_account_does_not_change_the_cookie(self, current, ada, verb):
        assert silent(current.verb(verb, current.id_of(ada)))
        assert (current.who(), current.accounts()) == ("grace", ["grace"])

    def test_stepping_aside_and_going_back_do_not_change_the_cookie(self, current, grace):
        assert silent(current.verb("step_aside"))
        assert (current.who(), current.accounts()) == (NOBODY, ["ada", "grace"])
        assert silent(current.switch(grace))
        assert current.who() == "grace"

    def test_making_nobody_active_does_not_change_the_cookie_while_others_are_signed_in(
        self, current
    ):
        assert silent(current.verb("set_active"))
        assert (current.who(), current.accounts()) == (NOBODY, ["ada"])

    def test_the_last_sign_out_leaves_the_cookie_for_the_account_that_is_remembered(self, ada):
        firefox = signed_in(ada)
        assert silent(firefox.sign_out())
        assert firefox.listed()["signed_out"] == ["ada"]

    @pytest.mark.parametrize("way_out", ["sign_out_all", "forget"])
    def test_the_cookie_is_deleted_and_ends_when_nothing_is_left_behind_it(self, ada, way_out):
        firefox = signed_in(ada)
        copy = firefox.late()
        response = firefox.verb(way_out, firefox.id_of(ada) if way_out == "forget" else None)
        assert response.cookies[COOKIE]["max-age"] == 0
        assert living() == 0
        assert (copy.who(), copy.listed()["client"]) == (NOBODY, None)

    def test_a_new_key_changes_the_cookie_and_nothing_else(self, current, grace):
        before, session = current.cookie, session_of(grace)
        assert not silent(current.post("/cycle-key/"))
        assert current.cookie != before
        assert (current.who(), current.accounts()) == ("grace", ["ada", "grace"])
        assert session_of(grace) == session

    def test_two_tabs_that_switch_all_day_lose_no_account(self, current, ada, grace):
        before, tab = current.cookie, current.late()
        for minutes in range(10):
            with later(minutes=minutes):
                current.switch(ada)
                assert tab.who() == "ada"
                tab.switch(grace)
                assert current.who() == "grace"
        assert (current.cookie, tab.cookie) == (before, before)
        assert current.accounts() == ["ada", "grace"]


class TestOldCookie(EitherSetting):
    """The value before the last: what it always could, and nothing of what came after."""

    def test_an_old_cookie_goes_on_showing_the_account_it_showed(self, old, current):
        response = old.get("/who/")
        assert response.json()["user"] == "grace"
        assert silent(response)
        assert current.who() == "alan"

    def test_an_old_cookie_lists_what_it_could_see_and_nothing_added_since(self, old):
        assert old.accounts() == ["ada", "grace"]

    def test_an_old_cookie_writes_into_the_account_it_showed_and_no_other(
        self, old, current, grace
    ):
        assert silent(old.put("late"))
        assert session_of(grace).get_decoded()["late"] == "1"
        assert current.page() == {"user": "alan", "data": {}}

    def test_an_old_cookie_is_never_sent_again(self, old):
        """The browser may have the newer one by now."""
        assert silent(old.post("/set-expiry/0/"))
        assert silent(old.put("late"))

    def test_a_switch_through_an_old_cookie_moves_only_what_that_cookie_shows(
        self, old, current, ada
    ):
        assert silent(old.switch(ada))
        assert (old.who(), old.accounts()) == ("ada", ["ada", "grace"])
        assert (current.who(), current.accounts()) == ("alan", ["ada", "alan", "grace"])

    def test_a_switch_through_the_newer_cookie_moves_only_what_that_cookie_shows(
        self, old, current, ada
    ):
        current.switch(ada)
        assert (old.who(), current.who()) == ("grace", "ada")

    def test_a_sign_out_through_an_old_cookie_ends_its_own_account_and_lands_in_no_other(
        self, old, current, then, grace
    ):
        assert silent(old.sign_out())
        assert statuses(grace) == ["ended"]
        assert old.who() == then("ada")
        assert (current.who(), current.accounts()) == ("alan", ["ada", "alan"])

    def test_an_old_cookie_cannot_name_an_account_added_since(self, old, alan):
        listed = session_of(alan).public_id
        for verb in ("set_active", "sign_out", "forget"):
            assert old.verb(verb, listed).status_code == 404
        assert statuses(alan) == ["active"]

    def test_a_sign_out_of_all_through_an_old_cookie_spares_what_it_cannot_see(self, old, current):
        assert silent(old.verb("sign_out_all"))
        assert (old.who(), old.accounts()) == (NOBODY, [])
        assert (current.who(), current.accounts()) == ("alan", ["alan"])

    def test_a_bare_flush_through_an_old_cookie_leaves_the_newer_cookie_alone(
        self, old, current, grace
    ):
        assert silent(old.flush())
        assert statuses(grace) == ["removed"]
        assert (current.who(), current.accounts()) == ("alan", ["ada", "alan"])

    def test_forgetting_all_that_an_old_cookie_sees_leaves_the_newer_cookie_alone(
        self, old, current, ada, grace
    ):
        for user in (ada, grace):
            assert silent(old.verb("forget", old.id_of(user)))
        assert (old.who(), old.listed()["signed_out"]) == (NOBODY, [])
        assert (current.who(), current.accounts()) == ("alan", ["alan"])

    def test_a_sign_out_of_all_through_the_newer_cookie_ends_the_old_one(self, old, current):
        response = current.verb("sign_out_all")
        assert response.cookies[COOKIE]["max-age"] == 0
        assert (old.who(), old.accounts(), living()) == (NOBODY, [], 0)

    def test_using_an_old_cookie_is_no_reuse(self, old):
        old.who()
        old.put("late")
        assert reused() == []


class TestTheEndOfAnOldCookie:
    """When its successor has arrived for good."""

    @pytest.fixture
    def old(self, current, alan):
        late = current.late()
        current.sign_in(alan)
        return late

    @pytest.mark.parametrize("days", [0, 1, 13])
    def test_an_old_cookie_goes_on_while_its_successor_is_on_its_way(self, old, days):
        with later(days=days, minutes=5):
            assert old.who() == "grace"

    def test_an_old_cookie_is_not_renewed_past_half_of_its_age(self, old):
        with later(days=9):
            assert old.who() == "grace"
            assert silent(old.put("late"))

    def test_an_old_cookie_goes_on_for_a_day_after_its_successor_was_presented(self, old, current):
        current.who()
        with later(hours=24, minutes=1):
            assert (old.who(), old.accounts()) == (NOBODY, [])

    def test_an_old_cookie_used_after_a_crash_goes_on_after_a_pause_of_days(self, old, current):
        """The browser has lost the newer value: this is the one that it has."""
        current.who()
        for minutes in (2, 3 * 24 * 60, 6 * 24 * 60):
            with later(minutes=minutes):
                assert (old.who(), old.accounts()) == ("grace", ["ada", "grace"])

    def test_an_old_cookie_that_goes_on_ends_when_its_successor_comes_after_all(self, old, current):
        """So a copy of the old value is good for nothing once the browser is used again."""
        current.who()
        with later(minutes=2):
            assert old.who() == "grace"
        with later(days=3):
            assert current.who() == "alan"
            assert (old.who(), old.accounts()) == (NOBODY, [])

    def test_presenting_a_successor_often_within_a_minute_does_not_put_the_end_off(
        self, old, current
    ):
        for seconds in (0, 20, 40, 59):
            with later(seconds=seconds):
                current.who()
                assert old.who() == "grace"
        with later(hours=24, minutes=1):
            assert old.who() == NOBODY

    @pytest.mark.parametrize("first", [True, False])
    def test_an_old_cookie_ends_once_its_successor_is_presented_a_minute_after_it_was_made(
        self, old, current, first
    ):
        if first:
            current.who()
        with later(seconds=59):
            current.who()
            assert old.who() == "grace"
        with later(**SETTLED):
            assert old.who() == "grace"  # nobody has shown the successor meanwhile
            current.who()
            assert (old.who(), old.accounts()) == (NOBODY, [])

    @pytest.mark.parametrize("minutes", [0, 2])
    def test_a_presentation_costs_no_session_and_no_further_one_a_statement(
        self, old, current, minutes, django_assert_num_queries
    ):
        with later(minutes=minutes):
            current.who()
            before = list(Session.objects.order_by("pk").values_list("pk", "status"))
            with django_assert_num_queries(1):
                current.who()
            assert list(Session.objects.order_by("pk").values_list("pk", "status")) == before
            assert current.accounts() == ["ada", "alan", "grace"]

    def test_a_page_that_does_not_ask_for_the_session_presents_nothing(self, old, current):
        with later(**SETTLED):
            current.get("/nothing/")
            assert old.who() == "grace"

    def test_a_key_outside_a_request_presents_nothing(self, old, current):
        with later(**SETTLED):
            assert shown_by(current.cookie) == "alan"
            assert old.who() == "grace"

    def test_all_values_before_it_end_however_many_there_are(self, old, current, eve):
        older, before = old, current.late()
        current.sign_in(eve)
        with later(**SETTLED):
            assert current.who() == "eve"
            assert (older.who(), before.who()) == (NOBODY, NOBODY)
            assert current.accounts() == ["ada", "alan", "eve", "grace"]

    def test_a_cookies_second_successor_ends_it_even_if_the_first_was_never_shown(
        self, old, current, eve
    ):
        current.sign_in(eve)
        current.who()
        with later(hours=24, minutes=1):
            assert old.who() == NOBODY
            assert current.who() == "eve"

    def test_a_value_that_nothing_went_before_has_nothing_to_end(
        self, ada, django_assert_num_queries
    ):
        firefox = Browser()
        firefox.sign_in(ada)
        for seconds, statements in ((0, 1), (61, 2), (62, 1)):  # (a minute on: activity)
            with later(seconds=seconds), django_assert_num_queries(statements):
                firefox.get("/who/")

    def test_a_settled_value_sees_what_those_before_it_added(self, old, current, ada, grace, alan):
        with later(**SETTLED):
            current.who()
            for user in (ada, grace, alan):
                current.switch(user)
                assert current.who() == name_of(user)

    def test_a_request_that_outlasts_its_value_is_no_sign_of_theft(self, old, current):
        current.who()
        with later(hours=23, minutes=58), ExitStack() as clock:

            def passes(request):
                clock.enter_context(later(minutes=3))

            clock.enter_context(mock.patch("tests.engine_urls.meanwhile", passes))
            old.post("/slow-put/colour/red/")
            assert not Event.objects.filter(kind="reused").exists()
            assert old.who() == NOBODY
            assert Event.objects.filter(kind="reused").exists()

    def test_an_old_cookie_goes_on_from_a_minute_after_its_successor_came(self, old, current):
        """Before that, it may be a request that was sent before the newer value had come."""
        ends = []
        for seconds in (0, 59, 60):
            with later(seconds=seconds):
                if not seconds:
                    current.who()
                old.who()
                ends.append(Token.objects.get(digest=digest_of(old)).ends_at)
        assert ends[0] is not None
        assert ends == [ends[0], ends[0], None]


class TestSiblings(EitherSetting):
    """Two sign-ins through one value: two browsers, as far as we can know."""

    @pytest.fixture
    def other(self, current, alan, eve):
        """``current`` has added Alan, and this one Eve, both through the same value."""
        late = current.late()
        current.sign_in(alan)
        assert not silent(late.sign_in(eve))
        return late

    def test_each_sibling_sees_what_it_added_and_what_was_there_before(self, current, other):
        assert (current.who(), current.accounts()) == ("alan", ["ada", "alan", "grace"])
        assert (other.who(), other.accounts()) == ("eve", ["ada", "eve", "grace"])
        assert current.listed()["client"] == other.listed()["client"]

    @pytest.mark.parametrize("order", [1, -1])
    def test_each_sibling_lives_on_when_the_other_is_settled(self, current, other, order):
        with later(**SETTLED):
            for browser in [current, other][::order]:
                browser.who()
            assert current.accounts() == ["ada", "alan", "grace"]
            assert other.accounts() == ["ada", "eve", "grace"]
        with later(days=2):
            assert (current.who(), other.who()) == ("alan", "eve")

    def test_no_sibling_gains_an_account_by_anything_that_the_other_does(
        self, current, other, ada, mallory, eve
    ):
        with later(**SETTLED):
            other.who()
            other.sign_in(mallory)
            other.switch(ada)
            other.post("/cycle-key/")
            other.switch(eve)
            other.sign_in(ada)
            assert current.accounts() == ["ada", "alan", "grace"]
        with later(minutes=5):
            assert other.accounts() == ["ada", "eve", "grace", "mallory"]
            assert current.accounts() == ["ada", "alan", "grace"]

    def test_what_one_sibling_signs_out_is_signed_out_for_the_other(self, current, other, ada):
        other.verb("sign_out", other.id_of(ada))
        assert other.accounts() == ["eve", "grace"]
        assert current.accounts() == ["alan", "grace"]

    def test_a_sign_out_of_all_through_one_sibling_spares_what_only_the_other_sees(
        self, current, other
    ):
        response = other.verb("sign_out_all")
        assert response.cookies[COOKIE]["max-age"] == 0
        assert (current.who(), current.accounts()) == ("alan", ["alan"])
        assert (other.who(), other.accounts()) == (NOBODY, [])

    def test_the_same_user_gets_a_session_of_their_own_and_the_earlier_one_ends(
        self, current, other, alan
    ):
        """Data holds proofs, such as a second factor: it is not shared with a sibling."""
        current.put("proof")
        other.sign_in(alan)
        assert statuses(alan) == ["replaced", "active"]
        assert other.page() == {"user": "alan", "data": {}}
        assert "alan" not in current.accounts()
        assert current.who() != "alan"

    def test_one_user_has_one_live_session_on_a_client(self, current, other, ada, alan, eve):
        for browser in (current, other) * 2:
            for user in (alan, eve, ada):
                browser.sign_in(user)
                live = Session.objects.live().filter(user=user)
                assert live.count() == 1

    def test_a_new_key_of_one_sibling_shows_nothing_new_to_the_other(self, current, other, eve):
        other.post("/cycle-key/")
        assert "eve" not in current.accounts()
        assert current.verb("set_active", session_of(eve).public_id).status_code == 404


class TestEndedCookie(EitherSetting):
    """A value whose successor has arrived for good: nobody, and no answer touches the newer one."""

    def test_an_ended_cookie_shows_nobody(self, ended):
        response = ended.get("/who/")
        assert response.json() == {"user": NOBODY, "data": {}}
        assert silent(response)

    def test_an_ended_cookie_lists_nothing(self, ended):
        listed = ended.listed()
        assert (listed["client"], listed["sessions"], listed["signed_out"]) == (None, [], [])

    def test_a_sign_in_through_an_ended_cookie_begins_a_new_client(self, ended, current, eve):
        """As after a crash that rolled the browser's cookies back: signing in has to help."""
        assert ended.sign_in(eve).status_code == 200
        assert (ended.who(), ended.accounts()) == ("eve", ["eve"])
        assert ended.listed()["client"] != current.listed()["client"]
        assert current.accounts() == ["ada", "alan", "grace"]

    def test_signing_in_as_an_account_that_an_ended_cookie_showed_is_a_new_sign_in(
        self, ended, current, grace
    ):
        assert ended.sign_in(grace).status_code == 200
        assert (ended.who(), ended.accounts()) == ("grace", ["grace"])
        assert statuses(grace) == ["active", "active"]
        assert current.accounts() == ["ada", "alan", "grace"]

    def test_what_is_written_through_an_ended_cookie_is_a_new_visitors(self, ended, current, grace):
        assert ended.put("cart").status_code == 200
        assert ended.page() == {"user": NOBODY, "data": {"cart": "1"}}
        assert "cart" not in session_of(grace).get_decoded()
        assert current.page() == {"user": "alan", "data": {}}

    @pytest.mark.parametrize("way_out", ["sign-out", "flush", "verb/sign_out_all"])
    def test_a_sign_out_through_an_ended_cookie_signs_nobody_out(self, ended, current, way_out):
        assert silent(ended.post(f"/{way_out}/"))
        assert current.accounts() == ["ada", "alan", "grace"]

    def test_a_verb_through_an_ended_cookie_is_refused(self, ended, current, ada):
        listed = current.id_of(ada)
        for verb in ("set_active", "sign_out", "forget"):
            response = ended.verb(verb, listed)
            assert (response.status_code, silent(response)) == (404, True)
        assert current.accounts() == ["ada", "alan", "grace"]

    def test_an_ended_cookie_is_purged_in_time_and_unknown_after_that(self, ended, current):
        with later(days=ENDED_TOKENS.days + 1):
            purge()
            assert Token.objects.count() == 1
            assert ended.who() == NOBODY
            assert reused() == []

    def test_no_key_of_an_ended_cookie_opens_anything(self, ended):
        for number in ("", ".0", ".1", ".2", ".3"):
            assert SessionStore(f"{ended.cookie}{number}").load() == {}


class TestReuse:
    """An ended value that is presented again: the classic sign of a stolen copy."""

    def test_reuse_is_on_record_for_each_account_once(self, ended):
        assert reused() == []
        for _ in range(3):
            ended.who()
        assert reused() == ["ada", "alan", "grace"]

    def test_reuse_is_signalled_once_with_the_accounts_that_are_signed_in(
        self, ended, current, django_capture_on_commit_callbacks
    ):
        heard = []

        def hear(client, sessions, **kwargs):
            heard.append((client.public_id, sorted(name_of(row.user) for row in sessions)))

        with (
            listening(signals.token_reused, hear),
            django_capture_on_commit_callbacks(execute=True),
        ):
            for _ in range(2):
                ended.who()
        assert heard == [(current.listed()["client"], ["ada", "alan", "grace"])]

    def test_reuse_ends_nothing(self, ended, current):
        ended.who()
        assert (current.who(), current.accounts()) == ("alan", ["ada", "alan", "grace"])

    def test_the_record_of_a_reuse_says_where_the_copy_was_used(self, ended):
        ended.get("/who/", REMOTE_ADDR="192.0.2.66", headers={"user-agent": "Thief"})
        found = _reused().first()
        assert (found.ip_address, found.user_agent) == ("192.0.2.66", "Thief")

    def test_the_record_of_a_reuse_names_no_account_that_has_signed_out(
        self, ended, current, grace
    ):
        current.verb("sign_out", current.id_of(grace))
        ended.who()
        assert reused() == ["ada", "alan"]

    def test_a_sign_in_through_a_reused_cookie_is_on_record(self, ended, eve):
        ended.sign_in(eve)
        assert reused() == ["ada", "alan", "grace"]

    def test_the_reuse_of_each_of_two_ended_values_is_on_record(self, ended, current, eve):
        second = current.late()
        with later(minutes=5):
            current.sign_in(eve)
        with later(minutes=10):
            current.who()
            ended.who()
            second.who()
            assert len(reused()) == 2 * len(["ada", "alan", "eve", "grace"])

    def test_the_reuse_of_a_value_that_ended_a_day_after_its_successor_is_on_record(
        self, current, ada, eve
    ):
        late = current.late()
        current.sign_in(eve)
        current.who()
        late.who()
        with later(days=2):
            late.who()
            assert reused() == ["ada", "eve", "grace"]

    def test_an_unknown_value_is_not(self, unknown):
        unknown.who()
        assert reused() == []

    def test_a_key_outside_a_request_is_not(self, ended):
        assert shown_by(ended.cookie) == NOBODY
        assert reused() == []


class TestPasswordChange:
    """From that moment the account is shown by the new value alone."""

    @pytest.fixture
    def copy(self, current):
        """A stolen copy of the cookie of before. Grace has changed her password since."""
        late = current.late()
        assert not silent(current.post("/change-password/"))
        return late

    def test_a_password_change_keeps_the_account_and_its_number(self, current, grace):
        session, key = session_of(grace), key_of(current)
        before = current.cookie
        current.post("/change-password/")
        assert current.cookie != before
        assert (current.who(), current.accounts()) == ("grace", ["ada", "grace"])
        assert session_of(grace) == session
        assert key_of(current).partition(".")[2] == key.partition(".")[2]

    def test_after_a_password_change_the_old_value_shows_nobody_at_once(self, copy):
        response = copy.get("/who/")
        assert (response.json()["user"], silent(response)) == (NOBODY, True)
        assert copy.accounts() == ["ada"]

    def test_switching_away_and_back_does_not_show_a_changed_account_to_the_old_value(
        self, copy, current, ada, grace
    ):
        copy.switch(ada)
        assert copy.verb("set_active", session_of(grace).public_id).status_code == 404
        assert (copy.who(), copy.accounts()) == ("ada", ["ada"])
        assert (current.who(), current.accounts()) == ("grace", ["ada", "grace"])

    def test_switching_away_before_a_password_change_does_not_keep_the_account_for_the_old_value(
        self, current, ada, grace
    ):
        copy = current.late()
        copy.switch(ada)
        current.switch(grace)
        current.post("/change-password/")
        assert copy.accounts() == ["ada"]
        assert copy.verb("set_active", session_of(grace).public_id).status_code == 404

    def test_nothing_that_the_new_value_does_later_shows_a_changed_account_to_the_old_one(
        self, copy, current, ada, grace
    ):
        current.put("more")
        current.switch(ada)
        current.switch(grace)
        current.post("/cycle-key/")
        current.who()
        assert copy.accounts() == ["ada"]
        assert copy.who() == NOBODY

    def test_a_key_from_before_a_password_change_opens_nothing(self, current):
        key = key_of(current)
        assert shown_by(key) == "grace"
        current.post("/change-password/")
        assert (shown_by(key), SessionStore().exists(key)) == (NOBODY, False)

    def test_after_a_password_change_a_sibling_sees_nobody(self, current, grace, eve):
        sibling = current.late()
        sibling.sign_in(eve)
        sibling.switch(grace)
        current.sign_in(grace)  # already active: nothing changes
        current.post("/change-password/")
        assert (sibling.who(), sibling.accounts()) == (NOBODY, ["ada", "eve"])

    def test_a_password_change_through_an_old_value_takes_the_account_from_the_newer_one(
        self, current, grace, alan
    ):
        late = current.late()
        current.sign_in(alan)
        assert not silent(late.post("/change-password/"))
        assert (late.who(), late.accounts()) == ("grace", ["ada", "grace"])
        assert (current.who(), current.accounts()) == ("alan", ["ada", "alan"])

    def test_whoever_signs_in_with_the_new_password_has_the_account(self, copy, current, grace):
        """One live session for each user and client: the other one has been replaced."""
        copy.sign_in(grace)
        assert (copy.who(), copy.accounts()) == ("grace", ["ada", "grace"])
        assert (current.who(), current.accounts()) == (NOBODY, ["ada"])
        assert statuses(grace) == ["replaced", "active"]

    def test_each_further_password_change_hides_the_account_from_the_copy_of_before(self, current):
        for _ in range(2):
            copy = current.late()
            current.post("/change-password/")
            assert copy.accounts() == ["ada"]
        with later(**SETTLED):
            assert (current.who(), current.accounts()) == ("grace", ["ada", "grace"])

    def test_the_user_is_signed_out_everywhere_else(self, current, grace):
        safari = signed_in(grace)
        current.post("/change-password/")
        assert safari.who() == NOBODY
        assert statuses(grace) == ["active", "revoked"]

    def test_a_page_during_a_password_change_neither_ends_the_account_nor_changes_the_cookie(
        self, current, grace
    ):
        """Between the user's save and the session's, the account is not current for anybody."""
        tab, seen = current.late(), []

        def poll(**kwargs):
            response = tab.get("/who/")
            seen.append((response.json()["user"], silent(response), tab.accounts()))

        with listening(post_save, poll):
            response = current.post("/change-password/")
        assert seen[0] == (NOBODY, True, ["ada"])
        assert response.status_code == 200
        assert (current.who(), current.accounts()) == ("grace", ["ada", "grace"])
        assert statuses(grace) == ["active"]

    def test_a_password_change_counts_if_the_view_changed_another_object_of_the_user(
        self, current, grace
    ):
        """``request.multisession`` may have named the session's user before."""
        tab = current.late()

        def change(request):
            assert request.multisession.session.user == grace
            user = User.objects.get(pk=grace.pk)
            user.set_password("another")
            user.save()
            from django.contrib.auth import update_session_auth_hash

            update_session_auth_hash(request, user)

        safari = signed_in(grace)
        with mock.patch("tests.engine_urls.meanwhile", change):
            assert current.post("/slow-put/late/1/").status_code == 200
        assert (current.who(), current.accounts()) == ("grace", ["ada", "grace"])
        assert tab.accounts() == ["ada"]
        assert safari.who() == NOBODY
        assert statuses(grace) == ["active", "revoked"]

    def test_a_lost_answer_costs_this_account_and_no_other(self, current, grace):
        with current.no_answer():
            current.post("/change-password/")
        assert (current.who(), current.accounts()) == (NOBODY, ["ada"])
        current.sign_in(grace)
        assert (current.who(), current.accounts()) == ("grace", ["ada", "grace"])
        assert statuses(grace) == ["replaced", "active"]

    def test_a_new_secret_key_changes_the_cookie_and_hides_nothing(self, current, settings):
        old = current.late()
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "a newer one"
        response = current.get("/who/")
        assert (response.json()["user"], silent(response)) == ("grace", False)
        assert old.accounts() == ["ada", "grace"]
        assert current.accounts() == ["ada", "grace"]


class TestEndedMeanwhile(EitherSetting):
    """The value was good when the request began, and its successor arrives for good meanwhile."""

    @pytest.fixture
    def late(self, current, alan):
        """A request with the old value. The next change of the active account settles the new."""
        late = current.late()
        with later(minutes=-5):
            current.sign_in(alan)

        def settle(**kwargs):
            signals.active_session_changing.disconnect(settle)
            assert current.who() == "alan"

        with listening(signals.active_session_changing, settle):
            yield late

    @pytest.mark.django_db(transaction=True)
    def test_a_sign_in_after_one_that_was_rolled_back_keeps_the_other_accounts(
        self, current, ada, alan
    ):
        """A view signs somebody in within a transaction, gives up, and signs in somebody else."""
        current.sign_in(alan, before=ada.pk, undone="")
        assert (current.who(), current.accounts()) == ("alan", ["ada", "alan", "grace"])

    def test_a_sign_in_begins_a_new_client(self, late, current, eve):
        assert late.sign_in(eve).status_code == 200
        assert (late.who(), late.accounts()) == ("eve", ["eve"])
        assert current.accounts() == ["ada", "alan", "grace"]

    def test_a_renewed_sign_in_begins_a_new_client_with_nothing_carried_over(
        self, late, current, ada
    ):
        current.switch(ada)
        current.put("proof")
        assert late.sign_in(ada).status_code == 200
        assert late.page() == {"user": "ada", "data": {}}
        assert late.accounts() == ["ada"]
        assert current.accounts() == ["ada", "alan", "grace"]

    def test_a_switch_is_refused(self, late, current, ada):
        response = late.switch(ada)
        assert (response.status_code, silent(response)) == (409, True)
        assert (current.who(), current.accounts()) == ("alan", ["ada", "alan", "grace"])

    def test_stepping_aside_is_refused(self, late, current):
        response = late.verb("step_aside")
        assert (response.status_code, silent(response)) == (409, True)
        assert current.accounts() == ["ada", "alan", "grace"]

    def test_a_sign_out_ends_its_account_and_leaves_the_newer_cookie_alone(
        self, late, current, grace
    ):
        response = late.sign_out()
        assert (response.status_code, silent(response)) == (200, True)
        assert statuses(grace) == ["ended"]
        assert (current.who(), current.accounts()) == ("alan", ["ada", "alan"])

    def test_a_sign_out_of_all_leaves_the_newer_cookie_alone(self, late, current):
        response = late.verb("sign_out_all")
        assert (response.status_code, silent(response)) == (200, True)

    def test_a_sign_out_of_all_spares_what_its_own_value_cannot_see(self, late, current):
        late.verb("sign_out_all")
        assert current.who() == "alan"
        assert "alan" in current.accounts()

    def test_a_slow_page_lists_no_account_that_was_added_since(self, current, alan):
        slow, seen = current.late(), []
        with later(minutes=-5):
            current.sign_in(alan)

        def settle_and_list(request):
            assert current.who() == "alan"
            seen.extend(name_of(row.user) for row in request.multisession.sessions)

        with mock.patch("tests.engine_urls.meanwhile", settle_and_list):
            slow.post("/slow-put/late/1/")
        # (What the ended value itself has added has gone over to the newer one.)
        assert set(seen) <= {"ada", "grace"}

    def test_a_flush_of_its_only_account_leaves_the_newer_cookie_alone(self, ada, alan):
        with later(minutes=-6):
            firefox = signed_in(ada)
        late = firefox.late()
        with later(minutes=-5):
            firefox.sign_in(alan)

        def settle_and_flush(request):
            assert firefox.who() == "alan"
            request.session.flush()

        with mock.patch("tests.engine_urls.meanwhile", settle_and_flush):
            assert silent(late.post("/slow-put/late/1/"))
        assert statuses(ada) == ["removed"]
        assert (firefox.who(), firefox.accounts()) == ("alan", ["alan"])

    @pytest.mark.parametrize("presented", [False, True])
    def test_a_slow_request_finishes_and_does_not_bring_the_cookie_back(
        self, current, grace, alan, presented
    ):
        def add_alan(request):
            with later(minutes=-5):
                current.sign_in(alan)
            if presented:
                current.who()

        slow = current.late()
        with mock.patch("tests.engine_urls.meanwhile", add_alan):
            response = slow.post("/slow-put/late/1/")
        assert (response.status_code, silent(response)) == (200, True)
        assert session_of(grace).get_decoded()["late"] == "1"
        assert current.page() == {"user": "alan", "data": {}}


class TestUnknownCookie(EitherSetting):
    """The last column: a visitor, who is given a value of ours and never the one presented."""

    def test_an_unknown_cookie_shows_nobody_lists_nothing_and_is_left_alone(self, unknown):
        before = count_rows()
        assert unknown.listed()["sessions"] == []
        response = unknown.get("/who/")
        assert (response.json()["user"], silent(response)) == (NOBODY, True)
        assert count_rows() == before

    def test_a_chosen_value_is_not_adopted(self, unknown):
        unknown.put("cart")
        assert unknown.cookie != UNKNOWN
        assert unknown.page()["data"] == {"cart": "1"}
        assert Browser(UNKNOWN).page() == {"user": NOBODY, "data": {}}

    def test_a_chosen_value_is_not_adopted_by_a_sign_in(self, unknown, alan):
        unknown.sign_in(alan)
        assert unknown.cookie != UNKNOWN
        assert (unknown.who(), Browser(UNKNOWN).who()) == ("alan", NOBODY)

    @pytest.mark.parametrize("way_out", ["sign-out", "flush", "verb/sign_out_all"])
    def test_a_sign_out_leaves_an_unknown_cookie_alone(self, unknown, way_out):
        before = count_rows()
        response = unknown.post(f"/{way_out}/")
        assert (response.status_code, silent(response)) == (200, True)
        assert count_rows() == before

    def test_an_unknown_cookie_opens_no_verb(self, unknown, current, ada):
        for verb in ("set_active", "sign_out", "forget"):
            assert unknown.verb(verb, current.id_of(ada)).status_code == 404
        assert current.accounts() == ["ada", "grace"]


class TestFixation:
    def test_a_planted_cookie_of_a_visitor_gains_the_attacker_nothing(self, ada):
        mallory = Browser()
        mallory.put("bait")
        victim = mallory.late()
        victim.sign_in(ada)
        for _ in range(2):  # before and after the victim's next page
            assert mallory.who() == NOBODY
            assert mallory.accounts() == []
            assert victim.who() == "ada"

    @pytest.mark.parametrize("seconds", [0, 61])
    def test_a_planted_cookie_of_the_attackers_account_gains_the_attacker_nothing(
        self, mallory, ada, seconds
    ):
        attacker = signed_in(mallory)
        victim = attacker.late()
        victim.sign_in(ada)
        assert (attacker.who(), attacker.accounts()) == ("mallory", ["mallory"])
        with later(seconds=seconds):
            assert victim.who() == "ada"
            left = ["mallory"] if seconds == 0 else []
            assert (attacker.who(), attacker.accounts()) == ("".join(left), left)

    def test_a_planted_cookie_of_a_signed_out_account_gains_the_attacker_nothing(
        self, mallory, ada
    ):
        attacker = signed_in(mallory)
        attacker.sign_out()
        attacker.who()
        victim = attacker.late()
        victim.sign_in(ada)
        assert (attacker.who(), attacker.accounts()) == (NOBODY, [])
        assert victim.who() == "ada"
        assert (attacker.who(), attacker.accounts()) == (NOBODY, [])

    @pytest.mark.parametrize("seconds", [0, 61])
    @pytest.mark.parametrize("planted", ["visitor", "account", "signed out"])
    @pytest.mark.parametrize("act", ["sign_in", "switch", "put", "cycle-key", "change-password"])
    def test_the_grace_of_a_planted_old_cookie_gains_the_attacker_nothing(
        self, mallory, eve, ada, planted, act, seconds
    ):
        """Before the victim's next request, the attacker uses the planted cookie again."""
        attacker = Browser() if planted == "visitor" else signed_in(mallory)
        attacker.put("bait")
        if planted == "signed out":
            attacker.sign_out()
            attacker.who()
        victim = attacker.late()
        victim.sign_in(ada)
        if act == "sign_in":
            attacker.sign_in(eve)
        elif act == "switch":
            attacker.verb("set_active", session_of(ada).public_id)
        elif act == "put":
            attacker.put("more")
        elif planted == "account" or act == "cycle-key":
            attacker.post(f"/{act}/")
        with later(seconds=seconds):
            for _ in range(4):
                assert "ada" not in attacker.accounts()
                assert attacker.who() != "ada"
                attacker.sign_out()
            assert (victim.who(), "ada" in victim.accounts()) == ("ada", True)
            assert "ada" not in attacker.accounts()

    @pytest.mark.parametrize("seconds", [0, 61])
    def test_signing_in_before_the_victim_and_keeping_the_new_cookie_gains_the_attacker_nothing(
        self, mallory, eve, ada, seconds
    ):
        """The attacker holds a successor of the planted cookie that nobody has presented yet."""
        attacker = signed_in(mallory)
        victim = attacker.late()
        attacker.sign_in(eve)
        victim.sign_in(ada)
        assert "ada" not in attacker.accounts()
        with later(seconds=seconds):
            assert victim.who() == "ada"
            assert (attacker.who(), attacker.accounts()) == ("eve", ["eve", "mallory"])

    def test_a_switch_before_the_victims_sign_in_gains_the_attacker_nothing(
        self, mallory, eve, ada
    ):
        attacker = signed_in(mallory, eve)
        victim = attacker.late()
        attacker.switch(mallory)
        victim.sign_in(ada)
        assert "ada" not in attacker.accounts()
        assert victim.who() == "ada"
        assert "ada" not in attacker.accounts()

    def test_signing_in_through_a_copy_of_the_old_cookie_gains_the_attacker_nothing(
        self, mallory, eve, ada
    ):
        """Somebody who knows one password more gains nothing else by it."""
        victim = signed_in(ada)
        attacker = victim.late()
        victim.sign_in(eve)
        attacker.sign_in(mallory)
        with later(**SETTLED):
            victim.who()
            assert "eve" not in attacker.accounts()
            assert victim.accounts() == ["ada", "eve"]

    def test_the_planted_cookie_does_not_show_which_accounts_were_added(self, mallory, ada):
        attacker = signed_in(mallory)
        victim = attacker.late()
        victim.sign_in(ada)
        assert attacker.listed()["ids"].keys() == {"mallory"}
        victim.sign_out()
        assert attacker.listed()["ids"].keys() <= {"mallory"}

    def test_the_planted_cookie_with_the_number_of_another_account_is_the_planted_cookie(
        self, mallory, ada
    ):
        """A test client sends such a key; a browser's cookie never has a number."""
        attacker = signed_in(mallory)
        victim = attacker.late()
        victim.sign_in(ada)
        for number in range(4):
            key = f"{attacker.cookie}.{number}"
            assert Browser(key).who() == "mallory"
            assert shown_by(key) in ("mallory", NOBODY)


class TestLostAnswers(EveryWay):
    def test_a_sign_in_whose_answer_is_lost_leaves_the_accounts_there_were(
        self, browser, ada, grace
    ):
        browser.sign_in(ada)
        with browser.no_answer():
            browser.sign_in(grace)
        assert (browser.who(), browser.accounts()) == ("ada", ["ada"])

    @pytest.mark.parametrize("times", [1, 2, 3])
    def test_after_any_number_of_lost_answers_the_next_sign_in_has_all_accounts(
        self, browser, ada, grace, times
    ):
        browser.sign_in(ada)
        browser.put("theirs")
        for _ in range(times):
            with browser.no_answer():
                browser.sign_in(grace)
        browser.sign_in(grace)
        assert (browser.who(), browser.accounts()) == ("grace", ["ada", "grace"])
        assert statuses(grace) == ["replaced"] * times + ["active"]
        browser.switch(ada)
        assert browser.page() == {"user": "ada", "data": {"theirs": "1"}}

    def test_after_lost_answers_with_pages_in_between_the_next_sign_in_has_all_accounts(
        self, browser, ada, grace
    ):
        browser.sign_in(ada)
        for _ in range(2):
            with browser.no_answer():
                browser.sign_in(grace)
            assert browser.who() == "ada"
        browser.sign_in(grace)
        assert browser.accounts() == ["ada", "grace"]

    def test_a_first_sign_in_whose_answer_is_lost_can_be_tried_again(self, browser, ada):
        browser.put("cart")
        with browser.no_answer():
            browser.sign_in(ada)
        assert browser.who() == NOBODY
        browser.sign_in(ada)
        assert browser.who() == "ada"

    def test_a_sign_out_whose_answer_is_lost_has_signed_out_and_costs_no_other_account(
        self, browser, then, ada, grace, alan
    ):
        browser.sign_in(ada)
        browser.sign_in(grace)
        browser.who()
        with browser.no_answer():
            browser.sign_out()
        assert browser.who() == then("ada")
        browser.sign_in(alan)
        assert (browser.who(), browser.accounts()) == ("alan", ["ada", "alan"])

    def test_a_switch_whose_answer_is_lost_has_switched(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        with browser.no_answer():
            browser.switch(ada)
        assert (browser.who(), browser.accounts()) == ("ada", ["ada", "grace"])

    def test_a_new_key_whose_answer_is_lost_loses_nothing(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        with browser.no_answer():
            browser.post("/cycle-key/")
        assert (browser.who(), browser.accounts()) == ("grace", ["ada", "grace"])

    def test_a_sign_out_of_all_whose_answer_is_lost_has_signed_out_of_all(
        self, browser, ada, grace
    ):
        browser.sign_in(ada)
        browser.sign_in(grace)
        with browser.no_answer():
            browser.verb("sign_out_all")
        assert (browser.who(), browser.accounts()) == (NOBODY, [])


class TestCrashes(EveryWay):
    """A browser that is killed comes back with the cookies that it had written to disk by then."""

    @pytest.mark.parametrize("minutes", [0, 30, 23 * 60])
    def test_a_browser_killed_after_a_sign_in_comes_back_with_the_accounts_of_before(
        self, browser, ada, grace, alan, minutes
    ):
        browser.sign_in(ada)
        browser.sign_in(grace)
        on_disk = browser.cookie
        browser.sign_in(alan)
        assert browser.who() == "alan"
        browser.cookie = on_disk
        with later(minutes=minutes):
            assert (browser.who(), browser.accounts()) == ("grace", ["ada", "grace"])
            browser.sign_in(alan)
            assert (browser.who(), browser.accounts()) == ("alan", ["ada", "alan", "grace"])
            assert statuses(alan) == ["replaced", "active"]

    def test_a_browser_killed_after_a_switch_comes_back_as_it_was(self, browser, ada, grace):
        browser.sign_in(ada)
        browser.sign_in(grace)
        on_disk = browser.cookie
        browser.switch(ada)
        browser.who()
        browser.cookie = on_disk
        assert (browser.who(), browser.accounts()) == ("ada", ["ada", "grace"])

    def test_a_browser_killed_after_a_sign_out_comes_back_signed_out(
        self, browser, then, ada, grace
    ):
        browser.sign_in(ada)
        browser.sign_in(grace)
        on_disk = browser.cookie
        browser.sign_out()
        browser.who()
        browser.cookie = on_disk
        assert (browser.who(), browser.accounts()) == (then("ada"), ["ada"])

    def test_a_browser_that_comes_back_with_an_ended_value_is_a_new_one(self, browser, ada, grace):
        browser.sign_in(ada)
        on_disk = browser.cookie
        browser.sign_in(grace)
        with later(minutes=2):
            assert browser.who() == "grace"
            browser.cookie = on_disk
            assert (browser.who(), browser.accounts()) == (NOBODY, [])
            browser.sign_in(ada)
            assert (browser.who(), browser.accounts()) == ("ada", ["ada"])

    def test_a_value_that_a_crash_brought_back_settles_like_any_other(
        self, browser, ada, grace, alan
    ):
        """Otherwise a copy of the value before it could be used for ever."""
        browser.sign_in(ada)
        copy = browser.late()
        browser.sign_in(grace)
        on_disk = browser.cookie
        browser.sign_in(alan)
        assert browser.who() == "alan"
        browser.cookie = on_disk
        with later(minutes=2):
            assert copy.who() == "ada"
            assert browser.who() == "grace"
            assert copy.who() == NOBODY
            assert browser.accounts() == ["ada", "grace"]


class TestNothingRemembered:
    """What a flush leaves behind decides whether the answer deletes the cookie."""

    def test_an_account_that_expired_before_it_signed_in_again_is_no_second_one(self, ada):
        firefox = Browser()
        firefox.sign_in(ada, expiry=60)
        with later(minutes=2):
            firefox.sign_in(ada)
            assert firefox.flush().cookies[COOKIE].value == ""
        assert list(Session.objects.remembered()) == []

    def test_flushed_by_somebody_who_was_deactivated_the_account_is_gone(self, current, grace):
        User.objects.filter(pk=grace.pk).update(is_active=False)
        assert silent(current.flush())
        assert statuses(grace) == ["removed"]
        assert current.accounts() == ["ada"]

    def test_a_flush_after_a_new_password_elsewhere_signs_nobody_out(self, current, grace):
        """Django flushes such a session when a page presents it: nobody signs out there."""
        grace.set_password("another")
        grace.save()
        assert silent(current.flush())
        assert (statuses(grace), current.accounts()) == (["active"], ["ada"])


class TestLateAnswers(EitherSetting):
    @pytest.mark.parametrize("presented", [False, True])
    def test_a_double_clicked_switch_sets_no_cookie_and_the_last_one_counts(
        self, ada, grace, alan, presented
    ):
        for order in (1, -1):
            firefox = signed_in(ada, grace, alan)
            clicks = [(firefox.late(), ada), (firefox.late(), grace)][::order]
            for click, user in clicks:
                assert silent(click.switch(user))
                if presented:
                    firefox.who()
            assert firefox.who() == name_of(clicks[-1][1])
            assert firefox.accounts() == ["ada", "alan", "grace"]

    def test_a_double_clicked_sign_in_has_the_account_once_whichever_answer_is_last(
        self, then, ada, grace
    ):
        """If it is the first one's, its session has been replaced: sign in again."""
        for order, who in ((0, then("ada")), (1, "grace")):
            firefox = signed_in(ada)
            clicks = [firefox.late(), firefox.late()]
            for click in clicks:
                click.sign_in(grace)
            firefox.cookie = clicks[order].cookie
            assert firefox.who() == who
            assert firefox.accounts() == ["ada", "grace"][: order + 1]
            firefox.sign_in(grace)
            assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])

    @pytest.mark.parametrize("act", ["put/late/1", "sign-out", "flush", "verb/sign_out_all"])
    @pytest.mark.parametrize("presented", [False, True])
    def test_a_late_request_of_the_visitor_does_not_undo_the_first_sign_in(
        self, ada, act, presented
    ):
        """Its answer comes after that of the sign-in, so a cookie in it would replace Ada's."""
        firefox = Browser()
        firefox.put("cart")
        late = firefox.late()
        firefox.sign_in(ada)
        if presented:
            firefox.who()
        assert silent(late.post(f"/{act}/"))
        assert firefox.who() == "ada"

    @pytest.mark.parametrize("act", ["put/late/1", "sign-out", "flush", "verb/sign_out_all"])
    def test_a_late_request_from_between_two_accounts_does_not_undo_the_next_sign_in(
        self, ada, grace, act
    ):
        """The same where the visitor is a browser whose only account has signed out."""
        firefox = signed_in(ada)
        firefox.sign_out()
        firefox.who()
        late = firefox.late()
        firefox.sign_in(grace)
        assert silent(late.post(f"/{act}/"))
        assert firefox.who() == "grace"

    def test_two_pages_at_once_after_a_sign_out_set_no_cookie_and_show_the_same(
        self, then, ada, grace
    ):
        firefox = signed_in(ada, grace)
        firefox.sign_out()
        other = firefox.late()

        def another_page_meanwhile(**kwargs):
            signals.active_session_changing.disconnect(another_page_meanwhile)
            assert silent(other.get("/who/"))

        with listening(signals.active_session_changing, another_page_meanwhile):
            assert silent(firefox.get("/who/"))
        assert (firefox.who(), other.who()) == (then("ada"), then("ada"))
        assert firefox.accounts() == ["ada"]


class TestNobodyStaysNobody(EitherSetting):
    """Nobody is active because the person chose so; a visitor's data comes and goes meanwhile."""

    @pytest.fixture
    def visitor(self, current):
        current.verb("set_active")
        current.put("cart")
        assert current.page() == {"user": NOBODY, "data": {"cart": "1"}}
        return current

    @pytest.mark.parametrize("way_out", ["sign-out", "flush"])
    def test_after_the_visitors_data_was_flushed(self, visitor, way_out):
        assert silent(visitor.post(f"/{way_out}/"))
        assert [visitor.page(), visitor.page()] == [{"user": NOBODY, "data": {}}] * 2
        assert visitor.accounts() == ["ada"]

    def test_after_the_visitors_data_has_expired_and_was_purged(self, visitor, settings):
        visitor.post("/set-expiry/60/")
        with later(minutes=5):
            assert visitor.who() == NOBODY
            purge()
            assert visitor.who() == NOBODY

    def test_after_stepping_aside_for_longer_than_a_visit_lasts(self, current, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "VISITOR_AGE": 60}
        current.verb("step_aside")
        with later(minutes=5):
            assert current.who() == NOBODY
            purge()
            assert current.who() == NOBODY
            assert current.accounts() == ["ada", "grace"]

    @pytest.mark.parametrize("act", ["sign_in", "cycle-key"])
    def test_for_a_request_of_before_the_visitors_data_moved_on(self, visitor, alan, act):
        late = visitor.late()
        if act == "sign_in":
            visitor.sign_in(alan)
        else:
            visitor.post("/cycle-key/")
        assert (late.who(), late.accounts()) == (NOBODY, ["ada"])


class TestOneKeyOneAccount(EitherSetting):
    """``request.session.session_key``, as a websocket, a job or another package keeps it."""

    def test_a_key_is_the_cookie_and_the_number_of_the_account(self, ada, grace):
        firefox = Browser()
        firefox.sign_in(ada)
        assert key_of(firefox) == f"{firefox.cookie}.1"
        firefox.sign_in(grace)
        assert key_of(firefox) == f"{firefox.cookie}.2"
        firefox.switch(ada)
        assert key_of(firefox) == f"{firefox.cookie}.1"
        assert len(key_of(firefox)) <= 40

    def test_a_kept_key_shows_its_own_account_whoever_is_active(self, current, ada, grace):
        key = key_of(current)
        current.switch(ada)
        assert shown_by(key) == "grace"
        assert current.who() == "ada"
        current.verb("step_aside")
        assert shown_by(key) == "grace"
        current.switch(grace)
        current.sign_out()
        assert shown_by(key) == NOBODY
        current.who()
        assert (shown_by(key), SessionStore().exists(key)) == (NOBODY, False)

    def test_a_key_is_the_same_again_for_the_same_account(self, current, grace):
        key = key_of(current)
        current.sign_out()
        current.sign_in(grace)
        assert key_of(current) == f"{current.cookie}.{key.partition('.')[2]}"

    def test_a_number_is_not_given_to_another_account(self, current, ada, grace, alan):
        current.verb("forget", current.id_of(grace))
        current.sign_in(alan)
        assert key_of(current) == f"{current.cookie}.3"
        alan.delete()
        current.sign_in(grace)
        assert key_of(current) == f"{current.cookie}.2"

    def test_a_key_dies_with_its_token(self, current, alan):
        key = key_of(current)
        with later(minutes=-5):
            current.sign_in(alan)
        assert shown_by(key) == "grace"
        current.who()
        assert (shown_by(key), SessionStore().exists(key)) == (NOBODY, False)

    def test_the_key_of_a_deleted_user_does_not_become_another_users(self, current, then, grace):
        key = key_of(current)
        grace.delete()
        assert shown_by(key) == NOBODY
        assert [current.who(), current.who()] == [then("ada")] * 2
        assert shown_by(key) == NOBODY

    @pytest.mark.parametrize("end", ["revoke", "end", "remove"])
    def test_the_key_of_an_ended_session_shows_nobody(self, current, then, grace, end):
        key = key_of(current)
        getattr(session_of(grace), end)()
        assert shown_by(key) == NOBODY
        assert current.who() == then("ada")
        assert shown_by(key) == NOBODY

    def test_the_key_made_for_a_sign_in_is_not_known_before_it(self, current, alan):
        """``cycle_key()`` comes before the user is written: who knew the old key knows no more."""
        before = current.cookie
        current.sign_in(alan)
        assert shown_by(before) == "grace"
        assert shown_by(f"{before}.3") == NOBODY
        assert shown_by(current.cookie) == "alan"

    def test_a_visitors_key_never_becomes_an_accounts(self, ada):
        firefox = Browser()
        firefox.put("cart")
        key = key_of(firefox)
        assert key == firefox.cookie
        firefox.sign_in(ada)
        assert SESSION_KEY not in SessionStore(key)
        firefox.who()
        assert SESSION_KEY not in SessionStore(key)

    def test_the_key_of_a_visitor_beside_accounts_never_becomes_an_accounts(self, current, ada):
        current.verb("step_aside")
        current.put("cart")
        key = key_of(current)
        assert key == f"{current.cookie}.0"
        assert SessionStore(key)["cart"] == "1"
        current.switch(ada)
        assert SESSION_KEY not in SessionStore(key)


class TestMadeUpCookies:
    """Anonymous, no row, no 500, and never a Set-Cookie."""

    VALUES = (
        '""', "abc", "null", "0" * 31, "0" * 33, "A" * 32, "0123456789abcdefghijklmnopqrstu-",
        "x" * 8192, "%00", "a b", "\x00", "0" * 31 + "\x00", "\xe9" * 32, "'" * 32,
        f'"{UNKNOWN}"', f"{UNKNOWN}, {UNKNOWN}", "../../etc/passwd", "' OR 1=1 --",
        "٠١٢٣٤٥٦٧٨٩abcdefghijklmnopqrstuv".encode().decode("latin-1"),
    )  # fmt: skip

    @staticmethod
    def send(header: str):
        """``header`` octet for octet, as a server passes it on."""
        return Browser().get("/who/", headers={"cookie": header})

    @pytest.mark.parametrize("value", ["", *VALUES, UNKNOWN], ids=repr)
    def test_garbage_is_a_visitor(self, value, db):
        before = count_rows()
        response = self.send(f"{COOKIE}={value}")
        assert response.status_code == 200
        assert response.json() == {"user": NOBODY, "data": {}}
        assert silent(response)
        assert count_rows() == before

    def test_a_truncated_cookie_is_nobodys(self, ada):
        firefox = signed_in(ada)
        for value in (firefox.cookie[:-1], firefox.cookie[1:], firefox.cookie.upper()):
            assert Browser(value).who() == NOBODY
        assert firefox.who() == "ada"

    def test_neither_a_public_id_nor_a_digest_is_a_cookie(self, ada):
        session = signed_in(ada).listed()
        stored = Token.objects.values_list("digest", flat=True)
        for value in (session["client"], session["active"], *stored, *(d[:32] for d in stored)):
            assert Browser(value).who() == NOBODY

    def test_garbage_costs_no_query_and_an_unknown_value_one(self, db, django_assert_num_queries):
        with django_assert_num_queries(0):
            self.send(f"{COOKIE}=garbage")
        with django_assert_num_queries(1):
            self.send(f"{COOKIE}={UNKNOWN}")

    @pytest.mark.parametrize("answer", ["/sign-out/", "/verb/sign_out_all/"])
    def test_an_invalid_value_is_deleted_only_by_a_sign_out(self, db, answer):
        """It cannot be one of ours that was replaced; Django's own tests ask for the deletion."""
        browser = Browser("abc")
        assert silent(browser.get("/who/"))
        assert silent(browser.put("cart")) is False
        response = Browser("abc").post("/flush/")
        assert response.cookies[COOKIE]["max-age"] == 0


class TestSpelling:
    """The cookie is read by its exact octets."""

    @pytest.fixture
    def value(self, ada):
        return signed_in(ada).cookie

    @staticmethod
    def who(header: str) -> str:
        response = TestMadeUpCookies.send(header)
        assert response.status_code == 200
        assert silent(response)
        return response.json()["user"]

    @pytest.mark.parametrize(
        "template",
        [
            "{n}={v}",
            " {n}={v}",
            "\t{n} = {v}\t",
            "a=1; {n}={v}; b=2",
            "x;{n}={v};;",
            "={n}; {n}={v}",
        ],
    )
    def test_blanks_and_tabs_and_neighbours_do_not_matter(self, value, template):
        assert self.who(template.format(n=COOKIE, v=value)) == "ada"

    @pytest.mark.parametrize(
        "space", ["\u2000", "\xa0", "\x85", "\u3000", "\u2028", "\u1680", "\x1c", "\x0b", "\x0c"]
    )
    @pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
    def test_a_name_behind_unicode_white_space_is_another_cookie(self, value, space, encoding):
        """Django strips it, so a subdomain could plant what looks like a ``__Host-`` cookie."""
        try:
            octets = f"{space}{COOKIE}={value}".encode(encoding)
        except UnicodeEncodeError:
            octets = f"{space}{COOKIE}={value}".encode()
        planted = octets.decode("latin-1")
        assert self.who(planted) == NOBODY
        assert self.who(f"{planted}; {COOKIE}={value}") == "ada"
        assert self.who(f"{COOKIE}={value}; {planted}") == "ada"

    def test_two_cookies_of_the_same_name_are_none(self, value, grace):
        other = signed_in(grace).cookie
        assert self.who(f"{COOKIE}={value}; {COOKIE}={other}") == NOBODY
        assert self.who(f"{COOKIE}={other}; {COOKIE}={value}") == NOBODY

    @pytest.mark.parametrize("name", [COOKIE.upper(), f"{COOKIE}2", f"x{COOKIE}", f'"{COOKIE}"'])
    def test_a_similar_name_is_another_cookie(self, value, name):
        assert self.who(f"{name}={value}") == NOBODY

    def test_a_host_cookie_cannot_be_planted_by_a_subdomain(self, settings, value):
        settings.SESSION_COOKIE_NAME = "__Host-sessionid"
        assert self.who(f"__Host-sessionid={value}") == "ada"
        assert self.who(f"\xe2\x80\x80__Host-sessionid={value}") == NOBODY
        assert self.who(f"sessionid={value}") == NOBODY


def test_a_request_whose_value_ends_meanwhile_does_not_let_it_go_on(ada, grace):
    """It was read while the value had its day; meanwhile the newer one has arrived for good."""
    firefox = signed_in(ada)
    old = firefox.late()
    firefox.sign_in(grace)
    firefox.who()
    with later(hours=10):
        read = Token.objects.get(digest=tokens.digest(str(old.cookie)))
        assert read.is_to_be_noted(timezone.now())
        firefox.who()
        read.note_presentation(timezone.now())
        assert (old.who(), old.accounts()) == (NOBODY, [])
        assert firefox.accounts() == ["ada", "grace"]
