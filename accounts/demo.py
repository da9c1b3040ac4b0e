"""The accounts, the team and the notes that ``manage.py demo_accounts`` makes."""

from typing import NamedTuple

PASSWORD = "several-accounts"  # noqa: S105 - public, the sign-in page shows it


class DemoAccount(NamedTuple):
    email: str
    name: str
    is_staff: bool = False
    #: The path of a static file.
    portrait: str = ""


ACCOUNTS = (
    DemoAccount("ada@example.com", "Ada Lovelace"),
    DemoAccount("grace@example.com", "Grace Hopper", portrait="portraits/grace.svg"),
    DemoAccount("alan@example.com", "Alan Turing"),
    DemoAccount("admin@example.com", "Adele Goldberg", is_staff=True),
)

#: The team of the first two accounts, and its notes.
TEAM = ("Analytical Engine", "analytical-engine")
TEAM_NOTES = (
    ("grace@example.com", "Found a moth in relay 70 of panel F. Taped it into the log book."),
    ("ada@example.com", "The engine weaves algebraic patterns: note G is ready to read."),
)
#: A private note of each account.
NOTES = (
    ("ada@example.com", "Ask Charles about the next punch cards."),
    ("grace@example.com", "Bring the wire that shows a nanosecond."),
    ("alan@example.com", "Can machines think? Draft by Friday."),
    ("admin@example.com", "Back up the database before the weekend."),
)
