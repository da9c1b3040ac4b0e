"""CSRF secrets: one for each account, and one for the browser while no account is active.

An account's secret is an HMAC of its session's public id with a key of the server (OWASP's
HMAC-based token, bound to the session). It needs no row, nobody can forge it, and a token made from
it identifies the account that the page was drawn for. It has three parts:

* the *body*, 16 letters (95 bits), is the session's;
* the *tag*, 8 letters, is the session's too, or in an organization an HMAC of body and id: so the
  pages of each organization have a secret of their own;
* the *mark*, 8 letters, is an HMAC of the others, so an account's secret is recognised without a
  query.
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

#: In a session's data under CSRF_USE_SESSIONS: the organization that its secret was made in.
MADE_IN = "_multisession_csrf_organization"

TAG_LENGTH = 8
MARK_LENGTH = 8
_BODY_LENGTH = django_private.SECRET_LENGTH - TAG_LENGTH - MARK_LENGTH
_SALT = b"multisession.guard:"
#: A letter of the CSRF secrets' alphabet for each octet.
_LETTERS = bytes(
    ord(django_private.ALPHABET[octet % len(django_private.ALPHABET)]) for octet in range(256)
)


def of_session(session: Session, organization: str | None = None) -> Iterator[str]:
    """Yield the secret of a session's pages, then those under SECRET_KEY_FALLBACKS.

    ``organization``: the id of the pages' organization, or "" for none; default: the one that the
    session is in.
    """
    if organization is None:
        organization = session.organization
    if settings.CSRF_USE_SESSIONS:
        data = session.get_decoded()
        is_its = data.get(MADE_IN, "") == organization
        yield str(data.get(django_private.KEY_IN_SESSION) or "") if is_its else ""
        return
    for key in _keys():
        begin = _letters(key, f"secret:{session.public_id}", _BODY_LENGTH + TAG_LENGTH)
        if organization:
            body = begin[:_BODY_LENGTH]
            begin = body + _letters(key, f"organization:{body}:{organization}", TAG_LENGTH)
        yield begin + _letters(key, f"mark:{begin}", MARK_LENGTH)


def of_any_organization(token: str, session: Session) -> str | None:
    """Return the secret of the token, if it is of a page of this session in any organization."""
    carried = django_private.unmask(token)
    if settings.CSRF_USE_SESSIONS:
        return matching(token, of_session(session))
    if not carried or not is_an_accounts(carried):
        return None
    bodies = (secret[:_BODY_LENGTH] for secret in of_session(session, ""))
    is_its = any(constant_time_compare(carried[:_BODY_LENGTH], body) for body in bodies)
    return carried if is_its else None


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
