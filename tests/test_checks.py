"""System checks: each mistake has an id, and each says what to change."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks
from django.db import connection

from multisession.backends import db

OURS = "multisession.middleware.SessionMiddleware"
STOCK = "django.contrib.sessions.middleware.SessionMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
COOKIES = "django.contrib.messages.storage.cookie.CookieStorage"
FALLBACK = "django.contrib.messages.storage.fallback.FallbackStorage"


class SessionStore(db.SessionStore):
    """With it, ``SESSION_ENGINE`` can be this module: a project's own variant of the engine."""


@pytest.fixture
def found(settings) -> Callable[..., list[str]]:
    """The ids that our checks find under these settings."""

    def check(*, deploy: bool = False, **changed: Any) -> list[str]:
        for name, value in changed.items():
            setattr(settings, name, value)
        messages = [
            message
            for message in run_checks(include_deployment_checks=deploy, databases=["default"])
            if str(message.id).startswith("multisession.")
        ]
        for message in messages:
            assert message.msg
            assert message.hint, f"{message.id} does not say what to change"
        return sorted(message.id.removeprefix("multisession.") for message in messages)

    return check


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


@pytest.mark.parametrize("path", [AUTH, "django.contrib.messages.middleware.MessageMiddleware"])
def test_e003_wrong_order(found, path):
    assert found(MIDDLEWARE=[path, *without(path)]) == ["E003"]


def test_a_middleware_that_cannot_be_imported_is_somebody_elses_mistake(found):
    assert found(MIDDLEWARE=["does.not.Exist", *without()]) == []


@pytest.mark.parametrize(
    "value",
    [{"AFTER_SIGNOUT": "next"}, {"AFTER_SIGN_OUT": "nxt"}, {"COOKIE_AGE": -1}, ["AFTER_SIGN_OUT"]],
)
def test_e004_settings_that_cannot_be(found, value):
    assert found(MULTISESSION=value) == ["E004"]


@pytest.mark.parametrize("storage", [COOKIES, FALLBACK])
def test_w001_messages_that_follow_the_browser_from_account_to_account(found, storage):
    assert found(MESSAGE_STORAGE=storage) == ["W001"]


def test_w002_sqlite_in_deferred_mode(found):
    if connection.vendor != "sqlite":
        assert found() == []
        return
    options = connection.settings_dict["OPTIONS"]
    mode = options.pop("transaction_mode")
    try:
        assert found() == ["W002"]
    finally:
        options["transaction_mode"] = mode


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
