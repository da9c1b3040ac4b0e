"""The secret keys of programs: made here, shown once, and recognised by their hash.

A key is as good as an administrator's password for what the API can do. It comes in the header
``Authorization`` and from nowhere else: what a browser sends by itself never authorises.
"""

from __future__ import annotations

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
#: Longer than any key: not even hashed.
TOO_LONG = 200


def issue(name: str) -> tuple[ApiKey, str]:
    """Make a key. Return it and its secret, which is shown this once."""
    secret = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return ApiKey.objects.create(name=name, digest=digest(secret)), secret


def find(secret: str) -> ApiKey | None:
    """Return the valid key with this secret."""
    if not secret.startswith(PREFIX) or len(secret) > TOO_LONG:
        return None
    wanted = digest(secret)
    key = ApiKey.objects.filter(digest=wanted, revoked_at__isnull=True).first()
    # Found through an index, by the hash of 256 random bits: its timing tells nothing. A database
    # may compare more loosely than that, so the last word is ours.
    return key if key is not None and constant_time_compare(key.digest, wanted) else None


def digest(secret: str) -> str:
    """Return what the database keeps: SHA-256."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def authenticate(request: HttpRequest) -> ApiKey:
    """Return the key that this request was sent with. Raises ApiError (401)."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    secret = secret.strip(" ")
    if scheme.lower() != "bearer" or not secret:
        raise errors.header_invalid()
    key = find(secret)
    if key is None:
        raise errors.key_invalid()
    key.note_use()
    return key
