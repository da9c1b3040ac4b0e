"""The lists of administrators: sessions and the audit trail.

For a project's own admin pages: ``link_to_sessions`` and ``link_to_events``.
"""

from .events import link_to_events
from .sessions import link_to_sessions

__all__ = ["link_to_events", "link_to_sessions"]
