"""The contenders. Each has a settings module here; other packages have their own environment.

To add one, write its settings module, list its packages in
``requirements/bench-<environment>.txt``, and add a line below.
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
    #: Its packages (``requirements/bench-<environment>.txt``) are in ``.bench/<environment>``.
    environment: str = "django"
    #: Additional environment variables.
    variables: dict[str, str] = field(default_factory=dict, hash=False)

    def with_(self, note: str, **variables: str) -> Contender:
        """Return a variant of this contender."""
        given = {**self.variables, **variables}
        return Contender(f"{self.name}, {note}", self.settings, self.environment, given)


def _ours(**settings: int) -> dict[str, str]:
    return {"MULTISESSION": json.dumps(settings)}


#: The base of all ratios.
STOCK = Contender("stock db", "stock")
#: The same once more, to show the noise.
AGAIN = Contender("stock db again", "stock")
STOCK_CACHED = Contender("stock cached_db", "stock_cached")
OURS = Contender("ours", "ours")
#: With Django's ORM only.
OURS_ORM = Contender("ours, QUICK off", "ours", variables=_ours(_QUICK=0))
#: On PostgreSQL, with only the statement of a page prepared.
OURS_PREPARE = Contender("ours, PREPARE on", "ours", variables=_ours(PREPARE=1))
#: Without notes of activity, because after a note requests read the database for some seconds.
OURS_CACHED = Contender("ours cached_db", "ours_cached", variables=_ours(ACTIVITY_INTERVAL=10**9))
#: Activity is never noted, or at every request.
OURS_NEVER = Contender("ours, tracking off", "ours", variables=_ours(ACTIVITY_INTERVAL=10**9))
OURS_ALWAYS = Contender("ours, each noted", "ours", variables=_ours(ACTIVITY_INTERVAL=0))
#: With one account in each tab: its scenario "tab" is a page of an account that is not active.
OURS_PATHS = Contender("ours, account paths", "ours_paths")
USER_SESSIONS = Contender("django-user-sessions", "user_sessions", "user-sessions")
QSESSIONS = Contender("django-qsessions", "qsessions", "qsessions")
ALLAUTH = Contender("allauth usersessions", "allauth", "allauth")
ALLAUTH_TRACKING = Contender(
    "allauth, tracking on", "allauth", "allauth", variables={"TRACK_ACTIVITY": "1"}
)
PEERS = [USER_SESSIONS, QSESSIONS, ALLAUTH, ALLAUTH_TRACKING]
