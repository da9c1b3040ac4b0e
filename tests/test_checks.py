"""System checks: each mistake has an id, and each says what to change."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.sessions import middleware as stock
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import run_checks
from django.db import connection, connections
from django.middleware.csrf import CsrfViewMiddleware

from multisession import middleware
from multisession.backends import db

OURS = "multisession.middleware.SessionMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
MESSAGES = "django.contrib.messages.middleware.MessageMiddleware"
STOCK = "django.contrib.sessions.middleware.SessionMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
COOKIES = "django.contrib.messages.storage.cookie.CookieStorage"
FALLBACK = "django.contrib.messages.storage.fallback.FallbackStorage"


class StockVariant(stock.SessionMiddleware):
    """A project's own variant of Django's session middleware."""


class OurVariant(middleware.SessionMiddleware):
    """A project's own variant of ours."""


class CsrfVariant(CsrfViewMiddleware):
    """A project's own variant of Django's CSRF middleware."""


class LocalCache(LocMemCache):
    """A cache of one process by another name."""


class Router:
    """Says where models are: ``found`` is the answer, or a function of the model."""

    found: Any = None

    def db_for_read(self, model: Any, **hints: Any) -> Any:
        return self.found(model) if callable(self.found) else self.found

    db_for_write = db_for_read


class SessionStore(db.SessionStore):
    """With it, ``SESSION_ENGINE`` can be this module: a project's own variant of the engine."""


@pytest.fixture
def told() -> list[Any]:
    """The messages of the last call of ``found()``."""
    return []


@pytest.fixture
def found(settings, told) -> Callable[..., list[str]]:
    """The ids that our checks find under these settings."""

    def check(*, deploy: bool = False, **changed: Any) -> list[str]:
        for name, value in changed.items():
            setattr(settings, name, value)
        messages = [
            message
            for message in run_checks(include_deployment_checks=deploy)
            if str(message.id).startswith("multisession.")
        ]
        told[:] = messages
        for message in messages:
            assert message.msg
            assert message.hint, f"{message.id} does not say what to change"
        return sorted(message.id.removeprefix("multisession.") for message in messages)

    return check


def found_in_a_process(**settings: Any) -> list[str]:
    """The ids that a small project's checks find, in a process that has loaded nothing else."""
    apps = ["django.contrib.auth", "django.contrib.contenttypes", "multisession"]
    settings |= {"SESSION_ENGINE": "multisession.backends.db", "INSTALLED_APPS": apps}
    program = (
        "import django; from django.conf import settings;"
        "from django.core.checks import run_checks;"
        f"settings.configure(**{settings!r}); django.setup();"
        "print(*[message.id for message in run_checks(tags=['compatibility'])])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return done.stdout.split()


def without(*paths: str) -> list[str]:
    return [path for path in django_settings.MIDDLEWARE if path not in paths]


def test_the_demo_is_installed_as_it_should_be(found):
    assert found() == []


@pytest.mark.parametrize(
    "engine",
    [
        "django.contrib.sessions.backends.db",
        "django.contrib.sessions.backends.signed_cookies",
        "does.not.exist",
    ],
)
def test_e001_another_engine(found, engine):
    assert found(SESSION_ENGINE=engine) == ["E001"]


def test_a_subclass_of_the_engine_is_ours(found):
    assert found(SESSION_ENGINE=__name__) == []


def test_e002_djangos_own_middleware(found):
    assert found(MIDDLEWARE=[STOCK, *without(OURS)]) == ["E002"]


@pytest.mark.parametrize("first", [True, False])
def test_e002_djangos_own_middleware_beside_ours(found, first):
    """The second of the two has the last word about the cookie, and the first about nothing."""
    both = [STOCK, OURS] if first else [OURS, STOCK]
    assert found(MIDDLEWARE=[*both, *without(OURS)]) == ["E002"]


def test_w007_no_session_middleware(found):
    assert found(MIDDLEWARE=without(OURS)) == ["W007"]


@pytest.mark.parametrize("path", [AUTH, MESSAGES, CSRF])
def test_e003_wrong_order(found, path):
    assert found(MIDDLEWARE=[path, *without(path)]) == ["E003"]


def test_e003_a_subclass_of_the_csrf_middleware_in_the_wrong_order(found):
    assert found(MIDDLEWARE=[f"{__name__}.CsrfVariant", *without(CSRF)]) == ["E003"]


def test_e003_says_what_to_move_below_what(found, told):
    found(MIDDLEWARE=[CSRF, f"{__name__}.OurVariant", *without(OURS, CSRF)])
    [message] = told
    assert CSRF in message.msg
    assert f"{__name__}.OurVariant" in message.hint


def test_e002_a_subclass_of_djangos_is_named_by_its_path(found, told):
    assert found(MIDDLEWARE=[f"{__name__}.StockVariant", *without(OURS)]) == ["E002"]
    assert f"{__name__}.StockVariant" in told[0].msg


@pytest.mark.parametrize("first", [True, False])
def test_e002_a_subclass_of_djangos_beside_ours(found, first):
    theirs = f"{__name__}.StockVariant"
    both = [theirs, OURS] if first else [OURS, theirs]
    assert found(MIDDLEWARE=[*both, *without(OURS)]) == ["E002"]


def test_a_subclass_of_ours_is_ours(found):
    assert found(MIDDLEWARE=[f"{__name__}.OurVariant", *without(OURS)]) == []


UPDATE, FETCH = (
    f"django.middleware.cache.{name}Middleware" for name in ("UpdateCache", "FetchFromCache")
)


def test_w008_pages_are_cached_before_they_vary(found):
    assert found(MIDDLEWARE=[*without(), UPDATE, FETCH]) == ["W008"]


def test_a_cache_for_the_site_as_django_asks_for_it(found):
    assert found(MIDDLEWARE=[UPDATE, *without(), FETCH]) == []


def test_a_middleware_that_cannot_be_imported_is_somebody_elses_mistake(found):
    assert found(MIDDLEWARE=["does.not.Exist", *without()]) == []


@pytest.mark.parametrize(
    "value",
    [{"AFTER_SIGNOUT": "next"}, {"AFTER_SIGN_OUT": "nxt"}, {"COOKIE_AGE": -1}, ["AFTER_SIGN_OUT"]],
)
def test_e004_settings_that_cannot_be(found, value):
    assert found(MULTISESSION=value) == ["E004"]


@pytest.mark.parametrize("key", ["USER_LABEL", "USER_PICTURE", "MENU_ITEMS", "CLIENT_ADDRESS"])
def test_e004_a_function_that_cannot_be_imported(found, key):
    assert found(MULTISESSION={key: "does.not.exist"}) == ["E004"]


@pytest.mark.parametrize("storage", [COOKIES, FALLBACK])
def test_w001_messages_that_follow_the_browser_from_account_to_account(found, storage):
    assert found(MESSAGE_STORAGE=storage) == ["W001"]


@pytest.fixture
def deferred() -> Iterator[dict[str, Any]]:
    """The settings of a SQLite database that begins its transactions in deferred mode."""
    if connection.vendor != "sqlite":
        pytest.skip("about SQLite")
    given = connection.settings_dict
    name, options = given["NAME"], given["OPTIONS"]
    given["OPTIONS"] = {key: options[key] for key in options if key != "transaction_mode"}
    yield given
    given["NAME"], given["OPTIONS"] = name, options


def test_w002_sqlite_in_deferred_mode(found, deferred):
    assert found() == ["W002"]


@pytest.mark.parametrize("mode", ["IMMEDIATE", "immediate", "EXCLUSIVE"])
def test_sqlite_that_takes_its_lock_early(found, deferred, mode):
    deferred["OPTIONS"]["transaction_mode"] = mode
    assert found() == []


@pytest.mark.parametrize(
    "name",
    [
        ":memory:",
        "file::memory:?cache=shared",
        "file:memorydb_default?mode=memory&cache=shared",
    ],
)
def test_nothing_is_said_about_sqlite_in_memory(found, deferred, name):
    deferred["NAME"] = name
    assert found() == []


def sent_to(settings: Any, answer: Any) -> None:
    router = Router()
    router.found = answer
    settings.DATABASE_ROUTERS = [router]


def fails(model: Any) -> str:
    raise RuntimeError("No tenant is chosen.")


@pytest.mark.parametrize("answer", ["elsewhere", fails])
def test_e010_a_router_that_names_no_database(found, settings, answer):
    sent_to(settings, answer)
    assert found() == ["E010"]


def test_e010_a_router_that_does_not_exist():
    assert "multisession.E010" in found_in_a_process(DATABASE_ROUTERS=["does.not.Exist"])


def test_e011_sessions_in_several_databases(found, settings):
    connections.databases["second"] = {**connection.settings_dict}
    try:
        sent_to(settings, lambda model: "second" if model.__name__ == "Token" else "default")
        assert found() == ["E011"]
    finally:
        del connections.databases["second"]


@pytest.fixture
def preparing(settings) -> Iterator[dict[str, Any]]:
    """The settings of a database whose statements can be prepared, where that is asked for."""
    if connection.vendor != "postgresql":
        pytest.skip("about PostgreSQL")
    settings.MULTISESSION = {**settings.MULTISESSION, "PREPARE": True, "_QUICK": True}
    given = connection.settings_dict
    before = dict(given)
    given |= {"CONN_MAX_AGE": 60, "DISABLE_SERVER_SIDE_CURSORS": False}
    yield given
    given |= before


def test_statements_that_can_be_prepared(found, preparing):
    assert found() == []
    preparing |= {"CONN_MAX_AGE": 0, "OPTIONS": {**preparing["OPTIONS"], "pool": True}}
    assert found() == []


@pytest.mark.parametrize(
    ("changed", "why"),
    [({"DISABLE_SERVER_SIDE_CURSORS": True}, "pooler"), ({"CONN_MAX_AGE": 0}, "new connection")],
)
def test_w011_a_database_that_prepares_nothing(found, told, preparing, changed, why):
    preparing |= changed
    assert found() == ["W011"]
    assert why in told[0].msg


@pytest.mark.skipif(connection.vendor == "postgresql", reason="about all others")
def test_w011_a_database_of_another_kind(found, settings):
    settings.MULTISESSION = {**settings.MULTISESSION, "PREPARE": True}
    assert found() == ["W011"]


CACHED = "multisession.backends.cached_db"
REDIS = "django.core.cache.backends.redis.RedisCache"


def caches(backend: str, alias: str = "default") -> dict[str, Any]:
    default = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    return {"default": default, alias: {"BACKEND": backend, "LOCATION": "redis://127.0.0.1"}}


@pytest.mark.parametrize(
    "backend",
    [
        "django.core.cache.backends.locmem.LocMemCache",
        "django.core.cache.backends.dummy.DummyCache",
        f"{__name__}.LocalCache",
    ],
)
def test_e014_a_cache_that_other_processes_do_not_see(found, backend):
    assert found(SESSION_ENGINE=CACHED, CACHES=caches(backend)) == ["E014"]
    assert found(SESSION_ENGINE="multisession.backends.db") == []


@pytest.mark.parametrize("alias", ["default", "sessions"])
def test_a_cache_that_they_share(found, alias):
    settings = {"CACHES": caches(REDIS, alias), "SESSION_CACHE_ALIAS": alias}
    assert found(SESSION_ENGINE=CACHED, **settings) == []


def test_e012_a_cache_that_does_not_exist(found):
    assert found(SESSION_ENGINE=CACHED, SESSION_CACHE_ALIAS="sessions") == ["E012"]


@pytest.mark.parametrize("name", ["db", "cached_db", "cache", "file"])
def test_sessions_that_can_be_adopted(found, name):
    assert found(MULTISESSION={"ADOPT_FROM": f"django.contrib.sessions.backends.{name}"}) == []


@pytest.mark.parametrize(
    "engine",
    [
        "django.contrib.sessions.backends.signed_cookies",
        "multisession.backends.db",
        "does.not.exist",
        "django.contrib.sessions",
    ],
)
def test_e013_sessions_that_cannot_be_adopted(found, engine):
    assert found(MULTISESSION={"ADOPT_FROM": engine}) == ["E013"]


def test_e013_the_app_of_the_old_engine_is_gone():
    adopting = {"ADOPT_FROM": "django.contrib.sessions.backends.db"}
    assert "multisession.E013" in found_in_a_process(MULTISESSION=adopting)


@pytest.mark.parametrize("package", ["hijack", "loginas", "django_su"])
def test_w009_nobody_ends_what_a_package_begins(found, monkeypatch, package):
    installed = {package}
    is_installed = apps.is_installed
    monkeypatch.setattr(apps, "is_installed", lambda name: name in installed or is_installed(name))
    assert found() == ["W009"]
    installed.add("multisession.contrib.impersonation")
    assert found() == []


SAFE = {
    "SESSION_COOKIE_SECURE": True,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
    "SESSION_COOKIE_NAME": "__Host-sessionid",
}


def test_a_deployment_can_satisfy_every_check(found):
    assert found(deploy=True, **SAFE) == []


@pytest.mark.parametrize(
    ("unsafe", "expected"),
    [
        ({"SESSION_COOKIE_SECURE": False}, "W003"),
        ({"SESSION_COOKIE_HTTPONLY": False}, "W004"),
        ({"SESSION_COOKIE_SAMESITE": "None"}, "W005"),
        ({"SESSION_COOKIE_SAMESITE": False}, "W005"),
        ({"SESSION_COOKIE_NAME": "sessionid"}, "W006"),
        ({"SESSION_COOKIE_DOMAIN": "example.com"}, "W006"),
        ({"SESSION_COOKIE_PATH": "/app"}, "W006"),
    ],
)
def test_an_unsafe_cookie_is_reported_for_a_deployment_only(found, unsafe, expected):
    assert found(deploy=True, **SAFE | unsafe) == [expected]
    assert found() == []
