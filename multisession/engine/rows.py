"""Write the rows of sessions: make, save and drop one.

The steps call these in their transactions. ``write`` is one statement and may be called alone.
"""

from __future__ import annotations

import datetime
from typing import Any

from django.conf import settings as django_settings
from django.db import transaction
from django.utils import timezone

from multisession import signals
from multisession.conf import settings
from multisession.ground import serialization
from multisession.ground.attempts import Busy, attempt
from multisession.ground.browsers import kind_of
from multisession.ground.origin import NOWHERE
from multisession.models import Client, Event, Session
from multisession.models.clients import clients_changed
from multisession.models.nicknames import NO_LOOK, Look
from multisession.models.sessions import announce
from multisession.models.tokens import Token

from . import quick, users
from .act import Act

#: After this long without activity, the browser may have been updated: note its name again.
BROWSER_INTERVAL = datetime.timedelta(hours=1)


def make(
    act: Act,
    data: dict[str, Any],
    *,
    client: Client,
    number: int | None,
    added_by: Token | None = None,
    look: Look = NO_LOOK,
) -> Session:
    """Create the row of an account, and record its sign-in; or that of a visitor's data."""
    now = timezone.now()
    row = Session(
        client=client,
        user_id=users.key_in(data),
        number=number,
        added_by=added_by,
        nickname=look.nickname,
        hue=look.hue,
        session_data=serialization.dumps(data),
        actor_id=act.actor_id,
        ip_address=act.origin.ip_address,
        browsers=kind_of(act.origin.user_agent) if act.origin.user_agent else "",
        created_at=now,
        updated_at=now,
        last_active_at=now,
    )
    for name, value in _expiry(row, data, saved_at=now, active_at=now).items():
        setattr(row, name, value)
    row.save(using=act.using, force_insert=True)
    if row.user_id is not None:
        record_sign_in(act, row, anew=True)
    return row


def write(act: Act, row: Session, data: dict[str, Any], *, in_use: bool = False) -> bool:
    """Write the data to the row that it was loaded from. One statement, none for no change.

    ``in_use``: also note activity. Return False if the row is no longer active.
    """
    text, now, loaded = serialization.dumps(data), timezone.now(), as_loaded(row)
    if in_use:
        note_user_agent(act, row)
    changed: dict[str, Any] = {"session_data": text, "updated_at": now}
    if in_use:
        changed |= {"last_active_at": now, "ip_address": act.origin.ip_address}
    if act.actor_id and not row.actor_id:
        changed |= {"actor_id": act.actor_id, "nickname": ""}  # The nickname is the person's own.
    active_at = now if in_use else row.last_active_at
    expiry = _expiry(row, data, saved_at=now, active_at=active_at)
    is_same = text == loaded == row.session_data
    if not in_use and act.origin is not NOWHERE and is_same and _is_saved(row, expiry, now):
        return True
    changed |= expiry
    # An account that has expired meanwhile does not come back. (A visitor's data may.)
    if quick.is_sure(act.using) and quick.takes(changed):
        written = quick.write(act.using, row.pk, changed, is_account=row.user_id is not None)
    else:
        active = Session.objects.using(act.using).filter(pk=row.pk, status=row.Status.ACTIVE)
        if row.user_id is not None:
            active = active.filter(expire_at__gt=now)
        written = bool(active.update(**changed))
    if written:
        for name, value in changed.items():
            setattr(row, name, value)
        if "actor_id" in changed:
            _name_actor(act, row)
        clients_changed([row.client_id], act.using)
    return written


def as_loaded(row: Session) -> str:
    """Return the row's data as it was read: later writes may be rolled back."""
    text: str = vars(row).setdefault("_as_loaded", row.session_data)
    return text


def _is_saved(row: Session, expiry: dict[str, Any], now: datetime.datetime) -> bool:
    """Return True if saving would hardly move a deadline.

    "Hardly" is less than ``ACTIVITY_INTERVAL`` and less than a tenth of the time left, so that a
    session of half a minute is prolonged too.
    """
    interval = datetime.timedelta(seconds=settings.ACTIVITY_INTERVAL)
    return expiry["expire_at_browser_close"] == row.expire_at_browser_close and all(
        abs(expiry[name] - getattr(row, name)) < min(interval, (row.expire_at - now) / 10)
        for name in ("expire_at", "abandon_at")
    )


def _expiry(
    row: Session, data: dict[str, Any], *, saved_at: datetime.datetime, active_at: datetime.datetime
) -> dict[str, Any]:
    custom = data.get(serialization.EXPIRY)
    deadlines = row.deadlines(saved_at=saved_at, active_at=active_at, custom=custom)
    return {**deadlines, "expire_at_browser_close": closes_with_browser(data)}


def closes_with_browser(data: dict[str, Any]) -> bool:
    """Return True if the session ends when the browser closes, as Django computes it."""
    custom = data.get(serialization.EXPIRY)
    return django_settings.SESSION_EXPIRE_AT_BROWSER_CLOSE if custom is None else custom == 0


def record_sign_in(act: Act, row: Session, *, anew: bool) -> None:
    """Record a sign-in and send its signals. ``anew``: the account was added to the client."""
    if row.is_of(act.user):
        row.user = act.user
    by: Any = act.program or row.actor or users.of(row)
    Event.record([row.event("signed-in", by=by, origin=act.origin)], act.using)
    if anew:
        announce(signals.session_created, act.using, session=row)
    announce(signals.session_activated, act.using, session=row)


def _name_actor(act: Act, row: Session) -> None:
    """Name the administrator in events recorded before ``login()`` had named them."""
    vars(row).pop("actor", None)
    if act.entering is not None and settings.AUDIT:
        told = Event.objects.using(act.using).filter(
            client_id=row.client.public_id, actor_id=str(row.user_id), at__gte=act.entering.since
        )
        told.update(**Event.actor_fields(row.actor))


def note_user_agent(act: Act, row: Session) -> None:
    """Update the browser's name when the account is used again after ``BROWSER_INTERVAL``.

    A page reads no client, so this costs a statement. It comes before the session is written: see
    the lock order in Client.lock.
    """
    name, a_while = act.origin.user_agent, timezone.now() - BROWSER_INTERVAL
    if name and row.last_active_at <= a_while:
        clients = Client.objects.using(act.using).filter(pk=row.client_id)
        clients.exclude(user_agent=name).update(user_agent=name)


def drop_visitor(using: str, row: Session | None) -> None:
    """Delete a visitor's row whose data has moved or is no longer needed.

    Tokens that point to it then point to nobody.
    """
    if row is None or row.user_id is not None:
        return
    Session.objects.using(using).visitors().filter(pk=row.pk).delete()
    pointing = Token.objects.using(using).filter(client_id=row.client_id, session_id=row.pk)
    pointing.update(session=None)
    clients_changed([row.client_id], using)


def try_to_drop_visitor(using: str, row: Session | None) -> None:
    """Call ``drop_visitor`` after the change that made the row useless.

    A conflict leaves the row to the purge, but for one in an outer transaction, which is lost.
    """
    try:
        attempt(using, lambda: drop_visitor(using, row))
    except Busy:
        if transaction.get_connection(using).in_atomic_block:
            raise
