"""The audit trail: what it records for each change, what it costs, and how long it is kept."""

import datetime
from unittest import mock

import pytest
from django.contrib.auth import login
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest
from django.test import Client as Http
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from multisession import actions, signals
from multisession.api import keys
from multisession.backends.db import SessionStore
from multisession.models import ApiKey, Client, Event, Session
from multisession.models.session_sets import SessionQuerySet
from multisession.upkeep.purge import purge
from tests.stories import (
    NOBODY,
    Browser,
    digests,
    later,
    listening,
    session_of,
    signed_in,
    statuses,
    with_engine_urls,
)

pytestmark = with_engine_urls

FIREFOX = {"headers": {"user-agent": "Firefox on Linux"}}


def trail(*, since: int = 0) -> list[str]:
    """One line for each event, the oldest first, such as "ada revoked by grace"."""

    def line(event: Event) -> str:
        account, actor = (name.partition("@")[0] for name in (event.account, event.actor))
        return f"{account} {event.kind} by {actor or 'nobody'}"

    return [line(event) for event in Event.objects.order_by("pk")][since:]


@pytest.fixture
def news():
    """``news()``: what has come on record since it was asked last."""
    seen = 0

    def ask() -> list[str]:
        nonlocal seen
        lines = trail(since=seen)
        seen += len(lines)
        return lines

    return ask


class TestWhatPeopleDo:
    def test_a_day_of_two_accounts(self, news, ada, grace):
        firefox = signed_in(ada, grace)
        assert news() == ["ada signed-in by ada", "grace signed-in by grace"]
        firefox.switch(ada)
        assert news() == ["ada switched by grace"]
        firefox.verb("sign_out", firefox.id_of(grace))
        firefox.sign_out()
        assert news() == ["grace ended by ada", "ada ended by ada"]
        firefox.verb("forget", Session.objects.get(user=grace).public_id)
        assert news() == ["grace forgotten by nobody"]

    def test_signing_out_of_all(self, news, ada, grace, alan):
        firefox = signed_in(ada, grace, alan)
        firefox.verb("sign_out", firefox.id_of(ada))
        news()
        firefox.verb("sign_out_all")
        assert news() == [
            "grace removed by alan",
            "alan removed by alan",
            "ada forgotten by alan",
        ]

    def test_adding_an_account_leaves_no_trace_of_the_moment_in_between(self, news, ada, grace):
        """``login()`` ends the first account, and takes it back at once."""
        signed_in(ada, grace)
        assert news() == ["ada signed-in by ada", "grace signed-in by grace"]

    def test_a_sign_in_outside_a_request_ends_no_account(self, news, ada, grace):
        """As the test client's ``force_login`` and jobs do it, where nobody says it is over."""
        http = Http()
        http.force_login(ada)
        http.force_login(grace)
        assert news() == ["ada signed-in by ada", "grace signed-in by grace"]
        assert (statuses(ada), statuses(grace)) == (["active"], ["active"])

    def test_a_revocation_during_a_sign_in_outside_a_request_is_kept(self, news, ada, grace):
        """Somebody revokes the first account in the middle of the sign-in as the second."""

        def revoke(request):
            actions.revoke(session_of(ada), by="somebody")

        http = Http()
        http.force_login(ada)
        news()
        with mock.patch("django.contrib.auth.rotate_token", side_effect=revoke):
            http.force_login(grace)
        assert "ada revoked by somebody" in news()
        assert statuses(ada) == ["revoked"]

    def test_a_flush_outside_a_request_ends_at_once(self, news, ada):
        firefox = signed_in(ada)
        SessionStore(firefox.cookie).flush()
        assert news()[1:] == ["ada removed by nobody"]

    def test_signing_in_again_is_on_record_each_time(self, news, ada, grace):
        firefox = signed_in(ada, grace)
        news()
        firefox.sign_in(grace)
        firefox.sign_in(ada)
        assert news() == ["grace signed-in by grace", "ada signed-in by ada"]
        assert Session.objects.count() == 2

    def test_in_replace_mode_the_first_account_is_recorded_as_replaced(self, news, ada, grace):
        firefox = signed_in(ada)
        news()
        firefox.sign_in(grace, mode="replace")
        assert news() == ["ada replaced by grace", "grace signed-in by grace"]

    def test_beyond_the_limit_the_least_recently_used_is(self, settings, news, ada, grace, alan):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 2}
        firefox = signed_in(ada, grace)
        news()
        firefox.sign_in(alan)
        assert sorted(news()) == ["ada replaced by alan", "alan signed-in by alan"]

    def test_a_sign_in_that_is_refused_leaves_nothing(self, settings, news, ada, grace):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 1, "AT_LIMIT": "refuse"}
        firefox = signed_in(ada)
        news()
        assert firefox.sign_in(grace).status_code == 403
        assert news() == []
        assert firefox.who() == "ada"

    def test_a_bare_flush_is_a_removal(self, news, ada):
        firefox = signed_in(ada)
        news()
        firefox.flush()
        assert news() == ["ada removed by nobody"]

    def test_another_account_that_follows_by_itself_was_nobody_s_doing(
        self, settings, news, ada, grace
    ):
        settings.MULTISESSION = {"AFTER_SIGN_OUT": "next"}
        firefox = signed_in(ada, grace)
        firefox.sign_out()
        news()
        assert firefox.who() == "ada"
        assert news() == ["ada switched by nobody"]

    def test_a_switch_that_a_receiver_refuses_leaves_nothing(self, news, ada, grace):
        firefox = signed_in(ada, grace)
        news()

        def refuse(**kwargs):
            raise PermissionDenied("not now")

        with listening(signals.active_session_changing, refuse):
            firefox.switch(ada)
        assert news() == []

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_async_verbs_are_on_record(self, news, ada, grace, asynchronous):
        firefox = signed_in(ada, grace, asynchronous=asynchronous)
        firefox.switch(ada)
        firefox.sign_out()
        assert news() == [
            "ada signed-in by ada",
            "grace signed-in by grace",
            "ada switched by grace",
            "ada ended by ada",
        ]


class TestWhatOthersDo:
    def test_another_browser_of_the_person(self, news, client, ada):
        signed_in(ada, **FIREFOX)
        konqueror = signed_in(ada, headers={"user-agent": "Konqueror"})
        news()
        kept, lost = Session.objects.order_by("-pk")
        konqueror.post("/multisession/sessions/sign-out/", {"session": lost.public_id})
        assert news() == ["ada revoked by ada"]
        event = Event.objects.latest("pk")
        # Where it was done, not where the session was.
        assert (event.session_id, event.user_agent) == (lost.public_id, "Konqueror")

    def test_a_password_changed_elsewhere_is_recorded_by_clearsessions(self, news, ada):
        firefox = signed_in(ada)
        ada.set_password("changed elsewhere")
        ada.save()
        news()
        assert firefox.who() == NOBODY
        assert news() == []  # This browser may be the one that changed it, in another tab.
        call_command("clearsessions", verbosity=0)
        assert news() == ["ada revoked by nobody"]

    def test_a_sign_in_with_the_new_password(self, news, ada, grace):
        firefox = signed_in(ada, grace)
        ada.set_password("changed elsewhere")
        ada.save()
        news()
        firefox.sign_in(ada)
        assert news() == ["ada replaced by ada", "ada signed-in by ada"]

    def test_python_says_who_it_is(self, news, ada, grace):
        for by in (grace, "the nightly job", None):
            signed_in(ada)
            actions.revoke(session_of(ada), by=by)
        assert [line for line in news() if "revoked" in line] == [
            "ada revoked by grace",
            "ada revoked by the nightly job",
            "ada revoked by nobody",
        ]

    def test_a_program_by_the_name_of_its_key(self, settings, news, ada):
        signed_in(ada)
        settings.ROOT_URLCONF = "config.urls"
        _, secret = keys.issue("billing", scope=ApiKey.Scope.REVOKE)
        news()
        program = Http(headers={"authorization": f"Bearer {secret}", "user-agent": "curl"})
        session = session_of(ada).public_id
        for _ in range(2):
            assert program.post(f"/v1/sessions/{session}/revoke").status_code == 200
        assert news() == ["ada revoked by API key billing"]
        event = Event.objects.latest("pk")
        assert (event.actor_id, event.user_agent, event.ip_address) == ("", "curl", "127.0.0.1")

    def test_the_trail_names_the_command_that_revoked(self, news, ada):
        signed_in(ada)
        news()
        call_command("revokesessions", user=str(ada.pk), interactive=False, verbosity=0)
        assert news() == ["ada revoked by manage.py revokesessions"]

    def test_a_revocation_while_login_makes_room_is_recorded(self, news, ada, grace):
        """It does not come back, and is on record once."""

        def revoke(request):
            actions.revoke(session_of(ada), by="somebody")

        firefox = signed_in(ada)
        news()
        with mock.patch("django.contrib.auth.rotate_token", side_effect=revoke):
            firefox.sign_in(grace)
        assert news() == ["ada revoked by somebody", "grace signed-in by grace"]
        assert statuses(ada) == ["revoked"]


class TestTheClock:
    @pytest.fixture
    def dead(self, settings, ada):
        """A browser whose session was over a day ago."""
        settings.MULTISESSION = {"LIFETIME": 7 * 24 * 60 * 60}
        with later(days=-8):
            return signed_in(ada)

    def test_a_page_with_a_dead_cookie_writes_nothing(self, news, dead):
        news()
        with CaptureQueriesContext(connection) as queries:
            assert dead.who() == NOBODY
            assert dead.accounts() == []
        assert not [q for q in queries if not q["sql"].startswith("SELECT")]
        assert news() == []

    def test_the_job_notices_with_the_time_of_the_clock(self, news, dead, ada):
        news()
        assert purge().marked == 1
        assert news() == ["ada expired by nobody"]
        session, event = session_of(ada), Event.objects.latest("pk")
        assert session.status == "expired"
        assert event.at == session.expire_at == session.updated_at
        assert (event.ip_address, event.user_agent) == (None, "")
        with later(days=24):
            assert purge().marked == 1
            assert session_of(ada).status == "abandoned"
        assert news() == ["ada abandoned by nobody"]
        assert Event.objects.latest("pk").at == session.abandon_at
        assert purge().marked == 0

    @pytest.mark.parametrize("status", ["ended", "revoked", "removed", "replaced"])
    def test_the_door_does_not_end_what_the_clock_has_ended(self, news, dead, ada, grace, status):
        news()
        session = session_of(ada)
        assert session.close(Session.Status(status), by=grace) is False
        assert news() == ["ada expired by nobody"]
        assert (session_of(ada).status, session_of(ada).session_data) == ("expired", "")

    def test_among_many_the_dead_ones_are_not_counted(self, dead, ada):
        signed_in(ada)
        with later(days=-40):
            signed_in(ada)
        assert actions.revoke_all(Session.objects.all()) == 1
        assert statuses(ada) == ["expired", "revoked", "abandoned"]

    def test_session_ended_does_not_speak_of_the_clock(self, dead, ada):
        heard = []
        with listening(signals.session_ended, lambda **kwargs: heard.append(kwargs)):
            session_of(ada).revoke()
        assert heard == []

    def test_a_session_that_is_over_is_not_taken_back_by_a_sign_in(self, dead, ada, grace):
        dead.sign_in(grace)
        assert (dead.accounts(), statuses(ada)) == (["grace"], ["active"])
        assert session_of(ada).current_status == "expired"


class TestWhatARowHolds:
    def test_names_ids_and_where_from(self, ada):
        signed_in(ada, **FIREFOX)
        session, event = session_of(ada), Event.objects.get()
        assert (event.session_id, event.client_id) == (session.public_id, session.client.public_id)
        assert (event.user_id, event.account) == (str(ada.pk), "ada@example.com")
        assert (event.actor_id, event.actor) == (str(ada.pk), "ada@example.com")
        assert (event.ip_address, event.user_agent) == ("127.0.0.1", "Firefox on Linux")
        assert abs(event.at - timezone.now()) < datetime.timedelta(minutes=1)

    def test_an_event_stays_without_the_name_when_the_user_is_gone(self, ada, grace):
        firefox = signed_in(ada, grace)
        ids = session_of(ada).public_id
        ada.delete()
        kept = Event.objects.filter(session_id=ids).order_by("pk")
        assert [event.kind for event in kept] == ["signed-in", "revoked"]
        assert {(event.account, event.user_id, event.ip_address) for event in kept} == {
            ("", "", None)
        }
        assert firefox.accounts() == ["grace"]

    def test_an_event_keeps_the_name_that_the_user_had(self, ada):
        signed_in(ada)
        ada.email = "lovelace@example.com"
        ada.save()
        signed_in(ada)
        names = Event.objects.order_by("pk").values_list("account", flat=True)
        assert list(names) == ["ada@example.com", "lovelace@example.com"]

    def test_no_row_refers_to_another(self):
        assert not [field for field in Event._meta.get_fields() if field.is_relation]

    def test_no_secret_is_in_an_event(self, ada, grace):
        firefox = signed_in(ada, grace)
        firefox.put("private", "of-grace")
        firefox.switch(ada)
        secrets = [firefox.cookie, *digests(), "of-grace", ada.password]
        firefox.verb("sign_out_all")
        text = str(list(Event.objects.values()))
        assert not [secret for secret in secrets if secret in text]

    def test_values_of_an_event_that_are_too_long_are_cut(self, ada):
        signed_in(ada, headers={"user-agent": "x" * 1000})
        actions.revoke(session_of(ada), by="y" * 1000)
        event = Event.objects.latest("pk")
        assert len(event.actor) == 255
        assert len(Event.objects.earliest("pk").user_agent) == 256

    def test_a_visitor_is_in_no_trail(self):
        browser = Browser()
        browser.put("cart")
        SessionStore().delete(browser.cookie)
        assert trail() == []


class TestOneTransaction:
    """What is not on record has not happened, and what was rolled back is not on record."""

    @pytest.mark.parametrize("trouble", ["boom", "undone"])
    def test_an_event_is_rolled_back_with_its_change(self, news, ada, grace, trouble):
        firefox = signed_in(ada, grace)
        news()
        firefox.sign_out(trouble=trouble)
        firefox.switch(ada, trouble=trouble)
        assert news() == []
        assert firefox.who() == "grace"

    @pytest.mark.parametrize("end", ["sign_out", "switch"])
    def test_a_change_that_cannot_be_recorded_does_not_happen(self, news, ada, grace, end):
        firefox = signed_in(ada, grace)
        sid = firefox.id_of(ada)
        news()
        broken = mock.patch.object(Event, "record", side_effect=DatabaseError("no space left"))
        with broken:
            act = {"sign_out": firefox.sign_out, "switch": lambda: firefox.verb("set_active", sid)}
            assert act[end]().status_code == 500
        assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])
        assert news() == []


class TestCost:
    @staticmethod
    def statements(settings, audit, act) -> int:
        settings.MULTISESSION = {"AUDIT": audit}
        with CaptureQueriesContext(connection) as queries:
            act()
        return len(queries)

    @staticmethod
    def a_day(ada, grace, alan) -> list:
        firefox = Browser()
        firefox.put("cart")
        return [
            lambda: firefox.sign_in(ada),
            lambda: firefox.sign_in(grace),
            lambda: firefox.sign_in(alan),
            lambda: firefox.verb("set_active", session_of(ada).public_id),
            lambda: firefox.sign_in(grace),
            lambda: firefox.verb("sign_out", session_of(alan).public_id),
            lambda: firefox.sign_out(),
            lambda: firefox.verb("sign_out_all"),
        ]

    def test_the_trail_costs_one_statement_for_each_step(self, settings, ada, grace, alan):
        """Against the same day without a trail."""
        counted = {}
        for audit in (False, True):
            steps = self.a_day(ada, grace, alan)
            counted[audit] = [self.statements(settings, audit, step) for step in steps]
        extra = [on - off for off, on in zip(counted[False], counted[True], strict=True)]
        assert extra[:-1] == [1] * 7
        # Of all: those that ended, and those that are forgotten, each with their names.
        assert extra[-1] <= 4

    def test_revoking_many_costs_as_many_statements_as_revoking_one(self, settings, ada, grace):
        firefox, others = signed_in(ada), [signed_in(grace) for _ in range(9)]
        one = self.statements(
            settings, True, lambda: actions.revoke_all(Session.objects.filter(user=ada))
        )
        many = self.statements(
            settings, True, lambda: actions.revoke_all(Session.objects.filter(user=grace))
        )
        assert many == one
        assert len(others) == Event.objects.filter(kind="revoked", account=grace.email).count()
        assert firefox.who() == NOBODY

    def test_users_in_another_database_cost_one_more_not_one_each(self, settings, ada, grace):
        for user in (ada, grace):
            signed_in(user)
        elsewhere = mock.patch.object(SessionQuerySet, "_has_users_beside", return_value=False)
        adas, graces = Session.objects.filter(user=ada), Session.objects.filter(user=grace)
        here = self.statements(settings, True, lambda: actions.revoke_all(adas))
        with elsewhere:
            there = self.statements(settings, True, lambda: actions.revoke_all(graces))
            assert there == here + 1
            for _ in range(3):
                signed_in(ada), signed_in(grace)
            both = Session.objects.all()
            assert self.statements(settings, True, lambda: actions.revoke_all(both)) == there
        revoked = Event.objects.filter(kind="revoked").values_list("account", flat=True)
        assert sorted(revoked) == [ada.email] * 4 + [grace.email] * 4

    def test_without_the_trail_a_revocation_asks_for_no_names(self, settings, ada, grace):
        def cost(sessions):
            return self.statements(settings, False, lambda: actions.revoke_all(sessions))

        for user in (ada, grace, ada, grace, ada):
            signed_in(user)
        one = Session.objects.filter(pk=session_of(grace).pk)
        assert cost(one) == cost(Session.objects.all())

    def test_a_page_costs_nothing_more(self, settings, ada):
        firefox = signed_in(ada)
        assert self.statements(settings, True, firefox.who) == 1

    def test_the_trail_can_be_turned_off(self, settings, news, ada, grace):
        settings.MULTISESSION = {"AUDIT": False}
        firefox = signed_in(ada, grace)
        firefox.switch(ada)
        actions.revoke(session_of(grace))
        firefox.verb("sign_out_all")
        with later(days=60):
            purge()
        assert news() == []


@pytest.mark.django_db(transaction=True)
class TestSignal:
    def test_each_event_is_told_after_the_commit(self, ada, grace):
        heard = []

        def hear(sender, event, **kwargs):
            assert sender is Event
            assert not transaction.get_connection().in_atomic_block
            assert Event.objects.filter(pk=event.pk).exists()
            heard.append(f"{event.account.partition('@')[0]} {event.kind}")

        with listening(signals.event_recorded, hear):
            firefox = signed_in(ada, grace)
            firefox.switch(ada)
            firefox.sign_in(grace, trouble="boom")
            firefox.verb("sign_out_all")
        assert heard == [
            "ada signed-in", "grace signed-in", "ada switched", "ada removed", "grace removed",
        ]  # fmt: skip

    def test_a_receiver_that_fails_breaks_nothing(self, ada, caplog):
        def fail(**kwargs):
            raise RuntimeError("boom")

        with listening(signals.event_recorded, fail):
            assert signed_in(ada).who() == "ada"
        assert "boom" in caplog.text


class TestRetention:
    @pytest.fixture
    def old(self, ada):
        with later(days=-50):
            signed_in(ada, **FIREFOX).sign_out()

    def test_the_origin_of_an_event_is_erased_before_the_event(self, old):
        purged = purge()
        assert (purged.origins, purged.events) == (2, 0)
        rows = Event.objects.values_list("account", "ip_address", "user_agent")
        assert set(rows) == {("ada@example.com", None, "")}
        with later(days=41):
            purged = purge()
        assert (purged.origins, purged.events) == (0, 2)
        assert trail() == []

    def test_an_event_of_today_keeps_everything(self, ada):
        signed_in(ada, **FIREFOX)
        purge()
        assert Event.objects.get().user_agent == "Firefox on Linux"

    def test_the_browsers_name_is_erased_from_the_client(self, old, ada):
        purge()
        assert Client.objects.get().user_agent == ""

    def test_the_browsers_name_is_kept_while_somebody_is_signed_in_there(self, ada, grace):
        with later(days=-50):
            firefox = signed_in(ada, **FIREFOX)
            firefox.sign_out()
        firefox.sign_in(grace)
        assert purge().browsers == 0
        assert Client.objects.get().user_agent == "Firefox on Linux"

    def test_the_browsers_name_comes_back_with_the_person(self, ada):
        with later(days=-50):
            firefox = signed_in(ada, **FIREFOX)
            firefox.sign_out()
        purge()
        firefox.sign_in(ada)
        assert session_of(ada).client.user_agent == "Firefox on Linux"


def test_a_login_without_our_store_is_none_of_our_business(ada):
    """Channels sends the signal without a request."""
    user_logged_in.send(sender=type(ada), request=None, user=ada)
    assert trail() == []


def test_a_login_in_a_bare_request_is_on_record(ada):
    request = HttpRequest()
    request.session = SessionStore()
    login(request, ada, backend="django.contrib.auth.backends.ModelBackend")
    request.session.save()
    assert trail() == ["ada signed-in by ada"]
