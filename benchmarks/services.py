"""The benchmark's files, and the servers on this machine that it uses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tools.servers import answers, url_of

ROOT = Path(__file__).resolve().parent.parent
#: The folder of environments, databases and reports. Not under version control.
DATA = ROOT / ".bench"

#: A Redis database that is probably unused.
REDIS = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/13")

#: The most connections of a contender, so that a leak affects only itself.
CONNECTIONS = 60


def redis_answers() -> bool:
    return answers(urlsplit(REDIS).port or 6379)


def sqlite(names: list[str]) -> dict[str, str]:
    """Return a new database file for each."""
    DATA.mkdir(exist_ok=True)
    urls = {}
    for name in names:
        for path in DATA.glob(f"{slug(name)}.sqlite3*"):
            path.unlink()
        urls[name] = f"sqlite:///{slug(name)}.sqlite3"
    return urls


def connect(url: str) -> Any:
    import psycopg

    return psycopg.connect(url, autocommit=True)


@contextmanager
def postgresql(names: list[str]) -> Iterator[dict[str, str]]:
    """Make a database for each, and drop them at the end."""
    server = url_of("postgresql") or ""
    urls = {name: database(server, name) for name in names}
    with connect(urlsplit(server)._replace(path="/postgres").geturl()) as admin:
        try:
            for url in urls.values():
                drop(admin, url)
                admin.execute(f'CREATE DATABASE "{name_of(url)}" CONNECTION LIMIT {CONNECTIONS}')
            yield urls
        finally:
            for url in urls.values():
                drop(admin, url)


def drop(admin: Any, url: str) -> None:
    admin.execute(f'DROP DATABASE IF EXISTS "{name_of(url)}" WITH (FORCE)')


def name_of(url: str) -> str:
    return urlsplit(url).path[1:]


def database(server: str, name: str) -> str:
    return urlsplit(server)._replace(path=f"/bench_multisession_{slug(name)}").geturl()


def slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)
