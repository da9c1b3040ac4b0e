"""Secrets and public ids: pure functions, no database.

A browser holds one cookie. Its value is the **token** of the client: 32 characters of
[a-z0-9], about 165 bits from the system's random source. The database keeps only its SHA-256.
A plain hash is enough for a value that nobody can guess: a salt or a key protects weak
secrets, and this one is not weak; no change of SECRET_KEY can then sign anybody out.

32 characters of this alphabet also fit the columns in which other packages keep a
``session_key`` (40 characters, sometimes compared without case).

**Public ids** (``client_…``, ``sess_…``) name rows in pages, URLs, the admin and the API.
They are unguessable too, but nothing accepts one as a credential.
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
#: The longest key has 40 characters, as the columns have in which others keep it.
_NUMBER = re.compile(r"0|[1-9][0-9]{0,6}", re.ASCII)


def new_token() -> str:
    """Make a secret for a browser's cookie."""
    return "".join(secrets.choice(TOKEN_ALPHABET) for _ in range(TOKEN_LENGTH))


def is_token(value: object) -> bool:
    """Return True if ``value`` has the shape of a token. What has not is never looked up."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def may_be_key(key: str | None) -> bool:
    """Return True if ``key`` has the length of one."""
    return key is not None and TOKEN_LENGTH <= len(key) <= 40


def split(key: object) -> tuple[str, int | None] | None:
    """Return the token and the number in a key; None for what cannot be one.

    A key is a token, which stands for a browser, or ``<token>.<number>``: one account of it.
    """
    token, point, number = str(key or "").partition(".")
    if not is_token(token) or (point and _NUMBER.fullmatch(number) is None):
        return None
    return token, int(number) if point else None


def digest(token: str) -> str:
    """Return what the database keeps of a token: SHA-256, 64 hexadecimal characters."""
    return hashlib.sha256(token.encode("ascii")).hexdigest()


def new_public_id(prefix: str) -> str:
    """Make a public id such as ``sess_2NxV…``: a name, never a credential."""
    name = "".join(secrets.choice(PUBLIC_ID_ALPHABET) for _ in range(PUBLIC_ID_LENGTH))
    return f"{prefix}_{name}"


def new_client_id() -> str:
    return new_public_id("client")


def new_session_id() -> str:
    return new_public_id("sess")
