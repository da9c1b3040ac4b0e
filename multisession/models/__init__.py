"""Who is signed in where: three tables, and the two doors through which they change.

A **Client** is a browser. A **Session** is one account signed in on it. A **Token** is one value
that the browser's cookie has had; each denotes at most one session, for good.

The cookie gets a new value whenever the active account changes, so tokens form a chain in which
each names its ``parent``, and the client points to the last one that its browser has shown:
``presented_token``. Everything else follows from these two facts:

* A token is **valid** if it is the presented one, or a child of it whose answer is perhaps still
  on its way. All others are superseded: they show nobody and change nothing.
* Presenting a child moves the pointer, in one conditional UPDATE, and so supersedes its parent.
  Until then the parent works: an answer that got lost costs nobody an account.
* The parent meanwhile sees only what it always saw: a session **added through** it belongs to its
  children and is hidden from it. So a token that somebody planted never gains the victim's
  account.
* An add through a parent that has children takes the parent, and what it sees, to a client of
  its own (``Token.leave``); it never joins the accounts of the newer token.

The doors: ``SessionQuerySet.close`` for every end of a session, ``Token.succeed`` for every
change of the active account. What has passed through them is in the audit trail, ``Event``.
"""

from .clients import Client, clients_changed, now
from .events import Cause, Event
from .keys import ApiKey
from .managers import prefetched_users
from .sent_forms import SentForm
from .session_sets import MADE_ROOM, SessionQuerySet
from .sessions import AccountLimitReached, Session, announce
from .tokens import SUPERSEDED_MEMORY, SupersededToken, Token, TokenQuerySet

__all__ = [
    "MADE_ROOM",
    "SUPERSEDED_MEMORY",
    "AccountLimitReached",
    "ApiKey",
    "Cause",
    "Client",
    "Event",
    "SentForm",
    "Session",
    "SessionQuerySet",
    "SupersededToken",
    "Token",
    "TokenQuerySet",
    "announce",
    "clients_changed",
    "now",
    "prefetched_users",
]
