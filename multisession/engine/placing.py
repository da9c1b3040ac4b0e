"""Decide where a store's data is saved.

``decide`` is the whole rule and knows no database; steps.py carries it out.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

#: All that is kept of what a view writes after it signed the account out: messages and the
#: language. Anything else would end up in another account's session.
CARRIED_OVER = ("_messages", "_language")
#: In a visitor's data: under "next", another account follows the one that signed out.
NEXT = "_multisession_next"
#: In a visitor's data: written after an account had signed out.
LEFT = "_multisession_left"
#: In a visitor's data: the account that stepped aside for a sign-in, and the page it was on.
ASIDE = "_multisession_aside"
#: In an account's data: when its password was proven here (passwords.py).
PROVEN = "_multisession_password_at"
#: In an account's data: when it signed in here again, while it was signed in.
SIGNED_IN = "_multisession_signed_in_at"
#: Keys that an account's data never has.
MARKS = (NEXT, LEFT, ASIDE)


class Step(Enum):
    """What a save does."""

    #: No data, and no client.
    NOTHING = "nothing"
    #: Create a client: for a browser without one, and for a browser's first sign-in.
    BEGIN = "begin"
    #: Write the row that the data came from.
    WRITE = "write"
    #: The same, with a new value for the cookie.
    REISSUE = "reissue"
    #: Add an account to the client, or sign it in again. A new value for the cookie.
    SIGN_IN = "sign in"
    #: No account is active; save the data as a visitor's.
    VISIT = "visit"
    #: No account is active, and there is no data.
    STEP_DOWN = "step down"


def decide(
    *,
    is_known: bool,
    had_accounts: bool,
    was: str | None,
    account: bool,
    data: bool,
    cycled: bool,
) -> Step:
    """Return the step for a save.

    ``is_known``: the cookie opened a client, on which somebody ``had_accounts``. ``was``: the row
    that the data came from is a "visitor" row, the "same" account's, or there is none.
    ``account``: the data names an account. ``data``: there is any. ``cycled``: by ``cycle_key()``,
    the key has to change.
    """
    if not is_known:
        return Step.BEGIN if data or cycled else Step.NOTHING
    if was == "same":
        return Step.REISSUE if cycled else Step.WRITE
    if account:
        return Step.SIGN_IN if had_accounts else Step.BEGIN
    if was == "visitor" and not cycled:
        return Step.WRITE
    if not (data or cycled or was == "visitor"):
        return Step.STEP_DOWN
    return Step.BEGIN if cycled and not had_accounts else Step.VISIT


def after_sign_out(data: dict[str, Any], kept: tuple[str, ...], *, follows: bool) -> dict[str, Any]:
    """Return what a visitor keeps of the data written after an account signed out.

    ``kept``: empty to keep nothing. ``follows``: another account will follow by itself. Data beyond
    messages and language is marked, and dropped at the next sign-in.
    """
    if not kept:
        return {}
    if set(data) - set(CARRIED_OVER):
        data = {**data, LEFT: True}
    return {**data, NEXT: True} if follows and data else data


def for_sign_in(data: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """Return the part of a visitor's data that the account that signs in gets.

    ``before``: the data as it was loaded. Data left by a sign-out goes only as far as this request
    has written it anew.
    """
    kept = {key: value for key, value in data.items() if key not in (NEXT, LEFT)}
    if before is not None and LEFT in before:
        for key in before:
            if key not in (*CARRIED_OVER, ASIDE) and kept.get(key) == before[key]:
                kept.pop(key, None)
    return kept


def said_since(before: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Return the new messages and the language in ``data``."""
    written = written_since(before, data)
    return {key: written[key] for key in CARRIED_OVER if key in written}


def written_since(before: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Return the new and changed part of ``data``, without the messages of ``before``."""
    written = {key: data[key] for key in data if key not in before or before[key] != data[key]}
    unread, queued = before.get("_messages"), written.get("_messages")
    if isinstance(unread, str) and isinstance(queued, str):
        # Both are lists in JSON (see the SessionStorage of django.contrib.messages).
        old, new = json.loads(unread), json.loads(queued)
        written["_messages"] = json.dumps(new[len(old) :] if new[: len(old)] == old else new)
    return written
