"""The sessions of the engine that a project used before (``ADOPT_FROM``): read, and made to agree.

While old and new workers serve the same site, a browser may meet either from one request to the
next. An old worker deletes a cookie that it does not know. So whoever is taken over has a **twin**
in the old engine: a session under the new cookie, which old workers go on with. The session under
the old cookie stays a little longer, for the requests that are still under way.

The twin's key is the cookie. Our session's data keeps it only in a form that the server's
SECRET_KEY opens, so that whoever ends our session can end the twin, too.
"""

from __future__ import annotations

import hmac
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.contrib.sessions.backends import signed_cookies

from multisession.ground import tokens

if TYPE_CHECKING:
    from multisession.models import Session

#: In our session's data: the twin's key, hidden.
TWIN = "_multisession_twin"
#: In a twin's data: the digest of the key that it was made for. Nobody is taken over from it.
MADE_FOR = "_multisession_twin_of"

#: Seconds that a request may be under way with the old cookie.
GRACE = 15 * 60


def load(engine: str, session_key: str | None) -> dict[str, Any] | None:
    """Return the data of a valid session of the old engine, or None. None for a twin.

    Signed cookies are not taken over: nothing on the server ends one, so any old copy of a cookie
    would sign in again whoever has signed out here. The system checks say so.
    """
    if session_key is None or issubclass(store_class(engine), signed_cookies.SessionStore):
        return None
    data: dict[str, Any] = _store(engine, session_key).load()
    if data.pop(MADE_FOR, None) == tokens.digest(session_key):
        return None
    return data or None


def hand_over(engine: str, old_key: str, new_key: str, data: dict[str, Any]) -> None:
    """Make the old engine know the new cookie, and forget the old one soon."""
    twin = _store(engine, new_key)
    twin.clear()  # so that it does not look for the key, and drop it because nobody has it yet
    twin.update({**data, MADE_FOR: tokens.digest(new_key)})
    twin.save(must_create=True)
    old = _store(engine, old_key)
    old.update(data)
    old.set_expiry(GRACE)
    old.save()


def is_signed_out(engine: str, session_key: str) -> bool:
    """Return True if an old worker has ended the session that it knew under this cookie."""
    return not _store(engine, session_key).exists(session_key)


def sign_out(engine: str, session_key: str) -> None:
    """End the twin: what ends here must end for the old workers too."""
    _store(engine, session_key).delete(session_key)


def hidden(session: Session, twin_key: str) -> str:
    """Return the twin's key as the session's data keeps it; or the key of what it keeps.

    A token has 32 octets, as the HMAC has that it is combined with: each undoes the other.
    """
    key = str(django_settings.SECRET_KEY).encode()
    pad = hmac.digest(key, f"multisession.twin:{session.public_id}".encode(), "sha256")
    octets = bytes.fromhex(twin_key) if len(twin_key) == 64 else twin_key.encode()
    mixed = bytes(one ^ other for one, other in zip(octets, pad, strict=True))
    return mixed.decode() if len(twin_key) == 64 else mixed.hex()


def twin_of(session: Session) -> str | None:
    """Return the key of the session's twin, if it has one."""
    kept = session.get_decoded().get(TWIN)
    try:
        return hidden(session, str(kept)) if kept else None
    except ValueError:  # SECRET_KEY has changed since.
        return None


def store_class(engine: str) -> Any:
    """Return the ``SessionStore`` of an engine."""
    return import_module(engine).SessionStore


def _store(engine: str, session_key: str) -> Any:
    return store_class(engine)(session_key)
