"""Prepare and check the database of a run. Only this module uses our models.

``python -m tools.load.rows prepare ada grace …`` makes it. ``python -m tools.load.rows check``
reads from stdin what the browsers know, and prints a line for each error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import django
from django.core.management import call_command


def prepare(users: list[str]) -> None:
    from django.contrib.auth import get_user_model

    from .browser import PASSWORD

    call_command("migrate", run_syncdb=True, verbosity=0)
    for name in users:
        get_user_model().objects.create_user(name, password=PASSWORD)


def problems(known: dict[str, list[str]]) -> Iterator[str]:
    """Yield what is wrong. ``known``: "ended" and "live" public ids, numbers of "written" notes."""
    from django.db.models import Count, F, Q
    from django.utils import timezone

    from multisession.models import Session
    from multisession.models.tokens import Token

    from .site.models import Note

    sessions: Any = Session.objects.filter(user__isnull=False)
    live = sessions.filter(status="active", expire_at__gt=timezone.now())
    for row in live.values("client_id", "user_id").annotate(many=Count("pk")).filter(many__gt=1):
        yield f"{row['many']} live sessions of one user on one client: {row}"
    found = set(live.values_list("public_id", flat=True))
    for name in found.intersection(known["ended"]):
        yield f"{name} has ended, but is live in the database"
    for name in set(known["live"]) - found:
        yield f"{name} is live, but not in the database"
    tokens: Any = Token.objects
    astray = tokens.exclude(session__client=F("client")).filter(session__isnull=False)
    for pk in astray.filter(session__pk__isnull=False).values_list("pk", flat=True)[:20]:
        yield f"token {pk} points to a session of another client"
    if "added_by" in {field.name for field in Session._meta.get_fields()}:
        # A session that every token of its client sees has no ``added_by``.
        added = sessions.filter(added_by__client__isnull=False)
        for pk in added.exclude(added_by__client=F("client")).values_list("pk", flat=True)[:20]:
            yield f"session {pk} was added by a token of another client"
        numbers = sessions.values("client_id", "number").annotate(
            users=Count("user_id", distinct=True)
        )
        for row in numbers.filter(Q(users__gt=1) | Q(number__isnull=True))[:20]:
            yield f"one number for several users, or none: {row}"
    for note in Note.objects.exclude(author=F("drawn_for")):
        yield f"{note}, from a page of {note.drawn_for}"
    written = set(Note.objects.values_list("number", flat=True))
    for number in set(known["written"]) - written:
        yield f"note {number} is lost"


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tools.load.site.settings")
    django.setup()
    command, *arguments = sys.argv[1:]
    if command == "prepare":
        prepare(arguments)
    else:
        sys.stdout.writelines(f"{text}\n" for text in problems(json.load(sys.stdin)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
