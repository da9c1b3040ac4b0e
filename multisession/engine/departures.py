"""The sessions that a request leaves: noted, ended, and ended again after a rollback.

A ``flush()`` without ``user_logged_out`` only notes the departure: ``login()`` calls it too.
``user_logged_in`` drops the note; anything else carries it out. A departure whose transaction is
rolled back is carried out again at the end of the request.
"""

from __future__ import annotations

import logging
import weakref
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction

from multisession.ground import coroutines
from multisession.ground.attempts import Busy, attempt

if TYPE_CHECKING:
    from multisession.models import Session
    from multisession.models.events import Cause
    from multisession.models.session_sets import SessionQuerySet
    from multisession.models.status import Status

    from .opening import Opened

logger = logging.getLogger("multisession")

#: The latest signal that came without a request, as Channels sends them: "in" or "out", and the
#: primary key of the user. No request leads from the signal to its store, so it is kept here.
said_without_request: ContextVar[tuple[str, object] | None] = ContextVar("said", default=None)


@dataclass(frozen=True)
class Departure:
    """The sessions that leave, and how. Idempotent."""

    sessions: SessionQuerySet
    client_id: int
    #: None: take them off the client's list, whatever their status.
    status: Status | None
    cause: Cause = field(repr=False)
    #: The primary key of the session, if it is a single one.
    session_id: int | None = None

    def carry_out(self, using: str) -> list[Session]:
        """End the sessions. Return those that this call ended. Raises Busy."""
        from multisession.models import Client

        def step() -> list[Session]:
            Client.lock(self.client_id, using=using)
            if self.status is None:
                return self.sessions.remove_all(**self.cause)
            return self.sessions.close(self.status, **self.cause)

        return attempt(using, step)


class Departures:
    """The departures of one request. Most requests have none."""

    def __init__(self, using: str) -> None:
        self._using = using
        #: The session that ``flush()`` ended or noted.
        self.opened: Opened | None = None
        #: The keys to keep of the data written after that; None: all.
        self.kept: tuple[str, ...] | None = None
        #: The session that ``get_user()`` flushed because the password was changed elsewhere.
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
        """Return True while a departure is only noted: ``login()`` may drop the note."""
        return self._noted is not None

    def note(self, departure: Departure, store: object | None) -> None:
        """Note a departure. ``store``: if no request follows, carry it out when this goes."""
        self._noted = departure
        if store is not None:
            self._finalizer = weakref.finalize(store, _carry_out_with_store, departure, self._using)

    def drop_note(self) -> None:
        """Drop the note: the account stays signed in."""
        self._noted = None
        if self._finalizer is not None:
            self._finalizer.detach()
            self._finalizer = None

    def carry_out_noted(self) -> None:
        """Carry out the noted departure. Raises Busy."""
        if self._noted is not None:
            self.carry_out_again_if_undone(self._noted)
            self._noted.carry_out(self._using)
            self.drop_note()

    def carry_out_again_if_undone(self, departure: Departure) -> None:
        """Remember a departure until its transaction is committed."""
        if not transaction.get_connection(self._using).in_atomic_block:
            return
        self._uncommitted = (*self._uncommitted, departure)

        def is_done() -> None:
            self._uncommitted = tuple(d for d in self._uncommitted if d is not departure)

        transaction.on_commit(is_done, using=self._using)

    def came_back(self, session: Session) -> None:
        """Drop a departure that was rolled back before the account signed in again."""
        self._uncommitted = tuple(d for d in self._uncommitted if d.session_id != session.pk)

    def carry_out_again(self) -> None:
        """Carry out again the departures that were rolled back. Raises Busy."""
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


def _carry_out_with_store(departure: Departure, using: str) -> None:
    """Carry out a departure when its store goes, where nobody is left to hear of a failure."""
    try:
        coroutines.ask(partial(departure.carry_out, using))
    except Exception:
        logger.exception("An account that was flushed is still signed in.")
