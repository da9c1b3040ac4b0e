"""``manage.py revokesessions``: revoke sessions. Their next request is signed out.

Exit codes: 0 if done, also if no session matched; 1 if not confirmed; 2 for invalid arguments.
"""

from __future__ import annotations

import datetime
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from multisession import actions, lists
from multisession.management import ages
from multisession.models.session_sets import SessionQuerySet


class Command(BaseCommand):
    help = "Revoke the live sessions that match all of the given options."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", metavar="ID", help="primary key, or user_<primary key>")
        parser.add_argument("--client", metavar="ID", help="client_…")
        parser.add_argument(
            "--session", metavar="ID", action="append", help="sess_…; may be repeated"
        )
        parser.add_argument(
            "--older-than", metavar="AGE", help="signed in longer ago than 90m, 12h, 30d or 4w"
        )
        parser.add_argument("--dry-run", action="store_true", help="only count them")
        parser.add_argument(
            "--noinput", "--no-input", action="store_false", dest="interactive", help="do not ask"
        )

    def handle(self, *args: Any, dry_run: bool, interactive: bool, **options: Any) -> None:
        found = self.chosen(**options)
        # Leave out sessions that begin while the command waits for the answer.
        newest = found.order_by("-pk").values_list("pk", flat=True).first() or 0
        found = found.filter(pk__lte=newest)
        count = found.count()
        what = "1 live session" if count == 1 else f"{count} live sessions"
        if dry_run:
            self.stdout.write(f"Would be revoked: {what}.")
            return
        if count == 0:
            self.stdout.write("No live session matches.")
            return
        if interactive and not self.confirmed(f"Revoke {what}? [y/N] "):
            raise CommandError("Nothing was revoked.", returncode=1)
        batches = actions.revoke_in_batches(found, by="manage.py revokesessions")
        self.stdout.write(f"Revoked: {sum(len(ended) for ended in batches)}.")

    def chosen(
        self,
        *,
        user: str | None,
        client: str | None,
        session: list[str] | None,
        older_than: str | None,
        **options: Any,
    ) -> SessionQuerySet:
        """Return the live sessions that the options name. Raises CommandError."""
        if user is None and client is None and session is None and older_than is None:
            text = "Give at least one of --user, --client, --session and --older-than."
            raise CommandError(text, returncode=2)
        try:
            found = lists.matching(user_id=user, client_id=client).live()
        except lists.InvalidParameter as error:
            option = error.parameter.removesuffix("_id")
            text = str(error).removeprefix(error.parameter)
            raise CommandError(f"--{option}{text}", returncode=2) from None
        if session is not None:
            for public_id in session:
                if not lists.is_session_id(public_id):
                    text = (
                        f"--session is {public_id[:80]!r}; it must be an id such as 'sess_2NxV…'."
                    )
                    raise CommandError(text, returncode=2)
            found = found.filter(public_id__in=session)
        if older_than is not None:
            found = found.filter(created_at__lt=_moment(older_than))
        return found

    def confirmed(self, question: str) -> bool:
        try:
            return input(question).strip().lower() in ("y", "yes")
        except EOFError:
            text = "There is nobody to ask. Use --noinput to revoke without asking."
            raise CommandError(text, returncode=1) from None


def _moment(age: str) -> datetime.datetime:
    """Return the datetime that long ago. Raises CommandError."""
    found = ages.parse(age)
    if found is not None:
        try:
            return timezone.now() - found
        except OverflowError:  # before the year 1
            pass
    text = f"--older-than is {age[:80]!r}; it must be a number and a unit, such as 12h or 30d."
    raise CommandError(text, returncode=2)
