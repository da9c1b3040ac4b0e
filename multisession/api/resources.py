"""Convert rows to dictionaries in the shapes of Clerk's Backend API, and events in our own."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from multisession import lists
from multisession.ground.impersonation import SOMEBODY
from multisession.ground.moments import in_utc
from multisession.models import Client, Event, Session
from multisession.pages import browsers

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def session_resource(session: Session) -> dict[str, Any]:
    """Return a session, with its status at this moment."""
    return {
        "object": "session",
        "id": session.public_id,
        "client_id": session.client.public_id,
        "user_id": lists.user_id_of(session),
        "actor": {"sub": _acting(session.actor_id)} if session.actor_id else None,
        "status": session.current_status.value,
        "last_active_organization_id": session.organization or None,
        "last_active_at": milliseconds(session.last_active_at),
        "latest_activity": activity_resource(session),
        "expire_at": milliseconds(session.expire_at),
        "abandon_at": milliseconds(session.abandon_at),
        "created_at": milliseconds(session.created_at),
        "updated_at": milliseconds(session.updated_at),
        "tasks": None,
    }


def _acting(actor_id: str) -> str:
    """Return the user id of who acts as somebody else. "erased" is nobody's: it has no prefix."""
    return SOMEBODY if actor_id == SOMEBODY else f"{lists.USER_PREFIX}{actor_id}"


def activity_resource(session: Session) -> dict[str, Any]:
    """Return the browser, system and IP address of the session's latest use."""
    user_agent = session.client.user_agent
    family, system = browsers.family_and_system(user_agent)
    return {
        "object": "session_activity",
        "id": session.public_id.replace("sess_", "sess_activity_", 1),
        "is_mobile": "Mobi" in user_agent,
        "device_type": system or None,
        "browser_name": family or None,
        "browser_version": None,
        "ip_address": session.ip_address,
        "city": None,
        "country": None,
    }


def client_resource(client: Client, sessions: Sequence[Session]) -> dict[str, Any]:
    """Return a client with the ``sessions`` that it remembers, newest first."""
    active = next((token.live_session() for token in client.shown_tokens), None)  # type: ignore[attr-defined]
    return {
        "object": "client",
        "id": client.public_id,
        "session_ids": [session.public_id for session in sessions],
        "sessions": [session_resource(session) for session in sessions],
        "sign_in_id": None,
        "sign_up_id": None,
        "last_active_session_id": active.public_id if active and active.user_id else None,
        "last_authentication_strategy": None,
        "created_at": milliseconds(client.created_at),
        "updated_at": milliseconds(client.updated_at),
    }


def event_resource(event: Event) -> dict[str, Any]:
    """Return an event of the audit trail, with the names of that time."""
    family, system = browsers.family_and_system(event.user_agent)
    actor = None
    if event.actor or event.actor_id:
        sub = f"{lists.USER_PREFIX}{event.actor_id}" if event.actor_id else None
        actor = {"sub": sub, "name": event.actor}
    return {
        "object": "event",
        "id": lists.event_id_of(event),
        "kind": event.kind,
        "user_id": f"{lists.USER_PREFIX}{event.user_id}",
        "account": event.account,
        "session_id": event.session_id,
        "client_id": event.client_id,
        "organization_id": event.organization or None,
        "actor": actor,
        "ip_address": event.ip_address,
        "browser_name": family or None,
        "device_type": system or None,
        "created_at": milliseconds(event.at),
    }


def page_resource(data: list[dict[str, Any]], total_count: int) -> dict[str, Any]:
    """Return one page of a list, with the total number."""
    return {"data": data, "total_count": total_count}


def error_resource(code: str, message: str, long_message: str, parameter: str) -> dict[str, Any]:
    """Return an error. It names the invalid parameter twice, because Clerk has two names for it."""
    meta = {"name": parameter, "param_name": parameter} if parameter else {}
    error = {"message": message, "long_message": long_message, "code": code, "meta": meta}
    return {"errors": [error]}


def milliseconds(moment: datetime.datetime) -> int:
    """Return the whole milliseconds since 1970."""
    return (in_utc(moment) - _EPOCH) // datetime.timedelta(milliseconds=1)
