"""The Frontend API: what client.js and Clerk's scripts are told, and who is told nothing."""

import base64
import gzip
import json
from urllib.parse import urlencode

import django.test
import pytest
from django.core.cache import cache
from django.core.checks import run_checks
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import include, path

from multisession import signals
from multisession.contrib.frontend import views
from multisession.models import Session
from multisession.organizations import Organization
from tests import engine_urls
from tests.stories import (
    NOBODY,
    Browser,
    later,
    listening,
    session_of,
    settled,
    signed_in,
    statuses,
)
from tools import client_script

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

urlpatterns = [
    *engine_urls.urlpatterns,
    path("__clerk/", include("multisession.contrib.frontend.urls")),
    path("v1/", include("multisession.api.urls")),
]

CLIENT = "/__clerk/v1/client"
FORM = "application/x-www-form-urlencoded"
HERE = {"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"}


@pytest.fixture(autouse=True)
def nothing_counted():
    cache.clear()


def ask(browser: Browser, url: str = CLIENT, method: str = "get", headers=HERE, **options):
    if method == "post" and "content_type" not in options:
        options = {"data": urlencode(options.get("data", {})), "content_type": FORM}
    return getattr(browser.client, method)(url, headers=headers, **options)


def of(browser: Browser, user, verb: str) -> str:
    return f"{CLIENT}/sessions/{session_of(user).public_id}/{verb}"


def error_in(response) -> str:
    """The code of the one error, which has everything that Clerk's scripts read."""
    [error] = response.json()["errors"]
    assert error["message"]
    assert error["long_message"]
    return error["code"]


class TestReading:
    def test_the_lean_client_lists_the_accounts_by_their_sign_in(self, ada, grace):
        browser = signed_in(ada, grace)
        browser.switch(ada)
        found = ask(browser, f"{CLIENT}?lean").json()
        assert [row["user"]["primaryEmailAddress"] for row in found["sessions"]] == [
            "ada@example.com",
            "grace@example.com",
        ]
        assert found["active"] == session_of(ada).public_id
        first = found["sessions"][0]
        assert first["user"]["fullName"] == "Ada Lovelace"
        assert first["lastActiveAt"] == int(session_of(ada).last_active_at.timestamp() * 1000)

    def test_the_full_client_is_in_clerks_shape(self, ada):
        browser = signed_in(ada)
        found = ask(browser).json()
        assert found["client"] is None
        client = found["response"]
        [session] = client["sessions"]
        assert client["object"] == "client"
        assert client["last_active_session_id"] == session["id"] == session_of(ada).public_id
        assert session["user"]["email_addresses"][0]["email_address"] == "ada@example.com"
        assert session["user"]["id"] == session["public_user_data"]["user_id"] == f"user_{ada.pk}"
        assert session["last_active_token"]["object"] == "token"

    @pytest.mark.parametrize("query", ["", "?lean"])
    def test_a_browser_that_nobody_has_signed_in_on_gets_an_empty_client(self, query):
        browser = Browser()
        found = ask(browser, CLIENT + query).json()
        assert (found if query else found["response"])["sessions"] == []
        assert browser.cookie is None

    def test_expired_and_signed_out_accounts_are_not_listed(self, ada, grace, alan):
        browser = signed_in(ada, grace, alan)
        browser.verb("sign_out", browser.id_of(grace))
        Session.objects.filter(user=ada).update(expire_at=session_of(ada).created_at)
        assert [row["user"]["id"] for row in ask(browser, f"{CLIENT}?lean").json()["sessions"]] == [
            f"user_{alan.pk}"
        ]

    @pytest.mark.parametrize("query", ["", "?lean"])
    def test_the_list_costs_two_queries(self, query, ada, grace, alan, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "ORGANIZATIONS": None}
        browser = settled(signed_in(ada, grace, alan))
        with CaptureQueriesContext(connection) as queries:
            ask(browser, CLIENT + query)
        assert len(queries) == 2

    def test_the_lean_list_of_three_accounts_fits_in_700_bytes(self, ada, grace, alan):
        browser = signed_in(ada, grace, alan)
        content = ask(browser, f"{CLIENT}?lean").content
        assert len(gzip.compress(content)) <= 700

    def test_the_environment_says_where_the_pages_are_and_how_many_accounts_fit(self, settings):
        told = ask(Browser(), "/__clerk/v1/environment").json()
        assert told["auth_config"]["single_session_mode"] is False
        assert told["display_config"]["after_sign_out_one_url"]
        settings.MULTISESSION = {**settings.MULTISESSION, "MAX_ACCOUNTS": 1}
        told = ask(Browser(), "/__clerk/v1/environment").json()
        assert told["auth_config"]["single_session_mode"] is True

    def test_no_answer_may_be_cached_or_embedded(self, ada):
        answer = ask(signed_in(ada))
        assert "no-store" in answer["Cache-Control"]
        assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert {"Cookie", "Origin"} <= set(answer["Vary"].split(", "))
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


class TestChanging:
    @pytest.mark.parametrize("body", [{"intent": "select_session"}, {}], ids=["named", "of v4"])
    def test_a_touch_switches(self, body, ada, grace):
        browser = signed_in(ada, grace)
        answer = ask(browser, of(browser, ada, "touch"), "post", data=body)
        assert answer.json()["response"]["id"] == session_of(ada).public_id
        assert answer.json()["client"]["last_active_session_id"] == session_of(ada).public_id
        assert browser.who() == "ada"

    def test_a_switch_costs_at_most_three_queries_more_than_the_verb(self, ada, grace):
        browser = signed_in(ada, grace)
        url, grace_id = of(browser, ada, "touch"), browser.id_of(grace)
        # Count at once: the next request empties the log that the contexts look into.
        with CaptureQueriesContext(connection) as queries:
            answer = ask(browser, f"{url}?lean", "post")
        through_the_endpoint = len(queries)
        assert answer.json()["active"] == session_of(ada).public_id
        with CaptureQueriesContext(connection) as queries:
            browser.verb("set_active", grace_id)
        by_the_verb = len(queries)
        assert browser.who() == "grace"
        assert by_the_verb < through_the_endpoint <= by_the_verb + 3

    def test_focus_notes_activity_and_never_switches(self, ada, grace):
        browser = signed_in(ada, grace)
        focus = {"intent": "focus", "active_organization_id": ""}
        before = session_of(grace).last_active_at
        with later(hours=1):
            for user in (ada, grace):
                answer = ask(browser, of(browser, user, "touch"), "post", data=focus)
                assert answer.status_code == 200
        assert session_of(grace).last_active_at > before
        assert browser.who() == "grace"

    @pytest.mark.parametrize(("verb", "status"), [("end", "ended"), ("remove", "removed")])
    def test_one_account_is_signed_out(self, verb, status, ada, grace):
        browser = signed_in(ada, grace)
        answer = ask(browser, of(browser, ada, verb), "post")
        assert answer.json()["response"]["status"] == status
        assert statuses(ada) == [status]
        assert browser.who() == "grace"

    @pytest.mark.parametrize("path", ["/sessions", ""], ids=["sessions", "the client, as v4"])
    @pytest.mark.parametrize("way", ["delete", "post"])
    def test_all_accounts_are_signed_out(self, way, path, ada, grace):
        browser = signed_in(ada, grace)
        url = CLIENT + path + ("?_method=DELETE" if way == "post" else "")
        answer = ask(browser, url, way)
        assert answer.json()["response"]["sessions"] == []
        assert browser.who() == NOBODY
        assert statuses(ada) == statuses(grace) == ["removed"]

    def test_a_json_body_is_understood(self, ada, grace):
        browser = signed_in(ada, grace)
        body = {"data": {"intent": "select_session"}, "content_type": "application/json"}
        assert ask(browser, of(browser, ada, "touch"), "post", **body).status_code == 200
        assert browser.who() == "ada"

    def test_devices_are_listed_and_signed_out(self, ada):
        browser, other = signed_in(ada), signed_in(ada)
        [here, there] = ask(browser, "/__clerk/v1/me/sessions/active").json()
        assert here["id"] == browser.id_of(ada)
        url = f"/__clerk/v1/me/sessions/{there['id']}/revoke"
        assert ask(browser, url, "post").json()["status"] == "revoked"
        assert (browser.who(), other.who()) == ("ada", NOBODY)


class Tenants:
    """Everybody is in Acme; only Ada is in Umbra."""

    def organizations_of(self, user):
        names = ["acme", "umbra"] if user.email.startswith("ada") else ["acme"]
        return [Organization(id=name, name=name.title(), role="admin") for name in names]

    def get(self, user, id):
        return next((each for each in self.organizations_of(user) if each.id == id), None)


class TestOrganizations:
    @pytest.fixture(autouse=True)
    def tenants(self, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "ORGANIZATIONS": f"{__name__}.Tenants"}

    @pytest.mark.parametrize(
        "body",
        [
            {"intent": "select_org", "active_organization_id": "umbra"},
            {"organization": "umbra"},
        ],
        ids=["of Clerk's scripts", "of client.js"],
    )
    def test_an_organization_is_entered_and_left(self, body, ada):
        browser = signed_in(ada)
        entered = ask(browser, f"{of(browser, ada, 'touch')}?lean", "post", data=body).json()
        assert entered["organization"]["name"] == "Umbra"
        assert session_of(ada).organization == "umbra"
        empty = {name: "" if value == "umbra" else value for name, value in body.items()}
        left = ask(browser, f"{of(browser, ada, 'touch')}?lean", "post", data=empty).json()
        assert left["organization"] is None
        assert entered["page"] != left["page"]

    def test_a_switch_leaves_each_account_in_its_own(self, ada, grace):
        browser = signed_in(ada, grace)
        ask(browser, of(browser, ada, "touch"), "post", data={"organization": "umbra"})
        switch = {"intent": "select_session", "active_organization_id": ""}
        ask(browser, of(browser, grace, "touch"), "post", data=switch)
        back = ask(browser, f"{of(browser, ada, 'touch')}?lean", "post", data=switch).json()
        assert back["organization"]["id"] == "umbra"

    def test_the_active_account_s_memberships_are_in_clerks_shape(self, ada, grace):
        browser = signed_in(grace, ada)
        told = ask(browser).json()["response"]["sessions"]
        names = [
            [each["organization"]["name"] for each in row["user"]["organization_memberships"]]
            for row in told
        ]
        assert names == [[], ["Acme", "Umbra"]]
        assert ask(browser, "/__clerk/v1/environment").json()["organization_settings"]["enabled"]

    def test_a_foreign_organization_is_as_good_as_unknown(self, ada, grace):
        browser = signed_in(ada, grace)
        for wanted in ("umbra", "nowhere"):
            body = {"intent": "select_org", "active_organization_id": wanted}
            answer = ask(browser, of(browser, grace, "touch"), "post", data=body)
            assert (answer.status_code, error_in(answer)) == (404, "resource_not_found")
        assert session_of(grace).organization == ""


class TestInATab:
    """Under ACCOUNT_PATHS the API below a prefix is about the account of that tab."""

    def test_the_active_account_is_the_tab_s(self, ada, grace, settings):
        settings.MULTISESSION = {**settings.MULTISESSION, "ACCOUNT_PATHS": True}
        client = django.test.Client(headers=HERE)
        for user in (ada, grace):
            client.post(f"/sign-in/{user.pk}/")
        told = client.get(f"/u/1{CLIENT}?lean").json()
        assert told["active"] == session_of(ada).public_id
        assert told["urls"]["button"] == "/u/1/multisession/button/"
        client.post(f"/u/1{CLIENT}/sessions/{session_of(ada).public_id}/end")
        assert statuses(ada) == ["ended"]
        assert client.get(f"{CLIENT}?lean").json()["active"] == session_of(grace).public_id


#: What a request says of where it comes from -> whether it is read, and whether it may change.
ORIGINS = {
    "this origin": (HERE, True, True),
    "this origin, by an old browser": ({"Origin": "http://testserver"}, True, True),
    "this origin, by its metadata": ({"Sec-Fetch-Site": "same-origin"}, True, True),
    "nothing at all": ({}, True, False),
    "another site": (
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        False,
        False,
    ),
    "a neighbour": (
        {"Sec-Fetch-Site": "same-site", "Origin": "http://blog.testserver"},
        False,
        False,
    ),
    "a trusted neighbour": ({"Origin": "http://trusted.testserver"}, False, False),
    "another port": ({"Origin": "http://testserver:8000"}, False, False),
    "an opaque origin": ({"Origin": "null"}, False, False),
    "an address typed in": ({"Sec-Fetch-Site": "none"}, False, False),
    "metadata and origin that differ": (
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        False,
        False,
    ),
    "a broken origin": ({"Origin": "http://[testserver"}, False, False),
}


class TestOrigins:
    @pytest.mark.parametrize(("headers", "reads", "changes"), ORIGINS.values(), ids=ORIGINS)
    def test_only_this_origin_reads_and_changes(
        self, headers, reads, changes, ada, grace, settings
    ):
        settings.CSRF_TRUSTED_ORIGINS = ["http://trusted.testserver"]
        browser = signed_in(ada, grace)
        for url in (CLIENT, f"{CLIENT}?lean", "/__clerk/v1/environment"):
            answer = ask(browser, url, headers=headers)
            assert (answer.status_code == 200) == reads
            assert reads or error_in(answer) == "origin_invalid"
        answer = ask(browser, of(browser, ada, "touch"), "post", headers)
        assert (answer.status_code == 200) == changes
        assert browser.who() == ("ada" if changes else "grace")

    def test_a_get_changes_nothing_whatever_it_says(self, ada):
        browser = signed_in(ada)
        answer = ask(browser, f"{CLIENT}/sessions?_method=DELETE")
        assert (answer.status_code, answer["Allow"]) == (405, "DELETE")
        assert browser.who() == "ada"


class TestVillains:
    @pytest.mark.parametrize("verb", ["touch", "end", "remove", "tokens"])
    def test_a_foreign_id_is_as_good_as_unknown(self, verb, ada, grace):
        browser = signed_in(ada)
        signed_in(grace)
        foreign = ask(browser, of(browser, grace, verb), "post")
        unknown = ask(browser, f"{CLIENT}/sessions/sess_none/{verb}", "post")
        assert foreign.status_code == unknown.status_code == 404
        assert error_in(foreign) == error_in(unknown) == "resource_not_found"
        assert statuses(grace) == ["active"]
        assert browser.who() == "ada"

    def test_another_users_device_is_not_signed_out(self, ada, grace):
        browser = signed_in(ada)
        signed_in(grace)
        url = f"/__clerk/v1/me/sessions/{session_of(grace).public_id}/revoke"
        assert ask(browser, url, "post").status_code == 404
        assert statuses(grace) == ["active"]

    def test_an_account_that_is_signed_out_has_to_sign_in_again(self, ada, grace):
        browser = signed_in(ada, grace)
        browser.verb("sign_out", browser.id_of(ada))
        answer = ask(browser, of(browser, ada, "touch"), "post")
        assert (answer.status_code, error_in(answer)) == (401, "session_ended")
        assert browser.who() == "grace"

    def test_nobody_has_no_devices(self):
        answer = ask(Browser(), "/__clerk/v1/me/sessions/active")
        assert (answer.status_code, error_in(answer)) == (401, "signed_out")

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({"data": {"intent": "steal"}}, 422, "form_param_value_invalid"),
            (
                {"data": "{", "content_type": "application/json"},
                400,
                "malformed_request_parameters",
            ),
            (
                {"data": "[1]", "content_type": "application/json"},
                400,
                "malformed_request_parameters",
            ),
            (
                {"data": '{"intent": {}}', "content_type": "application/json"},
                400,
                "malformed_request_parameters",
            ),
            (
                {"data": b"intent=\xff", "content_type": "application/x-www-form-urlencoded"},
                400,
                "malformed_request_parameters",
            ),
            ({"data": {"intent": "x" * 5000}}, 413, "request_body_too_large"),
            (
                {"data": "intent=focus", "content_type": "text/plain"},
                415,
                "unsupported_content_type",
            ),
            (
                {
                    "data": "&".join(f"a{n}=" for n in range(1200))[:4000],
                    "content_type": "application/x-www-form-urlencoded",
                },
                400,
                "malformed_request_parameters",
            ),
        ],
        ids=[
            "intent",
            "no json",
            "a list",
            "no string",
            "no utf-8",
            "large",
            "text",
            "many fields",
        ],
    )
    def test_a_bad_body_is_refused_and_changes_nothing(
        self, body, status, code, ada, grace, settings
    ):
        settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 100
        browser = signed_in(ada, grace)
        answer = ask(browser, of(browser, ada, "touch"), "post", **body)
        assert (answer.status_code, error_in(answer)) == (status, code)
        assert browser.who() == "grace"

    @pytest.mark.parametrize("url", ["/__clerk/v1/", "/__clerk/v1/sign_ins", "/__clerk/v1/a/b/c"])
    def test_another_path_is_an_error_in_the_same_shape(self, url):
        assert error_in(ask(Browser(), url)) == "resource_not_found"

    @pytest.mark.parametrize("method", ["get", "put", "delete"])
    def test_a_wrong_method_says_which_is_right(self, method, ada):
        browser = signed_in(ada)
        answer = ask(browser, of(browser, ada, "touch"), method)
        assert (answer.status_code, error_in(answer), answer["Allow"]) == (
            405,
            "method_not_allowed",
            "POST",
        )

    def test_a_refusing_receiver_is_an_error_and_changes_nothing(self, ada, grace):
        browser = signed_in(ada, grace)

        def refuse(**kwargs):
            raise PermissionDenied

        with listening(signals.active_session_changing, refuse):
            answer = ask(browser, of(browser, ada, "touch"), "post")
        assert (answer.status_code, error_in(answer)) == (403, "authorization_invalid")
        assert browser.who() == "grace"

    def test_who_changes_too_often_has_to_wait(self, ada, grace, monkeypatch):
        monkeypatch.setattr(views, "MOST_CHANGES", 2)
        browser, other = signed_in(ada, grace), signed_in(ada)
        url = f"{CLIENT}/sessions/{browser.id_of(grace)}/touch"
        answers = [ask(browser, url, "post").status_code for _ in range(3)]
        assert answers == [200, 200, 429]
        assert ask(browser).status_code == 200
        theirs = f"{CLIENT}/sessions/{other.id_of(ada)}/touch"
        assert ask(other, theirs, "post").status_code == 200

    def test_the_jwt_opens_nothing(self, ada):
        browser = signed_in(ada)
        jwt = ask(browser, of(browser, ada, "tokens"), "post").json()["jwt"]
        header, claims, _signature = jwt.split(".")
        assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "none", "typ": "JWT"}
        assert json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"] == f"user_{ada.pk}"
        stranger = django.test.Client(headers={"Authorization": f"Bearer {jwt}", **HERE})
        assert stranger.get("/v1/sessions").status_code == 401
        assert stranger.get(f"{CLIENT}?lean").json()["sessions"] == []
        stranger.cookies["sessionid"] = stranger.cookies["__session"] = jwt
        assert stranger.get(f"{CLIENT}?lean").json()["sessions"] == []
        assert stranger.get("/who/").json()["user"] == NOBODY


class TestChecks:
    def test_trusted_origins_that_are_refused_here_are_named(self, settings):
        settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.com"]
        [found] = [each for each in run_checks() if each.id == "multisession.W016"]
        assert "https://*.example.com" in found.msg

    @pytest.mark.urls("multisession.urls")
    def test_a_project_that_has_not_included_it_is_not_warned(self, settings):
        settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.com"]
        assert [each for each in run_checks() if each.id == "multisession.W016"] == []


class TestScript:
    def test_the_classic_script_is_the_module(self):
        module = client_script.MODULE.read_text()
        assert client_script.CLASSIC.read_text() == client_script.classic(module), (
            "run: python -m tools.client_script"
        )

    @pytest.mark.parametrize("script", [client_script.MODULE, client_script.CLASSIC])
    def test_a_script_costs_at_most_2000_bytes(self, script):
        assert len(gzip.compress(script.read_bytes(), 9)) <= 2000
