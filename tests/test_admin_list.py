"""The administrators' list: pages, filters, search, revoking many, and files."""

import csv
import datetime
import html
import io
import json
import re
from types import SimpleNamespace

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from django.utils import timezone

from accounts.models import User
from multisession import actions
from multisession.admin import export, paging
from multisession.admin.sessions import SessionAdmin
from multisession.models import Client, Event, Session
from tests.stories import (
    NOBODY,
    Browser,
    confirmed,
    session_of,
    signed_in,
    statuses,
    with_engine_urls,
)
from tests.test_recipes import blocks, run

try:
    from django.tasks import task
except ImportError:  # Django 5.2

    def task(function):
        """Stand in for Django's task, and run it at once, as its ImmediateBackend does."""
        return SimpleNamespace(enqueue=lambda *given: function(*json.loads(json.dumps(given))))


pytestmark = with_engine_urls

LIST = "/admin/multisession/session/"
REVOKE = f"{LIST}revoke/"
#: A confirmation that includes every session.
NOW = {"before": "9999-01-01T00:00:00+00:00"}


class Waiting:
    """A task queue whose worker starts when the test says so."""

    def __init__(self) -> None:
        self.tasks: list[str] = []

    def __call__(self, function):
        self.function = function
        return SimpleNamespace(enqueue=lambda *given: self.tasks.append(json.dumps(given)))

    def run(self) -> None:
        for given in self.tasks:
            self.function(*json.loads(given))


def recipe_for_a_queue(decorator):
    """Return what the recipe of docs/howto/admin.md defines, with this ``@task``."""
    names = {"task": decorator, "SessionAdmin": SessionAdmin, "Session": Session}
    names |= {"actions": actions, "get_user_model": get_user_model}
    first, second = blocks("admin.md", heading="Revoking many sessions")
    return run(f"{first}\n{second}", **names)


@pytest.fixture
def staff(db) -> User:
    user = User.objects.create_user("staff@example.com", is_staff=True)
    grant(user, "view_session", "revoke_session")
    return user


@pytest.fixture(autouse=True)
def a_fresh_estimate(db) -> None:
    """PostgreSQL may still believe in the thousands of rows of another test."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE multisession_session")


@pytest.fixture
def office(staff) -> Browser:
    return signed_in(staff)


@pytest.fixture
def small_pages(monkeypatch) -> None:
    monkeypatch.setattr(SessionAdmin, "list_per_page", 3)


def grant(user: User, *codenames: str) -> None:
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))


def many(user: User, count: int, **fields) -> list[Session]:
    """Sessions of one user on as many clients; made directly, for their number."""
    now = timezone.now()
    times = {"expire_at": now + datetime.timedelta(days=7)}
    times["abandon_at"] = now + datetime.timedelta(days=30)
    clients = Client.objects.bulk_create(
        Client(user_agent=fields.pop("user_agent", "")) for _ in range(count)
    )
    made = [Session(user=user, client=client, **(times | fields)) for client in clients]
    Session.objects.bulk_create(made)
    return list(Session.objects.filter(client__in=clients).order_by("-pk"))


def shown(browser: Browser, path: str = LIST, /, **query: str) -> list[str]:
    """The ids on one page of the list."""
    rows = browser.get(path, query).context["cl"].result_list
    return [session.public_id for session in rows]


def page(browser: Browser, path: str = LIST, /, **query: str) -> str:
    response = browser.get(path, query)
    assert response.status_code == 200
    return response.content.decode()


def link(text: str, rel: str) -> str:
    found = re.search(f'href="([^"]+)" rel="{rel}"', text)
    return LIST + found[1].replace("&amp;", "&") if found else ""


def walk(browser: Browser, rel: str, start: str = LIST) -> list[list[str]]:
    """Every page from here on, by the links."""
    pages = []
    while start:
        pages.append(shown(browser, start))
        start = link(page(browser, start), rel)
    return pages


def fields(text: str) -> dict[str, str]:
    """The hidden fields of the step that the page would send next."""
    form = text.partition("data-multisession-revoking")[2].partition("</form>")[0]
    return {
        name: html.unescape(value)
        for name, value in re.findall('name="([a-z]+)" value="([^"]*)"', form)
        if name != "csrfmiddlewaretoken"
    }


def exported(browser: Browser, ending: str = "csv", /, **query: str) -> str:
    response = browser.get(f"{LIST}export.{ending}", query)
    assert response.status_code == 200
    assert response.streaming
    return b"".join(response.streaming_content).decode()


@pytest.mark.usefixtures("small_pages")
class TestPages:
    def test_older_and_newer_lead_through_everything_once(self, office, ada):
        ids = [session.public_id for session in many(ada, 7)]
        office_id = session_of(User.objects.get(email="staff@example.com")).public_id
        older = walk(office, "next")
        assert [name for part in older for name in part] == [*ids, office_id]
        assert [len(part) for part in older] == [3, 3, 2]
        last = [session.pk for session in Session.objects.order_by("-pk")][5]
        newer = walk(office, "prev", f"{LIST}?before={last}")
        assert newer[0] == older[2]
        assert newer[-1] == older[0]

    @pytest.mark.parametrize("status", ["expired", "abandoned"])
    def test_pages_lead_through_everything_where_the_clock_decides_the_status(
        self, office, ada, status
    ):
        now = timezone.now()
        made = many(ada, 8)
        for days, session in enumerate(made):
            over = now - datetime.timedelta(days=1 + days // 2)  # in pairs, to tie
            Session.objects.filter(pk=session.pk).update(
                status="active" if days % 2 else "expired",
                expire_at=over,
                abandon_at=over if status == "abandoned" else now + datetime.timedelta(days=9),
            )
        pages = walk(office, "next", f"{LIST}?status={status}")
        assert [len(part) for part in pages] == [3, 3, 2]
        everything = [name for part in pages for name in part]
        assert sorted(everything) == sorted(session.public_id for session in made)
        back = walk(office, "prev", link(page(office, f"{LIST}?status={status}"), "next"))
        assert back == [pages[1], pages[0]]

    def test_a_page_that_has_grown_thin_is_the_first_one_full(self, office, ada):
        made = many(ada, 5)
        assert shown(office, after=str(made[2].pk)) == shown(office)

    @pytest.mark.parametrize(
        "cursor", ["x", "-1", "0", "9" * 400, "٣", "1~", "1~x", "1~2026-99-99T00:00", "\x00"]
    )
    @pytest.mark.parametrize("status", ["", "expired"])
    def test_a_cursor_that_makes_no_sense_breaks_nothing(self, office, ada, cursor, status):
        many(ada, 5, expire_at=timezone.now() - datetime.timedelta(days=1))
        for name in ("before", "after"):
            assert office.get(LIST, {name: cursor, "status": status}).status_code == 200

    def test_the_filter_stays_from_page_to_page_and_a_new_one_begins_at_the_first(
        self, office, ada
    ):
        many(ada, 5, status="revoked")
        text = page(office, link(page(office, status="revoked"), "next"))
        assert "status=revoked" in link(text, "prev")
        assert "before=" not in text.partition("changelist-filter")[2].partition("</nav>")[0]

    def test_no_page_counts_or_skips(self, office, ada):
        newest = many(ada, 9)[0]
        for query in ({}, {"before": str(newest.pk)}, {"status": "active"}, {"q": "ada"}):
            with CaptureQueriesContext(connection) as queries:
                shown(office, **query)
            lists = [q["sql"] for q in queries if "multisession_session" in q["sql"]]
            assert not [sql for sql in lists if "OFFSET" in sql]
            # But for the one that counts each person's live sessions, for which there is an index.
            counts = [sql for sql in lists if "COUNT(" in sql and "GROUP BY" not in sql]
            assert all("LIMIT" in sql for sql in counts)
            assert len(counts) == (0 if query.keys() - {"before"} else 1)

    def test_the_list_says_how_many_as_far_as_that_is_known(self, office, ada, monkeypatch):
        many(ada, 5, status="revoked")
        assert "6 sessions" in page(office)
        assert "more than 3 sessions" in page(office, status="revoked")
        assert "1 session" in page(office, status="active")
        monkeypatch.setattr(paging, "MOST_COUNTED", 4)
        assert "more than 4 sessions" in page(office)
        monkeypatch.setattr(paging, "_believed_rows", lambda alias: 1234567)
        assert "about 1,234,567 sessions" in page(office)

    def test_the_order_is_the_list_s_own(self, office, ada):
        many(ada, 5)
        assert shown(office, o="-4.1") == shown(office)


class TestColumns:
    def test_the_first_column_is_the_person_and_leads_to_the_session(self, office, ada):
        [session] = many(ada, 1, user_agent="Firefox on Linux", ip_address="203.0.113.9")
        row = page(office).partition("<tbody>")[2].partition("</tr>")[0]
        assert f'<th class="field-person"><a href="{LIST}{session.pk}/change/' in row
        for part in ("AL</span>", "Ada Lovelace", "ada@example.com", "Firefox on Linux"):
            assert part in row
        assert "203.0.113.9" in row

    def test_an_address_is_cut_before_its_domain(self, office, ada):
        User.objects.filter(pk=ada.pk).update(email=f"{'a' * 50}@dept.example.com")
        many(ada, 1)
        text = page(office)
        assert '<span class="ms-last">@dept.example.com</span>' in text
        assert f'title="{"a" * 50}@dept.example.com"' in text

    def test_the_last_use_is_in_words_and_its_title_is_exact(self, office, ada):
        moment = timezone.now() - datetime.timedelta(hours=3)
        many(ada, 1, last_active_at=moment)
        text = page(office).replace("\N{NO-BREAK SPACE}", " ")
        found = re.search('datetime="([^"]+)" title="([^"]+)">3 hours ago</time>', text)
        assert datetime.datetime.fromisoformat(found[1]) == moment
        assert f"{moment:%Y}" in found[2]

    def test_each_person_s_live_sessions_are_counted_with_one_query(self, office, ada, grace):
        many(ada, 3)
        many(ada, 1, status="revoked")
        many(grace, 2)
        many(grace, 1, expire_at=timezone.now())
        with CaptureQueriesContext(connection) as queries:
            text = page(office)
        assert text.count('title="Signed in on 3 browsers">3</span>') == 4
        assert text.count('title="Signed in on 2 browsers">2</span>') == 3
        assert f'href="{LIST}?user={ada.pk}&amp;status=active"' in text
        assert len([q for q in queries if "GROUP BY" in q["sql"]]) == 1

    def test_a_name_that_is_markup_is_text(self, office, ada):
        User.objects.filter(pk=ada.pk).update(name="<script>alert(1)</script>")
        many(ada, 1)
        for path in (LIST, REVOKE):
            assert "<script>alert" not in page(office, path)


class TestFilters:
    def test_the_list_is_filtered_by_user(self, office, ada, grace):
        many(ada, 2)
        [hers] = many(grace, 1)
        assert shown(office, user=str(grace.pk)) == [hers.public_id]
        assert "grace@example.com" in page(office, user=str(grace.pk))
        for wrong in ("x", "", "-1", "9" * 30, "\x00", "1.5"):
            response = office.get(LIST, {"user": wrong})
            assert response.status_code == 200
            assert len(response.context["cl"].result_list) == (0 if wrong else 4)

    def test_the_list_is_filtered_by_client(self, office, ada, grace):
        signed_in(ada, grace)
        many(ada, 2)
        client = session_of(grace).client.public_id
        assert len(shown(office, client=client)) == 2
        assert shown(office, client=client[:-1]) == []
        assert shown(office, client="\x00") == []

    def test_the_list_is_filtered_by_browser(self, office, ada):
        edge = "Mozilla/5.0 (Windows) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0"
        chrome = edge.partition(" Edg")[0]
        [with_edge] = many(ada, 1, user_agent=edge)
        [with_chrome] = many(ada, 1, user_agent=chrome)
        assert shown(office, browser="Edge") == [with_edge.public_id]
        assert shown(office, browser="Chrome") == [with_chrome.public_id]
        assert shown(office, browser="Safari") == []
        assert len(shown(office, browser="Mosaic")) == 3

    def test_the_list_is_filtered_by_the_time_of_sign_in(self, office, ada):
        [old] = many(ada, 1, created_at=timezone.now() - datetime.timedelta(days=20))
        assert old.public_id not in shown(office, since="7")
        assert old.public_id in shown(office, since="30")

    @pytest.mark.parametrize(
        "guess",
        [
            "session_data__contains",
            "session_data__startswith",
            "user__password__startswith",
            "client__tokens__digest__startswith",
            "created_at__gte",
        ],
    )
    def test_no_other_field_can_be_asked_for_letter_by_letter(self, office, guess):
        assert office.get(LIST, {guess: "a"}).status_code == 400


class TestSearch:
    def test_an_ip_address_is_found_whole(self, office, ada):
        [four] = many(ada, 1, ip_address="203.0.113.9")
        [six] = many(ada, 1, ip_address="2001:db8::9")
        assert shown(office, q="203.0.113.9") == [four.public_id]
        assert shown(office, q="2001:0db8:0::9") == [six.public_id]
        assert shown(office, q="203.0.113") == []

    def test_a_name_by_its_beginning_only(self, office, ada):
        many(ada, 2)
        assert len(shown(office, q="ada@ex")) == 2
        assert shown(office, q="example.com") == []
        assert shown(office, q="%") == []

    def test_too_many_users_are_named_as_such(self, office):
        many_users = [User(email=f"many{n}@example.com") for n in range(51)]
        for user in User.objects.bulk_create(many_users):
            many(user, 1)
        assert "Showing the first 50 matching users" in page(office, q="many")

    def test_users_without_sessions_are_not_counted_as_matching(self, office):
        User.objects.bulk_create(User(email=f"many{n}@example.com") for n in range(51))
        assert "Showing the first 50 matching users" not in page(office, q="many")

    @pytest.mark.parametrize("term", ["\x00", "' OR 1=1", "sess_" + "a" * 10_000, "client_\x00"])
    def test_a_search_for_nonsense_finds_nothing(self, office, ada, term):
        many(ada, 2)
        response = office.get(LIST, {"q": term})
        assert response.status_code == 200
        found = response.context["cl"].result_list
        # Django's own form leaves out a search that holds a NUL, and says so.
        assert len(found) == (3 if "\x00" in term else 0)


class TestRevokeAllThatMatch:
    def test_the_number_is_shown_and_nothing_done_until_it_is_confirmed(self, office, ada, grace):
        many(ada, 3)
        many(grace, 2)
        text = page(office, f"{REVOKE}?user={ada.pk}")
        assert "Revoke 3 sessions" in text
        assert set(statuses(ada)) == {"active"}
        confirmed(office, f"{REVOKE}?user={ada.pk}")
        assert set(statuses(ada)) == {"revoked"}
        assert set(statuses(grace)) == {"active"}
        assert "3 sessions revoked." in page(office)

    def test_revoking_all_that_match_leaves_and_does_not_count_ended_sessions(self, office, ada):
        many(ada, 2, status="ended")
        many(ada, 1)
        assert "Revoke 1 session" in page(office, f"{REVOKE}?user={ada.pk}")
        confirmed(office, f"{REVOKE}?user={ada.pk}")
        assert sorted(statuses(ada)) == ["ended", "ended", "revoked"]

    def test_sessions_that_began_after_the_number_was_shown_are_not_revoked(self, office, ada):
        many(ada, 2)
        form = {"before": timezone.now().isoformat()}
        many(ada, 1)
        office.post(REVOKE, form)
        assert sorted(statuses(ada)) == ["active", "revoked", "revoked"]

    def test_revoking_all_that_match_spares_ones_own_session(self, office, staff, ada):
        many(ada, 1)
        many(staff, 1)
        assert "is not among them" in page(office, REVOKE)
        confirmed(office, REVOKE)
        assert office.who() == "staff"
        assert sorted(statuses(staff)) == ["active", "revoked"]

    def test_hundreds_go_in_batches(self, office, ada):
        many(ada, 1100)
        with CaptureQueriesContext(connection) as queries:
            confirmed(office, f"{REVOKE}?user={ada.pk}")
        assert set(statuses(ada)) == {"revoked"}
        assert len(queries) < 60

    @pytest.mark.parametrize("before", ["", "x", "-1", "9" * 30, "2026-01-01T00:00", "2026-13-99"])
    def test_a_moment_that_was_made_up_revokes_nothing(self, office, ada, before):
        many(ada, 1)
        response = office.post(REVOKE, {"before": before})
        assert response.status_code == 422
        assert "Nothing was revoked" in response.content.decode()
        assert statuses(ada) == ["active"]

    def test_a_moment_to_come_is_now(self, office, ada):
        many(ada, 1)
        to_come = timezone.now() + datetime.timedelta(days=1)
        many(ada, 1, created_at=to_come)
        office.post(REVOKE, {"before": (to_come + datetime.timedelta(days=1)).isoformat()})
        assert statuses(ada) == ["revoked", "active"]

    def test_all_of_the_pages_selected_leads_to_the_same_question(self, office, ada):
        [one, *_rest] = many(ada, 2)
        form = {"action": "revoke_selected", "select_across": "1", "_selected_action": [one.pk]}
        response = office.post(f"{LIST}?user={ada.pk}", form)
        assert response["Location"] == f"{REVOKE}?user={ada.pk}"
        assert set(statuses(ada)) == {"active"}

    def test_revoking_all_says_if_there_is_nothing_to_revoke(self, office, ada):
        many(ada, 1, status="ended")
        text = page(office, f"{REVOKE}?user={ada.pk}")
        assert "None of these sessions is signed in now." in text


class TestWhoWillBeSignedOut:
    def test_the_page_names_who_and_where(self, office, ada, grace):
        many(ada, 1, user_agent="Firefox on Linux", ip_address="203.0.113.9")
        many(grace, 1, last_active_at=timezone.now() - datetime.timedelta(hours=3))
        text = page(office, REVOKE)
        for expected in ("Ada Lovelace", "grace@example.com", "Firefox on Linux", "203.0.113.9"):
            assert expected in text
        assert "3 hours ago" in text.replace("\N{NO-BREAK SPACE}", " ")
        assert "2 sessions are signed in now" in text

    def test_of_many_the_first_twenty_are_named_and_the_rest_counted(self, office, ada):
        made = many(ada, 23)
        text = page(office, f"{REVOKE}?user={ada.pk}")
        assert text.count('<th scope="row">') == 20
        assert "and 3 more" in text
        assert "Revoke 23 sessions" in text
        assert set(statuses(ada)) == {"active"}
        assert len(made) == 23

    def test_naming_many_costs_no_more_than_naming_two(self, office, ada, grace):
        costs = []
        for user in (ada, grace):
            many(user, 20)
            with CaptureQueriesContext(connection) as queries:
                page(office, f"{REVOKE}?user={user.pk}")
            costs.append(len(queries))
        many(ada, 30)
        with CaptureQueriesContext(connection) as queries:
            page(office, REVOKE)
        assert costs[0] == costs[1] <= 8
        assert len(queries) <= 8

    def test_selected_sessions_are_named_before_anything_happens(self, office, ada, grace):
        [hers] = many(ada, 1)
        many(grace, 1)
        form = {"action": "revoke_selected", "_selected_action": [str(hers.pk)]}
        response = office.post(f"{LIST}?status=active", form)
        path = response["Location"]
        assert path == f"{REVOKE}?status=active&selected={hers.pk}"
        text = page(office, path)
        assert "Ada Lovelace" in text
        assert "Grace Hopper" not in text
        assert statuses(ada) == ["active"]
        assert confirmed(office, path)["Location"] == f"{LIST}?status=active"
        assert (statuses(ada), statuses(grace)) == (["revoked"], ["active"])

    def test_your_own_session_is_marked_if_it_is_selected(self, office, staff, ada):
        many(ada, 1)
        path = f"{REVOKE}?selected={session_of(staff).pk},{session_of(ada).pk}"
        text = page(office, path)
        assert "Your own session is among them" in text
        assert text.count("Your own</span>") == 1
        confirmed(office, path)
        assert office.who() == NOBODY
        assert statuses(ada) == ["revoked"]

    @pytest.mark.parametrize("selected", ["", "x", "0", "-1", "9" * 30, "1;2", "\x00", "," * 9000])
    def test_a_selection_that_makes_no_sense_selects_nothing(self, office, ada, selected):
        many(ada, 1)
        response = office.get(REVOKE, {"selected": selected})
        assert response.status_code == 200
        assert "None of these sessions" in response.content.decode()
        response = office.post(REVOKE, NOW, {"selected": selected})
        assert statuses(ada) == ["active"]

    def test_a_search_that_finds_more_people_than_the_list_shows_revokes_nobody(self, office):
        users = User.objects.bulk_create(User(email=f"many{n}@example.com") for n in range(51))
        for user in users:
            many(user, 1)
        assert "More people match" in page(office, f"{REVOKE}?q=many")
        office.post(f"{REVOKE}?q=many", NOW)
        assert not Session.objects.filter(status="revoked").exists()


class TestManySessions:
    """Each request revokes some batches and answers with the next step."""

    @pytest.fixture(autouse=True)
    def small_steps(self, monkeypatch) -> None:
        monkeypatch.setattr("multisession.actions.BATCH", 2)
        monkeypatch.setattr("multisession.admin.revoking.BATCHES", 2)

    def test_a_large_revocation_goes_step_by_step(self, office, ada):
        many(ada, 9)
        path = f"{REVOKE}?user={ada.pk}"
        response = confirmed(office, path)
        assert response.status_code == 200
        assert statuses(ada).count("revoked") == 4
        seen = ["4 of 9 sessions revoked."]
        text = response.content.decode()
        while "data-multisession-revoking" in text:
            assert seen[-1] in text
            text = office.post(path, fields(text)).content.decode()
            seen.append(f"{statuses(ada).count('revoked')} of 9 sessions revoked.")
        assert seen[1:] == ["8 of 9 sessions revoked.", "9 of 9 sessions revoked."]
        assert "9 sessions revoked." in text
        assert f'href="{LIST}?user={ada.pk}"' in text

    def test_a_step_asks_the_same_number_of_queries_however_many_remain(self, office, ada):
        costs = []
        ContentType.objects.get_for_model(Session)  # which Django looks up once
        for count in (30, 90):
            many(ada, count)
            with CaptureQueriesContext(connection) as queries:
                office.post(f"{REVOKE}?user={ada.pk}", NOW | {"done": "4", "of": "99"})
            costs.append(len(queries))
        assert costs[0] == costs[1]

    def test_who_stops_and_comes_back_goes_on_with_what_is_left(self, office, ada):
        many(ada, 9)
        path = f"{REVOKE}?user={ada.pk}"
        confirmed(office, path)
        assert "Revoke 5 sessions" in page(office, path)
        assert statuses(ada).count("revoked") == 4

    def test_sending_a_step_again_loses_nothing_and_opening_its_address_does_nothing(
        self, office, ada
    ):
        many(ada, 7)
        path = f"{REVOKE}?user={ada.pk}"
        form = fields(confirmed(office, path).content.decode())
        page(office, path)
        assert office.get(f"{path}&done=4&of=7").status_code == 400
        assert statuses(ada).count("revoked") == 4
        for _ in range(2):
            response = office.post(path, form)
        assert "sessions revoked." in response.content.decode()
        assert set(statuses(ada)) == {"revoked"}

    def test_who_signs_in_while_it_goes_on_stays_signed_in(self, office, ada):
        many(ada, 9)
        path = f"{REVOKE}?user={ada.pk}"
        text = confirmed(office, path).content.decode()
        firefox = signed_in(ada)
        while "data-multisession-revoking" in text:
            text = office.post(path, fields(text)).content.decode()
        assert firefox.who() == "ada"
        assert statuses(ada).count("revoked") == 9

    def test_the_admins_log_and_the_trail_have_every_one(self, office, staff, ada):
        many(ada, 5)
        path = f"{REVOKE}?user={ada.pk}"
        office.post(path, fields(confirmed(office, path).content.decode()))
        assert LogEntry.objects.filter(user=staff).count() == 5
        assert Event.objects.filter(kind="revoked", actor=staff.email).count() == 5

    def test_a_step_without_the_permission_revokes_nothing(self, office, staff, ada):
        many(ada, 9)
        path = f"{REVOKE}?user={ada.pk}"
        form = fields(confirmed(office, path).content.decode())
        grant(staff, "view_session")
        assert office.post(path, form).status_code == 403
        assert statuses(ada).count("revoked") == 4

    def test_a_task_queue_can_take_it(self, office, staff, ada, monkeypatch):
        queue = []

        def hand_over(self, request, sessions, *, by, origin):
            queue.append((list(sessions.values_list("pk", flat=True)), by, origin.ip_address))
            return True

        monkeypatch.setattr(SessionAdmin, "hand_over", hand_over)
        made = many(ada, 5)
        path = f"{REVOKE}?user={ada.pk}"
        assert confirmed(office, path).status_code == 302
        assert "5 sessions will be revoked in the background." in page(office)
        assert set(statuses(ada)) == {"active"}
        [(keys, by, address)] = queue
        assert (sorted(keys), by, address) == (sorted(s.pk for s in made), staff, "127.0.0.1")

    def test_the_recipe_for_djangos_tasks_revokes_them_and_names_the_administrator(
        self, office, staff, ada, monkeypatch
    ):
        made = many(ada, 5)
        recipe = recipe_for_a_queue(task)
        monkeypatch.setattr(SessionAdmin, "hand_over", recipe.OurSessionAdmin.hand_over)
        confirmed(office, f"{REVOKE}?user={ada.pk}")
        assert set(statuses(ada)) == {"revoked"}
        # A queue may deliver a task twice.
        recipe.revoke_sessions.enqueue([session.pk for session in made], str(staff.pk))
        assert Event.objects.filter(kind="revoked", actor=staff.email).count() == 5

    def test_the_recipe_revokes_them_if_the_administrator_is_deleted_before_the_task_runs(
        self, office, staff, ada, monkeypatch
    ):
        many(ada, 5)
        waiting = Waiting()
        recipe = recipe_for_a_queue(waiting)
        monkeypatch.setattr(SessionAdmin, "hand_over", recipe.OurSessionAdmin.hand_over)
        confirmed(office, f"{REVOKE}?user={ada.pk}")
        assert set(statuses(ada)) == {"active"}
        key = staff.pk
        staff.delete()
        waiting.run()
        assert set(statuses(ada)) == {"revoked"}
        assert Event.objects.filter(kind="revoked", actor=f"deleted user {key}").count() == 5

    def test_atomic_requests_do_not_hold_the_locks_of_all_batches(self):
        assert resolve(REVOKE).func._non_atomic_requests >= {"default"}


class TestSession:
    def test_a_sessions_page_tells_its_story(self, office, ada):
        firefox = signed_in(ada, headers={"user-agent": "Firefox on Linux"})
        path = f"{LIST}{session_of(ada).pk}"
        assert "Signed in: Firefox on Linux" in page(office, f"{path}/change/")
        confirmed(office, f"{path}/revoke/")
        assert firefox.who() == NOBODY
        text = page(office, f"{path}/change/")
        assert text.index("Signed in: ") < text.index("Ended: revoked")
        assert "Revoked (staff@example.com)" in text
        assert "Revoke…" not in text

    @pytest.mark.parametrize(("days", "word"), [(10, "Expired"), (40, "Abandoned")])
    def test_a_sessions_story_says_when_it_timed_out(self, office, ada, days, word):
        then = timezone.now() - datetime.timedelta(days=days)
        [session] = many(
            ada,
            1,
            created_at=then,
            last_active_at=then,
            expire_at=then + datetime.timedelta(days=7),
            abandon_at=then + datetime.timedelta(days=30),
        )
        assert word in page(office, f"{LIST}{session.pk}/change/")

    def test_a_sessions_page_links_to_all_sessions_of_its_user(self, office, ada):
        [session] = many(ada, 1)
        text = page(office, f"{LIST}{session.pk}/change/")
        assert f'href="{LIST}?user={ada.pk}"' in text
        assert f'href="{REVOKE}?user={ada.pk}"' in text

    def test_the_users_admin_page_links_to_all_sessions_of_the_user(self, office, staff, ada):
        grant(staff, "view_session", "view_user")
        assert f'href="{LIST}?user={ada.pk}"' in page(
            office, f"/admin/accounts/user/{ada.pk}/change/"
        )

    def test_opening_the_revoke_page_revokes_nothing(self, office, ada):
        [session] = many(ada, 1)
        page(office, f"{LIST}{session.pk}/revoke/")
        assert statuses(ada) == ["active"]

    @pytest.mark.parametrize("key", ["0", "x", "9" * 30])
    def test_the_page_of_a_session_that_does_not_exist_is_not_found(self, office, key):
        assert office.get(f"{LIST}{key}/revoke/").status_code == 404


class TestFiles:
    def test_csv_has_what_is_filtered(self, office, ada, grace):
        made = many(ada, 2, ip_address="203.0.113.9")
        many(grace, 1)
        rows = list(csv.DictReader(io.StringIO(exported(office, user=str(ada.pk)))))
        assert [row["id"] for row in rows] == [session.public_id for session in made]
        assert tuple(rows[0]) == export.COLUMNS
        assert rows[0]["account"] == "ada@example.com"
        assert (rows[0]["status"], rows[0]["ip_address"]) == ("active", "203.0.113.9")
        assert datetime.datetime.fromisoformat(rows[0]["created_at"]) == made[0].created_at

    def test_json_has_the_same(self, office, ada):
        many(ada, 2, expire_at=timezone.now())
        query = {"status": "expired"}
        rows = json.loads(exported(office, "json", **query))
        as_text = [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
        assert as_text == list(csv.DictReader(io.StringIO(exported(office, **query))))
        assert [row["status"] for row in rows] == ["expired"] * 2

    def test_an_export_of_no_sessions_is_a_valid_file(self, office):
        assert json.loads(exported(office, "json", q="nobody@")) == []

    def test_an_export_goes_on_where_a_chunk_ends(self, office, ada, monkeypatch):
        monkeypatch.setattr(export, "CHUNK", 2)
        many(ada, 6)
        assert len(json.loads(exported(office, "json"))) == 7

    def test_an_export_is_a_download_that_no_cache_keeps(self, office):
        response = office.get(f"{LIST}export.csv")
        assert re.fullmatch(
            r'attachment; filename="sessions-[\d-]{10}.csv"', response["Content-Disposition"]
        )
        assert "no-store" in response["Cache-Control"]

    @pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t=", "\r", " ="])
    def test_no_cell_is_a_formula(self, office, ada, sign):
        many(ada, 1, user_agent=f'{sign}cmd|" /C calc"!A0')
        User.objects.filter(pk=ada.pk).update(email=f"{sign.strip()}1@example.com")
        for row in csv.DictReader(io.StringIO(exported(office), newline="")):
            for cell in row.values():
                assert not cell.lstrip(" ").startswith(export.FORMULA)

    @pytest.mark.parametrize("ending", ["csv", "json"])
    def test_no_file_holds_a_secret(self, office, ada, ending):
        firefox = signed_in(ada)
        Session.objects.filter(user=ada).update(session_data='{"private": "of Ada"}')
        text = exported(office, ending)
        for secret in (firefox.cookie, office.cookie, "of Ada", ada.password):
            assert secret not in text


class TestWhoMayNot:
    PAGES = (LIST, REVOKE, f"{LIST}export.csv", f"{LIST}export.json")

    def test_staff_without_permission_do_not_see_the_sessions(self, ada):
        firefox = signed_in(ada)
        for path in (*self.PAGES, f"{LIST}{session_of(ada).pk}/revoke/"):
            assert firefox.get(path).status_code == 302
            User.objects.filter(pk=ada.pk).update(is_staff=True)
            assert firefox.get(path).status_code == 403
            assert firefox.post(path).status_code == 403
            User.objects.filter(pk=ada.pk).update(is_staff=False)

    def test_the_permission_to_view_does_not_allow_revoking(self, office, staff, ada):
        grant(staff, "view_session")
        [session] = many(ada, 1)
        for path in (LIST, f"{LIST}{session.pk}/change/"):
            assert "/revoke/" not in page(office, path)
        for path in (REVOKE, f"{LIST}{session.pk}/revoke/"):
            assert office.get(path).status_code == 403
            assert office.post(path, NOW).status_code == 403
        assert statuses(ada) == ["active"]

    def test_the_permission_to_revoke_does_not_allow_viewing(self, office, staff, ada):
        grant(staff, "revoke_session")
        many(ada, 1)
        for path in self.PAGES:
            assert office.get(path).status_code == 403

    def test_a_superuser_s_sessions_are_a_superuser_s_business(self, office, ada, monkeypatch):
        User.objects.filter(pk=ada.pk).update(is_superuser=True, is_staff=True)
        [session] = many(ada, 1)
        path = f"{LIST}{session.pk}"
        assert session.public_id not in shown(office)
        assert office.get(f"{path}/change/").status_code == 302
        assert office.post(f"{path}/revoke/").status_code == 404
        office.post(REVOKE, NOW)
        office.post(f"{REVOKE}?selected={session.pk}", NOW)
        assert session.public_id not in exported(office)
        assert statuses(ada) == ["active"]
        assert session.public_id in shown(signed_in(ada))
        monkeypatch.setattr(SessionAdmin, "shows_superusers", True)
        assert session.public_id in shown(office)

    def test_a_page_of_another_site_revokes_nothing(self, office, ada):
        [session] = many(ada, 1)
        forger = Browser(office.cookie, enforce_csrf_checks=True)
        for path in (REVOKE, f"{LIST}{session.pk}/revoke/"):
            assert forger.post(path, NOW).status_code == 403
        assert statuses(ada) == ["active"]

    def test_a_browser_that_calls_itself_markup_is_shown_as_text(self, office, ada):
        [session] = many(ada, 1, user_agent="<script>alert(1)</script>")
        for path in (LIST, f"{LIST}{session.pk}/change/", f"{LIST}{session.pk}/revoke/"):
            assert "<script>alert" not in page(office, path)
