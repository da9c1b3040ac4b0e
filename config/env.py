"""Read settings from environment variables, strictly.

An invalid value raises an error at the start, instead of falling back to a default silently.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

FLAGS = {"1": True, "true": True, "yes": True, "on": True}
FLAGS |= {"": False, "0": False, "false": False, "no": False, "off": False}

ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "postgres": "django.db.backends.postgresql",
    "postgresql": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
    "mariadb": "django.db.backends.mysql",
}


def flag(name: str, *, default: bool = False) -> bool:
    """Return a boolean."""
    value = os.environ.get(name)
    if value is None:
        return default
    try:
        return FLAGS[value.strip().lower()]
    except KeyError:
        answers = ", ".join(filter(None, FLAGS))
        raise ImproperlyConfigured(
            f"{name}={value!r} is neither yes nor no; write one of: {answers}."
        ) from None


def text(name: str, *, default: str = "") -> str:
    """Return the value unchanged."""
    return os.environ.get(name, default)


def number(name: str, *, default: int) -> int:
    """Return a whole number, zero or greater."""
    value = os.environ.get(name, str(default)).strip()
    if not (value.isascii() and value.isdigit()):
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number.")
    return int(value)


def items(name: str, *, default: str = "") -> list[str]:
    """Return the items of a comma-separated list."""
    return [item.strip() for item in os.environ.get(name, default).split(",") if item.strip()]


def database(name: str, *, default: str, base_dir: Path) -> dict[str, Any]:
    """Return the entry of DATABASES for a URL like ``postgres://user:secret@host/name``.

    The query string becomes OPTIONS for the driver; there, 3 is a number and ``true`` is True. The
    variable CONN_MAX_AGE sets how many seconds a connection is kept
    (docs/explanation/performance.md).
    """
    url = urlsplit(os.environ.get(name) or default)
    try:
        engine = ENGINES[url.scheme]
    except KeyError:
        raise ImproperlyConfigured(
            f"{name} begins with {url.scheme!r}; it must be one of: {', '.join(ENGINES)}."
        ) from None
    if url.scheme == "sqlite":
        return _sqlite(url, engine, base_dir)
    if url.scheme in {"mysql", "mariadb"}:
        _accept_pymysql()
    options = {key: _typed(value) for key, value in parse_qsl(url.query)}
    return {
        "ENGINE": engine,
        "NAME": unquote(url.path.removeprefix("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        # A URL can't have a socket folder as its host, so ?host= works as in libpq.
        "HOST": options.pop("host", None) or url.hostname or "",
        "PORT": str(url.port or ""),
        "CONN_MAX_AGE": number("CONN_MAX_AGE", default=60),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


def _sqlite(url: SplitResult, engine: str, base_dir: Path) -> dict[str, Any]:
    path = unquote(url.path.removeprefix("/"))
    return {
        "ENGINE": engine,
        # A relative path is relative to the project, not to the working directory.
        "NAME": path if path == ":memory:" else base_dir / path,
        "OPTIONS": {
            # Take the write lock at the start of a transaction. One that starts with a read can't
            # get it while another one writes, and fails at once with "database is locked".
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # Readers and the one writer do not wait for each other.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


def _typed(value: str) -> Any:
    """Return an option with the type that drivers expect."""
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    return int(value) if value.isascii() and value.isdigit() else value


def _accept_pymysql() -> None:
    """Use PyMySQL if mysqlclient is not installed."""
    try:
        import MySQLdb  # noqa: F401
    except ImportError:
        import pymysql

        pymysql.install_as_MySQLdb()
