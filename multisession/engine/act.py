"""Who acts in a step, from where, and in which ``login()``."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from multisession.ground.origin import NOWHERE, Origin

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from multisession.models import Session


@dataclass
class Entering:
    """One call of ``login()``, as ``user_logged_in`` reports it."""

    since: datetime.datetime
    #: Set once there is room for the account.
    user: AbstractBaseUser | None = None
    #: The accounts beyond ``MAX_ACCOUNTS``: they end when this one begins.
    surplus: list[Session] = field(default_factory=list)


@dataclass(frozen=True)
class Act:
    """Who acts, from where, and in which ``login()``."""

    using: str
    origin: Origin = NOWHERE
    #: The administrator who signs in as the user, by primary key; or "".
    actor_id: str = ""
    #: The ``login()`` that is under way.
    entering: Entering | None = None
    #: When the request read its session.
    began: datetime.datetime = field(default_factory=timezone.now)
    #: The name of the program that signs the user in, instead of a person.
    program: str | None = None
    #: The hash of the CSRF secret that the browser's pages have had so far.
    csrf_digest: str = ""

    @property
    def user(self) -> Any:
        """Return the user that ``login()`` signs in; it saves a query for the name."""
        return self.entering.user if self.entering is not None else None
