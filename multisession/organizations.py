"""Organizations: the project's own tenants, and which of them a session is in.

The project owns tenants and memberships. Its provider, named by the setting ``ORGANIZATIONS``,
says which of them a user may be in; a session keeps only the id. An id never gives access: the
provider is asked again for each request that wants to know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Protocol

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .conf import settings

__all__ = [
    "Organization",
    "Provider",
]

#: Letters that need no quoting in a header, a URL or a form. The length of Session.organization.
_ID = re.compile(r"[A-Za-z0-9_.@-]{1,64}", re.ASCII)


class Keep(Enum):
    """``KEEP``: leave this part of what is active as it is."""

    KEEP = "keep"


KEEP = Keep.KEEP


@dataclass(frozen=True, kw_only=True)
class Organization:
    """One organization, as one of its members sees it.

    Raises ValueError if ``id`` is not 1 to 64 letters, digits or ``_``, ``.``, ``@``, ``-``, or if
    ``url`` is neither a path nor an http(s) URL.
    """

    #: The public id, which is kept with the session. It must never name another organization.
    id: str
    name: str
    slug: str = ""
    #: The member's role, in the project's words; see ``organization_required(role=…)``.
    role: str = ""
    #: URL of a picture; empty: initials are shown.
    picture: str = ""
    #: Path of its own page, for *Manage*. With one domain for each tenant: the URL of that domain.
    url: str = ""
    #: The project's own object.
    object: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not _ID.fullmatch(self.id):
            raise ValueError(
                f"Organization id {self.id!r}: it must have 1 to 64 letters, digits or any of _.@-"
            )
        if self.url and not self.url.startswith(("/", "https://", "http://")):
            raise ValueError(f"Organization url {self.url!r}: it must begin with / or https://")

    @property
    def has_own_site(self) -> bool:
        """Return True if ``url`` names a host: the switcher leads there, and keeps nothing."""
        return not self.url.startswith("/") and bool(self.url)


class Provider(Protocol):
    """What the class named by ``ORGANIZATIONS`` has. It is made once, without arguments."""

    def organizations_of(self, user: Any) -> Iterable[Organization]:
        """Return the organizations that this user may be in, in the order of the switcher."""

    def get(self, user: Any, id: str) -> Organization | None:
        """Return one of them; None if it is unknown or the user is not a member, alike."""


def is_on() -> bool:
    """Return True if the project has organizations."""
    return settings.ORGANIZATIONS is not None


def listed(user: Any) -> list[Organization]:
    """Return the organizations of this user, from the provider."""
    path = settings.ORGANIZATIONS
    return [] if path is None else list(_provider(path).organizations_of(user))


def find(user: Any, id: str) -> Organization | None:
    """Return this organization, if the user is a member at this moment."""
    path = settings.ORGANIZATIONS
    if path is None or not _ID.fullmatch(id):
        return None
    found = _provider(path).get(user, id)
    # A provider that looks ids up loosely (by capitals, by number) must not let another one in.
    return found if found is not None and found.id == id else None


@lru_cache
def _provider(path: str) -> Provider:
    made: Any = import_string(path)
    provider = made() if isinstance(made, type) else made
    if not (hasattr(provider, "organizations_of") and hasattr(provider, "get")):
        raise ImproperlyConfigured(
            f"MULTISESSION['ORGANIZATIONS'] is {path!r}; it must have organizations_of() and get()."
        )
    return provider  # type: ignore[no-any-return]
