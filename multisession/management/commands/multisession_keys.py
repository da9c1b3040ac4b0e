"""``manage.py multisession_keys``: manage the secret keys of programs that use the HTTP API."""

from __future__ import annotations

import datetime
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from multisession.api import keys
from multisession.ground.moments import in_utc
from multisession.lists import MAX_OFFSET
from multisession.management import ages
from multisession.models import ApiKey


class Command(BaseCommand):
    help = "Create, list and revoke the secret keys of programs that use the HTTP API."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="create|list|revoke")
        create = verbs.add_parser("create", help="make a key and show its secret once")
        create.add_argument("name", help="what the key is for")
        create.add_argument(
            "--scope",
            choices=ApiKey.Scope.values,
            default=ApiKey.Scope.READ.value,
            help="what it allows: read (default), or revoke, which includes read",
        )
        create.add_argument(
            "--expires", metavar="AGE", help="when it becomes invalid: in 12h, 30d or 52w"
        )
        verbs.add_parser("list", help="list all keys, without their secrets")
        revoke = verbs.add_parser("revoke", help="make a key invalid, for good")
        revoke.add_argument("id", type=int, help="its number in the list")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        if verb == "create":
            self.create(options["name"].strip(), options["scope"], options["expires"])
        elif verb == "revoke":
            self.revoke(options["id"])
        else:
            self.list()

    def create(self, name: str, scope: str, expires: str | None) -> None:
        if not name or not name.isprintable() or len(name) > keys.LONGEST_NAME:
            text = f"The name must be 1 to {keys.LONGEST_NAME} characters in one line."
            raise CommandError(text, returncode=2)
        age = None if expires is None else ages.parse(expires)
        if expires is not None and age is None:
            text = f"--expires is {expires[:80]!r}; it must be a number and a unit, such as 30d."
            raise CommandError(text, returncode=2)
        try:
            expires_at = None if age is None else timezone.now() + age
        except OverflowError:  # after the year 9999
            text = f"--expires is {expires!r}; that is too late."
            raise CommandError(text, returncode=2) from None
        key, secret = keys.issue(name, scope=ApiKey.Scope(scope), expires_at=expires_at)
        # Only the secret goes to stdout, where programs read it.
        self.stderr.write(f"Key {key.pk}, {key.name}. Its secret is shown this once:")
        self.stdout.write(secret)

    def list(self) -> None:
        names = ("CREATED", "LAST USED", "EXPIRES", "REVOKED")
        columns = "  ".join(f"{name:<17}" for name in names)
        self.stdout.write(f"{'ID':>4}  {columns}  {'SCOPE':<6}  NAME")
        for key in ApiKey.objects.order_by("pk"):
            times = (key.created_at, key.last_used_at, key.expires_at, key.revoked_at)
            columns = "  ".join(f"{_minute(time):<17}" for time in times)
            self.stdout.write(f"{key.pk:>4}  {columns}  {key.scope:<6}  {key.name}")

    def revoke(self, pk: int) -> None:
        key = ApiKey.objects.filter(pk=pk).first() if 0 < pk <= MAX_OFFSET else None
        if key is None:
            raise CommandError(f"There is no key {pk}; `list` shows all keys.", returncode=1)
        if not key.revoke():
            raise CommandError(f"Key {pk}, {key.name}, is already revoked.", returncode=1)
        self.stdout.write(f"Key {pk}, {key.name}, is revoked.")


def _minute(moment: datetime.datetime | None) -> str:
    return "–" if moment is None else f"{in_utc(moment):%Y-%m-%d %H:%MZ}"
