"""Many requests of one browser at the same moment, on whatever database DATABASE_URL names.

Threads meet at barriers: either just before they send their request, or in the middle of it, when
each has read the session and the list of accounts and none has changed anything yet. After each
meeting the same invariants are checked (``Meeting.check``).

ROUNDS=n repeats each meeting n times with different users.
"""

from __future__ import annotations

import datetime
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth import login, logout, update_session_auth_hash
from django.contrib.sessions.backends.base import UpdateError
from django.core.management import call_command
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse
from django.test import Client as Browser
from django.urls import path
from django.utils import timezone

from accounts.models import User
from multisession import actions
from multisession.backends.db import SessionStore
from multisession.ground import tokens
from multisession.models import Client, Event, Session
from multisession.models.tallies import Tally
from multisession.models.tokens import Token

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.test_concurrency"),
]

BACKEND = "django.contrib.auth.backends.ModelBackend"
ROUNDS = int(os.environ.get("ROUNDS", "1"))
PATIENCE = 60  # Seconds until a deadlock that no database noticed counts as one.
CONFLICT = 409
DAY = datetime.timedelta(days=1)

Job = Callable[[HttpRequest], object]
Watch = Callable[[], object]

# --- What one request does ----------------------------------------------------------------


def add(user: User) -> Job:
    return lambda request: login(request, user, backend=BACKEND)


def switch(session: Session) -> Job:
    return lambda request: actions.set_active(request, session.public_id)


def sign_out(session: Session) -> Job:
    return lambda request: actions.sign_out(request, session.public_id)


def forget(session: Session) -> Job:
    return lambda request: actions.forget(request, session.public_id)


def sign_out_all(request: HttpRequest) -> None:
    actions.sign_out_all(request)


def django_logout(request: HttpRequest) -> None:
    logout(request)


def look(request: HttpRequest) -> None:
    request.user.is_authenticated  # noqa: B018
    request.multisession.sessions  # type: ignore[attr-defined]  # noqa: B018


def save(key: str) -> Job:
    def job(request: HttpRequest) -> None:
        request.session[key] = key

    return job


def change_password(user: User) -> Job:
    def job(request: HttpRequest) -> None:
        user.set_password("another")
        user.save(update_fields=["password"])
        update_session_auth_hash(request, user)

    return job


def view(request: HttpRequest) -> HttpResponse:
    """Read everything, meet the others, then act."""
    job: Job = request.META["test.job"]
    meet: Watch = request.META["test.meet"]
    look(request)
    meet()
    try:
        job(request)
    except UpdateError:
        if not job.__qualname__.startswith(("switch", "sign_out", "forget")):
            raise  # From login() or a write: nobody's view expects it there.
        return HttpResponse(status=CONFLICT)  # As the package's own views, which redirect.
    return HttpResponse()


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return HttpResponse(status=404)


urlpatterns = [path("", view)]
handler404 = not_found

# --- One meeting --------------------------------------------------------------------------


@dataclass
class Answer:
    """What came back for one request: a status, and perhaps a cookie."""

    status: int
    #: None: the answer said nothing of it; empty: it deleted it.
    cookie: str | None = None


def nothing() -> None:
    """Instead of a barrier, for those who do not wait."""


def ask(cookie: str | None, job: Job, *, meet: Watch = nothing) -> Answer:
    """One request with that cookie, through all of the middleware."""
    browser = Browser()
    if cookie:
        browser.cookies["sessionid"] = cookie
    response = browser.get("/", **{"test.job": job, "test.meet": meet})  # type: ignore[arg-type]
    sent = response.cookies.get("sessionid")
    return Answer(response.status_code, None if sent is None else sent.value)


def in_threads(*jobs: Watch) -> list[Any]:
    """Run each in a thread with a database connection of its own. An exception is a failure."""

    def run(job: Watch) -> object:
        try:
            return job()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(jobs)) as pool:
        running = [pool.submit(run, job) for job in jobs]
        return [one.result(PATIENCE) for one in running]


@dataclass
class Meeting:
    """A browser with some accounts, and what it does at once."""

    #: "arriving", "atomic": the barrier is before the request; "loaded": in its middle.
    moment: str
    cookie: str | None = None
    cookies: set[str] = field(default_factory=set)
    #: What each cookie has been seen to denote: never a second account.
    denoted: dict[str, Any] = field(default_factory=dict)

    def sign_in(self, *users: User) -> list[Session]:
        """One after the other, each answer received. Returns the sessions in that order."""
        for user in users:
            self.cookie = ask(self.cookie, add(user)).cookie
            assert self.cookie
            self.cookies.add(self.cookie)
            assert ask(self.cookie, look).status == 200
        client = self.client
        return [Session.objects.live().get(user=user, client=client) for user in users]

    @property
    def client(self) -> Any:
        return token_of(self.cookie).client

    def at_once(self, *jobs: Job, others: tuple[Watch, ...] = ()) -> list[Answer]:
        """Everybody sends the same cookie; ``others`` are not requests. Answers of the requests."""
        barrier = threading.Barrier(len(jobs) + len(others), timeout=PATIENCE)

        def request(job: Job) -> Watch:
            def run() -> Answer:
                connection.ensure_connection()
                if self.moment == "loaded":  # or else "arriving" or "atomic"
                    return ask(self.cookie, job, meet=barrier.wait)
                barrier.wait()
                return ask(self.cookie, job)

            return run

        def other(job: Watch) -> Watch:
            def run() -> object:
                connection.ensure_connection()
                barrier.wait()
                return job()

            return run

        done = in_threads(*map(request, jobs), *map(other, others))
        answers: list[Answer] = done[: len(jobs)]
        self.cookies |= {answer.cookie for answer in answers if answer.cookie}
        self.check()
        return answers

    def check(self) -> None:
        """What has to hold whoever came first."""
        live = Counter(Session.objects.live().accounts().values_list("client_id", "user_id"))
        assert not [pair for pair, count in live.items() if count > 1], "twice on one client"
        for cookie in self.cookies:
            token = find_token(cookie)
            if token is None or not token.is_living:
                continue
            session = token.live_session()
            if session is None:
                continue
            assert session.client_id == token.client_id
            assert self.denoted.setdefault(cookie, session.user_id) == session.user_id
        # Each browser goes on: whatever it got, its next page is a page.
        for cookie in self.cookies:
            assert ask(cookie, look).status == 200

    def user_of(self, cookie: str | None) -> Any:
        """Who the next page with this cookie is for."""
        assert cookie
        return SessionStore(cookie).get("_auth_user_id")


def find_token(cookie: str) -> Token | None:
    return (
        Token.objects.select_related("client", "session")
        .filter(digest=tokens.digest(cookie))
        .first()
    )


def token_of(cookie: str | None) -> Token:
    token = find_token(cookie or "")
    assert token is not None
    return token


@pytest.fixture(params=["arriving", "loaded", "atomic"])
def meeting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Meeting:
    """ "atomic": each view in a transaction of its own. (A barrier in it would hold up SQLite.)"""
    if request.param == "atomic":
        monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    return Meeting(request.param)


@pytest.fixture(params=range(ROUNDS), ids=lambda number: f"round{number + 1}")
def users(request: pytest.FixtureRequest) -> list[User]:
    return [
        User.objects.create_user(f"{name}{request.param}@example.com", "secret", name=name)
        for name in ("ada", "grace", "alan", "mary", "edith", "karen")
    ]


def statuses(answers: list[Answer]) -> set[int]:
    """Return the statuses of the answers.

    Under REPEATABLE READ and SERIALIZABLE the database refuses a change that met another one. Who
    was refused twice is told to try again, and nothing has been done.
    """
    found = {answer.status for answer in answers}
    return found - {503} if is_strict() else found


def is_strict() -> bool:
    """Return True if the connection's isolation level is stricter than Django's default."""
    level = connection.settings_dict["OPTIONS"].get("isolation_level", "read committed")
    return level not in ("read committed", 2)


# --- Adding -------------------------------------------------------------------------------


class TestAdding:
    def test_every_sign_in_that_was_answered_with_a_cookie_is_behind_it(self, meeting, users):
        meeting.sign_in(users[0])
        newcomers = users[1:]
        answers = meeting.at_once(*map(add, newcomers))
        assert statuses(answers) <= {200, 400}
        assert 200 in statuses(answers)
        for user, answer in zip(newcomers, answers, strict=True):
            if answer.status == 200:
                assert meeting.user_of(answer.cookie) == str(user.pk)
            else:
                assert answer.cookie is None
                assert not Session.objects.filter(user=user).exists()

    def test_the_account_that_was_there_stays_signed_in(self, meeting, users):
        (first,) = meeting.sign_in(users[0])
        meeting.at_once(*map(add, users[1:]))
        first.refresh_from_db()
        assert first.is_live

    def test_answers_that_cross_all_have_the_account_that_was_there(self, meeting, users):
        """One sign-in after the other, and the answer to the first is still under way."""
        meeting.sign_in(users[0])
        for user in users[1:]:
            answer = ask(meeting.cookie, add(user))
            meeting.cookies |= {answer.cookie}
            row = Token.objects.get(digest=tokens.digest(answer.cookie))
            there = Session.objects.live().visible_to(row).values_list("user", flat=True)
            assert sorted(there) == sorted([users[0].pk, user.pk])
        meeting.check()

    def test_the_same_account_many_times(self, meeting, users):
        meeting.sign_in(users[0])
        answers = meeting.at_once(*[add(users[1])] * 6)
        assert statuses(answers) == {200}
        # (Each sign-in replaces the one before, whose cookie shows nobody then.)
        shown = {meeting.user_of(a.cookie) for a in answers if a.cookie}
        assert shown <= {str(users[1].pk), None}
        assert str(users[1].pk) in shown

    def test_the_active_account_again_and_again(self, meeting, users):
        (first,) = meeting.sign_in(users[0])
        answers = meeting.at_once(*[add(users[0])] * 4)
        assert statuses(answers) <= {200, 400}
        assert [s.pk for s in Session.objects.live().filter(user=users[0])] == [first.pk]

    def test_an_account_that_is_there_already(self, meeting, users):
        first, second = meeting.sign_in(*users[:2])
        answers = meeting.at_once(*[add(users[0])] * 3, *[add(users[1])] * 3)
        assert statuses(answers) <= {200, 400}
        client = token_of(meeting.cookie).client
        assert Session.objects.live().filter(client=client, user=users[0]).count() <= 1
        first.refresh_from_db()
        assert first.is_live

    def test_first_sign_ins_of_an_unknown_browser(self, meeting, users):
        answers = meeting.at_once(*map(add, users))
        assert statuses(answers) == {200}
        for user, answer in zip(users, answers, strict=True):
            assert meeting.user_of(answer.cookie) == str(user.pk)

    def test_first_sign_ins_of_a_visitor_with_data(self, meeting, users):
        meeting.cookie = ask(None, save("basket")).cookie
        answers = meeting.at_once(*map(add, users))
        assert statuses(answers) <= {200, 400}
        assert 200 in statuses(answers)
        for user, answer in zip(users, answers, strict=True):
            if answer.cookie:
                assert meeting.user_of(answer.cookie) == str(user.pk)

    def test_one_signs_in_while_nobody_is_active(self, meeting, users):
        meeting.sign_in(*users[:2])
        meeting.cookie = ask(meeting.cookie, django_logout).cookie
        assert ask(meeting.cookie, look).status == 200
        answers = meeting.at_once(*map(add, users[1:5]))
        assert statuses(answers) <= {200, 400}
        assert 200 in statuses(answers)


# --- Changing and ending ------------------------------------------------------------------


class TestChanging:
    def test_switches_to_every_account(self, meeting, users):
        sessions = meeting.sign_in(*users)
        answers = meeting.at_once(*map(switch, sessions))
        assert statuses(answers) <= {200, CONFLICT}
        for session, answer in zip(sessions, answers, strict=True):
            if answer.cookie:
                denotes = token_of(answer.cookie).session
                assert denotes is not None
                assert denotes.pk == session.pk
            session.refresh_from_db()
            assert session.is_live

    def test_every_account_is_signed_out_of_at_once(self, meeting, users):
        sessions = meeting.sign_in(*users)
        answers = meeting.at_once(*map(sign_out, sessions))
        assert statuses(answers) <= {200, 404, CONFLICT}
        for session, answer in zip(sessions, answers, strict=True):
            session.refresh_from_db()
            assert session.is_live is (answer.status != 200)

    def test_one_account_is_signed_out_of_many_times(self, meeting, users):
        first, second, *rest = meeting.sign_in(*users[:3])
        answers = meeting.at_once(*[sign_out(first)] * 3, *[forget(second)] * 3)
        assert statuses(answers) <= {200, 404, CONFLICT}
        for session in (first, second):
            session.refresh_from_db()
            assert not session.is_live
        rest[0].refresh_from_db()
        assert rest[0].is_live

    def test_signing_out_of_all_while_others_go_on(self, meeting, users):
        sessions = meeting.sign_in(*users[:4])
        before = [session.pk for session in sessions]
        answers = meeting.at_once(
            sign_out_all,
            sign_out_all,
            add(users[4]),
            switch(sessions[0]),
            sign_out(sessions[1]),
            save("note"),
            django_logout,
        )
        assert statuses(answers) <= {200, 400, 404, CONFLICT}
        # Every account that the browser had has ended, for good.
        if meeting.moment == "loaded" or answers[0].status == 200:
            assert not Session.objects.live().filter(pk__in=before).exists()

    def test_a_revoked_session_never_comes_back(self, meeting, users):
        sessions = meeting.sign_in(*users[:4])
        victim = sessions[-1]  # the active one
        answers = meeting.at_once(
            add(users[4]),
            add(victim.user),
            switch(sessions[0]),
            save("note"),
            sign_out(sessions[1]),
            others=(lambda: actions.revoke(victim),),
        )
        assert statuses(answers) <= {200, 400, 404, CONFLICT}
        victim.refresh_from_db()
        assert not victim.is_live
        assert "note" not in victim.get_decoded()

    def test_all_sessions_of_a_user_are_revoked(self, meeting, users):
        sessions = meeting.sign_in(*users[:3])
        answers = meeting.at_once(
            save("note"),
            switch(sessions[0]),
            sign_out(sessions[1]),
            sign_out_all,
            others=(lambda: actions.revoke_all(sessions), lambda: actions.revoke_all(sessions)),
        )
        assert statuses(answers) <= {200, 400, 404, CONFLICT}
        assert not Session.objects.live().accounts().exists()

    def test_a_password_is_changed_while_others_go_on(self, meeting, users):
        sessions = meeting.sign_in(*users[:3])
        active = sessions[-1]
        answers = meeting.at_once(
            change_password(active.user), save("note"), switch(sessions[0]), add(users[3]), look
        )
        assert statuses(answers) <= {200, 400, 404, CONFLICT}

    def test_a_user_is_deleted_while_others_go_on(self, meeting, users):
        sessions = meeting.sign_in(*users[:3])
        gone = User.objects.get(pk=users[2].pk)
        answers = meeting.at_once(
            save("note"),
            switch(sessions[0]),
            add(users[3]),
            look,
            others=(gone.delete,),
        )
        assert statuses(answers) <= {200, 400, 404, CONFLICT}
        assert not Session.objects.filter(pk=sessions[2].pk).exists()

    def test_the_key_is_deleted_by_other_code(self, meeting, users):
        sessions = meeting.sign_in(*users[:3])
        answers = meeting.at_once(
            save("note"),
            switch(sessions[0]),
            add(users[3]),
            others=(lambda: SessionStore().delete(meeting.cookie),),
        )
        assert statuses(answers) <= {200, 400, 404, CONFLICT}

    def test_clearsessions_runs_while_others_go_on(self, meeting, users):
        sessions = meeting.sign_in(*users[:3])
        answers = meeting.at_once(
            save("note"),
            switch(sessions[0]),
            add(users[3]),
            look,
            others=(lambda: call_command("clearsessions"),) * 2,
        )
        assert statuses(answers) <= {200, 400, 409}
        assert Session.objects.live().filter(pk__in=[s.pk for s in sessions]).count() == 3

    def test_two_runs_of_clearsessions_count_each_sign_in_once(self, meeting, users):
        meeting.sign_in(*users[:3])
        Event.objects.update(at=timezone.now() - datetime.timedelta(hours=1))
        meeting.at_once(look, others=(lambda: call_command("clearsessions"),) * 2)
        found = Tally.objects.filter(what="signed-in", unit="day")
        assert [row.number for row in found] == [3]
        assert Tally.objects.filter(unit="mark", what="event").count() == 1

    @pytest.fixture
    def left_long_ago(self, meeting, users) -> Meeting:
        """A browser on which nobody has been signed in for so long that it is to be purged."""
        meeting.sign_in(users[0])
        Session.objects.all().delete()
        Client.objects.update(created_at=timezone.now() - datetime.timedelta(days=900))
        return meeting

    def test_somebody_comes_back_while_clearsessions_runs(self, left_long_ago, users):
        answers = left_long_ago.at_once(
            add(users[1]), look, others=(lambda: call_command("clearsessions"),)
        )
        assert statuses(answers) == {200}
        assert left_long_ago.user_of(answers[0].cookie) == str(users[1].pk)

    def test_somebody_comes_back_just_before_clearsessions(self, left_long_ago, users):
        def job(request: HttpRequest) -> None:
            call_command("clearsessions")
            add(users[1])(request)

        answer = ask(left_long_ago.cookie, job)
        assert not Client.objects.filter(created_at__lt=timezone.now() - DAY).exists()
        assert answer.status == 200
        assert left_long_ago.user_of(answer.cookie) == str(users[1].pk)

    def test_clearsessions_in_the_middle_of_a_sign_in_deletes_nothing_in_use(
        self, left_long_ago, users
    ):
        signing_in = threading.Event()

        def wait(execute: Any, sql: str, *args: Any) -> Any:
            done = execute(sql, *args)
            if sql.startswith("INSERT") and "multisession_session" in sql:
                signing_in.set()
                time.sleep(0.3)  # By then the other one waits for the client.
            return done

        def sign_in() -> Answer:
            with connection.execute_wrapper(wait):
                return ask(left_long_ago.cookie, add(users[1]))

        def purge() -> None:
            assert signing_in.wait(PATIENCE)
            call_command("clearsessions")

        answer, _ = in_threads(sign_in, purge)
        assert answer.status == 200
        assert left_long_ago.user_of(answer.cookie) == str(users[1].pk)


class TestTheMomentInWhichLoginMakesRoom:
    """login() as another user first flushes the session, and knows only then that it stays."""

    @pytest.fixture
    def in_between(self, monkeypatch):
        """Do this, from elsewhere, between login()'s flush and the new account."""
        waiting: list[Watch] = []
        flush = SessionStore.flush

        def then(self: SessionStore) -> None:
            flush(self)
            if waiting:
                in_threads(waiting.pop())

        monkeypatch.setattr(SessionStore, "flush", then)
        return waiting.append

    @pytest.fixture
    def meeting(self) -> Meeting:
        return Meeting("arriving")

    @pytest.mark.parametrize(
        "end",
        [
            lambda meeting, first: actions.revoke(first),
            lambda meeting, first: actions.revoke_all([first]),
            lambda meeting, first: first.end(),
            lambda meeting, first: first.remove(),
            lambda meeting, first: ask(meeting.cookie, sign_out_all),
            lambda meeting, first: SessionStore().delete(meeting.cookie),
            lambda meeting, first: Session.objects.filter(user=first.user).close("revoked"),
        ],
        ids=["revoke", "revoke_all", "end", "remove", "sign_out_all", "delete", "close"],
    )
    def test_an_end_in_between_is_an_end(self, meeting, users, in_between, end):
        (first,) = meeting.sign_in(users[0])
        in_between(lambda: end(meeting, first))
        answer = ask(meeting.cookie, add(users[1]))
        assert answer.status in {200, 400}
        first.refresh_from_db()
        assert not first.is_live
        assert not first.session_data

    def test_another_sign_in_in_between_ends_nobody(self, meeting, users, in_between):
        (first,) = meeting.sign_in(users[0])
        in_between(lambda: ask(meeting.cookie, add(users[2])))
        answer = ask(meeting.cookie, add(users[1]))
        assert meeting.user_of(answer.cookie) == str(users[1].pk)
        first.refresh_from_db()
        assert first.is_live
        assert Session.objects.live().filter(user=users[2]).count() == 1

    def test_the_same_account_in_between_is_not_there_twice(self, meeting, users, in_between):
        meeting.sign_in(users[0])
        in_between(lambda: ask(meeting.cookie, add(users[0])))
        answer = ask(meeting.cookie, add(users[1]))
        meeting.cookies |= {answer.cookie} - {None}
        meeting.check()


class TestTheNextAccount:
    """With AFTER_SIGN_OUT = "next" a mere page changes the active account."""

    @pytest.fixture(autouse=True)
    def _next(self, settings):
        settings.MULTISESSION = {"AFTER_SIGN_OUT": "next"}

    def test_many_pages_after_the_active_account_was_revoked(self, meeting, users):
        sessions = meeting.sign_in(*users[:3])
        actions.revoke(sessions[-1])
        answers = meeting.at_once(look, look, look, look, switch(sessions[0]))
        assert statuses(answers) <= {200, CONFLICT}
        assert Session.objects.live().filter(pk__in=[s.pk for s in sessions]).count() == 2
        for answer in answers:
            if answer.cookie:
                # (The browser's next page has chosen one of these cookies; the others are over.)
                assert meeting.user_of(answer.cookie) in {None, *(str(u.pk) for u in users[:2])}

    def test_many_pages_while_the_active_account_signs_out(self, meeting, users):
        sessions = meeting.sign_in(*users[:3])
        answers = meeting.at_once(django_logout, look, look, save("note"), add(users[3]))
        assert statuses(answers) == {200}
        for session in sessions:
            session.refresh_from_db()
        assert not sessions[2].is_live or meeting.moment != "loaded"
        written = [key for s in sessions[:2] for key in s.get_decoded() if key == "note"]
        # (What arrives when the next account is active already is written by that one.)
        assert not written or meeting.moment != "loaded"


# --- Writing ------------------------------------------------------------------------------


class TestWriting:
    def test_every_write_lands_in_the_account_of_its_page(self, meeting, users):
        sessions = meeting.sign_in(*users[:3])
        active = sessions[-1]
        answers = meeting.at_once(
            *[save(f"note{number}") for number in range(4)],
            switch(sessions[0]),
            switch(sessions[1]),
        )
        assert statuses(answers) == {200}
        written = {}
        for session in sessions:
            session.refresh_from_db()
            keys = [key for key in session.get_decoded() if key.startswith("note")]
            written[session.pk] = keys
        assert active.is_live
        if meeting.moment == "loaded":  # Each had read whom it is for before anybody switched.
            assert [written[session.pk] for session in sessions[:2]] == [[], []]

    def test_a_write_is_either_kept_or_refused(self, users):
        """One browser after the other: nothing that was answered with 200 is missing."""
        meetings = [Meeting("arriving") for _user in users]
        for one, user in zip(meetings, users, strict=True):
            one.sign_in(user)
        barrier = threading.Barrier(len(users), timeout=PATIENCE)

        def write(one: Meeting) -> Watch:
            def run() -> Answer:
                connection.ensure_connection()
                barrier.wait()
                for number in range(5):
                    answer = ask(one.cookie, save(f"note{number}"))
                    assert answer.status == 200
                return answer

            return run

        in_threads(*map(write, meetings))
        for one in meetings:
            assert [SessionStore(one.cookie).get(f"note{n}") for n in range(5)] == [
                f"note{n}" for n in range(5)
            ]

    def test_a_save_that_lost_its_session_is_answered(self, users):
        """Revoked, signed out, replaced or deleted between a request's read and its write."""
        ends: list[Callable[[Meeting, Session], object]] = [
            lambda one, session: actions.revoke(session),
            lambda one, session: ask(one.cookie, django_logout),
            lambda one, session: ask(one.cookie, sign_out_all),
            lambda one, session: SessionStore().delete(one.cookie),
            lambda one, session: session.user.delete(),
        ]
        for end, user in zip(ends, users, strict=False):
            one = Meeting("loaded")
            (session,) = one.sign_in(user)
            read, ended = threading.Event(), threading.Event()

            def meet(read: Any = read, ended: Any = ended) -> None:
                read.set()
                assert ended.wait(PATIENCE)

            def late(one: Meeting = one, meet: Watch = meet) -> Answer:
                return ask(one.cookie, save("note"), meet=meet)

            def finish(
                one: Meeting = one,
                session: Session = session,
                end: Any = end,
                read: Any = read,
                ended: Any = ended,
            ) -> None:
                assert read.wait(PATIENCE)
                end(one, session)
                ended.set()

            answer, _nothing = in_threads(late, finish)
            assert answer.status == 200  # what it did is done; its data is dropped
            assert answer.cookie is None
            one.check()

            store = SessionStore(one.cookie)
            assert "_auth_user_id" not in store

    def test_a_bare_store_drops_a_save_that_lost_its_session(self, users):
        one = Meeting("loaded")
        (session,) = one.sign_in(users[0])
        store = SessionStore(one.cookie)
        store["note"] = "late"
        (revoked,) = in_threads(lambda: actions.revoke(session))
        assert revoked
        store.save()
        session.refresh_from_db()
        assert session.status == Session.Status.REVOKED
