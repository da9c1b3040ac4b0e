"""Who is compared. Each has a settings module here; peers have an environment of their own.

To add one: its settings beside these, its packages in ``requirements/bench-<environment>.txt``,
and a line below.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Contender:
    """A session engine in the common project."""

    name: str
    #: A module of this package.
    settings: str
    #: Packages: ``requirements/bench-<environment>.txt``, installed in ``.bench/<environment>``.
    environment: str = "django"
    #: Environment variables on top.
    variables: dict[str, str] = field(default_factory=dict, hash=False)

    def with_(self, note: str, **variables: str) -> Contender:
        """This contender in other circumstances."""
        given = {**self.variables, **variables}
        return Contender(f"{self.name}, {note}", self.settings, self.environment, given)


def _ours(**settings: int) -> dict[str, str]:
    return {"MULTISESSION": json.dumps(settings)}


#: What everything is a ratio to.
STOCK = Contender("stock db", "stock")
#: The same once more: what differs between the two is noise.
AGAIN = Contender("stock db again", "stock")
STOCK_CACHED = Contender("stock cached_db", "stock_cached")
OURS = Contender("ours", "ours")
#: By Django's ORM alone.
OURS_ORM = Contender("ours, QUICK off", "ours", variables=_ours(_QUICK=0))
#: On PostgreSQL, with the statement of a page prepared, and no other.
OURS_PREPARE = Contender("ours, PREPARE on", "ours", variables=_ours(PREPARE=1))
#: While nothing is noted: after a note the database is asked for some seconds.
OURS_CACHED = Contender("ours cached_db", "ours_cached", variables=_ours(ACTIVITY_INTERVAL=10**9))
#: Activity noted never, and at every request.
OURS_NEVER = Contender("ours, tracking off", "ours", variables=_ours(ACTIVITY_INTERVAL=10**9))
OURS_ALWAYS = Contender("ours, each noted", "ours", variables=_ours(ACTIVITY_INTERVAL=0))
USER_SESSIONS = Contender("django-user-sessions", "user_sessions", "user-sessions")
QSESSIONS = Contender("django-qsessions", "qsessions", "qsessions")
ALLAUTH = Contender("allauth usersessions", "allauth", "allauth")
ALLAUTH_TRACKING = Contender(
    "allauth, tracking on", "allauth", "allauth", variables={"TRACK_ACTIVITY": "1"}
)
PEERS = [USER_SESSIONS, QSESSIONS, ALLAUTH, ALLAUTH_TRACKING]
