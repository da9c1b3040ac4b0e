"""The secret API keys of programs: shown once, stored as a hash.

A key has a scope: to read, or also to revoke; and it may expire. It is read from the
``Authorization`` header only; nothing that a browser sends by itself authorises.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
import string

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from multisession.models import ApiKey

from . import errors

PREFIX = "sk_"
ALPHABET = string.ascii_letters + string.digits
LENGTH = 43  # more than 256 bits
LONGEST_NAME = 100
#: Longer than any key. Such a value is refused without hashing it.
TOO_LONG = 200


def issue(
    name: str,
    *,
    scope: ApiKey.Scope = ApiKey.Scope.READ,
    expires_at: datetime.datetime | None = None,
) -> tuple[ApiKey, str]:
    """Make a key. Return it with its secret, which can't be read again later."""
    secret = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    key = ApiKey.objects.create(
        name=name, digest=digest(secret), scope=scope, expires_at=expires_at
    )
    return key, secret


def find(secret: str) -> ApiKey | None:
    """Return the valid key with this secret."""
    if not secret.startswith(PREFIX) or len(secret) > TOO_LONG:
        return None
    wanted = digest(secret)
    key = ApiKey.objects.filter(digest=wanted, revoked_at__isnull=True).first()
    if key is None or not key.is_valid:
        return None
    # The look-up by index leaks nothing through its timing: it compares hashes of 256 random bits.
    # A database may ignore case or trailing spaces, so compare exactly here.
    return key if constant_time_compare(key.digest, wanted) else None


def digest(secret: str) -> str:
    """Return the SHA-256 that the database stores."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def authenticate(request: HttpRequest) -> ApiKey:
    """Return the valid key in the request's header. Raises ApiError (401)."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    secret = secret.strip(" ")
    if scheme.lower() != "bearer" or not secret:
        raise errors.header_invalid()
    key = find(secret)
    if key is None:
        raise errors.key_invalid()
    key.note_use()
    return key
