"""End an impersonated session when another account becomes active or the administrator's ends."""

from __future__ import annotations

from typing import Any

from multisession.models import Session


def on_activated(sender: type[Session], session: Session, **kwargs: Any) -> None:
    """Remove the impersonated sessions of this client when another account becomes active.

    Finds them in the database, not through the request, so it works for every kind of switch.
    """
    for other in _impersonated_beside(session):
        other.remove(by=other.actor)


def on_ended(
    sender: type[Session], session: Session, status: str, by: Any = None, **kwargs: Any
) -> None:
    """Remove an impersonated session that was signed out, or whose administrator's session ended.

    Removing it keeps it off the list of accounts to sign in to again. An administrator's session
    that was replaced does not count: with ``MAX_ACCOUNTS = 1`` the impersonated session itself
    replaces it.
    """
    if status == Session.Status.ENDED and session.actor_id:
        session.remove(by=by)
    if status == Session.Status.REPLACED:
        return
    for other in _impersonated_beside(session):
        if other.actor_id == str(session.user_id):
            other.remove(by=by)


def _impersonated_beside(session: Session) -> list[Session]:
    found = Session.objects.filter(client_id=session.client_id).exclude(pk=session.pk)
    return list(found.live().accounts().exclude(actor_id=""))
