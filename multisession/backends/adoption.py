"""Taking over the sessions of the engine that a project used before (``ADOPT_FROM``).

While old and new workers serve the same site, a browser may meet either from one request to the
next. An old worker deletes a cookie that it does not know. So whoever is taken over leaves two
traces in the old engine: a session under the **new** cookie, which old workers go on with, and
the one under the old cookie for a little longer, for the requests that are still under way.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.contrib.sessions.backends import signed_cookies

#: In our session's data: the primary key of the token under which the old engine has a twin.
TWIN = "_multisession_twin"

#: Seconds that a request may be under way with the old cookie (see models.SUPERSEDED_MEMORY).
GRACE = 15 * 60


def load(engine: str, session_key: str | None) -> dict[str, Any] | None:
    """Return the data of a valid session of the old engine, or None.

    Signed cookies are not taken over: nothing on the server ends one, so any old copy of a cookie
    would sign in again whoever has signed out here. The system checks say so.
    """
    if session_key is None or issubclass(store_class(engine), signed_cookies.SessionStore):
        return None
    data: dict[str, Any] = _store(engine, session_key).load()
    return data or None


def hand_over(engine: str, old_key: str, new_key: str, data: dict[str, Any]) -> None:
    """Make the old engine know the new cookie, and forget the old one soon."""
    twin = _store(engine, new_key)
    twin.clear()  # so that it does not look for the key, and drop it because nobody has it yet
    twin.update(data)
    twin.save(must_create=True)
    old = _store(engine, old_key)
    old.update(data)
    old.set_expiry(GRACE)
    old.save()


def is_signed_out(engine: str, session_key: str) -> bool:
    """Whether an old worker has ended the session that it knew under this cookie."""
    return not _store(engine, session_key).exists(session_key)


def sign_out(engine: str, session_key: str) -> None:
    """What ends here must end for the old workers too."""
    _store(engine, session_key).delete(session_key)


def store_class(engine: str) -> Any:
    """Return the ``SessionStore`` of an engine."""
    return import_module(engine).SessionStore


def _store(engine: str, session_key: str) -> Any:
    return store_class(engine)(session_key)
