"""The package's signals. The sender is the ``Session`` model, unless stated otherwise.

``active_session_changing`` is sent **before** the active account changes. A receiver can refuse the
change by raising an exception, which reaches the caller. (Clerk called this hook ``beforeEmit``.)
``active_organization_changing`` does the same for the organization.
The other signals are sent after the commit; exceptions of their receivers are logged and change
nothing.
"""

from django.dispatch import Signal

__all__ = [
    "active_organization_changing",
    "active_session_changing",
    "browser_changed",
    "event_recorded",
    "organization_activated",
    "session_activated",
    "session_created",
    "session_ended",
    "signed_in_on_new_browser",
    "token_reused",
]

#: Arguments: ``request`` (HttpRequest, or None outside a request), ``leaving`` (Session or None),
#: ``entering`` (Session or None; not yet saved when a sign-in is about to add it).
active_session_changing = Signal()

#: Arguments: ``request``, ``session``, ``entering`` (the Organization, or None). Sent before the
#: organization of a session changes.
active_organization_changing = Signal()

#: Arguments: ``session``. An account signed in on a client.
session_created = Signal()

#: Arguments: ``session``. The account became its client's active one.
session_activated = Signal()

#: Arguments: ``session``, whose ``organization`` is the new id, or "". It changed.
organization_activated = Signal()

#: Arguments: ``session``, ``status`` (the new Session.Status), ``by`` (a user, the name of a
#: program, or None). The row's data is deleted, but ``session.get_decoded()`` still returns it. Not
#: sent for sessions that time out.
session_ended = Signal()

#: Arguments: ``client``, ``sessions`` (its live ones). A request presented a value of the client's
#: cookie that had ended, as after a theft. Sent once for each value; nothing has changed.
token_reused = Signal()

#: Arguments: ``session``, ``browser`` (such as "Chrome on Windows"), ``before`` (the kinds that
#: used it so far). A request with the cookie came from another kind of browser than the sign-in.
#: Sent once for each kind; nothing has changed.
browser_changed = Signal()

#: Arguments: ``session``, ``is_first`` (True for the account's first session on record). An account
#: signed in on a browser on which it has no earlier session.
signed_in_on_new_browser = Signal()

#: Arguments: ``event``. An event was written to the audit trail. The sender is ``Event``.
event_recorded = Signal()

#: For the engine's cache, not for projects. Arguments: ``client_ids``, ``using``. The sessions of
#: these clients have changed. Sent at once, within the transaction.
clients_changed = Signal()
