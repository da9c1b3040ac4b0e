"""Read the marks that a "login as" leaves in the data of the impersonated session.

The package writes its mark after ``login()``. The mark names the administrator by primary key; if
one impersonation follows another, this module takes the first administrator.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

#: The length of the column that stores the key.
LONGEST_KEY = 255

#: In place of the person who acted and was erased or deleted: that somebody else did stays on
#: record.
SOMEBODY = "erased"

#: A project's own "login as" writes the administrator's primary key here, as text.
ACTOR_KEY = "multisession_actor"
#: django-hijack: the keys of the administrators, the first one first.
HIJACK = "hijack_history"
#: django-su: the same, as pairs with the path of a backend.
SU = "exit_users_pk"
#: django-loginas: the key, signed. We skip the signature: browsers can't change session data.
LOGINAS = "loginas_from_user"


def named_in(data: dict[str, Any]) -> str:
    """Return the primary key of the administrator named in the session's data, or ""."""
    flag = getattr(django_settings, "LOGINAS_FROM_USER_SESSION_FLAG", LOGINAS)
    with suppress(TypeError, KeyError, IndexError):  # ignore a mark of another shape
        if given := data.get(ACTOR_KEY):
            return _key(given)
        if history := data.get(HIJACK):
            return _key(history[0])
        if history := data.get(SU):
            return _key(history[0][0])
        if signed := data.get(flag):
            return _key(str(signed).rsplit(":", 2)[0])
    return ""


def take_marks_from(data: dict[str, Any]) -> None:
    """Remove all marks from a visitor's data, so that the next sign-in is no impersonation."""
    flag = getattr(django_settings, "LOGINAS_FROM_USER_SESSION_FLAG", LOGINAS)
    for mark in (ACTOR_KEY, HIJACK, SU, flag):
        data.pop(mark, None)


def _key(given: Any) -> str:
    """Return the key in the spelling of ``str(user.pk)``."""
    with suppress(TypeError, ValidationError):  # an invalid key still means "somebody else"
        given = get_user_model()._meta.pk.to_python(given)
    return str(given)[:LONGEST_KEY]
