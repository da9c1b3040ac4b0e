"""``python -m story ours`` (or ``stock``): run every story in this project, and print JSON."""

from __future__ import annotations

import json
import shutil
import sys
import traceback
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.core.management import call_command
from django.db import connections

HERE = Path.cwd()


def main(engine: str) -> dict[str, Any]:
    sys.path.insert(0, str(HERE))
    django.setup()
    # Only now: these use the project's models.
    from django.core import mail

    from .person import Person, Site
    from .stories import STORIES

    if engine == "ours":
        import multisession

        assert "site-packages" in multisession.__file__, multisession.__file__
    migrate()
    person = import_module("own.person").Person if find_spec("own.person") else Person
    if find_spec("own.stories"):
        import_module("own.stories")
    Site(person, ours=engine == "ours").create_users()
    keep_databases()
    told: dict[str, Any] = {}
    for name, story in STORIES.items():
        if engine == "stock" and story.ours:
            continue
        restore_databases()
        cache.clear()
        mail.outbox = []
        site = Site(person, ours=engine == "ours")
        if all(map(site.has, story.needs)):
            told[name] = steps_of(story.tell, site)
    return told


def steps_of(tell: Any, site: Any) -> dict[str, Any]:
    steps: list[Any] = []
    problem = None
    try:
        for step, seen, right in tell(site):
            steps.append([step, seen, right])
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)
        where = next((at.line for at in reversed(last) if at.filename.endswith("stories.py")), "")
        problem = f"{type(error).__name__}: {error} at `{where}`"
    finally:
        site.end_story()
    return {"steps": steps, "problem": problem, "troubles": site.troubles}


def migrate() -> None:
    if apps.is_installed("own"):
        call_command("makemigrations", "own", verbosity=0)
    for alias, database in settings.DATABASES.items():
        if not database.get("TEST", {}).get("MIRROR"):
            call_command("migrate", database=alias, verbosity=0)


def keep_databases() -> None:
    connections.close_all()
    for file in HERE.glob("*.sqlite3"):
        shutil.copy(file, file.with_suffix(".kept"))


def restore_databases() -> None:
    connections.close_all()
    for file in HERE.glob("*.kept"):
        shutil.copy(file, file.with_suffix(".sqlite3"))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1]), default=str))
