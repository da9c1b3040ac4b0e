"""``manage.py multisession_keys``: manage the secret keys of programs that use the HTTP API."""

from __future__ import annotations

import datetime
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from multisession.api import keys
from multisession.ground.moments import in_utc
from multisession.lists import MAX_OFFSET
from multisession.models import ApiKey


class Command(BaseCommand):
    help = "Create, list and revoke the secret keys of programs that use the HTTP API."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="create|list|revoke")
        create = verbs.add_parser("create", help="make a key and show its secret once")
        create.add_argument("name", help="what the key is for")
        verbs.add_parser("list", help="list all keys, without their secrets")
        revoke = verbs.add_parser("revoke", help="make a key invalid, for good")
        revoke.add_argument("id", type=int, help="its number in the list")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        if verb == "create":
            self.create(options["name"].strip())
        elif verb == "revoke":
            self.revoke(options["id"])
        else:
            self.list()

    def create(self, name: str) -> None:
        if not name or not name.isprintable() or len(name) > keys.LONGEST_NAME:
            text = f"The name must be 1 to {keys.LONGEST_NAME} characters in one line."
            raise CommandError(text, returncode=2)
        key, secret = keys.issue(name)
        # Only the secret goes to stdout, where programs read it.
        self.stderr.write(f"Key {key.pk}, {key.name}. Its secret is shown this once:")
        self.stdout.write(secret)

    def list(self) -> None:
        self.stdout.write(f"{'ID':>4}  {'CREATED':<17}  {'LAST USED':<17}  {'REVOKED':<17}  NAME")
        for key in ApiKey.objects.order_by("pk"):
            times = (key.created_at, key.last_used_at, key.revoked_at)
            columns = "  ".join(f"{_minute(time):<17}" for time in times)
            self.stdout.write(f"{key.pk:>4}  {columns}  {key.name}")

    def revoke(self, pk: int) -> None:
        key = ApiKey.objects.filter(pk=pk).first() if 0 < pk <= MAX_OFFSET else None
        if key is None:
            raise CommandError(f"There is no key {pk}; `list` shows all keys.", returncode=1)
        if not key.revoke():
            raise CommandError(f"Key {pk}, {key.name}, is already revoked.", returncode=1)
        self.stdout.write(f"Key {pk}, {key.name}, is revoked.")


def _minute(moment: datetime.datetime | None) -> str:
    return "–" if moment is None else f"{in_utc(moment):%Y-%m-%d %H:%MZ}"
