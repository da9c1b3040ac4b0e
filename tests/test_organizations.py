"""The active organization of a session: each account of each browser has its own."""

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from multisession import organizations, signals
from multisession.models import Event, Session
from multisession.organizations import Organization
from multisession.test import set_active, sign_in
from tests.organization_urls import PROVIDER, join, leave
from tests.stories import COOKIE, listening, session_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.organization_urls")]


@pytest.fixture(autouse=True)
def provider(settings):
    settings.MULTISESSION = {**settings.MULTISESSION, **PROVIDER}


@pytest.fixture
def members(ada, grace):
    """Ada is in Acme and Globex, Grace in Acme alone."""
    join(ada, "acme", "globex")
    join(grace, "acme")


@pytest.fixture
def firefox(members, ada, grace):
    """Ada and Grace are signed in; Ada is active."""
    client = Client()
    sign_in(client, grace, ada)
    return client


def where(client, **query):
    return client.get("/where/", query_params=query).json()


def enter(client, to=None, **form):
    return client.post("/enter/", form if to is None else {"to": to, **form})


def statements(client, path):
    client.get(path)
    with CaptureQueriesContext(connection) as captured:
        client.get(path)
    return len(captured)


class TestInAnOrganization:
    def test_an_account_is_in_none_at_first(self, firefox):
        assert where(firefox, all=1)["in"] is None
        assert where(firefox, all=1)["all"] == ["acme", "globex"]

    def test_it_enters_one_and_stays_there(self, firefox, ada):
        assert enter(firefox, "acme").json() == {"user": ada.email, "in": "acme"}
        assert where(firefox)["in"] == "acme"
        assert enter(firefox, "globex").json()["in"] == "globex"
        assert enter(firefox, "").json()["in"] is None
        assert where(firefox)["in"] is None

    def test_the_cookie_does_not_change(self, firefox):
        cookie = firefox.cookies[COOKIE].value
        assert COOKIE not in enter(firefox, "acme").cookies
        assert firefox.cookies[COOKIE].value == cookie

    def test_each_account_and_each_browser_has_its_own(self, firefox, ada, grace):
        safari = Client()
        sign_in(safari, ada)
        enter(firefox, "acme")
        enter(safari, "globex")
        set_active(firefox, grace)
        assert where(firefox) == {"user": grace.email, "in": None}
        assert enter(firefox, "acme").json()["in"] == "acme"
        assert enter(firefox, "").json()["in"] is None
        set_active(firefox, ada)
        assert where(firefox) == {"user": ada.email, "in": "acme"}
        assert where(safari) == {"user": ada.email, "in": "globex"}

    def test_a_switch_may_name_an_organization_of_the_other_account(self, firefox, ada, grace):
        other = session_of(grace).public_id
        assert enter(firefox, "acme", session=other).json() == {"user": grace.email, "in": "acme"}
        back = session_of(ada).public_id
        assert enter(firefox, session=back).json() == {"user": ada.email, "in": None}

    def test_a_page_of_nobody_has_none(self, members):
        assert where(Client(), all=1) == {"user": False, "in": None, "all": []}
        assert enter(Client(), "acme").status_code == 404

    def test_signing_in_again_keeps_it_and_a_new_session_is_in_none(self, firefox, ada):
        enter(firefox, "acme")
        sign_in(firefox, ada)
        assert where(firefox)["in"] == "acme"
        firefox.post("/multisession/sign-out/", {"session": session_of(ada).public_id})
        sign_in(firefox, ada)
        assert where(firefox)["in"] is None

    def test_without_a_provider_there_is_nothing(self, firefox, settings):
        enter(firefox, "acme")
        settings.MULTISESSION = {}
        assert where(firefox, all=1)["in"] is None
        assert where(firefox, all=1)["all"] == []
        assert enter(firefox, "acme").status_code == 404

    def test_coroutines_have_twins(self, members, ada):
        client = AsyncClient()
        sign_in(client, ada)

        async def ask(**query):
            return (await client.get("/awhere/", query_params=query)).json()

        assert async_to_sync(ask)(enter="acme")["in"] == "acme"
        found = async_to_sync(ask)()
        assert (found["in"], found["all"]) == ("acme", ["acme", "globex"])


class TestNobodyEntersWhereTheyDoNotBelong:
    @pytest.mark.parametrize("id", ["globex", "unknown", "ACME", "acme ", "acme\n", "a" * 65, "É"])
    def test_a_foreign_or_unknown_id_changes_nothing(self, firefox, grace, id):
        set_active(firefox, grace)
        enter(firefox, "acme")
        assert enter(firefox, id).status_code == 404
        assert where(firefox) == {"user": grace.email, "in": "acme"}

    def test_a_switch_with_a_foreign_organization_changes_nothing(self, firefox, ada, grace):
        response = enter(firefox, "globex", session=session_of(grace).public_id)
        assert response.status_code == 404
        assert where(firefox)["user"] == ada.email

    def test_whoever_lost_membership_is_in_none_at_once(self, firefox, ada):
        enter(firefox, "acme")
        leave(ada, "acme")
        assert where(firefox) == {"user": ada.email, "in": None}
        join(ada, "acme")
        assert where(firefox)["in"] == "acme"
        leave(ada, "acme")
        assert enter(firefox, "").json()["in"] is None
        join(ada, "acme")
        assert where(firefox)["in"] is None

    def test_a_provider_that_answers_with_another_one_is_not_believed(self, firefox, monkeypatch):
        answer = Organization(id="globex", name="Globex")
        monkeypatch.setattr("tests.organization_urls.Groups.get", lambda self, user, id: answer)
        assert enter(firefox, "acme").status_code == 404
        assert enter(firefox, "globex").status_code == 200

    def test_a_receiver_may_refuse(self, firefox):
        heard = []

        def refuse(request, session, entering, **kwargs):
            heard.append((session.user.email, entering and entering.id))
            raise PermissionDenied

        with listening(signals.active_organization_changing, refuse):
            assert enter(firefox, "acme").status_code == 403
        assert heard == [("ada@example.com", "acme")]
        assert where(firefox)["in"] is None
        assert not Event.objects.filter(kind="organization").exists()

    def test_a_session_that_was_revoked_meanwhile_enters_nothing(self, firefox, ada):
        def revoke(session, **kwargs):
            Session.objects.get(pk=session.pk).revoke()

        with listening(signals.active_organization_changing, revoke):
            assert enter(firefox, "acme").status_code == 503
        assert session_of(ada).organization == ""

    def test_ids_need_no_quoting(self):
        for id in ("", "a b", "a:b", "é", "x" * 65, "a\n", 7):
            with pytest.raises(ValueError, match="Organization id"):
                Organization(id=id, name="Acme")

    def test_the_setting_must_name_a_provider(self, settings, ada):
        settings.MULTISESSION = {"ORGANIZATIONS": "accounts.models.Note"}
        with pytest.raises(ImproperlyConfigured, match="organizations_of"):
            organizations.listed(ada)


class TestWhatIsKnownOfIt:
    def test_the_audit_trail_names_it(self, firefox, ada):
        enter(firefox, "acme")
        enter(firefox, "acme")
        enter(firefox, "")
        told = Event.objects.filter(kind="organization").order_by("pk")
        assert [(event.account, event.organization, event.actor) for event in told] == [
            (ada.email, "acme", ada.email),
            (ada.email, "", ada.email),
        ]

    @pytest.mark.django_db(transaction=True)
    def test_receivers_hear_of_it_after_the_commit(self, firefox):
        heard = []

        def note(session, **kwargs):
            heard.append((session.organization, session_of(session.user).organization))

        with listening(signals.organization_activated, note):
            enter(firefox, "acme")
            enter(firefox, "acme")
        assert heard == [("acme", "acme")]


class TestCosts:
    def test_a_page_that_does_not_ask_costs_nothing_more(self, firefox):
        assert statements(firefox, "/plain/") == 1
        enter(firefox, "acme")
        assert statements(firefox, "/plain/") == 1

    def test_a_page_that_asks_costs_the_provider_one_question(self, firefox):
        assert statements(firefox, "/where/") == 1
        enter(firefox, "acme")
        assert statements(firefox, "/where/") == 2
        assert statements(firefox, "/where/?all=1") == 3

    def test_entering_an_organization_costs_at_most_seven_statements(
        self, firefox, django_assert_max_num_queries
    ):
        enter(firefox, "acme")
        with CaptureQueriesContext(connection) as captured:
            enter(firefox, "globex")
        verbs = [query["sql"].split()[0] for query in captured]
        verbs = [verb for verb in verbs if verb in ("SELECT", "UPDATE", "INSERT")]
        # The session, both organizations, the client's name for the event; the row; the event.
        assert verbs.count("UPDATE") == 1
        assert verbs.count("INSERT") == 1
        assert len(verbs) <= 7, captured.captured_queries


class TestAlsoInCaches:
    def test_a_cache_that_cannot_be_told_costs_the_cookie_a_new_value(self, firefox, monkeypatch):
        """A stale entry would go on showing the other organization."""
        monkeypatch.setattr("multisession.engine.steps.clients_changed", lambda *args: False)
        cookie = firefox.cookies[COOKIE].value
        assert enter(firefox, "acme").json()["in"] == "acme"
        assert firefox.cookies[COOKIE].value != cookie
        assert where(firefox)["in"] == "acme"
