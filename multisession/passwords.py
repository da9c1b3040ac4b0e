"""Before a sensitive step: is it still the person who signed in?

Asks for the password of the *active* account, and remembers the answer in that account's own
session data. So it counts for this account on this browser alone: not for the other accounts of
the browser, and for nobody who comes after a sign-out.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from .engine.placing import PROVEN
from .request import MultiSessionRequest

__all__ = [
    "FRESH",
    "confirm",
    "is_needed",
    "note",
]

#: Seconds for which a password that was typed need not be typed again.
FRESH = 10 * 60
KEY = PROVEN


def is_needed(request: MultiSessionRequest) -> bool:
    """Return True if to ask: not again within ten minutes, nor somebody who has no password."""
    user: Any = request.user
    if not user.has_usable_password():
        return False
    typed_at = request.session.get(KEY)
    if not isinstance(typed_at, int):
        return True
    return not 0 <= _now() - typed_at < FRESH


@sensitive_variables("password")
def confirm(request: MultiSessionRequest, password: str) -> bool:
    """Return True if this is the active account's password; if so, it is fresh from now on.

    Through ``authenticate()``: what limits the guesses at the sign-in page limits them here.
    """
    found = authenticate(request, username=request.user.get_username(), password=password)
    if found is None or found.pk != request.user.pk:
        return False
    note(request)
    return True


def note(request: MultiSessionRequest) -> None:
    """Note that the active account's password was typed, perhaps into another form."""
    request.session[KEY] = _now()


def _now() -> int:
    return int(timezone.now().timestamp())
