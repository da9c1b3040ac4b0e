"""What other code may listen to. The sender is the ``Session`` model, unless it says so.

``active_session_changing`` runs **before** the active account changes and may refuse: an
exception raised by a receiver leaves everything as it was and reaches the caller. (Clerk called
this hook ``beforeEmit``.) The others run after the transaction was committed; what a
receiver of these raises is logged and changes nothing.
"""

from django.dispatch import Signal

__all__ = [
    "active_session_changing",
    "event_recorded",
    "session_activated",
    "session_created",
    "session_ended",
    "token_reused",
]

#: Arguments: ``request`` (HttpRequest, or None outside a request), ``leaving`` (Session or None),
#: ``entering`` (Session or None; not yet saved when a sign-in is about to add it).
active_session_changing = Signal()

#: Arguments: ``session``. An account signed in on a client.
session_created = Signal()

#: Arguments: ``session``. The account became its client's active one.
session_activated = Signal()

#: Arguments: ``session``, ``status`` (the new Session.Status), ``by`` (who: a user, the name of a
#: program, or None). The row's data is gone; ``session.get_decoded()`` still has what it was. Not
#: sent for what the clock has ended.
session_ended = Signal()

#: Arguments: ``client``, ``sessions`` (those live on it). A value of the client's cookie was
#: presented that had ended, as after a theft. Sent once for each value; nothing has changed.
token_reused = Signal()

#: Arguments: ``event``. Something is on record in the audit trail; the sender is ``Event``.
event_recorded = Signal()

#: For caches of the engine, not for projects. Arguments: ``client_ids``, ``using``. Something that
#: a token of these clients shows has changed; sent at once, within the transaction.
clients_changed = Signal()
