"""Run a story in a project with a replica: ``python -m tests.replicas``.

The lagging replica has the users but no sessions, until it catches up at the end. Prints
what each step showed, for each way to find a session: with and without the quick path, with the
cache engine, and in coroutines.
"""

import io
import json
import os
import re
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import django

WAYS: dict[str, dict[str, Any]] = {
    "quick": {},
    "ordinary": {"quick": False},
    "cached": {"engine": "multisession.backends.cached_db"},
    "asynchronous": {"asynchronous": True},
}
#: Seconds. A replica on this machine needs far less to catch up.
PATIENCE = 15


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.replicas.settings"
    os.environ["TZ"] = "UTC"
    django.setup()
    from django.core.management import call_command
    from django.test.utils import setup_test_environment

    setup_test_environment()
    call_command("migrate", verbosity=0)
    told = {way: tell(**options) for way, options in WAYS.items()}
    sys.stdout.write(json.dumps(told))


def tell(
    engine: str = "multisession.backends.db", quick: bool = True, asynchronous: bool = False
) -> dict[str, Any]:
    from django.conf import settings
    from django.db import connections
    from django.test import override_settings
    from django.test.utils import CaptureQueriesContext

    from accounts.models import User
    from multisession.models import Client, Event

    from .router import PrimaryReplicaRouter

    for model in (Event, Client, User):  # Its rows go with the client.
        model._base_manager.using("default").all().delete()
    names = ("ada", "grace", "alan", "joan", "mary")
    people = {name: User.objects.create_user(f"{name}@example.com", "secret") for name in names}
    ours = {**settings.MULTISESSION, "_QUICK": quick}
    changed = override_settings(SESSION_ENGINE=engine, MULTISESSION=ours)
    replica = Replica()
    replica.follow()
    replica.stand_still()
    PrimaryReplicaRouter.reads_replica = True
    try:
        with changed, CaptureQueriesContext(connections["replica"]) as asked:
            told = dict(steps(people, replica, asynchronous))
    finally:
        PrimaryReplicaRouter.reads_replica = False
        replica.close()
    statements = [found["sql"] for found in asked if found["sql"] != Replica.COUNT]
    tables = {name for sql in statements for name in re.findall(r'(?:FROM|JOIN) "(\w+)"', sql)}
    return {**told, "tables read from the replica": sorted(tables)}


def steps(
    people: dict[str, Any], replica: "Replica", asynchronous: bool
) -> Iterator[tuple[str, Any]]:
    from django.core.management import call_command
    from django.utils import timezone

    from accounts.models import User
    from multisession import actions, signals
    from multisession.lists import get_session_list
    from multisession.models import Session
    from tests.stories import Browser, session_of, shown_by, statuses

    ada, grace, alan, joan, mary = people.values()
    announced: list[str] = []

    def hear(signal: Any, **kwargs: Any) -> None:
        announced.extend(name for name, found in vars(signals).items() if found is signal)

    heard = [signals.session_created, signals.session_activated, signals.session_ended]
    for signal in heard:
        signal.connect(hear)

    def browser(*users: Any) -> Browser:
        made = Browser(asynchronous=asynchronous)
        for user in users:
            assert made.sign_in(user).status_code == 200
        return made

    firefox = Browser(asynchronous=asynchronous)

    def shows() -> list[Any]:
        return [firefox.who(), firefox.accounts()]

    def status_of(answer: Any) -> int:
        return int(answer.status_code)

    yield "a visitor", [status_of(firefox.put("cart", "book")), firefox.page()["data"]]
    yield "signed in", [status_of(firefox.sign_in(ada)), *shows()]
    yield "the cart came along", firefox.page()["data"]
    yield "sessions on the replica", replica.sessions()
    yield "added", [status_of(firefox.sign_in(grace)), *shows()]
    yield "the key alone", shown_by(firefox.cookie)
    yield "written", [status_of(firefox.put("colour", "red")), firefox.page()["data"]]
    yield "switched", [status_of(firefox.switch(ada)), *shows()]
    yield "signed in again", [status_of(firefox.sign_in(ada)), *shows()]
    yield "stepped aside", [status_of(firefox.verb("step_aside")), *shows()]
    yield "and back", [status_of(firefox.switch(ada)), *shows()]
    yield "touched", status_of(firefox.verb("touch"))
    yield "cycled", [status_of(firefox.post("/cycle-key/")), *shows()]
    yield (
        "signed out of another",
        [
            status_of(firefox.verb("sign_out", firefox.id_of(grace))),
            *shows(),
            firefox.listed()["signed_out"],
        ],
    )
    yield (
        "forgotten",
        [
            status_of(firefox.verb("forget", firefox.id_of(grace))),
            firefox.listed()["signed_out"],
        ],
    )
    firefox.sign_in(grace)
    yield "logout()", [status_of(firefox.sign_out()), *shows(), firefox.listed()["signed_out"]]
    yield "and in once more", [status_of(firefox.sign_in(grace)), *shows()]
    yield "flushed", [status_of(firefox.flush()), *shows()]
    yield "sign-out of all", [status_of(firefox.verb("sign_out_all")), *shows()]
    yield "announced", sorted(set(announced))
    for signal in heard:
        signal.disconnect(hear)

    def ends(user: Any, act: Callable[[], Any]) -> list[Any]:
        """Who a browser of this user shows before and after, and what became of the session."""
        theirs = browser(user)
        before = theirs.who()
        act()
        return [before, theirs.who(), statuses(user)[-1]]

    yield "revoked", ends(ada, lambda: session_of(ada).revoke())
    yield "revoked by name", ends(ada, lambda: actions.revoke(session_of(ada)))
    command = ["revokesessions", "--user", str(ada.pk), "--noinput"]
    in_terminal = ends(ada, lambda: call_command(*command, stdout=io.StringIO()))
    yield "revoked in the terminal", in_terminal
    there, here = browser(ada), browser(ada)
    if not asynchronous:
        yield (
            "a new password",
            [
                there.who(),
                status_of(here.post("/change-password/")),
                here.who(),
                there.who(),
            ],
        )
        # The replica has the old password, with which this account would be signed out.
        yield "and another account beside it", [status_of(here.sign_in(joan)), here.accounts()]

    def deactivate() -> None:
        user = User.objects.get(pk=alan.pk)
        user.is_active = False
        user.save()

    yield "deactivated", ends(alan, deactivate)
    joans = browser(joan)
    User.objects.filter(pk=joan.pk).update(is_active=False)
    marys = browser(mary)
    mary_pk = mary.pk
    yield "before the deletion", marys.who()
    User.objects.get(pk=mary_pk).delete()
    yield "deleted", [marys.who(), Session.objects.filter(user_id=mary_pk).count()]
    graces = browser(grace)
    yield "listed", get_session_list(user_id=f"user_{grace.pk}", status="active").total_count
    Session.objects.filter(user=grace).update(expire_at=timezone.now())
    yield "expired", [graces.who(), get_session_list(status="active", user_id=grace).total_count]
    call_command("clearsessions", stdout=io.StringIO())
    yield "purged", statuses(grace)[-1]

    if not asynchronous:  # These views have no twins.
        new = Browser()
        answer = new.post("/sign-up/edsger/")
        pages = ["/accounts/choose/", "/multisession/menu/"]
        yield "signed up", [status_of(answer), new.who()]
        yield "its pages", [status_of(new.get(page)) for page in pages]
        yield "read from there on", browser(grace).get("/read-from/").json()["databases"]
    last = browser(grace)
    replica.follow()
    yield "caught up", [replica.sessions() == Session.objects.count(), last.who(), joans.who()]


class Replica:
    """The replica of this project's primary, as the database makes one."""

    #: Asked for the story, not by the project.
    COUNT = "SELECT count(*) FROM multisession_session"

    def __init__(self) -> None:
        from django.conf import settings
        from django.db import connections

        self.lags = settings.LAGS
        self.primary, self.replica = connections["default"], connections["replica"]
        self.is_sqlite = self.primary.vendor == "sqlite"

    def follow(self) -> None:
        """Catch up with the primary."""
        if self.lags:
            (self._copy if self.is_sqlite else self._wait)()

    def stand_still(self) -> None:
        """Hear no more of the primary."""
        if self.lags and not self.is_sqlite:
            self._set_delay("10min")

    def sessions(self) -> int:
        """How many the replica knows."""
        with self.replica.cursor() as cursor:
            cursor.execute(self.COUNT)
            return int(cursor.fetchone()[0])

    def close(self) -> None:
        for connection in (self.primary, self.replica):
            connection.close()

    def _copy(self) -> None:
        """A snapshot in the place of the last one."""
        self.replica.close()
        path = os.environ["REPLICA_URL"].removeprefix("sqlite:///")
        source = sqlite3.connect(self.primary.settings_dict["NAME"])
        copy = sqlite3.connect(f"{path}.new")
        with copy:
            source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # Read-only, it can have no log beside it.
        copy.close()
        source.close()
        shutil.move(f"{path}.new", path)

    def _wait(self) -> None:
        self._set_delay("0")
        with self.primary.cursor() as cursor:
            cursor.execute("SELECT pg_current_wal_lsn()")
            (wanted,) = cursor.fetchone()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with self.replica.cursor() as cursor:
                cursor.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [wanted])
                if cursor.fetchone()[0]:
                    return
            time.sleep(0.02)
        raise AssertionError("the replica does not catch up")

    def _set_delay(self, delay: str) -> None:
        with self.replica.cursor() as cursor:
            cursor.execute(f"ALTER SYSTEM SET recovery_min_apply_delay = '{delay}'")
            cursor.execute("SELECT pg_reload_conf()")
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                cursor.execute("SELECT current_setting('recovery_min_apply_delay') = %s", [delay])
                if cursor.fetchone()[0]:
                    return
                time.sleep(0.02)
        raise AssertionError("the replica does not read its settings")


if __name__ == "__main__":
    main()
