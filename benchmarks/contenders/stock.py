"""Django's own sessions in the database."""

from benchmarks.project.settings import *  # noqa: F403

SESSION_ENGINE = "django.contrib.sessions.backends.db"
