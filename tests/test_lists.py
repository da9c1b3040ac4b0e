"""``get_session_list()``, and the same lists in the HTTP API and the commands."""

import datetime
import json
import re
from io import StringIO
from itertools import product
from types import SimpleNamespace
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.core.management import call_command
from django.test import Client as Http
from django.test import RequestFactory

from accounts.models import User
from multisession.api import keys
from multisession.api.resources import session_resource
from multisession.lists import (
    InvalidParameter,
    aget_event_list,
    aget_session_list,
    get_event_list,
    get_session_list,
)
from multisession.models import Client, Event, Session

from .histories import History, make_history, status_now
from .stories import Browser, later, session_of, signed_in, with_engine_urls

pytestmark = with_engine_urls

STATUSES = ["abandoned", "active", "ended", "expired", "removed", "replaced", "revoked"]
HUGE = 10**30
HOSTILE = ["\0", "a\0b", "' OR 1=1 --", '"', "x" * 10_000, "\ud800", "٣", "1 ", "", "%00", "None"]


def each(*values: object) -> pytest.MarkDecorator:
    """One test for each value. It is numbered: some are too long for a name, or no text at all."""
    return pytest.mark.parametrize("value", values, ids=map(str, range(len(values))))


@pytest.fixture
def history(db) -> History:
    return make_history()


class TestWhatItReturns:
    def test_the_newest_first_and_how_many(self, ada):
        for _ in range(3):
            signed_in(ada)
        newest = list(Session.objects.order_by("-pk"))
        found = get_session_list(user_id=ada)
        assert found.data == newest
        assert found.total_count == 3
        page = get_session_list(user_id=ada, limit=1, offset=1)
        assert (page.data, page.total_count) == ([newest[1]], 3)

    def test_of_two_that_began_together_the_later_row_comes_first(self, ada):
        for _ in range(5):
            signed_in(ada)
        Session.objects.update(created_at="2024-01-08T18:43Z")
        keys_ = [session.pk for session in get_session_list(user_id=ada).data]
        assert keys_ == sorted(keys_, reverse=True)

    def test_a_user_may_be_said_in_every_way(self, ada, grace):
        signed_in(ada, grace)
        [session] = get_session_list(user_id=ada).data
        for same in (ada.pk, str(ada.pk), f"user_{ada.pk}", User.objects.get(pk=ada.pk)):
            assert get_session_list(user_id=same).data == [session]

    def test_a_client_may_be_said_in_both(self, ada, grace):
        signed_in(grace)
        signed_in(ada, grace)
        client = session_of(ada).client
        for same in (client, client.public_id):
            assert [s.user for s in get_session_list(client_id=same).data] == [grace, ada]
            both = get_session_list(client_id=same, user_id=ada)
            assert [s.user for s in both.data] == [ada]

    def test_a_visitors_session_is_not_in_the_list(self):
        Browser().put("cart")
        assert get_session_list(client_id=Client.objects.get()).total_count == 0

    def test_an_id_of_nobody_is_an_empty_list(self, ada):
        signed_in(ada)
        for nobody in ({"user_id": 0}, {"user_id": 2**63 - 1}, {"client_id": "client_123"}):
            found = get_session_list(**nobody)
            assert (found.data, found.total_count) == ([], 0)

    def test_an_offset_past_the_end_is_an_empty_page(self, ada):
        signed_in(ada)
        found = get_session_list(user_id=ada, offset=2**63 - 1)
        assert (found.data, found.total_count) == ([], 1)

    def test_two_statements_for_any_number(self, ada, django_assert_num_queries):
        for _ in range(4):
            signed_in(ada)
        with django_assert_num_queries(2):
            for session in get_session_list(user_id=ada, status="active").data:
                assert session.user.email
                assert session.client.public_id

    def test_the_async_twin_is_the_same(self, ada):
        signed_in(ada)
        found = async_to_sync(aget_session_list)(user_id=ada, status="active")
        assert found == get_session_list(user_id=ada)


class TestEvents:
    """``get_event_list()``: a user's history."""

    def test_a_user_and_a_cursor_may_be_said_in_every_way(self, ada, grace):
        signed_in(ada, grace)
        signed_in(ada)
        newest, oldest = Event.objects.filter(user_id=str(ada.pk)).order_by("-pk")
        for user in (ada, ada.pk, str(ada.pk), f"user_{ada.pk}"):
            found = get_event_list(user_id=user, limit=1)
            assert (found.data, found.older) == ([newest], f"event_{newest.pk}")
            for before in (newest, found.older):
                rest = get_event_list(user_id=user, limit=1, before=before)
                assert (rest.data, rest.older) == ([oldest], None)
        assert async_to_sync(aget_event_list)(user_id=ada) == get_event_list(user_id=ada)

    def test_a_user_is_required(self):
        with pytest.raises(InvalidParameter, match="Give user_id"):
            get_event_list()

    @each("ada", AnonymousUser(), True, *HOSTILE)
    def test_a_user_who_can_be_nobody_is_refused(self, ada, value):
        with pytest.raises(InvalidParameter, match="user_id"):
            get_event_list(user_id=value)

    @each(1, True, Event(), f"event_{HUGE}", *HOSTILE)
    def test_a_cursor_that_can_be_none_is_refused(self, ada, value):
        with pytest.raises(InvalidParameter, match="before"):
            get_event_list(user_id=ada, before=value)


class TestWhatItRefuses:
    def test_a_list_without_client_and_user_is_refused(self):
        with pytest.raises(InvalidParameter, match="client_id, user_id, or both"):
            get_session_list()

    @each(0, -1, 501, HUGE, 10**5000, "x", "10", 1.0, True, None)
    def test_a_limit_that_is_none(self, value):
        with pytest.raises(ValueError, match=r"^limit is .*; it must be .* from 1 to 500"):
            get_session_list(user_id=1, limit=value)

    @each(-1, HUGE, 2**63, "x", "0", 0.0, False, None)
    def test_an_offset_that_is_none(self, value):
        with pytest.raises(ValueError, match=r"^offset is .*; it must be .* from 0 to 9223372036"):
            get_session_list(user_id=1, offset=value)

    @each("pending", "ACTIVE", "", "active ", 1, [], *HOSTILE)
    def test_a_status_that_is_none_of_the_seven(self, value):
        with pytest.raises(ValueError, match=r"^status is") as refused:
            get_session_list(user_id=1, status=value)
        for status in STATUSES:
            assert repr(status) in str(refused.value)

    @each(
        *HOSTILE,
        "user_",
        "user_user_1",
        "abc",
        "01",
        "+1",
        "1_0",
        HUGE,
        -HUGE,
        str(HUGE),
        "9" * 5000,
        10**5000,
        2**63,
        1.5,
        True,
        b"1",
        [],
        AnonymousUser(),
        User(),
    )
    def test_an_id_that_no_user_can_have(self, value):
        with pytest.raises(ValueError, match=r"^user_id is .*user_1"):
            get_session_list(user_id=value)

    @each(*HOSTILE, 1, "sess_1", "client_", "client_é", Client())
    def test_an_id_that_no_client_can_have(self, value):
        with pytest.raises(ValueError, match=r"^client_id is .*client_2NxV"):
            get_session_list(client_id=value)

    def test_the_error_has_attributes_for_programs(self):
        with pytest.raises(InvalidParameter) as refused:
            get_session_list(user_id="x" * 10_000)
        assert refused.value.parameter == "user_id"
        assert len(str(refused.value)) < 300

    def test_a_wrong_value_costs_no_statement(self, db, django_assert_num_queries):
        with django_assert_num_queries(0), pytest.raises(InvalidParameter):
            get_session_list(user_id=1, limit=0)


class TestUsersWithOtherKeys:
    """The ids of a project whose users are not numbered."""

    @staticmethod
    def key(field, value):
        from multisession import lists

        field.set_attributes_from_name("id")
        model = type("Elsewhere", (), {"_meta": SimpleNamespace(pk=field)})
        model._meta.concrete_model = model
        with mock.patch.object(lists, "user_model", return_value=model):
            return lists.user_key(value)

    def test_a_user_key_may_be_a_uuid(self):
        import uuid

        from django.db.models import UUIDField

        one = uuid.UUID("12345678-1234-5678-1234-567812345678")
        for same in (one, str(one), f"user_{one}"):
            assert self.key(UUIDField(), same) == one
        for wrong in (one.hex, str(one).replace("-", "_"), "1", 1, "", *HOSTILE):
            with pytest.raises(InvalidParameter):
                self.key(UUIDField(), wrong)

    def test_a_user_key_may_be_a_text(self):
        from django.db.models import CharField

        assert self.key(CharField(max_length=20), "user_ada") == "ada"
        assert self.key(CharField(max_length=20), "user_user_1") == "user_1"
        for wrong in ("\0", "x" * 21, "", "user_", "\ud800"):
            with pytest.raises(InvalidParameter):
                self.key(CharField(max_length=20), wrong)


class TestTheBriefsSample:
    """Created on 2024-01-08; seven days to expire, thirty to be abandoned."""

    CREATED = 1704739414310
    EXPIRES = 1705344214310
    ABANDONED = 1707331414310

    @pytest.fixture
    def session(self, settings, ada) -> Session:
        settings.MULTISESSION = {"LIFETIME": 7 * 24 * 60 * 60}
        with self.at(self.CREATED):
            signed_in(ada)
        Session.objects.update(last_active_at=self.time(1705100946532))
        Session.objects.update(updated_at=self.time(1705101240159))
        return session_of(ada)

    @staticmethod
    def time(milliseconds: int) -> datetime.datetime:
        # A float would lose the milliseconds.
        seconds, rest = divmod(milliseconds, 1000)
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).replace(
            microsecond=rest * 1000
        )

    def at(self, milliseconds: int):
        return mock.patch("django.utils.timezone.now", return_value=self.time(milliseconds))

    def test_the_sample_list_is_what_clerk_shows(self, session, ada):
        with self.at(self.EXPIRES + 1):
            found = get_session_list(user_id=ada, status="expired")
            assert found.total_count == 1
            resource = session_resource(found.data[0])
        expected = {
            "object": "session",
            "id": session.public_id,
            "client_id": session.client.public_id,
            "user_id": f"user_{ada.pk}",
            "status": "expired",
            "last_active_at": 1705100946532,
            "expire_at": self.EXPIRES,
            "abandon_at": self.ABANDONED,
            "created_at": self.CREATED,
            "updated_at": 1705101240159,
        }
        assert expected.items() <= resource.items()

    def test_time_alone_moves_a_session_from_list_to_list(self, session, ada):
        for moment, status in [
            (self.CREATED, "active"),
            (self.EXPIRES - 1, "active"),
            (self.EXPIRES, "expired"),
            (self.ABANDONED - 1, "expired"),
            (self.ABANDONED, "abandoned"),
        ]:
            with self.at(moment):
                lists = {name: get_session_list(user_id=ada, status=name) for name in STATUSES}
            assert [name for name, found in lists.items() if found.data] == [status], moment


class Question(SimpleNamespace):
    """What each of the surfaces is asked, and the answer as ids and a number."""

    user: User | None
    client: Client | None
    status: str | None
    limit: int
    offset: int

    @property
    def parameters(self) -> dict:
        named = {
            "user_id": self.user and f"user_{self.user.pk}",
            "client_id": self.client and self.client.public_id,
            "status": self.status,
            "limit": self.limit,
            "offset": self.offset,
        }
        return {name: value for name, value in named.items() if value is not None}

    def by_the_book(self, history: History) -> tuple[list[str], int]:
        """From the rows, without any of the code that makes lists."""
        rows = [
            row
            for row in history.sessions
            if row.user is not None
            and (self.user is None or row.user == self.user)
            and (self.client is None or row.client == self.client)
            and (self.status is None or status_now(row) == self.status)
        ]
        rows.sort(key=lambda row: (row.created_at, row.pk), reverse=True)
        page = rows[self.offset : self.offset + self.limit]
        return [row.public_id for row in page], len(rows)

    def to_python(self) -> tuple[list[str], int]:
        found = get_session_list(**self.parameters)
        return [session.public_id for session in found.data], found.total_count

    def to_http(self, http: Http) -> tuple[list[str], int]:
        query = self.parameters | {"paginated": "true"}
        return self.read(http.get("/v1/sessions", query).json())

    def to_terminal(self) -> tuple[list[str], int]:
        out = StringIO()
        options = {name.removesuffix("_id"): value for name, value in self.parameters.items()}
        call_command("listsessions", json=True, stdout=out, **options)
        return self.read(json.loads(out.getvalue()))

    def to_admin(self, superuser: User) -> tuple[list[str], int]:
        """The rows of the admin's list with this filter, in the order of the others."""
        model_admin = admin.site.get_model_admin(Session)
        query = {"status": self.status} if self.status else {}
        request = RequestFactory().get("/admin/multisession/session/", query)
        request.user = superuser
        rows = model_admin.get_changelist_instance(request).get_queryset(request)
        if self.user:
            rows = rows.filter(user=self.user)
        if self.client:
            rows = rows.filter(client=self.client)
        ids = [row.public_id for row in rows.order_by("-created_at", "-pk")]
        return ids[self.offset : self.offset + self.limit], len(ids)

    def to_person(self) -> list[str]:
        """What the page *Devices* names beside the browser that it is read on.

        For a question about the active sessions of one user. In the order of the others; its own
        is by last use.
        """
        page = Http()
        page.force_login(self.user)
        own = Session.objects.latest("pk")
        html = page.get("/multisession/sessions/").content.decode()
        ids = list(dict.fromkeys(re.findall(r"sess_[0-9A-Za-z]+", html)))
        assert own.public_id in ids
        Session.objects.filter(pk=own.pk).delete()
        named = Session.objects.filter(public_id__in=set(ids) - {own.public_id})
        assert named.count() == len(ids) - 1
        return [session.public_id for session in named.order_by("-created_at", "-pk")]

    def read(self, page: dict) -> tuple[list[str], int]:
        for session in page["data"]:
            assert self.status in (None, session["status"])
        return [session["id"] for session in page["data"]], page["total_count"]


@pytest.mark.urls("config.urls")
def test_every_surface_gives_the_same_answer(history):
    """All five of them, on 2000 sessions in all seven statuses; no job has marked what is over."""
    assert {status_now(session) for session in history.sessions} == set(STATUSES)
    superuser = User.objects.create_superuser("root@example.com")
    _, secret = keys.issue("comparison")
    http = Http(headers={"authorization": f"Bearer {secret}"})
    ada, grace = history.users[:2]
    firefox = history.clients[0]
    pages = [(10, 0), (7, 14), (500, 0), (500, 10_000)]
    questions = [
        Question(user=user, client=client, status=status, limit=limit, offset=offset)
        for (user, client), status, (limit, offset) in product(
            [(ada, None), (None, firefox), (grace, firefox)], [None, *STATUSES], pages
        )
    ]
    with later(seconds=0):  # the clock stands still while all of them are asked
        for question in questions:
            expected = question.by_the_book(history)
            assert question.to_python() == expected, question
            assert question.to_http(http) == expected, question
            assert question.to_terminal() == expected, question
            if question.limit == 500:
                assert question.to_admin(superuser) == expected, question
        # People see what is live of their own.
        for user in history.users:
            question = Question(user=user, client=None, status="active", limit=500, offset=0)
            expected, total = question.by_the_book(history)
            assert 0 < total == len(expected)
            assert question.to_person() == expected, question
