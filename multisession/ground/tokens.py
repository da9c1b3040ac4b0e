"""Secrets and public ids: pure functions, no database.

A browser holds one cookie. Its value is the **token** of the client: 32 characters of
[a-z0-9], about 165 bits from the system's random source. The database keeps only its SHA-256.
A plain hash is enough: salts and keys protect weak secrets, and 165 random bits can't be guessed.
It also means that a new SECRET_KEY signs nobody out.

32 characters of this alphabet also fit the columns in which other packages store a
``session_key`` (40 characters, sometimes compared without case).

**Public ids** (``client_…``, ``sess_…``) name rows in pages, URLs, the admin and the API.
They can't be guessed either, but nothing accepts them as credentials.
"""

import hashlib
import re
import secrets
import string

TOKEN_LENGTH = 32
TOKEN_ALPHABET = string.ascii_lowercase + string.digits
PUBLIC_ID_LENGTH = 27
PUBLIC_ID_ALPHABET = string.ascii_letters + string.digits

_TOKEN = re.compile(r"[a-z0-9]{32}", re.ASCII)
#: Keeps the longest key at 40 characters: other packages store keys in columns of that length.
_NUMBER = re.compile(r"0|[1-9][0-9]{0,6}", re.ASCII)


def new_token() -> str:
    """Make a secret for a browser's cookie."""
    return "".join(secrets.choice(TOKEN_ALPHABET) for _ in range(TOKEN_LENGTH))


def is_token(value: object) -> bool:
    """Return True if ``value`` has the shape of a token. Other values are never looked up."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def may_be_key(key: str | None) -> bool:
    """Return True if ``key`` has a length that session keys can have."""
    return key is not None and TOKEN_LENGTH <= len(key) <= 40


def split(key: object) -> tuple[str, int | None] | None:
    """Return the token and the number in a session key; None if it is no valid key.

    A key is either a token, which names a browser, or ``<token>.<number>``, which names one account
    on it.
    """
    token, point, number = str(key or "").partition(".")
    if not is_token(token) or (point and _NUMBER.fullmatch(number) is None):
        return None
    return token, int(number) if point else None


def digest(token: str) -> str:
    """Return the form that the database stores: SHA-256 in 64 hexadecimal characters."""
    return hashlib.sha256(token.encode("ascii")).hexdigest()


def new_public_id(prefix: str) -> str:
    """Make a public id such as ``sess_2NxV…``: a name, never a credential."""
    name = "".join(secrets.choice(PUBLIC_ID_ALPHABET) for _ in range(PUBLIC_ID_LENGTH))
    return f"{prefix}_{name}"


def new_client_id() -> str:
    return new_public_id("client")


def new_session_id() -> str:
    return new_public_id("sess")
