"""Take over sessions of the engine that a project used before (``ADOPT_FROM``).

During a deployment old and new workers serve the same browser in turn, and an old worker deletes a
cookie that it does not know. So each adopted session gets a **twin** in the old engine: a session
under the new cookie. The old session stays for ``GRACE`` seconds, for requests under way.

Ending our session must end the twin, whose key is the cookie's value. Our session's data keeps that
value encrypted with ``SECRET_KEY``.
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

#: In our session's data: the twin's key, encrypted.
TWIN = "_multisession_twin"
#: In a twin's data: the digest of its key. A twin is never adopted.
MADE_FOR = "_multisession_twin_of"

#: Seconds that the old cookie stays valid, for requests under way.
GRACE = 15 * 60


def load(engine: str, session_key: str | None) -> dict[str, Any] | None:
    """Return the data of a valid session of the old engine, or None. None for a twin.

    Signed cookies are not adopted: the server cannot end one, so an old copy of a cookie would sign
    in a person who has signed out here. A system check says so.
    """
    if session_key is None or issubclass(store_class(engine), signed_cookies.SessionStore):
        return None
    data: dict[str, Any] = _store(engine, session_key).load()
    if data.pop(MADE_FOR, None) == tokens.digest(session_key):
        return None
    return data or None


def hand_over(engine: str, old_key: str, new_key: str, data: dict[str, Any]) -> None:
    """Save a twin under the new key, and let the old session expire in ``GRACE`` seconds."""
    twin = _store(engine, new_key)
    twin.clear()  # otherwise the store looks the key up, finds nothing and drops it
    twin.update({**data, MADE_FOR: tokens.digest(new_key)})
    twin.save(must_create=True)
    old = _store(engine, old_key)
    old.update(data)
    old.set_expiry(GRACE)
    old.save()


def is_signed_out(engine: str, session_key: str) -> bool:
    """Return True if an old worker has ended the session under this key."""
    return not _store(engine, session_key).exists(session_key)


def sign_out(engine: str, session_key: str) -> None:
    """End the twin, so that old workers sign out too."""
    _store(engine, session_key).delete(session_key)


def hidden(session: Session, twin_key: str) -> str:
    """Encrypt a twin's key, or decrypt it.

    XOR with an HMAC-SHA256 of the session's id. A token has 32 octets, as the HMAC has.
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
