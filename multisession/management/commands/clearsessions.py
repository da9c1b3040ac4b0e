"""``manage.py clearsessions``: Django's command, for our tables."""

from argparse import ArgumentParser
from dataclasses import asdict
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from multisession.backends.db import SessionStore
from multisession.purge import BATCH, purge


class Command(BaseCommand):
    help = "Removes sessions that have no further use, in batches. Can be interrupted and repeated."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--batch-size",
            type=int,
            default=BATCH,
            help=f"The most rows of one transaction (1 to {BATCH}; default {BATCH}).",
        )
        parser.add_argument("--dry-run", action="store_true", help="Only count.")

    def handle(self, *args: Any, **options: Any) -> None:
        engine = import_module(settings.SESSION_ENGINE)
        if not issubclass(engine.SessionStore, SessionStore):
            engine.SessionStore.clear_expired()
            return
        batch = options["batch_size"]
        if not 1 <= batch <= BATCH:
            raise CommandError(f"--batch-size is {batch}; it must be from 1 to {BATCH}.")
        progress = self.show if self.stdout.isatty() else None
        purged = purge(dry_run=options["dry_run"], batch=batch, progress=progress)
        if progress is not None:
            self.stdout.write("")
        verb = "Would remove" if options["dry_run"] else "Removed"
        if options["verbosity"] > 0:
            counts = ", ".join(f"{name}: {count}" for name, count in asdict(purged).items())
            self.stdout.write(f"{verb} {counts}.")

    def show(self, step: str, done: int) -> None:
        """One line that is written over, for whoever watches."""
        self.stdout.write(f"\r{step}: {done}", ending="")
        self.stdout.flush()
