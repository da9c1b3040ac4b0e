"""django-user-sessions: a table of sessions with user, address and browser."""

from typing import Any

from benchmarks.project.settings import *  # noqa: F403
from benchmarks.project.settings import INSTALLED_APPS, MIDDLEWARE, replace

INSTALLED_APPS = replace(INSTALLED_APPS, "django.contrib.sessions", "user_sessions")
MIDDLEWARE = replace(
    MIDDLEWARE,
    "django.contrib.sessions.middleware.SessionMiddleware",
    "user_sessions.middleware.SessionMiddleware",
)
SESSION_ENGINE = "user_sessions.backends.db"
SILENCED_SYSTEM_CHECKS = ["admin.E410"]


def OWN_SESSIONS(request: Any) -> list[Any]:
    from django.utils import timezone

    return list(request.user.session_set.filter(expire_date__gt=timezone.now()))
