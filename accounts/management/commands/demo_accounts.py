"""``manage.py demo_accounts``: make the demo's accounts, and print how to sign in."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.demo import ACCOUNTS, NOTES, PASSWORD, TEAM, TEAM_NOTES
from accounts.models import Membership, Team, User


class Command(BaseCommand):
    help = "Make the demo accounts that do not exist yet, and print how to sign in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--address", default="", help="URL of the site")

    def handle(self, *args: Any, address: str, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo's password is public, so this needs DEBUG = True.")
        known = set(User.objects.values_list("email", flat=True))
        new = {account.email for account in ACCOUNTS} - known
        for account in ACCOUNTS:
            if account.email not in known:
                make = (
                    User.objects.create_superuser if account.is_staff else User.objects.create_user
                )
                make(account.email, PASSWORD, name=account.name)
        self.write_notes(new)
        where = f"Open {address} and sign in" if address else "Sign in"
        self.stdout.write(f"\n{where} with any of these accounts, then add another one:\n\n")
        for account in ACCOUNTS:
            note = "  (staff: opens /admin/ too)" if account.is_staff else ""
            self.stdout.write(f"    {account.email:<20}{PASSWORD}{note}\n")
        self.stdout.write("\n")

    def write_notes(self, new: set[str]) -> None:
        """Give the new accounts their notes, and put the first two into a team."""
        users = {user.email: user for user in User.objects.filter(email__in=new)}
        name, slug = TEAM
        for email, text in NOTES:
            if email in users:
                users[email].notes.create(text=text)
        for email, text in TEAM_NOTES:
            if email in users:
                team, is_new = Team.objects.get_or_create(slug=slug, defaults={"name": name})
                role = Membership.Role.OWNER if is_new else Membership.Role.MEMBER
                team.memberships.create(user=users[email], role=role)
                users[email].notes.create(text=text, team=team)
