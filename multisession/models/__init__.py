"""The tables: clients, their sessions and tokens, and the audit trail.

A **Client** is a browser. A **Session** is one account signed in on it, or a visitor's data. A
**Token** is one value of the browser's cookie: it points to the active session and sees the
sessions that it and its ancestors added (tokens.py). A session ends through
``SessionQuerySet.close`` or ``close_one`` only. Each change is recorded as an **Event**.
"""

from .clients import Client, clients_changed, now
from .events import Cause, Event
from .keys import ApiKey
from .managers import prefetched_users
from .sent_forms import SentForm
from .session_sets import LISTED, SessionQuerySet
from .sessions import AccountLimitReached, Session, announce
from .status import Status
from .tokens import GRACE, SETTLING, Token, TokenQuerySet

__all__ = [
    "GRACE",
    "LISTED",
    "SETTLING",
    "AccountLimitReached",
    "ApiKey",
    "Cause",
    "Client",
    "Event",
    "SentForm",
    "Session",
    "SessionQuerySet",
    "Status",
    "Token",
    "TokenQuerySet",
    "announce",
    "clients_changed",
    "now",
    "prefetched_users",
]
