"""End an impersonated session when another account becomes active, or its administrator is gone."""

from __future__ import annotations

from typing import Any

from multisession.models import Session


def on_activated(sender: type[Session], session: Session, **kwargs: Any) -> None:
    """Another account of this browser is active now: the impersonated one, if any, is over.

    By the row, not by the request: it does not matter how the administrator went away from it.
    """
    for other in _impersonated_beside(session):
        other.remove(by=other.actor)


def on_ended(
    sender: type[Session], session: Session, status: str, by: Any = None, **kwargs: Any
) -> None:
    """Signed out of, or revoked.

    No browser offers to sign in again to an account that was only visited. And who acts in
    somebody else's place cannot go on, or back, once their own session here is gone; unless the
    impersonated one has just taken its place, where a browser holds one account.
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
