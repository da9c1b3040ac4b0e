"""Django's own sessions in the database, read from Redis."""

from benchmarks.project.settings import *  # noqa: F403

SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
