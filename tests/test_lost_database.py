"""A revocation of many whose database is lost in the middle: whole batches have ended, and no half.

On PostgreSQL the server ends our connection, as in a restart or a failover. Elsewhere the driver's
error is raised in its place.
"""

import html
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import InterfaceError, OperationalError, connection, connections

from accounts.models import User
from multisession import actions
from multisession.models import Event, Session
from tests.stories import Browser, signed_in
from tests.test_admin_list import NOW, REVOKE, many

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.engine_urls")]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch) -> None:
    monkeypatch.setattr("multisession.actions.BATCH", 2)
    monkeypatch.setattr("multisession.admin.revoking.BATCHES", 3)


@pytest.fixture
def staff(db) -> User:
    user = User.objects.create_user("staff@example.com", is_staff=True)
    names = ["view_session", "revoke_session"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return user


@pytest.fixture
def office(staff) -> Browser:
    return signed_in(staff)


class Server:
    """The database server, which is lost once ``batches`` have been committed.

    "between": before the keys of the next batch are read. "within": when the next batch has ended
    its sessions and is about to write its events.
    """

    def __init__(self, place: str, batches: int) -> None:
        self.place, self.batches = place, batches
        self.written = 0
        self.is_lost = False

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        writes = sql.startswith("INSERT INTO") and "multisession_event" in sql
        reads = sql.startswith("SELECT") and not connection.in_atomic_block
        next_one = writes if self.place == "within" else reads and "multisession_session" in sql
        if not self.is_lost and next_one and self.written == self.batches:
            self.is_lost = True
            self._lose()
        self.written += writes
        return execute(sql, params, many, context)

    def _lose(self) -> None:
        if connection.vendor != "postgresql":
            raise OperationalError("disk I/O error")
        with closing(connections.create_connection("default")) as other, other.cursor() as cursor:
            pid = connection.connection.info.backend_pid
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            assert cursor.fetchone() == (True,)


@contextmanager
def lost(place: str, *, after: int) -> Iterator[None]:
    server = Server(place, after)
    with connection.execute_wrapper(server):
        yield
    assert server.is_lost
    connection.close_if_unusable_or_obsolete()


def revoked(user: User) -> int:
    """How many are revoked. Each has its event, and keeps no data."""
    found = Session.objects.filter(user=user, status="revoked")
    events = Event.objects.filter(kind="revoked").values_list("session_id", flat=True)
    assert sorted(events) == sorted(found.values_list("public_id", flat=True))
    return found.count()


def told(text: str) -> str:
    found = re.search(r'<p id="ms-revoked" role="status">([^<]*)</p>', text)
    return html.unescape(found[1]) if found else ""


def fields(text: str) -> dict[str, str]:
    """Return what the button *Continue* sends."""
    form = text.partition('id="ms-revoking"')[2].partition("</form>")[0]
    found = re.findall('name="([a-z]+)" value="([^"]*)"', form)
    return {name: html.unescape(value) for name, value in found if name != "csrfmiddlewaretoken"}


@pytest.mark.parametrize("place", ["between", "within"])
class TestRevokingMany:
    def test_the_page_says_how_far_it_came_and_goes_on_when_asked(self, office, ada, place):
        many(ada, 9)
        path = f"{REVOKE}?user={ada.pk}"
        with lost(place, after=2):
            response = office.post(path, NOW)
        text = response.content.decode()
        assert response.status_code == 503
        assert told(text) == "4 of 9 sessions revoked."
        assert "The database stopped answering." in text
        assert "data-multisession-revoking" not in text  # no script sends it by itself
        assert revoked(ada) == 4
        text = office.post(path, fields(text)).content.decode()
        assert told(text) == "9 sessions revoked."
        assert revoked(ada) == 9
        assert LogEntry.objects.count() == 9

    def test_it_goes_on_from_its_address_if_the_page_was_closed(self, office, ada, place):
        many(ada, 9)
        path = f"{REVOKE}?user={ada.pk}"
        with lost(place, after=1):
            office.post(path, NOW)
        assert "Revoke 7 sessions" in office.get(path).content.decode()
        assert revoked(ada) == 2

    def test_a_step_whose_answer_got_lost_counts(self, office, ada, place):
        many(ada, 13)
        path = f"{REVOKE}?user={ada.pk}"
        form = fields(office.post(path, NOW).content.decode())
        with lost(place, after=1):
            office.post(path, form)
        text = office.post(path, form).content.decode()
        assert told(text) == "13 sessions revoked."
        assert revoked(ada) == 13

    def test_the_next_step_may_fail_too_and_nothing_is_told_that_has_not_ended(
        self, office, ada, place
    ):
        many(ada, 9)
        path = f"{REVOKE}?user={ada.pk}"
        with lost(place, after=1):
            text = office.post(path, NOW).content.decode()
        with lost(place, after=1):
            text = office.post(path, fields(text)).content.decode()
        assert told(text) == "4 of 9 sessions revoked."
        assert revoked(ada) == 4

    def test_a_program_finds_whole_batches_ended_and_goes_on_with_the_same_call(self, ada, place):
        many(ada, 9)
        ended = []

        def revoke() -> None:
            sessions = Session.objects.filter(user=ada)
            for batch in actions.revoke_in_batches(sessions, by="nightly job"):
                ended.extend(batch)

        with lost(place, after=2), pytest.raises((OperationalError, InterfaceError)):
            revoke()
        assert len(ended) == revoked(ada) == 4
        revoke()
        assert len({session.pk for session in ended}) == revoked(ada) == 9
