"""The accounts that a new copy of the demo starts with."""

from typing import NamedTuple

PASSWORD = "several-accounts"  # noqa: S105 - printed on the sign-in page, and meant to be


class DemoAccount(NamedTuple):
    email: str
    name: str
    is_staff: bool = False
    #: A static file.
    portrait: str = ""


ACCOUNTS = (
    DemoAccount("ada@example.com", "Ada Lovelace"),
    DemoAccount("grace@example.com", "Grace Hopper", portrait="portraits/grace.svg"),
    DemoAccount("alan@example.com", "Alan Turing"),
    DemoAccount("admin@example.com", "Adele Goldberg", is_staff=True),
)
