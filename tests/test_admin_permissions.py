"""Who may open what in the admin, page by page, and whose names each reader may see."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern

from accounts.models import User
from multisession import actions
from multisession.admin.sessions import SessionAdmin
from multisession.models import Event, Session
from tests.stories import Browser, session_of, signed_in, statuses, with_engine_urls

pytestmark = with_engine_urls

SESSIONS = "/admin/multisession/session/"
EVENTS = "/admin/multisession/event/"
TIMELINE = f"{EVENTS}timeline/"
#: A confirmation that includes every session.
NOW = {"before": "9999-01-01T00:00:00+00:00"}

#: The permissions of each reader; "tenant" may do all, with the users of one domain.
READERS = {
    "nothing": (),
    "view": ("view_session",),
    "revoke": ("revoke_session",),
    "both": ("view_session", "revoke_session"),
    "trail": ("view_event",),
    "tenant": ("view_session", "revoke_session", "view_event"),
    "superuser": (),
}

#: Who may open each URL, by its name in the URLconf: for the sessions and for the trail.
#: "see": 200 for the row of an ordinary user. Others get 403.
MAY = {
    "session_changelist": {"view", "both", "tenant", "superuser"},
    "session_pictures": {"view", "both", "superuser"},  # not those of a narrowed list
    "session_export_csv": {"view", "both", "tenant", "superuser"},
    "session_export_json": {"view", "both", "tenant", "superuser"},
    "session_revoke": {"both", "tenant", "superuser"},
    "session_revoke_one": {"both", "tenant", "superuser"},
    "session_history": {"view", "both", "tenant", "superuser"},
    "session_change": {"view", "both", "tenant", "superuser"},
    "session_add": set(),
    "session_delete": set(),
    "event_changelist": {"trail", "tenant", "superuser"},
    "event_timeline": {"trail", "tenant", "superuser"},
    "event_history": {"trail", "tenant", "superuser"},
    "event_change": {"trail", "tenant", "superuser"},
    "event_add": set(),
    "event_delete": set(),
}


#: What one person did to another: who, to whom, and which readers ask for it by its actor and read
#: it. Ada and Grace are of the tenant, Eve is not, Root is a superuser.
ACTS = {
    ("grace", "ada"): {"trail", "tenant", "superuser"},
    ("grace", "eve"): {"trail", "superuser"},
    ("grace", "root"): {"superuser"},
    ("eve", "ada"): {"trail", "superuser"},
    ("eve", "grace"): {"trail", "superuser"},
    ("root", "ada"): {"superuser"},
    ("root", "eve"): {"superuser"},
}


class TenantAdmin(SessionAdmin):
    """All that a project writes for its tenants: here these are the domains of the addresses."""

    def get_queryset(self, request):
        domain = request.user.email.partition("@")[2]
        return super().get_queryset(request).filter(user__email__endswith=f"@{domain}")


@pytest.fixture
def tenants(monkeypatch) -> None:
    monkeypatch.setattr(admin.site._registry[Session], "__class__", TenantAdmin)


@pytest.fixture
def root(db) -> User:
    return User.objects.create_superuser("root@example.com", name="Root")


@pytest.fixture
def stranger(db) -> User:
    """A user of another tenant."""
    return User.objects.create_user("eve@elsewhere.test", name="Eve Elsewhere")


@pytest.fixture
def reader(request, db) -> User:
    name = request.param
    if name == "tenant":
        request.getfixturevalue("tenants")
    user = User.objects.create_user(
        f"{name}@example.com", is_staff=True, is_superuser=name == "superuser"
    )
    user.user_permissions.set(Permission.objects.filter(codename__in=READERS[name]))
    user.reads_as = name
    return user


def as_each(*names: str):
    return pytest.mark.parametrize("reader", names or READERS, indirect=True)


def urls() -> dict[str, str]:
    """Every URL of our two models in the admin: its name and its route, as Django has them."""
    found: dict[str, str] = {}
    for model in (Session, Event):
        for pattern in admin.site._registry[model].urls:
            if isinstance(pattern, URLPattern) and pattern.name:
                name = pattern.name.removeprefix("multisession_")
                found[name] = f"/admin/multisession/{model._meta.model_name}/{pattern.pattern}"
    return found


def text_of(response) -> str:
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return body.decode()


def test_the_table_names_every_url():
    assert urls().keys() == MAY.keys()


@as_each()
@pytest.mark.parametrize("name", MAY)
def test_each_page_opens_for_those_who_may(reader, name, ada):
    signed_in(ada)
    row = session_of(ada) if name.startswith("session") else Event.objects.get(account=ada.email)
    path = urls()[name].replace("<path:object_id>", str(row.pk))
    if name == "event_timeline":
        path += f"?user={ada.pk}"
    office = signed_in(reader)
    response = office.get(path)
    if reader.reads_as not in MAY[name]:
        assert response.status_code == 403
        assert office.post(path, NOW).status_code == 403
    elif name.endswith("history"):
        assert response["Location"] == path.replace("history", "change")
    else:
        assert response.status_code == 200
    assert statuses(ada) == ["active"]


@pytest.mark.parametrize("name", MAY)
def test_none_opens_for_visitors_and_for_people_who_are_no_staff(name, ada, grace):
    signed_in(ada)
    path = urls()[name].replace("<path:object_id>", str(session_of(ada).pk))
    for browser in (Browser(), signed_in(grace)):
        for response in (browser.get(path), browser.post(path)):
            assert response.status_code == 302
            assert response["Location"].startswith("/admin/login/")
    assert statuses(ada) == ["active"]


@as_each()
def test_the_action_revokes_for_those_who_may(reader, ada):
    signed_in(ada)
    office, key = signed_in(reader), session_of(ada).pk
    form = {"action": "revoke_selected", "_selected_action": [key]}
    response = office.post(SESSIONS, form)
    if response.status_code == 302 and "revoke" in response["Location"]:
        office.post(response["Location"], NOW)
    office.post(f"{SESSIONS}{key}/revoke/")
    may = reader.reads_as in MAY["session_revoke"]
    assert statuses(ada) == ["revoked" if may else "active"]


class TestWhatAPersonDidToOthers:
    """``?actor=`` reads no event outside the reader's own trail, and finds nobody by it."""

    @pytest.fixture
    def people(self, ada, grace, root, stranger) -> dict[str, User]:
        found = {"ada": ada, "grace": grace, "root": root, "eve": stranger}
        for actor, other in ACTS:
            signed_in(found[other])
            actions.revoke(session_of(found[other]), by=found[actor])
        return found

    @as_each()
    @pytest.mark.parametrize("path", [EVENTS, TIMELINE])
    @pytest.mark.parametrize("actor", ["grace", "eve", "root"])
    def test_each_reader_finds_the_acts_of_an_account_that_are_in_the_reader_s_trail(
        self, reader, people, actor, path
    ):
        response = signed_in(reader).get(path, {"actor": str(people[actor].pk)})
        if reader.reads_as not in MAY["event_timeline"]:
            assert response.status_code == 403
            return
        told = sorted(event.account for event in response.context["cl"].result_list)
        readable = [act for act, readers in ACTS.items() if reader.reads_as in readers]
        assert told == sorted(people[other].email for by, other in readable if by == actor)
        text = text_of(response)
        hidden = people.keys() - {name for act in readable for name in act}
        for name in hidden:
            assert people[name].email not in text
            assert session_of(people[name]).public_id not in text

    @as_each("tenant")
    @pytest.mark.parametrize("name", ["user", "session", "client", "q", "kind", "since", "before"])
    def test_no_second_filter_leads_a_tenant_s_staff_out_of_their_trail(self, reader, people, name):
        foreign = Event.objects.get(account="eve@elsewhere.test", actor="grace@example.com")
        values = {
            "user": foreign.user_id,
            "session": foreign.session_id,
            "client": foreign.client_id,
            "q": foreign.account,
            "kind": foreign.kind,
            "since": "1",
            "before": str(foreign.pk + 1),
        }
        office = signed_in(reader)
        for path in (EVENTS, TIMELINE):
            query = {"actor": foreign.actor_id, name: values[name]}
            found = office.get(path, query).context["cl"].result_list
            assert {event.account for event in found} <= {"ada@example.com"}

    @as_each("trail", "tenant")
    @pytest.mark.parametrize("spelling", ["{} ", "0{}", "+{}", "{}.0", "user_{}", "{}\x00"])
    def test_no_other_spelling_of_a_superuser_s_key_finds_the_acts(self, reader, people, spelling):
        key = spelling.format(people["root"].pk)
        office = signed_in(reader)
        for path in (EVENTS, TIMELINE):
            response = office.get(path, {"actor": key})
            assert list(response.context["cl"].result_list) == []
            assert "root@" not in text_of(response)


class TestNames:
    """A reader sees no name and no address of people outside the reader's own list."""

    @as_each("view", "both", "trail", "tenant")
    def test_a_filter_for_a_user_names_no_superuser(self, reader, root):
        signed_in(root)
        office = signed_in(reader)
        for path in (SESSIONS, EVENTS):
            response = office.get(path, {"user": str(root.pk)})
            assert "root@example.com" not in text_of(response)

    @as_each("view", "both", "trail")
    def test_a_filter_for_every_user_in_turn_names_nobody_who_has_no_sessions(self, reader, ada):
        office = signed_in(reader)
        for path in (SESSIONS, EVENTS):
            assert "ada@" not in text_of(office.get(path, {"user": str(ada.pk)}))

    @as_each("tenant")
    def test_a_tenant_s_staff_see_their_own_people_alone(self, reader, ada, stranger, root):
        for user in (ada, stranger, root):
            signed_in(user)
        office = signed_in(reader)
        hers, foreign = session_of(ada), session_of(stranger)
        event = Event.objects.get(account=stranger.email)
        pages = [
            (SESSIONS, {}),
            (SESSIONS, {"user": str(stranger.pk)}),
            (SESSIONS, {"q": "eve@"}),
            (SESSIONS, {"q": foreign.public_id}),
            (SESSIONS, {"client": foreign.client.public_id}),
            (f"{SESSIONS}export.csv", {}),
            (f"{SESSIONS}export.json", {"user": str(stranger.pk)}),
            (f"{SESSIONS}revoke/", {}),
            (f"{SESSIONS}revoke/", {"user": str(stranger.pk)}),
            (EVENTS, {}),
            (EVENTS, {"user": str(stranger.pk)}),
            (EVENTS, {"q": stranger.email + " "}),
            (EVENTS, {"session": foreign.public_id}),
            (TIMELINE, {"user": str(stranger.pk)}),
            (TIMELINE, {"client": foreign.client.public_id}),
            (TIMELINE, {"session": foreign.public_id}),
        ]
        for path, query in pages:
            text = text_of(office.get(path, query)).replace('value="eve@elsewhere.test "', "")
            for name in (stranger.name, "root@"):
                assert name not in text, path
            assert "eve@elsewhere" not in text or "q" in query, path
        for path in (f"{SESSIONS}{foreign.pk}/change/", f"{EVENTS}{event.pk}/change/"):
            assert office.get(path).status_code == 302
        assert office.post(f"{SESSIONS}{foreign.pk}/revoke/").status_code == 404
        assert "ada@example.com" in text_of(office.get(SESSIONS))
        assert "ada@example.com" in text_of(office.get(EVENTS))
        assert office.get(f"{SESSIONS}{hers.pk}/change/").status_code == 200

    @as_each("tenant")
    def test_a_tenant_s_staff_revoke_nobody_else_s_sessions(self, reader, ada, stranger):
        for user in (ada, stranger):
            signed_in(user)
        office, newest = signed_in(reader), session_of(stranger).pk
        form = {"action": "revoke_selected", "_selected_action": [newest], "select_across": "0"}
        office.post(SESSIONS, form)
        office.post(f"{SESSIONS}revoke/?selected={newest}", NOW)
        office.post(f"{SESSIONS}revoke/?user={stranger.pk}", NOW)
        assert statuses(ada) == ["active"]
        office.post(f"{SESSIONS}revoke/", NOW)
        assert (statuses(ada), statuses(stranger)) == (["revoked"], ["active"])

    @as_each("tenant")
    def test_a_tenant_s_numbers_count_its_own_people(self, reader, stranger, monkeypatch):
        for _ in range(3):
            signed_in(stranger)
        monkeypatch.setattr("multisession.admin.paging._believed_rows", lambda rows: 1_234_567)
        office = signed_in(reader)
        assert "1 session\n" in text_of(office.get(SESSIONS))
        assert "1 event\n" in text_of(office.get(EVENTS))

    @as_each("tenant")
    def test_a_search_does_not_count_other_tenants_people(self, reader):
        made = User.objects.bulk_create(User(email=f"many{n}@elsewhere.test") for n in range(51))
        for user in made:
            signed_in(user)
        office = signed_in(reader)
        assert "matching users" not in text_of(office.get(SESSIONS, {"q": "many"}))

    @as_each("view", "tenant")
    def test_who_did_it_is_named_to_those_who_may_see_that_account(self, reader, ada, grace, root):
        signed_in(ada, grace).switch(ada)
        actions.revoke(session_of(ada), by=root)
        office = signed_in(reader)
        path = f"{SESSIONS}{session_of(ada).pk}/change/"
        text = text_of(office.get(path))
        assert "Switched to (grace@example.com)" in text
        assert "Revoked (another account)" in text
        assert "root@" not in text
        assert "Revoked (root@example.com)" in text_of(signed_in(root).get(path))

    @as_each("trail", "tenant")
    def test_the_trail_names_no_superuser_as_the_one_who_did_it(self, reader, ada, root):
        signed_in(ada)
        actions.revoke(session_of(ada), by=root)
        office = signed_in(reader)
        event = Event.objects.get(kind="revoked")
        for path in (EVENTS, f"{EVENTS}{event.pk}/change/", f"{TIMELINE}?user={ada.pk}"):
            text = text_of(office.get(path))
            assert "ada@example.com" in text
            assert "another account" in text
            assert "root@" not in text
            assert f"user={root.pk}" not in text
            assert "root@example.com" in text_of(signed_in(root).get(path))

    @as_each("view")
    def test_without_a_trail_the_admin_s_log_names_no_superuser_either(
        self, reader, settings, ada, root
    ):
        settings.MULTISESSION = {"AUDIT": False}
        signed_in(ada)
        path = f"{SESSIONS}{session_of(ada).pk}"
        signed_in(root).post(f"{path}/revoke/")
        text = text_of(signed_in(reader).get(f"{path}/change/"))
        assert "Revoked (another account)" in text
        assert "root@" not in text
        assert "Revoked (root@example.com)" in text_of(signed_in(root).get(f"{path}/change/"))

    @as_each("trail", "tenant")
    def test_asking_whose_names_may_be_seen_costs_one_query_for_a_page(self, reader, ada, root):
        signed_in(ada)
        costs = []
        office = signed_in(reader)
        office.get(EVENTS)
        for count in (1, 20):
            helpers = User.objects.bulk_create(
                User(email=f"helper{count}-{n}@example.com") for n in range(count)
            )
            Event.objects.bulk_create(
                Event(
                    kind="revoked",
                    session_id=session_of(ada).public_id,
                    user_id=str(ada.pk),
                    account=ada.email,
                    actor_id=str(helper.pk),
                    actor=helper.email,
                )
                for helper in helpers
            )
            with CaptureQueriesContext(connection) as queries:
                office.get(EVENTS)
            costs.append(len(queries))
        assert costs[0] == costs[1] <= 9
