"""Whose CSRF secret it is: each account's own, and a browser's own while nobody is active.

An account's secret is derived from the public id of its session with a key of the server (OWASP:
an HMAC-based token, bound to the session). So it needs no row, a token of it says whose page it
comes from, and nobody can make one up. Its last letters, the *mark*, follow from the others, so
that it is known for an account's without asking the database.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.crypto import constant_time_compare, get_random_string

from multisession.ground import django_private

if TYPE_CHECKING:
    from multisession.models import Session

MARK_LENGTH = 8
_SALT = b"multisession.guard:"
#: For each octet a letter of a CSRF secret's alphabet.
_LETTERS = bytes(
    ord(django_private.ALPHABET[octet % len(django_private.ALPHABET)]) for octet in range(256)
)


def of_session(session: Session) -> Iterator[str]:
    """Yield the secret of a session's pages, then those it had under earlier keys of the server."""
    if settings.CSRF_USE_SESSIONS:
        yield str(session.get_decoded().get(django_private.KEY_IN_SESSION) or "")
        return
    for key in _keys():
        length = django_private.SECRET_LENGTH - MARK_LENGTH
        body = _letters(key, f"secret:{session.public_id}", length)
        yield body + _letters(key, f"mark:{body}", MARK_LENGTH)


def of_client(client_id: int) -> Iterator[str]:
    """Yield the secrets of nobody's pages on this browser, the present one first.

    By the client's primary key, which a page has without reading the client.
    """
    length = django_private.SECRET_LENGTH
    return (_letters(key, f"nobody:{client_id}", length) for key in _keys())


def random() -> str:
    """Return the secret of a browser that we do not know."""
    return get_random_string(django_private.SECRET_LENGTH, django_private.ALPHABET)


def matching(token: str, secrets: Iterator[str]) -> str | None:
    """Return the first of these secrets that the token carries."""
    carried = django_private.unmask(token)
    if not carried:
        return None
    return next((secret for secret in secrets if constant_time_compare(carried, secret)), None)


def is_an_accounts(secret: str) -> bool:
    """Return whether this is some account's secret, of this browser or of another."""
    body, mark = secret[:-MARK_LENGTH], secret[-MARK_LENGTH:]
    return bool(body) and any(
        constant_time_compare(mark, _letters(key, f"mark:{body}", MARK_LENGTH)) for key in _keys()
    )


def _keys() -> list[str]:
    return [str(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def _letters(key: str, text: str, length: int) -> str:
    """Return letters of a CSRF secret's alphabet, as random as HMAC-SHA-256."""
    octets = hmac.digest(key.encode(), _SALT + text.encode(), "sha256")
    return octets[:length].translate(_LETTERS).decode()
