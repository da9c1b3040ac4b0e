"""When an impersonated account has had its time."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner

from multisession.models import Session


def impersonator(session: Session) -> str | None:
    """The primary key of who acts through this session in its user's place; mostly None.

    django-hijack keeps a list in the session, one longer for each step: the first is who it
    really is. django-loginas keeps one, signed.
    """
    data = session.get_decoded()
    if history := data.get("hijack_history"):
        return str(history[0])
    signed = data.get(getattr(settings, "LOGINAS_FROM_USER_SESSION_FLAG", "loginas_from_user"))
    if not signed:
        return None
    try:
        return TimestampSigner().unsign(signed)
    except BadSignature:
        return ""  # Who it is cannot be said; that it is not the user can.


def on_activated(sender: type[Session], session: Session, **kwargs: Any) -> None:
    """Another account of this browser is active now: the impersonated one, if any, is over.

    By the row, not by the request: it does not matter how the administrator went away from it.
    """
    for other in _others_of(session):
        if impersonator(other) is not None:
            other.remove()


def on_ended(sender: type[Session], session: Session, status: str, **kwargs: Any) -> None:
    """Signed out of, or revoked.

    No browser offers to sign in again to an account that was only visited; and who acts in
    somebody else's place cannot go on, or back, once their own session here is gone.
    """
    if status == Session.Status.ENDED and impersonator(session) is not None:
        session.remove()
    for other in _others_of(session):
        if impersonator(other) == str(session.user_id):
            other.remove()


def _others_of(session: Session) -> list[Session]:
    others = Session.objects.filter(client_id=session.client_id).exclude(pk=session.pk)
    return list(others.live().accounts())
