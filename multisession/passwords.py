"""Ask for the password again before a sensitive step.

It is the password of the *active* account, and that account's session data notes the time. So the
answer counts only for this account on this browser, and only until it signs out.
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

#: Seconds for which a typed password counts.
FRESH = 10 * 60
KEY = PROVEN


def is_needed(request: MultiSessionRequest) -> bool:
    """Return True if the user has a password and has not typed it within ``FRESH`` seconds."""
    user: Any = request.user
    if not user.has_usable_password():
        return False
    typed_at = request.session.get(KEY)
    if not isinstance(typed_at, int):
        return True
    return not 0 <= _now() - typed_at < FRESH


@sensitive_variables("password")
def confirm(request: MultiSessionRequest, password: str) -> bool:
    """Check the active account's password. If it is right, note the time and return True.

    Calls ``authenticate()``, so the limits on guesses at the sign-in page apply here, too.
    """
    found = authenticate(request, username=request.user.get_username(), password=password)
    if found is None or found.pk != request.user.pk:
        return False
    note(request)
    return True


def note(request: MultiSessionRequest) -> None:
    """Note that the active account's password has been typed, also for other forms."""
    request.session[KEY] = _now()


def _now() -> int:
    return int(timezone.now().timestamp())
