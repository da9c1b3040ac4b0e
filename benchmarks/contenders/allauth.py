"""allauth's usersessions: a second table beside Django's own sessions."""

import os
from typing import Any

from benchmarks.project.settings import *  # noqa: F403
from benchmarks.project.settings import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = [*INSTALLED_APPS, "allauth", "allauth.account", "allauth.usersessions"]
MIDDLEWARE = [
    *MIDDLEWARE,
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
]
SESSION_ENGINE = "django.contrib.sessions.backends.db"
USERSESSIONS_TRACK_ACTIVITY = bool(os.environ.get("TRACK_ACTIVITY"))
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]


def OWN_SESSIONS(request: Any) -> list[Any]:
    from allauth.usersessions.models import UserSession

    return UserSession.objects.purge_and_list(request.user)
