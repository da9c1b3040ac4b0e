"""``manage.py listsessions``: list the sessions of a user or of a client."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from multisession import lists
from multisession.api.resources import page_resource, session_resource
from multisession.ground.moments import in_utc
from multisession.models import Session

COLUMNS = ("ID", "STATUS", "USER", "CLIENT", "SIGNED IN", "LAST ACTIVE", "EXPIRES")
WIDTHS = (32, 9, 12, 34, 17, 17, 17)


class Command(BaseCommand):
    help = "List the sessions of a user, of a client, or of a user on a client; the newest first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", metavar="ID", help="primary key, or user_<primary key>")
        parser.add_argument("--client", metavar="ID", help="client_…")
        parser.add_argument("--status", help=", ".join(Session.Status.values))
        parser.add_argument("--limit", type=int, default=10, help="1 to 500 (default 10)")
        parser.add_argument("--offset", type=int, default=0, help="how many to skip (default 0)")
        parser.add_argument("--json", action="store_true", help="print JSON, as the HTTP API does")

    def handle(self, *args: Any, user: str | None, client: str | None, **options: Any) -> None:
        try:
            found = lists.get_session_list(
                user_id=user,
                client_id=client,
                status=options["status"],
                limit=options["limit"],
                offset=options["offset"],
            )
        except lists.MissingParameter:
            raise CommandError("Give --user, --client, or both.", returncode=2) from None
        except lists.InvalidParameter as error:
            option = error.parameter.removesuffix("_id")
            text = str(error).removeprefix(error.parameter)
            raise CommandError(f"--{option}{text}", returncode=2) from None
        if options["json"]:
            data = [session_resource(session) for session in found.data]
            self.stdout.write(json.dumps(page_resource(data, found.total_count), indent=2))
            return
        self.show(COLUMNS)
        for session in found.data:
            self.show(self.row(session))
        self.stdout.write(f"{len(found.data)} of {found.total_count}")

    def show(self, cells: tuple[str, ...]) -> None:
        padded = (cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True))
        self.stdout.write("  ".join(padded).rstrip())

    def row(self, session: Session) -> tuple[str, ...]:
        times = (session.created_at, session.last_active_at, session.expire_at)
        return (
            session.public_id,
            session.current_status.value,
            lists.user_id_of(session),
            session.client.public_id,
            *(f"{in_utc(time):%Y-%m-%d %H:%MZ}" for time in times),
        )
