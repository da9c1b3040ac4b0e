"""CSRF secrets: one for each account, and one for the browser while no account is active.

An account's secret is an HMAC of its session's public id with a key of the server (OWASP's
HMAC-based token, bound to the session). It needs no row, nobody can forge it, and a token made from
it identifies the account that the page was drawn for. Its last letters, the *mark*, are an HMAC of
the others, so an account's secret is recognised without a query.
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
#: A letter of the CSRF secrets' alphabet for each octet.
_LETTERS = bytes(
    ord(django_private.ALPHABET[octet % len(django_private.ALPHABET)]) for octet in range(256)
)


def of_session(session: Session) -> Iterator[str]:
    """Yield the secret of a session's pages, then those under SECRET_KEY_FALLBACKS."""
    if settings.CSRF_USE_SESSIONS:
        yield str(session.get_decoded().get(django_private.KEY_IN_SESSION) or "")
        return
    for key in _keys():
        length = django_private.SECRET_LENGTH - MARK_LENGTH
        body = _letters(key, f"secret:{session.public_id}", length)
        yield body + _letters(key, f"mark:{body}", MARK_LENGTH)


def of_client(client_id: int) -> Iterator[str]:
    """Yield the secrets of pages drawn on this browser while no account was active, newest first.

    They derive from the client's primary key, which is known without reading the client's row.
    """
    length = django_private.SECRET_LENGTH
    return (_letters(key, f"nobody:{client_id}", length) for key in _keys())


def random() -> str:
    """Return a secret for a browser without a client."""
    return get_random_string(django_private.SECRET_LENGTH, django_private.ALPHABET)


def matching(token: str, secrets: Iterator[str]) -> str | None:
    """Return the secret of the token, if it is one of these."""
    carried = django_private.unmask(token)
    if not carried:
        return None
    return next((secret for secret in secrets if constant_time_compare(carried, secret)), None)


def is_an_accounts(secret: str) -> bool:
    """Return True if this is the secret of an account, on any browser."""
    body, mark = secret[:-MARK_LENGTH], secret[-MARK_LENGTH:]
    return bool(body) and any(
        constant_time_compare(mark, _letters(key, f"mark:{body}", MARK_LENGTH)) for key in _keys()
    )


def _keys() -> list[str]:
    return [str(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def _letters(key: str, text: str, length: int) -> str:
    """Return an HMAC-SHA-256 in letters of the CSRF secrets' alphabet."""
    octets = hmac.digest(key.encode(), _SALT + text.encode(), "sha256")
    return octets[:length].translate(_LETTERS).decode()
