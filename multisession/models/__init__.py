"""The tables: clients, their sessions and tokens, and the audit trail.

A **Client** is a browser. A **Session** is one account signed in on it, or a visitor's data. A
**Token** is one value of the browser's cookie: it points to the active session and sees the
sessions that it and its ancestors added (tokens.py). A session ends through
``SessionQuerySet.close`` or ``close_one`` only. Each change is recorded as an **Event**.
"""

from . import (  # noqa: F401 - Django looks for models here
    nicknames,
    sent_forms,
    tallies,
    tokens,
    user_locks,
)
from .clients import Client
from .events import Event
from .keys import ApiKey
from .sessions import AccountLimitReached, Session, SessionLimitReached

__all__ = ["AccountLimitReached", "ApiKey", "Client", "Event", "Session", "SessionLimitReached"]
