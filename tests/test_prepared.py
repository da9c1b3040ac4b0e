"""``MULTISESSION["PREPARE"]``: PostgreSQL plans a page's statement once for each connection.

Each test runs outside a transaction, as a page does: inside one nothing is prepared.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from multisession.engine import prepared
from multisession.models import Session
from multisession.models.tokens import Token
from tests.stories import Browser, session_of, signed_in
from tests.test_quick import STORIES

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.engine_urls"),
    pytest.mark.skipif(
        connection.vendor != "postgresql" or prepared.reason_against(connection) is not None,
        reason="PostgreSQL prepares statements: make test-postgresql",
    ),
]


@pytest.fixture(autouse=True)
def on(settings) -> None:
    settings.MULTISESSION = {**settings.MULTISESSION, "PREPARE": True, "_QUICK": True}
    connection.close()  # What has been prepared before is gone.


@contextmanager
def somebody_else() -> Iterator[Any]:
    """Open a connection of its own. psycopg can't know there what this one does."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            yield cursor
    finally:
        other.close()


def statements() -> list[str]:
    """List what the server keeps for the connection of the pages."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [statement for (statement,) in cursor.fetchall()]


def is_prepared() -> bool:
    """Return whether the server keeps the page's statement. It keeps no other."""
    found = statements()
    assert all("multisession_token" in statement for statement in found)
    assert len(found) <= 1
    return bool(found)


def looked_at(browser: Browser) -> Browser:
    """Return the browser after so many pages that the statement is prepared."""
    for _ in range(3):
        browser.who()
    assert is_prepared()
    return browser


class TestTheSameAnswers:
    @pytest.mark.parametrize("name", STORIES)
    def test_pages_are_the_same_whatever_has_happened(self, settings, name, ada, grace):
        browser = STORIES[name].steps(ada, grace)
        browser.get("/list/")
        pages = {}
        for prepare in (False, True):
            settings.MULTISESSION = {**settings.MULTISESSION, "PREPARE": prepare}
            late = browser.late()
            pages[prepare] = [late.get(url).content for url in 3 * ["/who/", "/list/"]]
            assert late.cookie == browser.cookie
        assert pages[True] == pages[False]
        assert "garbage" in name or "cookie" in name or is_prepared()

    @pytest.mark.parametrize("zone", ["America/New_York", "UTC"])
    def test_times_are_in_the_projects_zone(self, settings, zone, ada):
        settings.TIME_ZONE = zone
        browser = signed_in(ada)
        moments = []
        for prepare in (False, True, True, True):
            settings.MULTISESSION = {**settings.MULTISESSION, "PREPARE": prepare}
            moments.append(browser.get("/who/").wsgi_request.user.date_joined)
        assert len({(moment, str(moment.tzinfo)) for moment in moments}) == 1

    def test_a_coroutine_shows_the_same_user(self, ada):
        browser = Browser(signed_in(ada).cookie, asynchronous=True)
        assert [browser.who() for _ in range(3)] == 3 * ["ada"]


class TestPrepared:
    def test_prepared_at_the_second_page_of_a_connection(self, ada):
        browser = signed_in(ada)
        connection.close()
        browser.who()
        assert not is_prepared()
        browser.who()
        assert is_prepared()

    def test_no_other_statement_is_prepared(self, ada):
        browser = looked_at(signed_in(ada))
        for _ in range(10):
            User.objects.count()
            browser.get("/list/")
        assert is_prepared()
        assert connection.connection.prepare_threshold is None

    def test_nothing_is_prepared_without_the_setting(self, settings, ada):
        settings.MULTISESSION = {**settings.MULTISESSION, "PREPARE": False}
        browser = signed_in(ada)
        for _ in range(5):
            browser.who()
        assert statements() == []

    def test_the_statement_is_counted_logged_and_wrapped(self, ada, caplog):
        browser = looked_at(signed_in(ada))
        seen = []

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            seen.append((sql, params))
            return execute(sql, params, many, context)

        with (
            caplog.at_level("DEBUG", "django.db.backends"),
            connection.execute_wrapper(note),
            CaptureQueriesContext(connection) as captured,
        ):
            assert browser.who() == "ada"
        assert len(captured) == len(seen) == len(caplog.records) == 1
        for sql in (captured[0]["sql"], seen[0][0], caplog.records[0].sql):
            assert sql.startswith('SELECT "multisession_token"')
        (digest,) = Token.objects.values_list("digest", flat=True)
        assert f"'{digest}'" in captured[0]["sql"]

    def test_an_error_leaves_the_connection_usable(self, ada):
        browser = looked_at(signed_in(ada))

        def broken(execute: Any, sql: str, *args: Any) -> Any:
            return execute(sql.replace("FROM", "FROM nowhere,"), *args)

        with connection.execute_wrapper(broken):
            assert browser.get("/who/").status_code == 500
        assert browser.who() == "ada"

    def test_nothing_is_prepared_in_a_transaction(self, ada):
        browser = signed_in(ada)
        connection.close()
        with transaction.atomic():
            for _ in range(5):
                assert browser.who() == "ada"
            assert statements() == []

    def test_nothing_is_prepared_where_server_side_cursors_are_disabled(self, monkeypatch, ada):
        browser = signed_in(ada)
        connection.close()
        monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
        for _ in range(5):
            assert browser.who() == "ada"
        assert statements() == []

    def test_nothing_is_prepared_with_psycopg2(self, monkeypatch, ada):
        browser = signed_in(ada)
        connection.close()
        monkeypatch.setattr(prepared, "_is_psycopg_3", lambda: False)
        for _ in range(5):
            assert browser.who() == "ada"
        assert statements() == []

    def test_cursors_of_the_projects_own_class_are_kept(self, monkeypatch, ada):
        from django.db.backends.postgresql.base import Cursor

        class Traced(Cursor):
            seen = 0

            def execute(self, *args: Any, **options: Any) -> Any:
                Traced.seen += 1
                return super().execute(*args, **options)

        browser = signed_in(ada)
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], "cursor_factory", Traced)
        connection.close()
        for _ in range(5):
            assert browser.who() == "ada"
        assert Traced.seen >= 5
        assert statements() == []

    def test_a_project_that_prepares_all_its_statements(self, monkeypatch, ada):
        options = {"server_side_binding": True, "prepare_threshold": 3}
        monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
        browser = signed_in(ada)
        connection.close()
        for _ in range(2):
            assert browser.who() == "ada"
        assert is_prepared()
        assert connection.connection.prepare_threshold == 3

    def test_a_health_check_is_not_prepared(self, monkeypatch, ada):
        browser = looked_at(signed_in(ada))
        checked = []
        usable = connection.is_usable
        monkeypatch.setattr(connection, "is_usable", lambda: checked.append(1) or usable())
        for _ in range(3):
            connection.close_if_unusable_or_obsolete()  # As Django does when a request begins.
            assert browser.who() == "ada"
        assert len(checked) == 3
        assert is_prepared()


class TestLost:
    """A page whose statement was lost is shown, and a later one prepares it again."""

    def test_shown_after_discard_all(self, ada, grace):
        browser = looked_at(signed_in(ada, grace))
        with connection.cursor() as cursor:
            cursor.execute("DISCARD ALL")
        assert statements() == []
        assert browser.who() == "grace"
        looked_at(browser)

    def test_shown_in_a_transaction_after_discard_all(self, ada):
        browser = looked_at(signed_in(ada))
        with connection.cursor() as cursor:
            cursor.execute("DISCARD ALL")
        with transaction.atomic():
            assert browser.who() == "ada"
        looked_at(browser)

    def test_shown_after_a_rollback(self, ada):
        browser = looked_at(signed_in(ada))
        with transaction.atomic():
            assert browser.who() == "ada"
            transaction.set_rollback(True)
        assert browser.who() == "ada"
        looked_at(browser)

    def test_shown_on_a_new_connection(self, ada):
        browser = looked_at(signed_in(ada))
        connection.close()
        assert browser.who() == "ada"
        looked_at(browser)

    def test_shown_when_the_name_is_taken(self, ada):
        """As by another process, through a pooler that has not said that it is there."""
        browser = signed_in(ada)
        connection.close()
        browser.who()
        with connection.cursor() as cursor:
            cursor.execute("PREPARE _pg3_0 AS SELECT 1")
        assert browser.who() == "ada"
        assert browser.who() == "ada"

    @pytest.mark.parametrize(
        ("change", "undo"),
        [
            ("ADD COLUMN nickname text NOT NULL DEFAULT ''", "DROP COLUMN nickname"),
            ("ALTER COLUMN name TYPE varchar(500)", "ALTER COLUMN name TYPE varchar(150)"),
            ("ALTER COLUMN name TYPE text", "ALTER COLUMN name TYPE varchar(150)"),
        ],
        ids=["a column more", "a longer one", "one of another type"],
    )
    def test_shown_after_a_migration(self, change, undo, ada):
        browser = looked_at(signed_in(ada))
        try:
            for command in (change, undo):
                with somebody_else() as cursor:
                    cursor.execute(f"ALTER TABLE accounts_user {command}")
                assert browser.who() == "ada"
                looked_at(browser)
        finally:
            with somebody_else() as cursor:
                cursor.execute("ALTER TABLE accounts_user DROP COLUMN IF EXISTS nickname")

    def test_shown_in_a_transaction_after_a_migration(self, ada):
        browser = looked_at(signed_in(ada))
        try:
            with somebody_else() as cursor:
                cursor.execute("ALTER TABLE accounts_user ALTER COLUMN name TYPE text")
            with transaction.atomic():
                assert browser.who() == "ada"
            looked_at(browser)
        finally:
            with somebody_else() as cursor:
                cursor.execute("ALTER TABLE accounts_user ALTER COLUMN name TYPE varchar(150)")

    def test_a_revocation_counts_at_the_next_page(self, ada):
        browser = looked_at(signed_in(ada))
        session_of(ada).revoke()
        assert browser.who() == ""
        assert Session.objects.get().status == "revoked"
