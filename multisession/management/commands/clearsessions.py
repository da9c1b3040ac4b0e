"""``manage.py clearsessions``: Django's command, extended to our tables."""

from argparse import ArgumentParser
from dataclasses import asdict
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from multisession.backends.db import SessionStore
from multisession.upkeep.purge import BATCH, purge

#: The width of the progress bar in characters.
WIDTH = 30


class Command(BaseCommand):
    help = "Remove sessions that are no longer needed, in batches. Can be interrupted and repeated."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--batch-size",
            type=int,
            default=BATCH,
            help=f"The most rows of one transaction (1 to {BATCH}; default {BATCH}).",
        )
        parser.add_argument("--dry-run", action="store_true", help="Count only; remove nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        engine = import_module(settings.SESSION_ENGINE)
        if not issubclass(engine.SessionStore, SessionStore):
            engine.SessionStore.clear_expired()
            return
        batch = options["batch_size"]
        if not 1 <= batch <= BATCH:
            raise CommandError(f"--batch-size is {batch}; it must be from 1 to {BATCH}.")
        watched = options["verbosity"] > 0 and self.stdout.isatty()
        progress = self.show if watched else None
        purged = asdict(purge(dry_run=options["dry_run"], batch=batch, progress=progress))
        if options["verbosity"] > 0:
            # In the order of the steps, except those that remove nothing.
            marked = purged.pop("marked")
            del purged["counted"], purged["failures"]
            counts = ", ".join(f"{name}: {count}" for name, count in purged.items())
            if options["dry_run"]:
                self.stdout.write(
                    f"Would remove {counts}; would mark as expired or abandoned: {marked}."
                )
            else:
                self.stdout.write(f"Removed {counts}; marked as expired or abandoned: {marked}.")

    def show(self, step: str, done: int, total: int) -> None:
        """Draw a progress bar: one line for each step, overwritten as it grows."""
        share = min(done / total, 1) if total else 1
        bar = "#" * round(share * WIDTH)
        line = f"\r{step:<9} [{bar:<{WIDTH}}] {share:4.0%}  {done:,} of {max(done, total):,}"
        self.stdout.write(line, ending="\n" if done >= total else "")
        self.stdout.flush()
