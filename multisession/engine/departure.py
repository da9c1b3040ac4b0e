"""Accounts that the person leaves: noted, carried out, and carried out once more if need be."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .attempts import attempt

if TYPE_CHECKING:
    from multisession.models import Cause, Session, SessionQuerySet, Status


#: What a signal has just said that came without a request, as Channels sends them: "in" or "out",
#: and the primary key of the user. The store that it is about hears of it only here.
said_without_request: ContextVar[tuple[str, object] | None] = ContextVar("said", default=None)


@dataclass(frozen=True)
class Departure:
    """Who leaves, and how. To carry it out twice is the same as once."""

    sessions: SessionQuerySet
    client_id: int
    #: None: off the list of the client, whatever they are.
    status: Status | None
    cause: Cause = field(repr=False)
    #: The one session that it is about, by primary key.
    session_id: int | None = None

    def carry_out(self, using: str) -> list[Session]:
        """End the sessions. Return those that this ended. Raises Busy."""
        from multisession.models import Client

        def step() -> list[Session]:
            Client.lock(self.client_id, using=using)
            if self.status is None:
                return self.sessions.remove_all(**self.cause)
            return self.sessions.close(self.status, **self.cause)

        return attempt(using, step)
