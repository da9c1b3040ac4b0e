"""List sessions and events: the functions behind Python's lists, the HTTP API and commands.

Every parameter is checked before it reaches the database. An invalid value raises
``InvalidParameter``, which says what is valid. A well-formed id that does not exist gives an empty
list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import ValidationError

from .models import Client, Event, Session
from .models.events import short_name
from .models.session_sets import SessionQuerySet

__all__ = [
    "EventList",
    "InvalidParameter",
    "MissingParameter",
    "SessionList",
    "aget_event_list",
    "aget_session_list",
    "find_session",
    "get_event_list",
    "get_session_list",
]

MAX_LIMIT = 500
#: The largest integer that databases accept.
MAX_OFFSET = 2**63 - 1
USER_PREFIX = "user_"
EVENT_PREFIX = "event_"

# The ids that fit the columns. No row has any other id.
_CLIENT_ID = re.compile(r"client_[0-9A-Za-z]{1,33}", re.ASCII)
_SESSION_ID = re.compile(r"sess_[0-9A-Za-z]{1,35}", re.ASCII)
_EVENT_ID = re.compile(rf"{EVENT_PREFIX}([0-9]{{1,19}})", re.ASCII)


class InvalidParameter(ValueError):
    """An invalid value. ``parameter`` is the parameter's name; ``valid`` says what is valid."""

    def __init__(self, parameter: str, value: object, valid: str) -> None:
        super().__init__(f"{parameter} is {_shown(value)}; it must be {valid}.")
        self.parameter = parameter
        self.value = value
        self.valid = valid


class MissingParameter(InvalidParameter):
    """Neither ``client_id`` nor ``user_id`` was given, or not the one that is required."""

    def __init__(self, required: str = "") -> None:
        text = f"Give {required}." if required else "Give client_id, user_id, or both."
        ValueError.__init__(self, text)
        self.parameter = required or "client_id, user_id"
        self.value = None
        self.valid = "given" if required else "given, at least one of them"


@dataclass(frozen=True, slots=True)
class SessionList:
    """One page of sessions in ``data``, and the number of all in ``total_count``."""

    data: list[Session]
    total_count: int


@dataclass(frozen=True, slots=True)
class EventList:
    """One page of events in ``data``. ``older``: the ``before`` of the next page, or None."""

    data: list[Event]
    older: str | None


def get_session_list(
    *,
    client_id: Client | str | None = None,
    user_id: object = None,
    status: str | None = None,
    limit: int = 10,
    offset: int = 0,
) -> SessionList:
    """List the sessions of a client, of a user, or of a user on a client; the newest first.

    ``client_id`` is a Client or its public id; ``user_id`` a user, its primary key, or
    ``"user_<primary key>"``. ``status`` is one of the seven current statuses. ``limit`` is from 1
    to 500, ``offset`` counts from 0. Costs two queries, or three if users are in another database.
    """
    if client_id is None and user_id is None:
        raise MissingParameter
    found = matching(client_id=client_id, user_id=user_id, status=status)
    checked_number("limit", limit, 1, MAX_LIMIT)
    checked_number("offset", offset, 0, MAX_OFFSET)
    total = found.count()
    if offset >= total:
        return SessionList([], total)
    page = found.with_users().select_related("client").order_by("-created_at", "-pk")
    return SessionList(list(page[offset : offset + limit]), total)


aget_session_list = sync_to_async(get_session_list)


def get_event_list(
    *, user_id: object = None, limit: int = 10, before: Event | str | None = None
) -> EventList:
    """List the events of a user from the audit trail, the newest first.

    ``user_id`` is a user, its primary key, or ``"user_<primary key>"``. ``limit`` is from 1 to 500.
    ``before`` is an event or its id: the page begins with the one before it, so new events move
    nothing. Costs one query at any depth.
    """
    if user_id is None:
        raise MissingParameter("user_id")
    found = Event.objects.filter(user_id=short_name(user_key(user_id)))
    checked_number("limit", limit, 1, MAX_LIMIT)
    if before is not None:
        found = found.filter(pk__lt=_event_key(before))
    rows = list(found.order_by("-pk")[: limit + 1])
    data = rows[:limit]
    return EventList(data, event_id_of(data[-1]) if len(rows) > limit else None)


aget_event_list = sync_to_async(get_event_list)


def matching(
    *,
    client_id: Client | str | None = None,
    user_id: object = None,
    status: str | None = None,
) -> SessionQuerySet:
    """Return the sessions that match all parameters; None matches everything."""
    found = Session.objects.accounts()
    if client_id is not None:
        found = found.filter(**_client(client_id))
    if user_id is not None:
        found = found.filter(user_id=user_key(user_id))
    if status is not None:
        found = found.with_current_status(_status(status))
    return found


def find_session(public_id: str) -> Session | None:
    """Return the account's session with this id, on any client."""
    if not is_session_id(public_id):
        return None
    known = Session.objects.accounts().with_users().select_related("client")
    return known.filter(public_id=public_id).first()


def is_session_id(value: object) -> bool:
    """Return True if this could be the id of a session."""
    return isinstance(value, str) and _SESSION_ID.fullmatch(value) is not None


def is_client_id(value: object) -> bool:
    """Return True if this could be the id of a client."""
    return isinstance(value, str) and _CLIENT_ID.fullmatch(value) is not None


def user_id_of(session: Session) -> str:
    """Return the user's id in the lists, ``user_<primary key>``, also if the user is deleted."""
    return f"{USER_PREFIX}{session.user_id}"


def event_id_of(event: Event) -> str:
    """Return the event's id in the lists, ``event_<number>``."""
    return f"{EVENT_PREFIX}{event.pk}"


def user_key(value: object) -> Any:
    """Return the primary key for a user, a key, or ``"user_<primary key>"``.

    A key that itself begins with ``user_`` needs the prefix. Raises InvalidParameter.
    """
    users = user_model()._meta.concrete_model
    if isinstance(value, users):
        return primary_key(getattr(value, users._meta.pk.attname), value)
    if isinstance(value, str):
        return primary_key(value.removeprefix(USER_PREFIX), value)
    return primary_key(value)


def primary_key(given: object, value: object = None) -> Any:
    """Return the user's primary key for its text.

    Accepts only the spelling of ``str()``, so "007" is not 7. The key fits its column, so every
    database accepts it. Raises InvalidParameter, which shows ``value``.
    """
    valid = f"a user, or an id such as '{USER_PREFIX}1'"
    field: Any = user_model()._meta.pk
    while field.remote_field is not None:
        field = field.target_field
    try:
        text = str(given)
        text.encode()  # raises an error for half a surrogate pair
        key = field.to_python(text)
        stored = field.get_prep_value(key)  # the column's value, for custom types
        field.run_validators(stored if isinstance(stored, int) else key)
        known = str(key) == text and "\0" not in text and text != ""
        fits = not isinstance(stored, int) or abs(stored) <= MAX_OFFSET
    except (ValidationError, ValueError, TypeError, OverflowError):
        known = fits = False
    if given is None or isinstance(given, bool) or not (known and fits):
        raise InvalidParameter("user_id", given if value is None else value, valid)
    return key


def user_model() -> Any:
    """Return the model of the sessions' users.

    Not always ``get_user_model()``: a test may swap ``AUTH_USER_MODEL`` at run time.
    """
    return Session._meta.get_field("user").related_model


def checked_number(parameter: str, value: object, least: int, most: int) -> int:
    """Return ``value`` if it is a whole number in this range. Raises InvalidParameter."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise InvalidParameter(parameter, value, f"a whole number from {least} to {most}")


def _client(value: object) -> dict[str, Any]:
    if isinstance(value, Client) and value.pk is not None:
        return {"client_id": value.pk}
    if is_client_id(value):
        return {"client__public_id": value}
    raise InvalidParameter("client_id", value, "a client, or an id such as 'client_2NxV…'")


def _event_key(value: object) -> int:
    if isinstance(value, Event) and value.pk is not None:
        return int(value.pk)
    found = _EVENT_ID.fullmatch(value) if isinstance(value, str) else None
    if found is not None and int(found[1]) <= MAX_OFFSET:
        return int(found[1])
    raise InvalidParameter("before", value, f"an event, or an id such as '{EVENT_PREFIX}1'")


def _status(value: object) -> str:
    if isinstance(value, str) and value in Session.Status.values:
        return str(value)
    names = ", ".join(repr(name) for name in sorted(Session.Status.values))
    raise InvalidParameter("status", value, f"one of {names}")


def _shown(value: object) -> str:
    """Return the value's ``repr()``, shortened."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write out a number of thousands of digits.
        return "a very long number"
    return text if len(text) <= 80 else f"{text[:80]}…"
