"""Run the story in another project, in its own process, as a user model can't change at run time.

``python -m tests.other_projects auth.User users-elsewhere`` runs the story in story.py with the
quick path, without it and with the cache engine, and prints what it saw. A project is a user model
and one of these layouts:

* ``plain``: one database.
* ``naive``: ``USE_TZ = False``, in a zone with daylight saving time.
* ``users-elsewhere``, ``sessions-elsewhere``: users or sessions in another database. ``-untold``:
  the router returns None for everything else.
* ``replica``: reads go to a replica that refuses writes and lags, with the state from the start of
  the project. ``replica-untold``: the router returns None for relations.

Uses the server in ``DATABASE_URL``, or else SQLite.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import django
from django.conf import settings

from config import env

#: It has daylight saving time.
ZONE = "America/New_York"
USERS = ("auth", "admin", "contenttypes", "other_projects")


class Router:
    """Read and write where ``choose`` says, None for no answer."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return self.choose(model._meta.app_label)

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return self.choose(model._meta.app_label)

    def choose(self, app: str) -> str | None:
        raise NotImplementedError

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == (self.choose(app_label) or "default")


class UsersElsewhereUntold(Router):
    def choose(self, app: str) -> str | None:
        return "other" if app in USERS else None


class SessionsElsewhereUntold(Router):
    def choose(self, app: str) -> str | None:
        return "other" if app == "multisession" else None


class ReplicaUntold(Router):
    def choose(self, app: str) -> str | None:
        return "default"

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "other"

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return True


class UsersElsewhere(UsersElsewhereUntold):
    def choose(self, app: str) -> str | None:
        return super().choose(app) or "default"

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True


class SessionsElsewhere(SessionsElsewhereUntold):
    def choose(self, app: str) -> str | None:
        return super().choose(app) or "default"

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True


class Replica(ReplicaUntold):
    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True


ROUTERS: dict[str, list[Any]] = {
    "plain": [],
    "naive": [],
    "users-elsewhere": [UsersElsewhere()],
    "users-elsewhere-untold": [UsersElsewhereUntold()],
    "sessions-elsewhere": [SessionsElsewhere()],
    "sessions-elsewhere-untold": [SessionsElsewhereUntold()],
    "replica": [Replica()],
    "replica-untold": [ReplicaUntold()],
}


def databases(layout: str) -> dict[str, Any]:
    found = {}
    for alias in ("default", "other") if ROUTERS[layout] else ("default",):
        database = env.database("DATABASE_URL", default="sqlite://", base_dir=Path())
        # Each process has databases of its own.
        database["TEST"] = {"NAME": f"test_{database['NAME']}_{os.getpid()}_{alias}"}
        if database["ENGINE"].endswith("sqlite3"):
            database |= {"NAME": ":memory:", "TEST": {}}
        found[alias] = database
    return found


def configure(model: str, layout: str) -> None:
    # As Django does where the settings are a module.
    os.environ["TZ"] = ZONE
    time.tzset()
    settings.configure(
        SECRET_KEY="for-tests-only",
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF="tests.other_projects.story",
        DATABASES=databases(layout),
        DATABASE_ROUTERS=ROUTERS[layout],
        # Their tables as they are now: Django's migrations take no relation for a user's key.
        MIGRATION_MODULES=dict.fromkeys(("admin", "auth", "contenttypes")),
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.messages",
            "multisession",
            "tests.other_projects",
        ],
        MIDDLEWARE=[
            "multisession.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        AUTH_USER_MODEL=model,
        SESSION_ENGINE="multisession.backends.db",
        MESSAGE_STORAGE="django.contrib.messages.storage.session.SessionStorage",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        LOGIN_URL="/sign-in/",
        LOGIN_REDIRECT_URL="/",
        STATIC_URL="static/",
        USE_TZ=layout != "naive",
        TIME_ZONE=ZONE,
        MULTISESSION={},
    )
    django.setup()


def main(model: str, layout: str) -> None:
    configure(model, layout)
    from django.test.utils import setup_databases, teardown_databases

    from . import story

    created = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
    try:
        told = {path: story.tell(path, layout) for path in ("quick", "ordinary", "cached")}
    finally:
        teardown_databases(created, verbosity=0)
    sys.stdout.write(json.dumps(told, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
