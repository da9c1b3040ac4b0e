"""Who is signed in where.

A **Client** is a browser. A **Session** is one account signed in on it, or what a visitor has left
there. A **Token** is one value that the browser's cookie has had: it points to the active session
and sees those that it and its ancestors have added (tokens.py). ``SessionQuerySet.close`` is the
only way a session ends. What has happened is in the audit trail, ``Event``.
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
