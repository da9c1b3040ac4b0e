"""Who acts as somebody else: the marks that a "login as" leaves in the session.

Each is written after ``login()``, into the data of the impersonated session. It names the
administrator by primary key: the first one, where one impersonation follows another.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

#: As long as the column in which it is kept.
LONGEST_KEY = 255

#: A project's own "login as" writes the administrator's primary key here, as text.
ACTOR_KEY = "multisession_actor"
#: django-hijack: the keys of those who acted, the first one first.
HIJACK = "hijack_history"
#: django-su: the same, each with the path of a backend.
SU = "exit_users_pk"
#: django-loginas: the key, signed. The signature is for a session that the browser could change.
LOGINAS = "loginas_from_user"


def named_in(data: dict[str, Any]) -> str:
    """Return the primary key of the administrator whom the session's data names; "" for none."""
    flag = getattr(django_settings, "LOGINAS_FROM_USER_SESSION_FLAG", LOGINAS)
    with suppress(TypeError, KeyError, IndexError):  # a mark of another shape is none
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
    """Take all marks out of a visitor's data: the sign-in that follows is nobody else's."""
    flag = getattr(django_settings, "LOGINAS_FROM_USER_SESSION_FLAG", LOGINAS)
    for mark in (ACTOR_KEY, HIJACK, SU, flag):
        data.pop(mark, None)


def _key(given: Any) -> str:
    """One spelling for each key, as ``str(user.pk)`` has it."""
    with suppress(TypeError, ValidationError):  # no key: still not the user
        given = get_user_model()._meta.pk.to_python(given)
    return str(given)[:LONGEST_KEY]
