"""``manage.py erasesessions``: erase what is kept of one person.

Exit codes: 0 if done, also if nothing was kept; 1 if not confirmed; 2 for invalid arguments.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from multisession import actions, lists
from multisession.upkeep import erasing
from multisession.upkeep.erasing import Erased


class Command(BaseCommand):
    help = (
        "Erase what is kept of one person: sessions, addresses, browsers, and names in the audit "
        "trail. Signs the person out everywhere. Deleting a user does the same."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--user",
            metavar="ID",
            required=True,
            help="primary key, or user_<primary key>; also of a user that is deleted",
        )
        parser.add_argument("--dry-run", action="store_true", help="only count")
        parser.add_argument(
            "--noinput", "--no-input", action="store_false", dest="interactive", help="do not ask"
        )

    def handle(
        self, *args: Any, user: str, dry_run: bool, interactive: bool, **options: Any
    ) -> None:
        try:
            key = lists.user_key(user)
        except lists.InvalidParameter as error:
            text = str(error).removeprefix(error.parameter)
            raise CommandError(f"--user{text}", returncode=2) from None
        if dry_run:
            self.stdout.write(f"Would be erased: {_said(erasing.count(key))}.")
            return
        if interactive and not self.confirmed(f"Erase {_said(erasing.count(key))}? [y/N] "):
            raise CommandError("Nothing was erased.", returncode=1)
        self.stdout.write(f"Erased: {_said(actions.erase(user, by='manage.py erasesessions'))}.")

    def confirmed(self, question: str) -> bool:
        try:
            return input(question).strip().lower() in ("y", "yes")
        except EOFError:
            text = "There is nobody to ask. Use --noinput to erase without asking."
            raise CommandError(text, returncode=1) from None


def _said(erased: Erased) -> str:
    return f"{erased.sessions} sessions, {erased.browsers} browsers, {erased.events} events"
