"""The admin: the list of sessions and the audit trail.

Projects can use ``link_to_sessions`` and ``link_to_events`` on their own admin pages.
"""

from .events import link_to_events
from .sessions import link_to_sessions

__all__ = ["link_to_events", "link_to_sessions"]
