"""The audit trail in the admin: permissions, filters and search."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from multisession import actions
from multisession.admin.events import EventAdmin
from multisession.models import Event
from tests.stories import (
    Browser,
    confirmed,
    digests,
    later,
    session_of,
    signed_in,
    with_engine_urls,
)

pytestmark = with_engine_urls

LIST = "/admin/multisession/event/"
SESSIONS = "/admin/multisession/session/"
TIMELINE = f"{LIST}timeline/"


@pytest.fixture(autouse=True)
def a_fresh_estimate(db) -> None:
    """PostgreSQL may still believe in the rows of another test."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE multisession_event")


@pytest.fixture
def auditor(db) -> User:
    """May read the trail, and nothing else."""
    user = User.objects.create_user("auditor@example.com", is_staff=True)
    grant(user, "view_event")
    return user


@pytest.fixture
def office(auditor) -> Browser:
    return signed_in(auditor)


def grant(user: User, *codenames: str) -> None:
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))


def page(browser: Browser, path: str = LIST, /, **query: str) -> str:
    response = browser.get(path, query)
    assert response.status_code == 200
    return response.content.decode()


def shown(browser: Browser, path: str = LIST, /, **query: str) -> list[str]:
    """What is on one page of the list, such as "ada revoked"; but for the reader's own."""
    rows = browser.get(path, query).context["cl"].result_list
    lines = [f"{event.account.partition('@')[0]} {event.kind}" for event in rows]
    return [line for line in lines if not line.startswith("auditor")]


def told(browser: Browser, **query: str) -> str:
    """What a timeline says, without its markup."""
    text = page(browser, TIMELINE, **query).partition('id="content-main"')[2]
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def many(count: int, **fields) -> list[Event]:
    common = {"kind": "signed-in", "session_id": "sess_1", "client_id": "client_1", "user_id": "7"}
    return Event.objects.bulk_create(
        Event(**({**common, "account": f"user{n}@example.com"} | fields)) for n in range(count)
    )


class TestList:
    def test_the_list_shows_who_did_what_to_whom_from_where(self, office, ada, grace):
        firefox = signed_in(ada, headers={"user-agent": "Firefox on Linux"})
        actions.revoke(session_of(ada), by=grace)
        assert shown(office) == ["ada revoked", "ada signed-in"]
        text = page(office)
        for expected in ("ada@example.com", "grace@example.com", "Firefox on Linux", "127.0.0.1"):
            assert expected in text
        assert firefox.cookie not in text

    def test_the_trail_is_filtered_by_kind_by_when_by_user_by_session(self, office, ada, grace):
        with later(days=-10):
            signed_in(ada)
        firefox = signed_in(ada, grace)
        firefox.switch(ada)
        assert shown(office, kind="switched") == ["ada switched"]
        assert shown(office, since="7") == ["ada switched", "grace signed-in", "ada signed-in"]
        assert shown(office, user=str(grace.pk)) == ["grace signed-in"]
        sid = session_of(ada).public_id
        assert shown(office, session=sid) == ["ada switched", "ada signed-in"]
        assert shown(office, session=sid, kind="switched") == ["ada switched"]

    @pytest.mark.parametrize("name", ["kind", "since", "user", "session", "q", "before", "after"])
    @pytest.mark.parametrize("value", ["x", "' OR 1=1 --", "\x00", "x" * 10_000, "-1", "9" * 30])
    def test_nonsense_in_the_query_breaks_nothing(self, office, ada, name, value):
        signed_in(ada)
        assert office.get(LIST, {name: value}).status_code == 200

    def test_search_by_name_session_client_and_address(self, office, ada, grace):
        signed_in(ada, grace)
        session = session_of(ada)
        for term in ("ada@example.com", " ADA@example.com".lower(), session.public_id):
            assert shown(office, q=term) == ["ada signed-in"]
        assert shown(office, q=session.client.public_id) == ["grace signed-in", "ada signed-in"]
        assert shown(office, q="127.0.0.1") == ["grace signed-in", "ada signed-in"]
        for term in ("example.com", session.public_id[:-1], "%", "10.0.0.1"):
            assert shown(office, q=term) == []

    def test_the_events_of_a_user_who_is_gone_name_nobody(self, office, ada):
        signed_in(ada)
        key = str(ada.pk)
        ada.delete()
        assert shown(office, user=key) == shown(office, q="ada@example.com") == []
        left = Event.objects.filter(user_id="").order_by("pk")
        assert [event.kind for event in left] == ["signed-in", "revoked"]

    @pytest.mark.parametrize("guess", ["account__startswith", "actor__contains", "at__gte"])
    def test_no_other_field_can_be_asked(self, office, guess):
        assert office.get(LIST, {guess: "a"}).status_code == 400

    def test_an_event_has_a_page(self, office, ada):
        signed_in(ada)
        event = Event.objects.latest("pk")
        text = page(office, f"{LIST}{event.pk}/change/")
        assert event.session_id in text
        assert event.client_id in text
        assert [text.count(label) for label in ("Browser:", "User agent:")] == [1, 1]
        assert "<input" not in text.partition('id="event_form"')[2].partition("</form>")[0].replace(
            '<input type="hidden" name="csrfmiddlewaretoken"', ""
        )

    def test_a_name_that_is_markup_is_shown_as_text(self, office):
        many(1, account="<script>alert(1)</script>", actor="<script>alert(2)</script>")
        assert "<script>alert" not in page(office)

    def test_no_secret_is_in_the_trails_list(self, office, ada):
        firefox = signed_in(ada)
        text = page(office)
        assert not [s for s in (firefox.cookie, office.cookie, *digests()) if s in text]


class TestPages:
    def test_older_leads_through_everything_once(self, office, monkeypatch):
        monkeypatch.setattr(EventAdmin, "list_per_page", 3)
        made = [f"user{n} signed-in" for n in range(8)]
        many(8)
        found, path = [], f"{LIST}?user=7"
        while path:
            found += shown(office, path)
            link = re.search('href="([^"]+)" rel="next"', page(office, path))
            path = LIST + link[1].replace("&amp;", "&") if link else ""
        assert found == made[::-1]

    def test_no_page_counts_or_skips(self, office):
        many(9)
        for query in ({}, {"before": "9"}, {"kind": "signed-in"}, {"q": "ada"}):
            with CaptureQueriesContext(connection) as queries:
                shown(office, **query)
            lists = [q["sql"] for q in queries if 'FROM "multisession_event"' in q["sql"]]
            assert not [sql for sql in lists if "OFFSET" in sql]
            assert all("LIMIT" in sql for sql in lists if "COUNT(" in sql)

    def test_the_trails_list_costs_the_same_for_many_events(self, office, ada):
        costs = []
        for count in (1, 40):
            many(count)
            with CaptureQueriesContext(connection) as queries:
                page(office)
            costs.append(len(queries))
        assert costs[0] == costs[1] <= 9


class TestTimeline:
    def test_a_person_s_timeline_has_everything_in_one_page(self, office, ada, grace):
        firefox = signed_in(grace, ada, headers={"user-agent": "Firefox on Linux"})
        firefox.switch(grace)
        firefox.switch(ada)
        session = session_of(ada)
        common = {"session_id": session.public_id, "client_id": session.client.public_id}
        common |= {"user_id": str(ada.pk), "account": ada.email}
        Event.objects.create(**common, kind="signed-in", actor_id=str(grace.pk), actor=grace.email)
        Event.objects.create(**common, kind="reused", ip_address="203.0.113.66")
        actions.revoke(session, by="nightly job")
        text = told(office, user=str(ada.pk))
        story = [
            "revoked by nightly job",
            "old cookie used 203.0.113.66",
            "signed in by grace@example.com , acting as this person",
            "switched to from grace@example.com Firefox on Linux 127.0.0.1",
            "signed in Firefox on Linux 127.0.0.1",
        ]
        found = [text.find(part) for part in story]
        assert found == sorted(found), text
        assert -1 not in found, text

    def test_a_browser_s_timeline_names_each_account_and_no_other_browser(self, office, ada, grace):
        signed_in(ada, grace)
        signed_in(ada, headers={"user-agent": "Firefox on Linux"})
        text = told(office, client=session_of(grace).client.public_id)
        assert "signed in grace@example.com" in text
        assert "signed in ada@example.com" in text
        assert "Firefox" not in text

    def test_what_a_person_did_to_others_is_one_link_further(self, office, ada, grace):
        signed_in(grace)
        signed_in(ada, headers={"user-agent": "Firefox on Linux"})
        actions.revoke(session_of(ada), by=grace)
        User.objects.filter(pk=grace.pk).update(email="renamed@example.com")
        assert f'href="?actor={grace.pk}"' in page(office, TIMELINE, user=str(grace.pk))
        text = told(office, actor=str(grace.pk))
        assert "revoked ada@example.com by grace@example.com" in text
        assert "signed in" not in text  # not what happened to her

    def test_a_superuser_s_acts_are_told_to_superusers(self, office, ada, grace):
        User.objects.filter(pk=grace.pk).update(is_superuser=True)
        signed_in(ada)
        actions.revoke(session_of(ada), by=grace)
        assert "revoked" not in told(office, actor=str(grace.pk))
        assert grace.email not in told(office, actor=str(grace.pk))

    def test_older_leads_through_a_timeline_once(self, office, monkeypatch):
        monkeypatch.setattr(EventAdmin, "list_per_page", 3)
        many(8)
        pages, path = [], f"{TIMELINE}?user=7"
        while path:
            text = page(office, path)
            pages.append(text.count('<li class="ms-event">'))
            link = re.search('href="([^"]+)" rel="next"', text)
            path = TIMELINE + link[1].replace("&amp;", "&") if link else ""
        assert pages == [3, 3, 2]

    def test_without_a_person_or_a_browser_the_trail_is_shown(self, office):
        for query in ("", "?kind=switched", "?user="):
            assert office.get(TIMELINE + query)["Location"].startswith(LIST)

    @pytest.mark.parametrize("value", ["x", "' OR 1=1 --", "\x00", "x" * 5000, "-1", "9" * 30])
    @pytest.mark.parametrize("name", ["user", "actor", "client", "session"])
    def test_nonsense_in_a_timeline_s_address_breaks_nothing(self, office, name, value):
        assert office.get(TIMELINE, {name: value}).status_code == 200

    def test_a_timeline_costs_the_same_for_many_events(self, office, ada):
        costs = []
        for count in (1, 40):
            many(count, actor_id=str(ada.pk), actor=ada.email)
            with CaptureQueriesContext(connection) as queries:
                page(office, TIMELINE, user="7")
            costs.append(len(queries))
        assert costs[0] == costs[1] <= 8

    def test_a_name_that_is_markup_is_text_in_a_timeline(self, office):
        many(1, account="<script>alert(1)</script>", actor="<script>alert(2)</script>")
        for query in ({"user": "7"}, {"client": "client_1"}):
            assert "<script>alert" not in page(office, TIMELINE, **query)


class TestWhoMayNot:
    def test_staff_without_permission_do_not_see_the_trail(self, ada):
        firefox = signed_in(ada)
        assert firefox.get(LIST).status_code == 302
        User.objects.filter(pk=ada.pk).update(is_staff=True)
        assert firefox.get(LIST).status_code == 403

    def test_the_permission_for_sessions_does_not_show_the_trail(self, office, auditor, ada):
        signed_in(ada)
        path = f"{SESSIONS}{session_of(ada).pk}/change/"
        grant(auditor, "view_session", "revoke_session")
        assert office.get(LIST).status_code == 403
        assert LIST not in page(office, path)
        grant(auditor, "view_session", "view_event")
        assert f"{LIST}?session={session_of(ada).public_id}" in page(office, path)
        grant(auditor, "view_event")
        assert office.get(SESSIONS).status_code == 403

    def test_no_event_can_be_added_changed_or_deleted(self, ada):
        User.objects.filter(pk=ada.pk).update(is_staff=True, is_superuser=True)
        office = signed_in(ada)
        event = Event.objects.latest("pk")
        assert office.get(f"{LIST}add/").status_code == 403
        assert office.post(f"{LIST}add/", {}).status_code == 403
        assert office.get(f"{LIST}{event.pk}/delete/").status_code == 403
        assert office.post(f"{LIST}{event.pk}/change/", {"account": "x"}).status_code == 403
        form = {"action": "delete_selected", "_selected_action": [str(event.pk)], "post": "yes"}
        office.post(LIST, form)
        assert Event.objects.filter(pk=event.pk, account="ada@example.com").exists()

    def test_a_superuser_s_past_is_a_superuser_s_business(self, office, ada, monkeypatch):
        User.objects.filter(pk=ada.pk).update(is_superuser=True, is_staff=True)
        root = signed_in(ada)
        event = Event.objects.latest("pk")
        assert shown(office) == []
        assert office.get(f"{LIST}{event.pk}/change/").status_code == 302
        assert shown(root) == ["ada signed-in"]
        monkeypatch.setattr(EventAdmin, "shows_superusers", True)
        assert shown(office) == ["ada signed-in"]


class TestLinks:
    def test_from_the_user_s_own_page(self, office, auditor, ada):
        grant(auditor, "view_event", "view_user")
        text = page(office, f"/admin/accounts/user/{ada.pk}/change/")
        assert f'href="{TIMELINE}?user={ada.pk}"' in text

    def test_the_session_tells_who_revoked_it(self, office, auditor, ada, grace):
        grant(auditor, "view_session", "revoke_session")
        firefox = signed_in(ada, grace, headers={"user-agent": "Firefox on Linux"})
        firefox.switch(ada)
        session = session_of(ada)
        confirmed(office, f"{SESSIONS}revoke/?selected={session.pk}")
        text = page(office, f"{SESSIONS}{session.pk}/change/")
        parts = ["Signed in: Firefox on Linux", "Switched to (grace@example.com)"]
        parts += ["Revoked (auditor@example.com)"]
        found = [text.index(part) for part in parts]
        assert found == sorted(found)
        assert f"<h2>{session.public_id}" not in text  # it would lie under the buttons
        event = Event.objects.latest("pk")
        assert (event.actor, event.user_id) == ("auditor@example.com", str(ada.pk))

    def test_revoking_all_that_match_names_who_did_it(self, office, auditor, ada):
        grant(auditor, "view_session", "revoke_session")
        for _ in range(3):
            signed_in(ada)
        confirmed(office, f"{SESSIONS}revoke/?user={ada.pk}")
        revoked = Event.objects.filter(kind="revoked", at__lte=timezone.now())
        assert set(revoked.values_list("actor", "account", "ip_address")) == {
            ("auditor@example.com", "ada@example.com", "127.0.0.1")
        }
        assert revoked.count() == 3

    def test_a_session_without_a_trail_tells_what_its_row_knows(
        self, settings, office, auditor, ada
    ):
        grant(auditor, "view_session", "revoke_session")
        settings.MULTISESSION = {"AUDIT": False}
        signed_in(ada, headers={"user-agent": "Firefox on Linux"})
        session = session_of(ada)
        confirmed(office, f"{SESSIONS}revoke/?selected={session.pk}")
        text = page(office, f"{SESSIONS}{session.pk}/change/")
        for part in ("Signed in: Firefox on Linux", "Ended: revoked", "Revoked (auditor@"):
            assert part in text
