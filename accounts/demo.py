"""The accounts that ``manage.py demo_accounts`` makes."""

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
