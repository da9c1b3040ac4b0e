"""The accounts that the person leaves: noted, ended, and ended once more if need be.

A ``flush()`` that nobody has announced only notes the departure, because ``login()`` calls it, too.
``user_logged_in`` drops the note; anything else that follows carries it out. What was carried out
in a transaction that is rolled back is carried out again at the end of the request.
"""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction

from multisession.ground import coroutines

from .attempts import Busy, attempt

if TYPE_CHECKING:
    from multisession.models import Cause, Session, SessionQuerySet, Status

    from .opening import Opened

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


class Leaving:
    """What has left in one request. Most requests never make one."""

    def __init__(self, using: str) -> None:
        self._using = using
        #: What the flushed session was; whoever is next on the client follows it.
        self.opened: Opened | None = None
        #: Of the data that is written from then on, these keys are kept; None: everything.
        self.kept: tuple[str, ...] | None = None
        #: What ``get_user()`` has flushed, because its password was changed elsewhere.
        self.outdated: Opened | None = None
        self._noted: Departure | None = None
        self._uncommitted: tuple[Departure, ...] = ()
        self._finalizer: Any = None

    @property
    def session(self) -> Session | None:
        """The row that was left."""
        return self.opened.row if self.opened is not None else None

    @property
    def may_stay(self) -> bool:
        """Return True while a departure is noted, and ``login()`` may yet drop the note."""
        return self._noted is not None

    def note(self, departure: Departure, store: object | None) -> None:
        """Let it end, unless the note is dropped. ``store``: no request will end, but this may."""
        self._noted = departure
        if store is not None:
            carry_out = partial(departure.carry_out, self._using)
            self._finalizer = weakref.finalize(store, coroutines.ask, carry_out)

    def drop_note(self) -> None:
        """Drop the note: ``login()`` made room, and the account stays signed in."""
        self._noted = None
        if self._finalizer is not None:
            self._finalizer.detach()
            self._finalizer = None

    def carry_out_noted(self) -> None:
        """End what has left: it was no ``login()`` that made room. Raises Busy."""
        if self._noted is not None:
            self.insist(self._noted)
            self._noted.carry_out(self._using)
            self.drop_note()

    def insist(self, departure: Departure) -> None:
        """Remember a departure that is about to be carried out, until it is committed."""
        if not transaction.get_connection(self._using).in_atomic_block:
            return
        self._uncommitted = (*self._uncommitted, departure)

        def is_done() -> None:
            self._uncommitted = tuple(d for d in self._uncommitted if d is not departure)

        transaction.on_commit(is_done, using=self._using)

    def came_back(self, session: Session) -> None:
        """Drop the departure of a session that was rolled back and has signed in again."""
        self._uncommitted = tuple(d for d in self._uncommitted if d.session_id != session.pk)

    def carry_out_again(self) -> None:
        """Carry out what was rolled back. Raises Busy if that fails for one of them."""
        if transaction.get_connection(self._using).in_atomic_block:
            return  # (In a test, the transaction may go on around the request.)
        busy: Busy | None = None
        for departure in self._uncommitted:
            try:
                departure.carry_out(self._using)
            except Busy as error:
                busy = error
            else:
                self._uncommitted = tuple(d for d in self._uncommitted if d is not departure)
        if busy is not None:
            raise busy
