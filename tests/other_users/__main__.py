"""A project with another user model, or users in another database, in a process of its own.

``python -m tests.other_users auth.User default`` signs two people in and prints, for the quick path
and for the ordinary one, what each page showed and how many statements it asked of which database.
"""

import json
import sys
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path


class UsersElsewhere:
    """A router: all that is about users is in a database of its own."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "users" if model._meta.app_label in ("auth", "other_users") else "default"

    db_for_write = db_for_read

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True


def configure(model: str, using: str) -> None:
    sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    settings.configure(
        SECRET_KEY="for-tests-only",
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        DATABASES={"default": dict(sqlite), "users": dict(sqlite)},
        DATABASE_ROUTERS=[f"{__name__}.UsersElsewhere"] if using == "users" else [],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "multisession",
            *(["tests.other_users"] if model.startswith("other_users.") else []),
        ],
        MIDDLEWARE=[
            "multisession.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        AUTH_USER_MODEL=model,
        SESSION_ENGINE="multisession.backends.db",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        MULTISESSION={},
    )
    django.setup()


def who(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"user": str(request.user)})


def tell(quickly: bool) -> list[Any]:
    from django.contrib.auth import get_user_model
    from django.db import connections
    from django.test import Client, override_settings
    from django.test.utils import CaptureQueriesContext

    told = []
    users = get_user_model()._default_manager
    with override_settings(MULTISESSION={"QUICK": quickly}):
        browser = Client()

        def look() -> None:
            here, there = (CaptureQueriesContext(connections[name]) for name in connections)
            with here, there:
                page = browser.get("/").json()
            told.append([page["user"], len(here), len(there)])

        for name in ("ada", "grace"):
            user = users.create_user(username=name, password="secret")
            browser.force_login(user)
            browser.get("/")
            look()
        users.filter(pk=user.pk).update(is_active=False)
        look()
        users.all().delete()
    return told


def main() -> None:
    configure(*sys.argv[1:])
    from django.core.management import call_command

    for using in ("default", "users"):
        call_command("migrate", database=using, run_syncdb=True, verbosity=0)
    sys.stdout.write(json.dumps({"quick": tell(True), "ordinary": tell(False)}))


urlpatterns = [path("", who)]

if __name__ == "__main__":
    main()
