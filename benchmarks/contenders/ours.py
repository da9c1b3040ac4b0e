"""This package, as its README installs it."""

import json
import os
from typing import Any

from benchmarks.project.settings import *  # noqa: F403
from benchmarks.project.settings import INSTALLED_APPS, MIDDLEWARE, replace

INSTALLED_APPS = replace(INSTALLED_APPS, "django.contrib.sessions", "multisession")
MIDDLEWARE = replace(
    MIDDLEWARE,
    "django.contrib.sessions.middleware.SessionMiddleware",
    "multisession.middleware.SessionMiddleware",
)
SESSION_ENGINE = "multisession.backends.db"
MULTISESSION = {"MAX_ACCOUNTS": 1000, **json.loads(os.environ.get("MULTISESSION", "{}"))}


def OWN_SESSIONS(request: Any) -> list[Any]:
    """Return the accounts of this browser."""
    found: list[Any] = request.multisession.sessions
    return found
