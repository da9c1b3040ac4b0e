"""The overview in the admin: what is counted, who may see it, and where it leads."""

import datetime
import re
from unittest import mock

import pytest
from axes.models import AccessFailureLog
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from multisession import actions
from multisession.admin.events import EventAdmin
from multisession.admin.sessions import SessionAdmin
from multisession.models import Client, Event, Session
from multisession.models.tallies import Tally, end_of, last_starts, start_of
from multisession.upkeep import counting
from multisession.upkeep.purge import purge
from tests.stories import Browser, later, session_of, signed_in, with_engine_urls

pytestmark = with_engine_urls

LIST = "/admin/multisession/session/"
OVERVIEW = f"{LIST}overview/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"
#: The middle of an hour, far from midnight.
NOON = datetime.datetime(2026, 11, 10, 12, 30, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def noon():
    with mock.patch("django.utils.timezone.now", return_value=NOON):
        yield


@pytest.fixture
def root(db) -> User:
    return User.objects.create_superuser("root@example.com")


@pytest.fixture
def staff(db) -> User:
    user = User.objects.create_user("staff@example.com", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["view_session", "view_event"])
    )
    return user


def overview(browser: Browser):
    response = browser.get(OVERVIEW)
    assert response.status_code == 200
    return response


def numbers(response, chart: int = 1) -> list[int]:
    """The sum of each series: sign-ins, ends, perhaps failed sign-ins."""
    rows = response.context["charts"][chart].rows
    return [sum(bar.number for bar in bars) for bars in zip(*(r.bars for r in rows), strict=True)]


def happened(user: User, kind: str, at: datetime.datetime, count: int = 1, **fields) -> None:
    made = {"session_id": "sess_x", "client_id": "client_x", "user_id": str(user.pk)}
    Event.objects.bulk_create(Event(kind=kind, at=at, **(made | fields)) for _ in range(count))


class TestCounting:
    def test_the_page_says_the_same_before_and_after_the_events_are_counted(self, root, ada):
        office = signed_in(root)
        signed_in(ada).sign_out()
        for _ in range(3):
            assert numbers(overview(office)) == [2, 1]
        with later(minutes=20):
            assert purge().counted == 3
            assert Tally.objects.filter(what="signed-in", unit="day").count() == 2  # with root's
            assert numbers(overview(office)) == [2, 1]
            assert purge().counted == 0
            assert numbers(overview(office)) == [2, 1]

    def test_each_event_is_counted_once_however_often_the_work_is_interrupted(self, root, ada):
        happened(ada, "signed-in", NOON, 7)
        office = signed_in(root)

        def interrupt(step: str, done: int, total: int) -> None:
            if step == "counted":
                raise KeyboardInterrupt

        with later(minutes=20):
            for _ in range(3):
                with pytest.raises(KeyboardInterrupt):
                    purge(batch=2, progress=interrupt)
                assert numbers(overview(office)) == [8, 0]
            purge(batch=2)
            assert numbers(overview(office)) == [8, 0]

    def test_two_runs_at_once_count_an_event_once(self, ada):
        happened(ada, "signed-in", NOON, 3)
        counting.begin("default")
        source = counting.events("default")
        rows, last = source.uncounted(), Event.objects.latest("pk").pk
        assert [counting.add(source, rows, last) for _ in range(2)] == [3, 0]
        assert Tally.objects.get(what="signed-in", unit="day").number == 3

    def test_a_sign_in_of_this_minute_waits_as_a_slow_transaction_may_still_commit(self, ada):
        signed_in(ada)
        assert purge().counted == 0
        with later(minutes=14):
            assert purge().counted == 0
        with later(minutes=15):
            assert purge().counted == 1

    def test_a_timeout_is_counted_on_the_day_on_which_it_happened(self, root, ada):
        signed_in(ada)
        session_of(ada)
        over = NOON + datetime.timedelta(hours=2)
        Session.objects.update(expire_at=over)
        with later(days=3):
            office = signed_in(root)
            assert purge().marked == 1
            rows = overview(office).context["charts"][1].rows
            assert [row.bars[1].number for row in rows][-4:] == [1, 0, 0, 0]
        with later(days=3, minutes=20):
            purge()
            rows = overview(office).context["charts"][1].rows
            assert [row.bars[1].number for row in rows][-4:] == [1, 0, 0, 0]

    def test_user_agents_that_people_made_up_are_one_name(self, ada):
        for number in range(30):
            happened(ada, "signed-in", NOON, user_agent=f"Mine{number}/1.0")
        happened(ada, "signed-in", NOON, user_agent=FIREFOX)
        with later(minutes=20):
            purge()
        names = Tally.objects.filter(unit="day", what__in=["browser", "system"])
        found = sorted(names.values_list("what", "name", "number"))
        assert found == [
            ("browser", "", 30),
            ("browser", "Firefox", 1),
            ("system", "", 30),
            ("system", "Linux", 1),
        ]

    def test_the_erasure_of_a_person_leaves_the_sums(self, root, ada):
        signed_in(ada)
        with later(minutes=20):
            purge()
            actions.erase(ada)
            ada.delete()
            assert Tally.objects.get(what="signed-in", unit="day").number == 1

    def test_sums_by_hour_go_after_two_days_and_sums_by_day_with_the_trail(self, ada, settings):
        signed_in(ada)
        with later(minutes=20):
            purge()
        with later(days=3):
            purge()
            assert not Tally.objects.filter(unit="hour", what="signed-in").exists()
            assert Tally.objects.filter(unit="day", what="signed-in").exists()
        with later(days=92):
            purge()
            assert not Tally.objects.filter(what="signed-in").exists()

    def test_a_dry_run_counts_nothing(self, ada):
        signed_in(ada)
        with later(minutes=20):
            assert purge(dry_run=True).counted == 1
        assert not Tally.objects.exists()

    def test_a_sign_in_writes_no_sum(self, ada):
        signed_in(ada).sign_out()
        assert not Tally.objects.exists()

    def test_live_sessions_are_noted_for_superusers_apart(self, root, ada, grace):
        for user in (root, ada, grace):
            signed_in(user)
        purge()
        found = Tally.objects.filter(what="live", unit="day").order_by("superuser")
        assert [row.number for row in found] == [2, 1]


class TestHoursAndDays:
    @pytest.mark.parametrize(
        ("zone", "hour", "day"),
        [
            ("UTC", "2026-11-10T12:00", "2026-11-10T00:00"),
            ("Asia/Kolkata", "2026-11-10T12:30", "2026-11-09T18:30"),
            ("America/New_York", "2026-11-10T12:00", "2026-11-10T05:00"),
        ],
    )
    def test_they_begin_in_the_site_s_time_zone(self, settings, zone, hour, day):
        settings.TIME_ZONE = zone
        with timezone.override("Asia/Tokyo"):  # the reader's
            for unit, start in (("hour", hour), ("day", day)):
                moment = datetime.datetime.fromisoformat(f"{start}+00:00")
                assert start_of(unit, NOON) == moment

    def test_a_day_of_25_hours_is_one_day_and_its_two_hours_of_one_name_are_two(self, settings):
        settings.TIME_ZONE = "Europe/Berlin"
        now = datetime.datetime(2026, 10, 26, 12, tzinfo=datetime.UTC)
        days = last_starts("day", 4, now)
        lengths = [(end_of("day", day) - day) / datetime.timedelta(hours=1) for day in days]
        assert lengths == [24, 24, 25, 24]
        hours = last_starts("hour", 60, now)
        assert len(set(hours)) == 60

    def test_without_use_tz_they_are_naive(self):
        naive = NOON.replace(tzinfo=None)
        assert start_of("day", naive) == datetime.datetime(2026, 11, 10)
        assert last_starts("hour", 3, naive)[0] == datetime.datetime(2026, 11, 10, 10)


class TestPage:
    @pytest.mark.parametrize("count", [1, 200])
    def test_it_costs_four_statements_for_any_number_of_events(self, root, ada, count, settings):
        settings.AXES_ENABLE_ACCESS_FAILURE_LOG = True
        for days in range(30):
            happened(ada, "signed-in", NOON - datetime.timedelta(days=days), count)
        purge()
        office = signed_in(root)
        overview(office)
        with CaptureQueriesContext(connection) as queries:
            overview(office)
        ours = ("_tally", "multisession_event", "axes_", "COUNT(*) FROM (SELECT")
        found = [query["sql"] for query in queries if any(name in query["sql"] for name in ours)]
        assert len(found) <= 4
        assert len(queries) <= 6

    def test_it_adds_so_many_events_and_says_from_when_on_they_are_not_counted(
        self, root, ada, monkeypatch
    ):
        monkeypatch.setattr("multisession.admin.pictures.MOST_ADDED", 3)
        happened(ada, "signed-in", NOON - datetime.timedelta(hours=2), 3)
        happened(ada, "signed-in", NOON, 5)
        response = overview(signed_in(root))
        assert numbers(response) == [3, 0]
        assert "Counted until Nov. 10, 2026, 10:30 a.m." in response.content.decode()

    def test_each_bar_leads_to_the_list_of_as_many(self, root, ada, grace):
        office = signed_in(root)
        for user in (ada, grace, ada):
            signed_in(user).sign_out()
        with later(days=1):
            signed_in(ada)
            response = overview(office)
            followed = 0
            for chart in response.context["charts"]:
                for bar in (bar for row in chart.rows for bar in row.bars if bar.link):
                    rows = office.get(bar.link).context["cl"].result_list
                    assert len(rows) == bar.number
                    followed += 1
            # Sign-ins and ends of yesterday, and a sign-in today. The hours begin after those.
            assert followed >= 4

    def test_each_number_of_the_pictures_is_in_a_table(self, root, ada):
        happened(ada, "signed-in", NOON, 1234)
        text = overview(signed_in(root)).content.decode()
        table = text.partition("<caption>Past 30 days")[2].partition("</table>")[0]
        assert re.search(r'<th scope="row">Nov. 10, 2026</th><td><a href="[^"]+">1,235</a>', table)
        assert "Nov. 10, 2026: Sign-ins, 1,235" in text

    def test_a_browser_leads_to_its_sessions(self, root, ada):
        happened(ada, "signed-in", NOON, 3, user_agent=FIREFOX)
        (browsers, shares), _systems = overview(signed_in(root)).context["rankings"]
        assert browsers == "Browsers"
        assert [(share.name, share.number, share.percent) for share in shares] == [
            ("Firefox", 3, 75),
            ("Others", 1, 25),
        ]
        assert shares[0].link == f"{LIST}?browser=Firefox&since=30"

    def test_beyond_so_many_live_sessions_the_last_sum_is_shown(self, root, ada, monkeypatch):
        office = signed_in(root)
        for _ in range(4):
            signed_in(ada)
        purge()
        assert overview(office).context["live"] == "5"
        monkeypatch.setattr("multisession.admin.pictures.MOST_LIVE", 3)
        response = overview(office)
        assert response.context["live"] == "5"
        assert "when counted last" in response.content.decode()

    def test_without_an_audit_trail_it_says_so(self, root, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "AUDIT": False}
        response = overview(signed_in(root))
        assert "The audit trail is off" in response.content.decode()


class TestFailedSignIns:
    @pytest.fixture
    def axes(self, settings, db) -> None:
        settings.AXES_ENABLE_ACCESS_FAILURE_LOG = True

    def fail(self, count: int) -> None:
        AccessFailureLog.objects.bulk_create(AccessFailureLog(username="ada") for _ in range(count))

    @pytest.mark.usefixtures("axes")
    def test_they_stand_beside_the_sign_ins(self, root):
        self.fail(5)
        office = signed_in(root)
        assert numbers(overview(office)) == [1, 0, 5]
        with later(minutes=20):
            assert purge().failures == 5
            assert numbers(overview(office)) == [1, 0, 5]
            AccessFailureLog.objects.all().delete()
            assert numbers(overview(office)) == [1, 0, 5]

    @pytest.mark.usefixtures("axes")
    def test_staff_who_do_not_see_superusers_do_not_see_them(self, staff):
        self.fail(5)
        assert numbers(overview(signed_in(staff))) == [1, 0]

    def test_without_the_log_there_are_none(self, root):
        self.fail(5)
        assert numbers(overview(signed_in(root))) == [1, 0]


class TestWhoMaySee:
    def test_staff_see_no_sums_of_superusers(self, root, staff, ada):
        for user in (root, root, ada):
            signed_in(user)
        office = signed_in(staff)
        before = numbers(overview(office))
        assert before == [2, 0]
        with later(minutes=20):
            purge()
            assert numbers(overview(office)) == before
            assert overview(office).context["live"] == "2"
            assert numbers(overview(signed_in(root)))[0] == 5

    def test_a_tenant_s_staff_learn_no_totals_of_others(self, staff, ada, monkeypatch):
        class Narrowed(SessionAdmin):
            def get_queryset(self, request):
                return super().get_queryset(request).filter(user=request.user)

        signed_in(ada)
        office = signed_in(staff)
        assert "overview/" in office.get(LIST).content.decode()
        monkeypatch.setattr(admin.site._registry[Session], "__class__", Narrowed)
        assert "overview/" not in office.get(LIST).content.decode()
        assert office.get(OVERVIEW).status_code == 403

    def test_nor_do_those_whose_audit_trail_is_narrowed(self, staff, ada, monkeypatch):
        class Narrowed(EventAdmin):
            def get_queryset(self, request):
                return super().get_queryset(request).filter(user_id=str(request.user.pk))

        monkeypatch.setattr(admin.site._registry[Event], "__class__", Narrowed)
        assert signed_in(staff).get(OVERVIEW).status_code == 403

    def test_a_project_that_narrows_may_show_the_sums_to_some(self, root, staff, monkeypatch):
        class Narrowed(SessionAdmin):
            def get_queryset(self, request):
                return super().get_queryset(request).filter(user=request.user)

            def sees_all_sums(self, request):
                return request.user.is_superuser

        monkeypatch.setattr(admin.site._registry[Session], "__class__", Narrowed)
        assert signed_in(staff).get(OVERVIEW).status_code == 403
        assert signed_in(root).get(OVERVIEW).status_code == 200

    def test_ends_lead_nowhere_for_those_who_may_not_read_the_trail(self, staff, ada):
        staff.user_permissions.set(Permission.objects.filter(codename="view_session"))
        signed_in(ada).sign_out()
        chart = overview(signed_in(staff)).context["charts"][1]
        sign_ins, ends = chart.rows[-1].bars
        assert sign_ins.link
        assert (ends.number, ends.link) == (1, "")


class TestSorting:
    @pytest.fixture
    def rows(self, ada, monkeypatch) -> list[str]:
        """Public ids, the oldest sign-in first; they expire in the opposite order."""
        monkeypatch.setattr(SessionAdmin, "list_per_page", 3)
        made = []
        for number in range(7):
            at = NOON - datetime.timedelta(days=10 - number)
            expire_at = NOON + datetime.timedelta(days=20 - number // 2)  # in pairs, to tie
            session = Session.objects.create(
                client=Client.objects.create(),
                user=ada,
                created_at=at,
                expire_at=expire_at,
                abandon_at=expire_at,
            )
            made.append(session.public_id)
        return made

    def walk(self, office: Browser, query: str) -> list[str]:
        found: list[str] = []
        path = f"{LIST}{query}"
        while path:
            shown = office.get(path).context["cl"]
            found += [session.public_id for session in shown.result_list]
            path = shown.older_link() and f"{LIST}{shown.older_link()}"
        return found

    def test_oldest_first_leads_through_everything_once(self, root, rows):
        office = signed_in(root)
        found = self.walk(office, "?sort=oldest")
        assert found == [*rows, session_of(root).public_id]

    def test_expiring_first_lists_live_sessions_alone(self, root, ada, rows):
        office = signed_in(root)
        Session.objects.filter(public_id=rows[0]).update(status="revoked")
        found = self.walk(office, f"?sort=expiring&user={ada.pk}")
        in_order = Session.objects.filter(user=ada, status="active").order_by("expire_at", "pk")
        assert found == [session.public_id for session in in_order]
        assert len(found) == 6

    @pytest.mark.parametrize("sort", ["oldest", "expiring"])
    def test_the_way_back_shows_the_same_pages(self, root, rows, sort):
        office = signed_in(root)
        first = office.get(LIST, {"sort": sort}).context["cl"]
        second = office.get(f"{LIST}{first.older_link()}").context["cl"]
        assert not {row.pk for row in first.result_list} & {row.pk for row in second.result_list}
        again = office.get(f"{LIST}{second.newer_link()}").context["cl"]
        assert list(again.result_list) == list(first.result_list)

    def test_the_links_between_pages_promise_no_newer_rows(self, root, rows):
        text = signed_in(root).get(LIST, {"sort": "oldest"}).content.decode()
        assert 'rel="next">Next</a>' in text
        assert "Older</a>" not in text

    @pytest.mark.parametrize("extra", ["", "&status=expired", "&since=30", "&since=30&q=ada"])
    def test_it_goes_with_every_filter(self, root, rows, extra):
        office = signed_in(root)
        for sort in ("oldest", "expiring", "\x00", "x"):
            assert (
                office.get(f"{LIST}?sort={sort}{extra}".replace("\x00", "%00")).status_code == 200
            )


class TestDuring:
    @pytest.mark.parametrize(
        "value", ["x", "1-", "-", "1-2-3", "9" * 20 + "-1", "99999999999-99999999999", "٣-٤", "%00"]
    )
    @pytest.mark.parametrize("model", ["session", "event"])
    def test_a_span_that_makes_no_sense_shows_nothing(self, root, value, model):
        response = signed_in(root).get(f"/admin/multisession/{model}/?during={value}")
        assert response.status_code == 200
        assert len(response.context["cl"].result_list) == 0

    def test_the_span_goes_into_the_revocation(self, root, ada, grace):
        signed_in(ada)
        office = signed_in(root)
        start = NOON - datetime.timedelta(minutes=30)
        span = f"{int(start.timestamp())}-{int(start.timestamp()) + 3600}"
        with later(hours=2):
            signed_in(grace)
            office.post(f"{LIST}revoke/?during={span}", {"before": "9999-01-01T00:00:00+00:00"})
        assert session_of(ada).status == "revoked"
        assert session_of(grace).status == "active"
