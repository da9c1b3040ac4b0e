"""The admin: the list of sessions, the audit trail, and the keys of programs.

Projects can use ``link_to_sessions`` and ``link_to_events`` on their own admin pages.
"""

from . import keys  # noqa: F401  (importing registers it)
from .events import link_to_events
from .sessions import link_to_sessions

__all__ = ["link_to_events", "link_to_sessions"]
