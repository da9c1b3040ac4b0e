"""Ask for the password again before a sensitive step.

It is the password of the *active* account, and that account's session data notes the time. So the
answer counts only for this account on this browser, and only until it signs out.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate
from django.utils import timezone
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from .conf import settings
from .engine.adoption import TWIN
from .engine.placing import PROVEN, SIGNED_IN
from .request import MultiSessionRequest

__all__ = [
    "FRESH",
    "confirm",
    "is_needed",
    "is_password_of",
    "is_recent",
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


def is_recent(request: MultiSessionRequest, seconds: int = FRESH) -> bool:
    """Return True if the person has proven in the last ``seconds`` to be the active account's user.

    By signing in here, by typing the password, or by the project's own way (``CONFIRMED_AT``). An
    administrator who acts as the user has not, and neither has a session that was taken over from
    another engine.
    """
    session = request.multisession.session
    if session is None:
        return False
    proofs: list[object] = [request.session.get(KEY), request.session.get(SIGNED_IN)]
    if TWIN not in request.session:
        proofs.append(session.created_at.timestamp())
    if session.actor_id:
        proofs = []
    elif settings.CONFIRMED_AT is not None:
        proofs.append(import_string(settings.CONFIRMED_AT)(request))
    now = timezone.now().timestamp()
    return any(isinstance(at, int | float) and -1 < now - at < seconds for at in proofs)


@sensitive_variables("password")
def confirm(request: MultiSessionRequest, password: str) -> bool:
    """Check the active account's password. If it is right, note the time and return True.

    Calls ``authenticate()``, so the limits on guesses at the sign-in page apply here, too.
    """
    if not is_password_of(request, request.user, password):
        return False
    note(request)
    return True


@sensitive_variables("password")
def is_password_of(request: MultiSessionRequest, user: Any, password: str) -> bool:
    """Return True if this is the user's password, by ``authenticate()``."""
    found = authenticate(request, username=user.get_username(), password=password)
    return found is not None and found.pk == user.pk


def note(request: MultiSessionRequest) -> None:
    """Note that the active account's password has been typed, also for other forms."""
    request.session[KEY] = _now()


def _now() -> int:
    return int(timezone.now().timestamp())
