"""The HTTP API for programs: its answers, its keys, and what it refuses."""

import datetime
import json
import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import Client as Http
from django.urls import Resolver404, include, path, resolve
from django.utils import timezone

from accounts.models import User
from multisession import actions
from multisession.api import keys
from multisession.api.resources import milliseconds
from multisession.models import ApiKey, Client, Event, Session

from .stories import NOBODY, Browser, count_rows, later, session_of, signed_in, statuses

urlpatterns = [
    path("v1/", include("multisession.api.urls")),
    path("", include("tests.engine_urls")),
]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

STATUSES = ["abandoned", "active", "ended", "expired", "removed", "replaced", "revoked"]
SESSION_KEYS = {
    "object",
    "id",
    "client_id",
    "user_id",
    "actor",
    "status",
    "last_active_organization_id",
    "last_active_at",
    "latest_activity",
    "expire_at",
    "abandon_at",
    "created_at",
    "updated_at",
    "tasks",
}
CLIENT_KEYS = {
    "object",
    "id",
    "session_ids",
    "sessions",
    "sign_in_id",
    "sign_up_id",
    "last_active_session_id",
    "last_authentication_strategy",
    "created_at",
    "updated_at",
}


@pytest.fixture
def secret(db) -> str:
    return keys.issue("a program", scope=ApiKey.Scope.REVOKE)[1]


@pytest.fixture
def api(secret) -> Http:
    return Http(headers={"authorization": f"Bearer {secret}"}, enforce_csrf_checks=True)


def refusal(response: HttpResponse, status: int, code: str) -> dict:
    """The one error of this answer, which has to be in the shape that SDKs read."""
    assert (response.status_code, response["Content-Type"]) == (status, "application/json")
    [error] = response.json()["errors"]
    assert set(error) == {"message", "long_message", "code", "meta"}
    assert error["code"] == code
    assert error["message"]
    assert 0 < len(error["long_message"]) < 400
    return error


class TestSessions:
    def test_a_list_is_an_array(self, api, ada, grace):
        signed_in(ada, grace)
        response = api.get("/v1/sessions", {"user_id": f"user_{ada.pk}"})
        assert response["Content-Type"] == "application/json"
        assert "no-store" in response["Cache-Control"]
        [found] = response.json()
        session = session_of(ada)
        assert set(found) == SESSION_KEYS
        assert found["object"] == "session"
        assert found["id"] == session.public_id
        assert found["client_id"] == session.client.public_id
        assert found["user_id"] == f"user_{ada.pk}"
        assert found["status"] == "active"
        assert all(type(found[name]) is int for name in SESSION_KEYS if name.endswith("_at"))
        created_at = session.created_at
        assert found["created_at"] == int(created_at.timestamp()) * 1000 + (
            created_at.microsecond // 1000
        )

    def test_a_paginated_list_says_how_many_sessions_there_are(self, api, ada):
        for _ in range(3):
            signed_in(ada)
        query = {"user_id": f"user_{ada.pk}", "paginated": "true", "limit": 2}
        page = api.get("/v1/sessions", query).json()
        assert (len(page["data"]), page["total_count"]) == (2, 3)
        rest = api.get("/v1/sessions", query | {"offset": 2}).json()
        assert (len(rest["data"]), rest["total_count"]) == (1, 3)
        assert api.get("/v1/sessions", query | {"paginated": "false", "offset": 9}).json() == []

    @pytest.mark.parametrize("status", STATUSES)
    def test_sessions_can_be_filtered_by_each_status(self, api, ada, status):
        signed_in(ada)
        signed_in(ada)
        other = "ended" if status != "ended" else "revoked"
        first, second = Session.objects.order_by("pk")
        Session.objects.filter(pk=first.pk).update(status=status)
        Session.objects.filter(pk=second.pk).update(status=other)
        query = {"client_id": first.client.public_id, "status": status}
        assert [found["id"] for found in api.get("/v1/sessions", query).json()] == [first.public_id]

    def test_one_session_is_read_by_its_id(self, api, ada):
        firefox = signed_in(ada, headers={"user-agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"})
        found = api.get(f"/v1/sessions/{firefox.id_of(ada)}").json()
        assert set(found) == SESSION_KEYS
        assert found["latest_activity"]["object"] == "session_activity"
        assert found["latest_activity"]["browser_name"] == "Firefox"
        assert found["latest_activity"]["ip_address"] == "127.0.0.1"

    def test_revoking_a_session_ends_that_session(self, api, ada, grace):
        firefox = signed_in(ada, grace)
        response = api.post(f"/v1/sessions/{firefox.id_of(grace)}/revoke")
        assert response.status_code == 200
        assert (set(response.json()), response.json()["status"]) == (SESSION_KEYS, "revoked")
        assert firefox.who() == NOBODY
        assert firefox.accounts() == ["ada"]

    @pytest.mark.parametrize("status", STATUSES)
    def test_revoking_an_ended_session_changes_nothing(self, api, ada, status):
        firefox = signed_in(ada)
        url = f"/v1/sessions/{firefox.id_of(ada)}/revoke"
        past = {"expire_at": timezone.now() - datetime.timedelta(days=1)}
        Session.objects.update(status=status, **(past if status == "active" else {}))
        before = Session.objects.values().get()
        expected = "expired" if status == "active" else status
        assert api.post(url).json()["status"] == expected
        assert Session.objects.values().get() == before

    def test_visitors_have_no_session_here(self, api):
        Browser().put("cart")
        visitor = Session.objects.get()
        refusal(api.get(f"/v1/sessions/{visitor.public_id}"), 404, "resource_not_found")
        refusal(api.post(f"/v1/sessions/{visitor.public_id}/revoke"), 404, "resource_not_found")

    def test_a_list_costs_the_same_for_many_sessions(self, api, ada, django_assert_num_queries):
        api.get("/v1/clients")  # the use of the key is noted
        for number in (1, 5):
            for _ in range(number):
                signed_in(ada)
            with django_assert_num_queries(3):  # the key, the number, the page
                api.get("/v1/sessions", {"user_id": f"user_{ada.pk}"})


class TestHistory:
    """A program reads the history of a user."""

    @staticmethod
    def pages(api: Http, user: User, **query: object) -> list[list[str]]:
        """Follow the pages to the end. The kinds of event on each."""
        found, older = [], {}
        while older is not None:
            ask = {"user_id": f"user_{user.pk}", **query, **older}
            page = api.get("/v1/events", ask).json()
            found.append([event["kind"] for event in page["data"]])
            older = {"before": page["older"]} if page["older"] else None
        return found

    def test_a_program_reads_the_sign_ins_and_ends_of_a_user(self, api, ada, grace):
        agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        signed_in(ada, headers={"user-agent": agent})
        session = session_of(ada)
        actions.revoke(session, by=grace)
        response = api.get("/v1/events", {"user_id": f"user_{ada.pk}"})
        assert "no-store" in response["Cache-Control"]
        end, beginning = response.json()["data"]
        event = Event.objects.get(kind="signed-in")
        assert beginning == {
            "object": "event",
            "id": f"event_{event.pk}",
            "kind": "signed-in",
            "user_id": f"user_{ada.pk}",
            "account": "ada@example.com",
            "session_id": session.public_id,
            "client_id": session.client.public_id,
            "organization_id": None,
            "actor": {"sub": f"user_{ada.pk}", "name": "ada@example.com"},
            "ip_address": "127.0.0.1",
            "browser_name": "Firefox",
            "device_type": "Linux",
            "created_at": milliseconds(event.at),
        }
        assert end["kind"] == "revoked"
        assert end["actor"] == {"sub": f"user_{grace.pk}", "name": "grace@example.com"}

    @pytest.mark.parametrize(
        ("limit", "pages"),
        [
            (2, [["switched", "revoked"], ["signed-in", "signed-in"]]),
            (3, [["switched", "revoked", "signed-in"], ["signed-in"]]),
            (4, [["switched", "revoked", "signed-in", "signed-in"]]),
        ],
    )
    def test_pages_lead_through_everything_once(self, api, ada, grace, limit, pages):
        signed_in(ada)
        browser = signed_in(ada, grace)
        Session.objects.filter(user=ada).earliest("pk").revoke()
        browser.switch(ada)
        assert self.pages(api, ada, limit=limit) == pages

    def test_an_event_that_happens_meanwhile_moves_nothing(self, api, ada):
        for _ in range(3):
            signed_in(ada)
        query = {"user_id": f"user_{ada.pk}", "limit": 2}
        first = api.get("/v1/events", query).json()
        session_of(ada).revoke()
        rest = api.get("/v1/events", query | {"before": first["older"]}).json()
        assert [event["kind"] for event in rest["data"]] == ["signed-in"]
        assert rest["older"] is None

    def test_a_page_costs_the_same_at_any_depth(self, api, ada, django_assert_num_queries):
        for _ in range(5):
            signed_in(ada)
        newest = Event.objects.latest("pk")
        for before in (newest.pk + 1, newest.pk - 3):
            query = {"user_id": f"user_{ada.pk}", "before": f"event_{before}", "limit": 2}
            api.get("/v1/events", query)
            with django_assert_num_queries(2):  # the key, the events
                assert len(api.get("/v1/events", query).json()["data"]) == 2 - (before < newest.pk)

    def test_who_acted_has_the_name_of_that_time_and_the_key_of_today(self, api, ada, grace):
        signed_in(ada)
        session_of(ada).revoke(by=grace)
        User.objects.filter(pk=grace.pk).update(email="renamed@example.com")

        def actor() -> dict:
            found = api.get("/v1/events", {"user_id": f"user_{ada.pk}"}).json()["data"]
            return found[0]["actor"]

        assert actor() == {"sub": f"user_{grace.pk}", "name": "grace@example.com"}
        grace.delete()
        assert actor() == {"sub": None, "name": "erased"}

    def test_a_program_that_acted_has_a_name_and_no_id_and_a_clock_neither(self, api, ada):
        signed_in(ada)
        api.post(f"/v1/sessions/{session_of(ada).public_id}/revoke")
        signed_in(ada)
        with later(days=15):
            call_command("clearsessions", stdout=StringIO())
        Event.objects.filter(kind="signed-in").delete()
        found = api.get("/v1/events", {"user_id": f"user_{ada.pk}"}).json()["data"]
        assert {event["kind"]: event["actor"] for event in found} == {
            "expired": None,
            "revoked": {"sub": None, "name": "API key a program"},
        }

    @pytest.mark.parametrize("way", ["deleted", "erased"])
    def test_a_person_who_was_erased_has_no_history(self, api, ada, way):
        signed_in(ada)
        key = ada.pk
        ada.delete() if way == "deleted" else actions.erase(ada)
        assert Event.objects.exists()
        for user_id in (f"user_{key}", "user_0"):
            found = api.get("/v1/events", {"user_id": user_id}).json()
            assert found == {"data": [], "older": None}
        refusal(api.get("/v1/events?user_id=user_"), 422, "form_param_format_invalid")

    def test_another_user_s_event_as_a_cursor_shows_nothing_of_that_user(self, api, ada, grace):
        signed_in(ada)
        signed_in(grace)
        foreign = f"event_{Event.objects.latest('pk').pk}"
        found = api.get("/v1/events", {"user_id": f"user_{ada.pk}", "before": foreign}).json()
        assert {event["account"] for event in found["data"]} == {"ada@example.com"}

    def test_the_history_of_nobody_in_particular_is_refused(self, api, ada):
        signed_in(ada)
        for query in ({}, {"limit": "5"}, {"client_id": session_of(ada).client.public_id}):
            error = refusal(api.get("/v1/events", query), 400, "missing_query_parameter")
            assert error["long_message"].endswith(": user_id.")

    @pytest.mark.parametrize(
        "before",
        ["", "1", "event_", "event_-1", "event_1.5", "event_٣", "event_1 ", "event_1\0", "sess_1"]
        + [f"event_{2**63}", "event_" + "9" * 5000, "' OR 1=1 --"],
        ids=[f"n{number}" for number in range(12)],
    )
    def test_a_cursor_that_is_none_is_refused(self, api, ada, before):
        query = {"user_id": f"user_{ada.pk}", "before": before}
        error = refusal(api.get("/v1/events", query), 422, "form_param_format_invalid")
        assert error["meta"]["param_name"] == "before"

    @pytest.mark.parametrize(
        ("limit", "code"),
        [("0", "form_param_format_invalid"), ("501", "form_param_format_invalid")]
        + [("x", "form_param_type_invalid")],
    )
    def test_a_limit_that_is_none_is_refused(self, api, ada, limit, code):
        query = {"user_id": f"user_{ada.pk}", "limit": limit}
        refusal(api.get("/v1/events", query), 422, code)

    def test_no_event_is_written_or_deleted_over_the_api(self, api, ada):
        signed_in(ada)
        for method in ("post", "put", "patch", "delete"):
            response = getattr(api, method)(f"/v1/events?user_id=user_{ada.pk}")
            refusal(response, 405, "method_not_allowed")


class TestActor:
    """An administrator who has signed in as the user acts."""

    @pytest.fixture
    def actor(self, api, ada, grace):
        """Ask the API who acts as Ada; at first it is Grace."""
        signed_in(ada)
        Session.objects.filter(user=ada).update(actor_id=str(grace.pk))

        def actor() -> dict:
            by_id = api.get(f"/v1/sessions/{session_of(ada).public_id}").json()
            assert api.get("/v1/sessions", {"user_id": f"user_{ada.pk}"}).json() == [by_id]
            return by_id["actor"]

        assert actor() == {"sub": f"user_{grace.pk}"}
        return actor

    def test_an_administrator_who_is_renamed_has_the_same_id(self, actor, grace):
        User.objects.filter(pk=grace.pk).update(email="renamed@example.com", name="Renamed")
        assert actor() == {"sub": f"user_{grace.pk}"}

    @pytest.mark.parametrize("way", ["deleted", "erased"])
    def test_an_administrator_who_is_gone_is_nobody_s_id(self, api, actor, ada, grace, way):
        grace.delete() if way == "deleted" else actions.erase(grace)
        assert actor() == {"sub": "erased"}
        assert statuses(ada) == ["revoked"]
        refusal(api.get("/v1/sessions", {"user_id": "erased"}), 422, "form_param_format_invalid")

    def test_an_administrator_who_is_deleted_behind_our_back_stays_a_key(self, actor, ada, grace):
        key = grace.pk
        User.objects.filter(pk=key)._raw_delete("default")
        assert actor() == {"sub": f"user_{key}"}
        assert session_of(ada).actor == str(key)


class TestClients:
    def test_a_client_is_read_with_the_accounts_that_it_remembers(self, api, ada, grace, alan):
        firefox = signed_in(ada, grace, alan)
        firefox.verb("forget", firefox.id_of(ada))
        firefox.verb("sign_out", firefox.id_of(grace))
        client = session_of(alan).client
        found = api.get(f"/v1/clients/{client.public_id}").json()
        assert set(found) == CLIENT_KEYS
        ids = [session_of(alan).public_id, session_of(grace).public_id]
        assert found["session_ids"] == ids
        assert [session["status"] for session in found["sessions"]] == ["active", "ended"]
        assert all(set(session) == SESSION_KEYS for session in found["sessions"])
        assert found["last_active_session_id"] == ids[0]

    def test_a_client_may_have_no_active_account(self, api, ada):
        firefox = signed_in(ada)
        firefox.sign_out()
        firefox.who()
        client_id = session_of(ada).client.public_id
        assert api.get(f"/v1/clients/{client_id}").json()["last_active_session_id"] is None

    def test_all_clients_are_listed_the_newest_first(
        self, api, ada, grace, django_assert_num_queries
    ):
        for user in (ada, grace, ada):
            signed_in(user)
        newest = [client.public_id for client in Client.objects.order_by("-pk")]
        assert [found["id"] for found in api.get("/v1/clients").json()] == newest
        page = api.get("/v1/clients", {"paginated": "true", "limit": 1, "offset": 1}).json()
        assert [found["id"] for found in page["data"]] == newest[1:2]
        assert page["total_count"] == 3
        with django_assert_num_queries(4):  # the key, the clients, their cookies, their sessions
            api.get("/v1/clients")

    def test_a_far_page_is_empty(self, api, ada):
        signed_in(ada)
        for query in ({"offset": 2**63 - 1}, {"offset": 2**63 - 1, "limit": 500}):
            assert api.get("/v1/clients", query).json() == []
            page = api.get("/v1/clients", query | {"paginated": "true"}).json()
            assert page == {"data": [], "total_count": 1}


class TestKeys:
    """Villains without a key, or with something else."""

    PATHS = (
        "/v1/sessions?user_id=user_1",
        "/v1/sessions/sess_1",
        "/v1/clients",
        "/v1/events?user_id=user_1",
        "/v1/nothing",
    )

    @pytest.mark.parametrize("address", PATHS)
    def test_a_request_without_a_key_learns_nothing(self, db, address):
        for method in ("get", "post", "delete"):
            response = getattr(Http(), method)(address)
            refusal(response, 401, "authorization_header_format_invalid")
            assert response["WWW-Authenticate"] == "Bearer"

    @pytest.mark.parametrize("scheme", ["", "Basic ", "Token ", "Bearer", "Bearer:", "Bearer\t"])
    def test_the_header_has_one_form(self, secret, scheme):
        response = Http(headers={"authorization": f"{scheme}{secret}"}).get("/v1/clients")
        refusal(response, 401, "authorization_header_format_invalid")

    def test_a_wrong_key_is_refused(self, secret):
        digest = ApiKey.objects.get().digest
        near = [secret[:-1], f"{secret}x", secret.swapcase(), secret.removeprefix("sk_"), "sk_"]
        strange = [
            digest,
            "sk_\0",
            "sk_é",
            "sk_" + "x" * 10_000,
            "' OR 1=1 --",
            f"{secret} {secret}",
        ]
        for wrong in [*near, *strange]:
            response = Http(headers={"authorization": f"Bearer {wrong}"}).get("/v1/clients")
            assert wrong not in refusal(response, 401, "clerk_key_invalid")["long_message"]
        assert ApiKey.objects.get().last_used_at is None

    def test_a_key_in_the_query_or_a_cookie_or_a_form_opens_nothing(self, secret):
        http = Http()
        for name in ("authorization", "Authorization", "secret_key", "api_key", "access_token"):
            http.cookies[name] = f"Bearer {secret}"
            for value in (secret, f"Bearer {secret}"):
                response = http.get("/v1/clients", {name: value})
                refusal(response, 401, "authorization_header_format_invalid")
                response = http.post("/v1/sessions/sess_1/revoke", {name: value})
                refusal(response, 401, "authorization_header_format_invalid")

    def test_the_cookie_of_an_administrator_opens_nothing(self, ada):
        ada.is_staff = ada.is_superuser = True
        ada.save()
        firefox = signed_in(ada)
        firefox.client.handler.enforce_csrf_checks = True
        mine = firefox.id_of(ada)
        code = "authorization_header_format_invalid"
        refusal(firefox.get(f"/v1/sessions/{mine}"), 401, code)
        refusal(firefox.post(f"/v1/sessions/{mine}/revoke"), 401, code)
        assert statuses(ada) == ["active"]

    def test_the_cookie_that_comes_with_a_key_is_not_looked_at(self, secret, ada):
        firefox = signed_in(ada)
        with later(minutes=5):
            header = {"authorization": f"Bearer {secret}"}
            response = firefox.get(f"/v1/sessions/{firefox.id_of(ada)}", headers=header)
        assert response.status_code == 200
        assert not response.cookies
        assert "Cookie" not in response.headers.get("Vary", "")

    def test_two_keys_are_valid_until_one_is_revoked(self, api, secret):
        key, second = keys.issue("its successor")
        other = Http(headers={"authorization": f"bearer {second}"})
        assert api.get("/v1/clients").status_code == other.get("/v1/clients").status_code == 200
        ApiKey.objects.exclude(pk=key.pk).get().revoke()
        refusal(api.get("/v1/clients"), 401, "clerk_key_invalid")
        assert other.get("/v1/clients").status_code == 200

    def test_the_use_of_a_key_is_noted_once_a_minute(self, api, django_assert_num_queries):
        with later(minutes=1):
            api.get("/v1/clients")
        first = ApiKey.objects.get().last_used_at
        assert first is not None
        with later(minutes=1.9), django_assert_num_queries(2):
            api.get("/v1/clients")
        assert ApiKey.objects.get().last_used_at == first
        with later(minutes=2.1), django_assert_num_queries(3):
            api.get("/v1/clients")
        assert ApiKey.objects.get().last_used_at > first

    def test_the_database_does_not_have_the_secret(self, secret):
        assert re.fullmatch(r"sk_[0-9A-Za-z]{43}", secret)
        row = ApiKey.objects.values().get()
        assert secret not in str(row)
        assert secret[3:] not in str(row)


class TestScope:
    """A key allows only what its program needs, for as long as it needs it."""

    @pytest.fixture
    def there(self, ada) -> Browser:
        return signed_in(ada)

    @staticmethod
    def with_key(**options: object) -> Http:
        _, secret = keys.issue("a program", **options)
        return Http(headers={"authorization": f"Bearer {secret}"})

    def test_a_new_key_may_read(self, there, ada):
        api = self.with_key()
        assert api.get("/v1/sessions", {"user_id": f"user_{ada.pk}"}).status_code == 200
        assert api.get("/v1/clients").status_code == 200

    def test_a_key_that_may_revoke_may_also_read(self, there, ada):
        api = self.with_key(scope=ApiKey.Scope.REVOKE)
        mine = there.id_of(ada)
        assert api.get(f"/v1/sessions/{mine}").status_code == 200
        assert api.post(f"/v1/sessions/{mine}/revoke").json()["status"] == "revoked"

    def test_a_key_that_may_read_ends_no_session(self, there, ada):
        api, mine = self.with_key(), there.id_of(ada)
        for session in (mine, "sess_1"):
            response = api.post(f"/v1/sessions/{session}/revoke")
            said = refusal(response, 403, "authorization_invalid")["long_message"]
            assert "'revoke'" in said
            assert response["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'
        assert there.who() == "ada"

    def test_a_scope_that_nobody_knows_allows_nothing(self, there, ada):
        """Somebody wrote it into the table by hand."""
        api = self.with_key()
        ApiKey.objects.update(scope="all")
        for path_ in ("/v1/clients", f"/v1/events?user_id=user_{ada.pk}"):
            refusal(api.get(path_), 403, "authorization_invalid")

    def test_a_key_opens_nothing_after_its_time(self, there, ada):
        month = timezone.now() + datetime.timedelta(days=30)
        api = self.with_key(scope=ApiKey.Scope.REVOKE, expires_at=month)
        with later(days=29):
            assert api.get("/v1/clients").status_code == 200
        with later(since=month):
            refusal(api.get("/v1/clients"), 401, "clerk_key_invalid")
            response = api.post(f"/v1/sessions/{there.id_of(ada)}/revoke")
            refusal(response, 401, "clerk_key_invalid")
        assert there.who() == "ada"


class TestBadInput:
    @pytest.fixture(autouse=True)
    def nothing_changes(self, ada, secret):
        signed_in(ada)
        before = count_rows(), statuses(ada)
        yield
        assert (count_rows(), statuses(ada)) == before

    @pytest.mark.parametrize("path_", ["/v1/sessions", "/v1/clients"])
    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("limit=0", "form_param_format_invalid"),
            ("limit=501", "form_param_format_invalid"),
            ("limit=-1", "form_param_format_invalid"),
            (f"limit={10**30}", "form_param_format_invalid"),
            (f"limit={'9' * 9999}", "form_param_format_invalid"),
            ("limit=x", "form_param_type_invalid"),
            ("limit=", "form_param_type_invalid"),
            ("limit=1.0", "form_param_type_invalid"),
            ("limit=%D9%A3", "form_param_type_invalid"),
            ("limit=1%00", "form_param_type_invalid"),
            ("limit=%FF", "form_param_type_invalid"),
            ("offset=-1", "form_param_format_invalid"),
            (f"offset={2**63}", "form_param_format_invalid"),
            ("offset=x", "form_param_type_invalid"),
            ("paginated=perhaps", "form_param_type_invalid"),
        ],
        ids=lambda value: value[:20],
    )
    def test_invalid_numbers_are_refused(self, api, ada, path_, query, code):
        user = f"user_id=user_{ada.pk}&" if path_ == "/v1/sessions" else ""
        error = refusal(api.get(f"{path_}?{user}{query}"), 422, code)
        assert error["meta"]["param_name"] == query.partition("=")[0]
        assert query.partition("=")[0] in error["long_message"]

    @pytest.mark.parametrize("status", ["pending", "", "ACTIVE", "%00", "'", "x" * 10_000])
    def test_an_invalid_status_is_refused(self, api, ada, status):
        response = api.get(f"/v1/sessions?user_id=user_{ada.pk}&status={status}")
        error = refusal(response, 422, "form_param_value_invalid")
        assert all(repr(name) in error["long_message"] for name in STATUSES)

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "%00",
            "user_%00",
            "sess_%00",
            "client_%00",
            "client_%22",
            "'",
            "%22",
            "user_",
            "user_x",
            "1",
            "user_1%20",
            "sess_1",
            "user_01",
        ]
        + [f"user_{10**30}", "user_-", "%FF%FE", "user_%D9%A3", "user_user_1", "x" * 10_000],
        ids=lambda value: value[:20],
    )
    def test_invalid_ids_are_refused(self, api, value):
        for name in ("user_id", "client_id"):
            response = api.get(f"/v1/sessions?{name}={value}")
            error = refusal(response, 422, "form_param_format_invalid")
            assert error["meta"]["name"] == name
        if value and "/" not in value:
            for address in (f"/v1/sessions/{value}", f"/v1/clients/{value}"):
                refusal(api.get(address), 404, "resource_not_found")
            refusal(api.post(f"/v1/sessions/{value}/revoke"), 404, "resource_not_found")

    def test_a_request_without_client_and_user_is_refused(self, api):
        error = refusal(api.get("/v1/sessions"), 400, "missing_query_parameter")
        assert "client_id, user_id" in error["long_message"]

    def test_client_and_user_may_both_be_given(self, api, ada):
        client = session_of(ada).client.public_id
        for user, found in ((ada.pk, 1), (0, 0)):
            query = {"client_id": client, "user_id": f"user_{user}"}
            assert len(api.get("/v1/sessions", query).json()) == found

    def test_unknown_ids_and_addresses_are_not_found(self, api):
        for address in ("/v1/sessions/sess_123", "/v1/clients/client_123"):
            error = refusal(api.get(address), 404, "resource_not_found")
            assert address.rpartition("/")[2] in error["long_message"]
        for address in ("/v1/", "/v1/nothing", "/v1/sessions/", "/v1/sessions/sess_1/verify"):
            refusal(api.get(address), 404, "resource_not_found")
            refusal(api.post(address), 404, "resource_not_found")

    def test_a_wrong_method_is_refused(self, api, ada):
        one = f"/v1/sessions/{session_of(ada).public_id}"
        wrong = [(one, "post"), (one, "delete"), ("/v1/sessions", "post"), ("/v1/clients", "put")]
        for address, method in [*wrong, (f"{one}/revoke", "get"), (f"{one}/revoke", "patch")]:
            response = getattr(api, method)(address)
            refusal(response, 405, "method_not_allowed")
            assert response["Allow"] in ("GET, HEAD", "POST")

    def test_a_flood_of_parameters_is_refused(self, api):
        query = "&".join(f"a{number}=1" for number in range(5000))
        refusal(api.get(f"/v1/sessions?{query}"), 400, "malformed_request_parameters")

    def test_a_body_that_is_none(self, api):
        for content_type in (
            "application/json; charset=utf-16",
            "multipart/form-data",
            "text/plain",
        ):
            body = b"{" * 100_000
            response = api.generic("POST", "/v1/sessions/sess_1/revoke", body, content_type)
            refusal(response, 404, "resource_not_found")
            response = api.generic("GET", "/v1/sessions?user_id=%FF", body, content_type)
            refusal(response, 422, "form_param_format_invalid")


class TestDescription:
    def test_the_description_needs_no_key_and_says_where_the_api_is(self, db):
        response = Http().get("/v1/openapi.json")
        assert response["Content-Type"] == "application/json"
        document = response.json()
        assert document["openapi"] == "3.1.0"
        assert document["servers"] == [{"url": "/v1"}]
        assert document["security"] == [{"secret_key": []}]
        refusal(Http(enforce_csrf_checks=True).post("/v1/openapi.json"), 405, "method_not_allowed")

    def test_the_description_matches_the_answers(self, api, ada):
        signed_in(ada)
        schemas = Http().get("/v1/openapi.json").json()["components"]["schemas"]
        [client] = api.get("/v1/clients").json()
        for name, found in (("Client", client), ("Session", client["sessions"][0])):
            assert set(schemas[name]["required"]) == set(found)
        page = api.get("/v1/events", {"user_id": f"user_{ada.pk}"}).json()
        for name, found in (("EventPage", page), ("Event", page["data"][0])):
            assert set(schemas[name]["required"]) == set(found)
        assert set(schemas["Session"]["properties"]["status"]["enum"]) == set(STATUSES)


def test_the_api_does_not_exist_unless_included():
    with pytest.raises(Resolver404):
        resolve("/v1/sessions", "multisession.urls")


class TestCommand:
    """manage.py multisession_keys"""

    @staticmethod
    def run(*args: str) -> str:
        out = StringIO()
        call_command("multisession_keys", *args, stdout=out, stderr=StringIO())
        return out.getvalue()

    def test_a_key_is_made_listed_and_revoked(self, db):
        secret = self.run("create", "nightly report").strip()
        api = Http(headers={"authorization": f"Bearer {secret}"})
        assert api.get("/v1/clients").status_code == 200
        key = ApiKey.objects.get()
        listed = self.run("list")
        assert "nightly report" in listed
        assert f"{key.last_used_at:%Y-%m-%d %H:%MZ}" in listed
        assert secret not in listed
        self.run("revoke", str(key.pk))
        assert api.get("/v1/clients").status_code == 401
        assert f"{ApiKey.objects.get().revoked_at:%Y-%m-%d %H:%MZ}" in self.run("list")

    def test_revoking_a_key_that_does_not_exist_fails(self, db):
        self.run("create", "one")
        pk = str(ApiKey.objects.get().pk)
        self.run("revoke", pk)
        for wrong in (pk, "0", str(10**30)):
            with pytest.raises(CommandError) as failed:
                self.run("revoke", wrong)
            assert failed.value.returncode == 1

    def test_a_key_is_made_for_one_purpose_and_for_a_time(self, db):
        self.run("create", "help desk", "--scope", "revoke", "--expires", "30d")
        self.run("create", "report")
        desk, report = ApiKey.objects.order_by("pk")
        assert (desk.scope, report.scope, report.expires_at) == ("revoke", "read", None)
        assert round((desk.expires_at - timezone.now()).total_seconds() / 86400) == 30
        listed = self.run("list")
        assert f"{desk.expires_at:%Y-%m-%d %H:%MZ}" in listed
        assert "revoke  help desk" in listed

    @pytest.mark.parametrize("age", ["", "0d", "-1d", "30", "1y", "٣d", "9" * 30 + "d", "999999w"])
    def test_a_time_that_is_none(self, db, age):
        with pytest.raises(CommandError):
            self.run("create", "report", f"--expires={age}")
        with pytest.raises(CommandError):
            self.run("create", "report", "--scope=everything")
        assert not ApiKey.objects.exists()

    @pytest.mark.parametrize("name", ["", " ", "x" * 101, "two\nlines", "\x1b[2J"])
    def test_a_name_that_is_none(self, db, name):
        with pytest.raises(CommandError):
            self.run("create", name)
        assert not ApiKey.objects.exists()


def test_the_answers_are_plain_json(api, ada):
    signed_in(ada)
    body = api.get("/v1/clients").content.decode()
    assert json.loads(body)
    assert "session_data" not in body
    assert ada.email not in body


@pytest.mark.parametrize(
    ("there", "in_utc"), [("2026-01-15 12:00", "17:00"), ("2026-07-15 12:00", "16:00")]
)
def test_without_time_zones_a_moment_is_one_of_the_projects_own(settings, there, in_utc):
    settings.USE_TZ = False
    settings.TIME_ZONE = "America/New_York"
    utc = datetime.datetime.fromisoformat(f"{there[:10]} {in_utc}+00:00")
    assert milliseconds(datetime.datetime.fromisoformat(there)) == utc.timestamp() * 1000
