"""Measure the lists on PostgreSQL as the table grows: ``python benchmarks/lists.py``.

Makes a database on the server of DATABASE_URL (by default the local one), fills it, runs the lists
of administrators and people, and drops it again. Prints for each list its statements, the blocks
that they read (EXPLAIN, without the planner's own), and the time of the whole list; at the end, the
ratios between the largest and the smallest table.

``--largest 10000000`` adds a third size. The table is like that of a site after 90 days: sessions
expire after 7 days and are abandoned after 30; three in a hundred were revoked. The number of users
is the same at each size, so only the sessions grow.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
SIZES = [10_000, 1_000_000]
TARGET = 1.5
PER_USER = 20
REPEATS = 7
#: The sessions of the large revocation.
REVOKED = 20_000
#: Rows on a page. Few enough for the smallest table to fill it at 90 % depth with any filter.
PAGE = 25
NO_PASSWORD = "!"  # noqa: S105

#: Sessions from the oldest to the newest, spread over 90 days. ``n`` counts from 1 to ``size``.
FILL = """
INSERT INTO multisession_client (
    public_id, accounts, user_agent, visitor_csrf_digest, created_at, updated_at)
SELECT 'client_' || lpad(n::text, 27, '0'), 1,
       (ARRAY['Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36',
              'Mozilla/5.0 (Windows NT 10.0; rv:131.0) Gecko/20100101 Firefox/131.0',
              'Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130',
              'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Safari/604.1'
        ])[1 + n %% 4],
       '', now(), now()
FROM generate_series(1, %(size)s) n;

INSERT INTO multisession_session (
    public_id, client_id, user_id, number, status, forgotten, session_data, actor_id, organization,
    nickname, ip_address, browsers, created_at, updated_at, last_active_at, expire_at, abandon_at,
    expire_at_browser_close)
SELECT 'sess_' || lpad(n::text, 27, '0'), n,
       1 + (n * 7919::bigint) %% (%(size)s / %(per_user)s) * (%(users)s * %(per_user)s / %(size)s),
       1, CASE WHEN dice < 3 THEN 'revoked' WHEN dice < 20 THEN 'ended' ELSE 'active' END,
       false, %(data)s, '', '', '', '10.0.0.0'::inet + n / %(per_user)s, '',
       at, at, at + interval '1 day', at + interval '7 days', at + interval '30 days', false
FROM (
    SELECT n, abs(hashint8(n)::bigint) %% 100 AS dice,
           now() - interval '90 days' * (1 - n::float / %(size)s) AS at
    FROM generate_series(1, %(size)s) n
) rows ORDER BY n;

INSERT INTO multisession_event (
    kind, at, session_id, client_id, user_id, account, superuser, organization,
    actor_id, actor, ip_address, user_agent)
SELECT kind, created_at, public_id, 'client_' || lpad(client_id::text, 27, '0'), user_id::text,
       'person' || user_id || '@example.com', false, '', user_id::text, '', ip_address,
       (ARRAY['X11; Linux x86_64 Chrome/130.0 Safari/537.36', 'Windows NT 10.0 Firefox/131.0',
              'Windows NT 10.0 Edg/130.0', 'iPhone Safari/604.1'])[1 + client_id %% 4]
FROM (
    SELECT 'signed-in' AS kind, * FROM multisession_session
    UNION ALL SELECT status, * FROM multisession_session WHERE status <> 'active'
) happened ORDER BY created_at, kind DESC;
"""
USERS = """
INSERT INTO accounts_user (email, name, password, is_staff, is_active, is_superuser, date_joined)
SELECT 'person' || n || '@example.com', '', '!', false, true, false, now()
FROM generate_series(1, %(users)s) n
"""


@contextmanager
def scratch_database() -> Iterator[None]:
    """Make a database, and drop it at the end."""
    import psycopg
    from psycopg import sql

    given = os.environ.get("DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
    name = f"multisession_lists_{os.getpid()}"
    parts = urlsplit(given)
    with psycopg.connect(given.replace("postgres://", "postgresql://", 1), autocommit=True) as db:
        db.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            os.environ["DATABASE_URL"] = parts._replace(path=f"/{name}").geturl()
            yield
        finally:
            from django.db import connections

            connections.close_all()
            db.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def start_django() -> None:
    os.environ.setdefault("SECRET_KEY", "for-the-benchmark-only")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def fill(size: int, *, users: int) -> None:
    from django.db import connection

    with connection.cursor() as db:
        db.execute(
            "TRUNCATE multisession_tally, multisession_event, multisession_token,"
            " multisession_session, multisession_client, accounts_user RESTART IDENTITY CASCADE"
        )
        db.execute(USERS, {"users": users})
        for statement in FILL.split(";\n"):
            if statement.strip():
                given = {"size": size, "per_user": PER_USER, "users": users, "data": data()}
                db.execute(statement, given)
        db.execute("VACUUM ANALYZE")
        count_events()
        db.execute("VACUUM ANALYZE multisession_tally")


def count_events() -> None:
    """Make the sums of the pictures, as ``clearsessions`` does; nothing is deleted."""
    from multisession.models import Event
    from multisession.upkeep import counting, purge

    using = Event.objects.db
    counting.begin(using)
    for _done in purge._batches(purge._counting(counting.events(using)), purge.BATCH):
        pass
    counting.finish(using)


LEAVER = """
INSERT INTO multisession_client (
    public_id, accounts, user_agent, visitor_csrf_digest, created_at, updated_at)
SELECT 'client_leaver' || lpad(n::text, 21, '0'), 1, 'curl/8', '', now(), now()
FROM generate_series(1, %(revoked)s) n;

INSERT INTO multisession_session (
    public_id, client_id, user_id, number, status, forgotten, session_data, actor_id, organization,
    nickname, ip_address, browsers, created_at, updated_at, last_active_at, expire_at, abandon_at,
    expire_at_browser_close)
SELECT 'sess_leaver' || lpad(id::text, 21, '0'), id, 1, 1, 'active', false, %(data)s, '', '',
       '', '192.0.2.1', '', now(), now(), now(), now() + interval '7 days',
       now() + interval '30 days', false
FROM multisession_client WHERE public_id LIKE 'client_leaver%%'
"""


def revoke_many() -> tuple[int, int, float, int]:
    """Revoke ``REVOKED`` sessions of one user; return statements, blocks, ms and rows."""
    from django.db import connection

    from multisession import actions
    from multisession.models import Session

    with connection.cursor() as db:
        for statement in LEAVER.split(";\n"):
            db.execute(statement, {"revoked": REVOKED, "data": data()})
        db.execute("VACUUM ANALYZE multisession_session")
        db.execute("CHECKPOINT")
        found = Session.objects.filter(public_id__startswith="sess_leaver")
        before, began, asked = blocks_so_far(), time.perf_counter(), Counter()
        with connection.execute_wrapper(partial(_count, asked)):
            ended = sum(len(part) for part in actions.revoke_in_batches(found, by="benchmark"))
        spent = time.perf_counter() - began
        return asked["statements"], blocks_so_far() - before, spent * 1000, ended


def _count(asked: Counter[str], execute: Any, *given: Any) -> Any:
    asked["statements"] += 1
    return execute(*given)


def blocks_so_far() -> int:
    """Return the blocks that the tables and indexes of this database have read, from anywhere."""
    from django.db import connection

    with connection.cursor() as db:
        db.execute("SELECT pg_stat_force_next_flush()")
        db.execute(
            "SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()"
        )
        return int(db.fetchone()[0])


def data() -> str:
    """Return the data of an account's session. No user has a usable password."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, get_user_model

    from multisession.ground import serialization

    kept = {BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend"}
    kept[HASH_SESSION_KEY] = get_user_model()(password=NO_PASSWORD).get_session_auth_hash()
    return serialization.dumps(kept | {"padding": "x" * 200})


def questions(size: int) -> dict[str, Callable[[], list[Any]]]:
    """Return functions that read the lists as their pages do, by name."""
    from django.contrib import admin
    from django.contrib.auth import get_user_model
    from django.db.models import Count, Q
    from django.test import RequestFactory
    from django.utils import timezone

    from multisession.admin.lists import during
    from multisession.api.views import newest_clients
    from multisession.lists import get_session_list
    from multisession.models import Event, Session
    from multisession.pages import devices

    staff = get_user_model()(pk=0, is_staff=True, is_active=True)
    # A user from the middle who is signed in on two browsers at any size.
    users = Session.objects.filter(user_id__gte=size // PER_USER // 2).values("user_id")
    live = Count("pk", filter=Q(status="active", expire_at__gt=timezone.now()))
    revoked = Count("pk", filter=Q(status="revoked"))
    counted = users.annotate(live=live, revoked=revoked).filter(live=2, revoked=1)
    key = counted.order_by("user_id")[0]["user_id"]
    someone = Session.objects.live().filter(user_id=key).latest("pk")

    def page(model: Any = Session, **query: Any) -> Callable[[], list[Any]]:
        model_admin = admin.site.get_model_admin(model)
        model_admin.list_per_page = PAGE

        def read() -> list[Any]:
            request = RequestFactory().get("/admin/", query)
            request.user = staff
            shown: Any = model_admin.get_changelist_instance(request)
            shown.total()
            return list(shown.result_list)

        return read

    def deep(status: str, field: str) -> str:
        """Return the cursor at nine tenths of the rows with this status."""
        found = Session.objects.with_current_status(status).order_by(f"-{field}", "-pk")
        row = found[int(found.count() * 0.9)]
        return f"{row.pk}~{getattr(row, field).isoformat()}"

    def pictures() -> list[Any]:
        request = RequestFactory().get("/admin/")
        # Django's own pages ask for permissions too.
        request.user = get_user_model()(pk=0, is_staff=True, is_active=True, is_superuser=True)
        response: Any = admin.site.get_model_admin(Session).pictures(request)
        return list(response.context_data["charts"])

    long_ago = timezone.now() - datetime.timedelta(days=60)
    day, month = (during(long_ago, long_ago + datetime.timedelta(days=days)) for days in (1, 30))
    return {
        "first page": page(),
        "page at 90 % depth": page(before=size // 10),
        "revoked, first page": page(status="revoked"),
        "revoked, 90 % depth": page(status="revoked", before=size // 10),
        "active, first page": page(status="active"),
        "expired, first page": page(status="expired"),
        "expired, 90 % depth": page(status="expired", before=deep("expired", "expire_at")),
        "abandoned, first page": page(status="abandoned"),
        "abandoned, 90 % depth": page(status="abandoned", before=deep("abandoned", "abandon_at")),
        "with Edge": page(browser="Edge"),
        "oldest first": page(sort="oldest"),
        "expiring first": page(sort="expiring"),
        "signed in on one day": page(during=day),
        "signed in on one day, ended": page(during=day, status="ended"),
        "signed in since yesterday": page(since="1"),
        "one user's, for admins": page(user=someone.user_id),
        "one user's revoked": page(user=someone.user_id, status="revoked"),
        "search: e-mail": page(q=someone.user.email),
        "search: session": page(q=someone.public_id),
        "search: client": page(q=someone.client.public_id),
        "search: IP address": page(q=someone.ip_address),
        "one user's, for people": lambda: list(devices.elsewhere(someone)),
        "one user's, for programs": lambda: get_session_list(user_id=someone.user_id).data,
        "clients, for programs": lambda: list(newest_clients()[:10]),
        "trail, first page": page(Event),
        "trail, 90 % depth": page(Event, before=size // 10),
        "trail, revoked": page(Event, kind="revoked"),
        "trail, since yesterday": page(Event, since="1"),
        "trail of one user": page(Event, user=str(someone.user_id)),
        "trail, search: account": page(Event, q=someone.user.email),
        "trail, search: session": page(Event, q=someone.public_id),
        "trail, ends of one day": page(Event, kind="ends", during=day),
        "trail, revoked in one month": page(Event, kind="revoked", during=month),
        "pictures": pictures,
    }


def measure(read: Callable[[], list[Any]]) -> tuple[int, int, float, int]:
    """Return statements, blocks, milliseconds (the best of some) and rows."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    read()
    with CaptureQueriesContext(connection) as captured:
        rows = len(read())
    statements = [query["sql"] for query in captured]
    blocks = sum(blocks_of(statement) for statement in statements)
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        read()
        best = min(best, time.perf_counter() - began)
    return len(statements), blocks, best * 1000, rows


def blocks_of(statement: str) -> int:
    from django.db import connection

    with connection.cursor() as db:
        db.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}")
        plan = db.fetchone()[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def explain(statement: str) -> str:
    from django.db import connection

    with connection.cursor() as db:
        db.execute(f"EXPLAIN (ANALYZE, BUFFERS) {statement}")
        return "\n".join(row[0] for row in db.fetchall())


def show_plans(name: str, read: Callable[[], list[Any]]) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        read()
    for query in captured:
        say(f"\n-- {name}\n{query['sql'][:1500]}\n{explain(query['sql'])}")


def say(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--largest", type=int, help="one more size, such as 10000000")
    parser.add_argument("--plans", metavar="NAME", help="explain the lists with this in their name")
    chosen = parser.parse_args()
    sizes = sorted({*chosen.sizes, *([chosen.largest] if chosen.largest else [])})
    found: dict[str, dict[int, tuple[int, int, float, int]]] = {}
    with scratch_database():
        start_django()
        for size in sizes:
            fill(size, users=sizes[-1] // PER_USER)
            say(f"\n{size:,} sessions")
            say(f"{'':28}{'statements':>11}{'blocks':>9}{'ms':>9}{'rows':>6}")
            for name, read in questions(size).items():
                figures = measure(read)
                found.setdefault(name, {})[size] = figures
                say("{:28}{:>11}{:>9}{:>9.1f}{:>6}".format(name, *figures))
                if chosen.plans and chosen.plans in name:
                    show_plans(name, read)
            name = f"revoking {REVOKED:,}"
            found.setdefault(name, {})[size] = figures = revoke_many()
            say("{:28}{:>11}{:>9}{:>9.1f}{:>6}".format(name, *figures))
    say(f"\nBlocks, {sizes[-1]:,} sessions against {sizes[0]:,} (at most {TARGET})")
    too_much = []
    for name, by_size in found.items():
        growth = by_size[sizes[-1]][1] / max(by_size[sizes[0]][1], 1)
        if growth > TARGET:
            too_much.append(name)
        say(f"{name:28}{growth:>11.2f}{'  <-- too much' if growth > TARGET else ''}")
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main())
