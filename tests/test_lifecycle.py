"""The lifetime of sessions, their number on a browser, and their deletion."""

import datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from multisession.models import Client, Session
from multisession.models.tokens import Token
from multisession.upkeep.purge import BATCH, purge

from . import engine_urls
from .stories import (
    NOBODY,
    Browser,
    later,
    session_of,
    signed_in,
    statuses,
    with_engine_urls,
)

pytestmark = with_engine_urls
DAY = 24 * 60 * 60
WEEK = 7 * DAY


def days(session, name):
    """Days from sign-in to one of the session's times."""
    return round((getattr(session, name) - session.created_at) / datetime.timedelta(days=1), 3)


class TestLifetime:
    def test_the_briefs_sample_seven_days_and_thirty(self, settings, ada):
        settings.MULTISESSION = {"LIFETIME": WEEK}
        firefox = signed_in(ada)
        session = session_of(ada)
        assert (days(session, "expire_at"), days(session, "abandon_at")) == (7, 30)
        for when, status in [(6.9, "active"), (7, "expired"), (29.9, "expired"), (30, "abandoned")]:
            with later(days=when):
                session = session_of(ada)
                assert session.current_status == status, when
                found = [s for s in Session.Status if Session.objects.with_current_status(s)]
                assert found == [status], when
                assert firefox.who() == ("ada" if status == "active" else NOBODY)

    def test_nothing_lengthens_the_lifetime(self, settings, ada):
        settings.MULTISESSION = {"LIFETIME": WEEK}
        firefox = signed_in(ada)
        with later(days=6):
            firefox.put("something")
            assert days(session_of(ada), "expire_at") == 7

    def test_without_a_limit_the_lifetime_is_djangos(self, settings, ada):
        settings.SESSION_COOKIE_AGE = 50 * DAY
        firefox = signed_in(ada)
        assert days(session_of(ada), "expire_at") == 50
        assert days(session_of(ada), "abandon_at") == 50  # nobody abandons what goes on
        with later(days=40):
            firefox.put("something")
            assert days(session_of(ada), "expire_at") == 90

    def test_inactivity_ends_a_session_and_activity_keeps_it(self, settings, ada):
        settings.MULTISESSION = {"INACTIVITY": 2 * DAY}
        firefox = signed_in(ada)
        for day in (1, 2, 3, 4):
            with later(days=day):
                assert firefox.who() == "ada"
        with later(days=6.1):
            assert firefox.who() == NOBODY
            assert session_of(ada).current_status == "expired"

    def test_activity_does_not_outlive_what_django_was_told(self, settings, ada):
        settings.MULTISESSION = {"INACTIVITY": 10 * DAY}
        settings.SESSION_COOKIE_AGE = 3 * DAY
        firefox = signed_in(ada)
        with later(days=2):
            assert firefox.who() == "ada"
        with later(days=3.1):
            assert firefox.who() == NOBODY

    def test_one_account_does_not_lengthen_another(self, settings, ada, grace):
        settings.MULTISESSION = {"INACTIVITY": 2 * DAY}
        firefox = signed_in(ada, grace)
        for day in (1, 2, 3):
            with later(days=day):
                assert firefox.who() == "grace"
        with later(days=3):
            assert firefox.accounts() == ["grace"]


class TestVisitors:
    """The data of people who have not signed in."""

    @staticmethod
    def cart(browser):
        return browser.page()["data"].get("cart")

    def test_a_visitors_data_lives_as_long_as_django_says(self):
        firefox = Browser()
        firefox.put("cart")
        with later(days=13):
            assert self.cart(firefox) == "1"
        with later(days=15):
            assert self.cart(firefox) is None

    def test_a_day_from_the_last_change_if_the_project_says_so(self, settings):
        settings.MULTISESSION = {"VISITOR_AGE": DAY}
        firefox = Browser()
        firefox.put("cart")
        with later(hours=23):
            assert self.cart(firefox) == "1"
            firefox.put("cart", "2")
        with later(hours=46):
            assert self.cart(firefox) == "2"
        with later(hours=48):
            assert self.cart(firefox) is None
            assert "visitors: 1" in TestClearsessions().run()

    def test_set_expiry_goes_before_visitor_age(self, settings):
        settings.MULTISESSION = {"VISITOR_AGE": DAY}
        firefox = Browser()
        firefox.put("cart")
        firefox.post(f"/set-expiry/{WEEK}/")
        with later(days=6):
            assert self.cart(firefox) == "1"

    def test_a_visitors_data_never_lives_longer_than_django_says(self, settings):
        settings.SESSION_COOKIE_AGE = 60 * 60
        firefox = Browser()
        firefox.put("cart")
        with later(hours=2):
            assert self.cart(firefox) is None

    @pytest.mark.parametrize(("age", "kept"), [(3 * DAY, True), (None, True), (60, False)])
    def test_visitor_age_decides_how_long_a_visitors_data_lives(self, settings, age, kept):
        settings.MULTISESSION = {"VISITOR_AGE": age}
        firefox = Browser()
        firefox.put("cart")
        with later(days=2):
            assert (self.cart(firefox) is not None) == kept

    def test_what_a_visitor_takes_along_lives_as_long_as_the_account(self, ada):
        firefox = Browser()
        firefox.put("cart")
        firefox.sign_in(ada)
        assert days(session_of(ada), "expire_at") == 14
        with later(days=10):
            assert self.cart(firefox) == "1"


class TestLimit:
    def test_the_least_recently_used_makes_way(self, settings, ada, grace, alan):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 2}
        firefox = signed_in(ada, grace)
        with later(minutes=5):
            firefox.switch(ada)
            firefox.sign_in(alan)
        with later(minutes=6):
            assert (firefox.who(), firefox.accounts()) == ("alan", ["ada", "alan"])
        assert statuses(grace) == ["replaced"]

    def test_signing_in_again_needs_no_place(self, settings, ada, grace):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 2}
        firefox = signed_in(ada, grace)
        firefox.sign_in(ada)
        assert (firefox.who(), firefox.accounts()) == ("ada", ["ada", "grace"])

    def test_beyond_the_limit_a_sign_in_is_refused_and_changes_nothing(
        self, settings, ada, grace, alan
    ):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 2, "AT_LIMIT": "refuse"}
        firefox = signed_in(ada, grace)
        assert firefox.sign_in(alan).status_code == 403
        assert (firefox.who(), firefox.accounts()) == ("grace", ["ada", "grace"])
        firefox.verb("sign_out", firefox.id_of(ada))
        assert firefox.sign_in(alan).status_code == 200
        assert firefox.accounts() == ["alan", "grace"]

    @pytest.mark.parametrize("at_limit", ["replace", "refuse"])
    def test_a_limit_of_one_account_works(self, settings, ada, grace, at_limit):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 1, "AT_LIMIT": at_limit}
        firefox = signed_in(ada)
        firefox.sign_in(grace)
        stays = "grace" if at_limit == "replace" else "ada"
        assert (firefox.who(), firefox.accounts()) == (stays, [stays])

    def test_signed_out_accounts_do_not_count_for_the_limit(self, settings, ada, grace, alan):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 2}
        firefox = signed_in(ada, grace)
        firefox.verb("sign_out", firefox.id_of(ada))
        firefox.sign_in(alan)
        assert firefox.accounts() == ["alan", "grace"]


class TestSingle:
    def test_a_second_sign_in_replaces_the_first(self, settings, ada, grace):
        settings.MULTISESSION = {"MAX_ACCOUNTS": 1}
        firefox = signed_in(ada)
        firefox.sign_in(grace)
        assert (firefox.who(), firefox.accounts()) == ("grace", ["grace"])
        assert statuses(ada) == ["replaced"]

    def test_a_sign_in_replaces_all_accounts_while_nobody_is_active(
        self, settings, ada, grace, alan
    ):
        firefox = signed_in(ada, grace)
        firefox.sign_out()
        settings.MULTISESSION = {"MAX_ACCOUNTS": 1}
        firefox.sign_in(alan)
        assert firefox.accounts() == ["alan"]
        assert statuses(ada) == ["replaced"]

    @pytest.mark.parametrize("how", ["a limit of one account", "replace"])
    def test_of_two_sign_ins_in_one_request_the_second_replaces_the_first(
        self, settings, ada, grace, how
    ):
        if how == "a limit of one account":
            settings.MULTISESSION = {"MAX_ACCOUNTS": 1}
        firefox = Browser()
        firefox.sign_in(grace, before=ada.pk, mode="replace" if how == "replace" else "add")
        assert (firefox.who(), firefox.accounts()) == ("grace", ["grace"])
        assert statuses(ada) == ["replaced"]

    @pytest.mark.urls("config.urls")
    def test_the_menu_offers_no_other_account(self, settings, client, ada):
        settings.MULTISESSION = {**settings.MULTISESSION, "MAX_ACCOUNTS": 1}
        client.force_login(ada)
        for url in ("/", "/multisession/menu/"):
            html = client.get(url).content.decode()
            assert "Manage account" in html
            assert "Sign out" in html
            assert "Add account" not in html
            assert "Switch or add" not in html


class TestClearsessions:
    @pytest.fixture
    def old(self, ada, grace):
        """Ada signed in 200 days ago, and a visitor came by; Grace signed in today."""
        with later(days=-200):
            signed_in(ada)
            Browser().put("cart")
        signed_in(grace)

    def run(self, *args, **options):
        out = StringIO()
        call_command("clearsessions", *args, stdout=out, **options)
        return out.getvalue()

    def test_clearsessions_deletes_old_sessions_and_keeps_the_rest(self, old, grace):
        assert "visitors: 1, sessions: 1" in self.run()
        assert [session.user for session in Session.objects.all()] == [grace]
        assert Client.objects.count() == Token.objects.count() == 1

    def test_a_dry_run_only_counts(self, old):
        before = Session.objects.count()
        assert "Would remove visitors: 1, sessions: 1" in self.run("--dry-run")
        assert Session.objects.count() == before

    def test_ended_sessions_stay_for_the_lists_without_their_details(self, settings, ada):
        with later(days=-50):
            firefox = signed_in(ada)
            firefox.sign_out()
        assert session_of(ada).ip_address is not None
        self.run()
        session = session_of(ada)
        assert (session.status, session.ip_address, session.session_data) == ("ended", None, "")
        with later(days=41):
            self.run()
        assert not Session.objects.exists()

    def test_batches_are_bounded_and_add_up(self, ada, django_assert_max_num_queries):
        with later(days=-200):
            for _ in range(7):
                signed_in(ada)
        assert "sessions: 7" in self.run("--batch-size", "2")
        for size in ("0", "10001"):
            with pytest.raises(CommandError, match="1 to 10000"):
                self.run("--batch-size", size)

    def test_clearsessions_shows_a_bar_on_a_terminal_only(self, ada):
        with later(days=-200):
            for _ in range(4):
                signed_in(ada)
        terminal = StringIO()
        terminal.isatty = lambda: True
        call_command("clearsessions", "--batch-size", "1", stdout=terminal)
        shown = terminal.getvalue()
        half, all_ = "#" * 15 + " " * 15, "#" * 30
        assert f"\rsessions  [{half}]  50%  2 of 4" in shown
        assert f"\rsessions  [{all_}] 100%  4 of 4\n" in shown
        assert shown.splitlines()[-1].startswith("Removed visitors: 0, sessions: 4")
        assert "\r" not in self.run()

    @pytest.mark.parametrize("quiet", [{"verbosity": 0}])
    def test_a_quiet_terminal_shows_nothing(self, old, quiet):
        terminal = StringIO()
        terminal.isatty = lambda: True
        call_command("clearsessions", stdout=terminal, **quiet)
        assert terminal.getvalue() == ""

    def test_an_interrupted_clearsessions_goes_on(self, ada):
        """Each batch is done once it is done; the next run has only the rest to do."""
        with later(days=-200):
            for _ in range(7):
                signed_in(ada)

        def interrupt(step, done, total):
            if done == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            purge(batch=2, progress=interrupt)
        assert Session.objects.count() == 3
        assert "sessions: 3" in self.run()
        assert not Session.objects.exists()

    def test_no_transaction_has_more_rows_than_a_batch(self, ada):
        with later(days=-200):
            for _ in range(5):
                signed_in(ada)
        seen = []
        purge(batch=2, progress=lambda step, done, total: seen.append((step, done, total)))
        assert [row for row in seen if row[0] == "sessions"] == [
            ("sessions", 2, 5), ("sessions", 4, 5), ("sessions", 5, 5)
        ]  # fmt: skip
        assert BATCH == 10_000

    def test_marking_changes_no_list_and_keeps_the_time(self, settings, ada, grace):
        """What has expired is so without the job; the job only writes it down."""
        settings.MULTISESSION = {"LIFETIME": WEEK}
        with later(days=-8):
            signed_in(ada)
        with later(days=-31):
            signed_in(grace)
        for _ in range(2):
            for user, status in ((ada, "expired"), (grace, "abandoned")):
                [found] = Session.objects.with_current_status(status)
                assert (found.user, found.current_status) == (user, status)
            assert "expired or abandoned: " in self.run()
        assert (statuses(ada), statuses(grace)) == (["expired"], ["abandoned"])

    def test_an_expired_session_is_kept_as_long_whether_marked_or_not(self, settings, ada, grace):
        """The retention counts from when it expired, not from when somebody noticed."""
        settings.MULTISESSION = {"LIFETIME": WEEK}
        with later(days=-96):
            signed_in(ada)
            signed_in(grace)
        with later(days=-60):
            Session.objects.filter(user=ada).mark_over()
        self.run()
        assert Session.objects.count() == 2
        with later(days=2):
            self.run()
        assert not Session.objects.exists()

    def test_values_that_ended_a_month_ago_are_deleted_and_the_rest_stay(
        self, settings, ada, grace, alan
    ):
        settings.SESSION_COOKIE_AGE = 400 * DAY
        with later(days=-31):
            firefox = signed_in(ada, grace)
        with later(days=-31, minutes=2):
            firefox.who()
        with later(minutes=-5):
            firefox.sign_in(alan)
        firefox.who()

        def count():
            return Token.objects.count(), Token.objects.living().count()

        assert count() == (3, 1)
        assert "tokens: 1" in self.run()
        assert count() == (2, 1)
        with later(days=31):
            self.run()
            assert count() == (1, 1)
            assert (firefox.who(), firefox.accounts()) == ("alan", ["ada", "alan", "grace"])

    def test_a_value_that_lives_is_kept_however_old_it_is(self, settings, ada, grace):
        settings.SESSION_COOKIE_AGE = 400 * DAY
        with later(days=-200):
            firefox = signed_in(ada)
            late = firefox.late()
            firefox.sign_in(grace)
        self.run()
        assert (late.who(), firefox.who()) == ("ada", "grace")

    def test_a_line_of_values_is_kept_while_a_sibling_lives(self, settings, ada, grace, alan):
        """What each of them sees depends on what went before it."""
        settings.SESSION_COOKIE_AGE = 400 * DAY
        with later(days=-100):
            firefox = signed_in(ada)
            safari = firefox.late()
            safari.sign_in(alan)
            firefox.sign_in(grace)
        with later(days=-99):
            assert (firefox.who(), safari.who()) == ("grace", "alan")
        self.run()
        assert firefox.accounts() == ["ada", "grace"]
        assert safari.accounts() == ["ada", "alan"]

    def test_clearsessions_under_another_engine_is_djangos(self, settings, old):
        settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
        before = Session.objects.count()
        self.run()
        assert Session.objects.count() == before


@pytest.mark.parametrize("quick", [True, False])
def test_a_slow_request_does_not_bring_an_expired_account_back(quick, ada, monkeypatch, settings):
    settings.MULTISESSION = {**settings.MULTISESSION, "_QUICK": quick}
    browser = signed_in(ada)
    past = session_of(ada).created_at - datetime.timedelta(seconds=1)

    def expire(request):
        Session.objects.filter(user=ada).update(expire_at=past)

    monkeypatch.setattr(engine_urls, "meanwhile", expire)
    browser.post("/slow-put/color/blue/")
    assert session_of(ada).expire_at == past
    assert browser.who() == NOBODY
