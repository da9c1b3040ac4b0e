"""What Django's own sign-in signals tell the engine. Connected by the app's config."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.translation import ngettext

from . import guard, signals
from .backends.db import SessionStore
from .conf import settings
from .models import Session
from .profiles import profile_of


def on_signed_in(sender: Any, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """``login()`` has written the user into the session: an account is about to be added.

    Without a request (Channels sends none) there is no store to tell: the account that made
    room stays signed out, as under Django's own sessions.
    """
    store = getattr(request, "session", None)
    if not isinstance(store, SessionStore):
        return
    active = store.row
    if active is not None and active.is_of(user) and not store.is_making_room:
        store.signed_in_again(user)
        return
    leaving = store.leaving_for(user)
    # In a project whose user model was swapped at run time (tests), the key fits no user.
    users: Any = Session.user.field.related_model
    fits = isinstance(user, users._meta.concrete_model)
    entering = Session(user=user) if fits else Session()
    try:
        signals.active_session_changing.send(
            sender=Session, request=request, leaving=leaving, entering=entering
        )
        replaced = store.make_way(user) if fits else []
    except Exception:
        store.refuse_login()
        _nobody(request)
        raise
    store.confirm_login(user)
    if request is not None and hasattr(request, "multisession"):
        request.multisession.forget()
        _leave_messages_behind(request)
        for session in replaced if settings.MULTIPLE else ():
            text = ngettext(
                "%(account)s was signed out: a browser can hold %(count)d account.",
                "%(account)s was signed out: a browser can hold %(count)d accounts.",
                settings.MAX_ACCOUNTS,
            )
            profile = profile_of(session.user)
            values = {"account": profile.label, "count": settings.MAX_ACCOUNTS}
            messages.info(request, text % values, fail_silently=True)
        guard.account_changed(request)


def on_signed_out(sender: Any, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """``logout()`` is about to flush the session: that flush is meant as a sign-out."""
    store = getattr(request, "session", None)
    if not isinstance(store, SessionStore):
        return
    if store.row is not None and store.row.user_id is not None:
        signals.active_session_changing.send(
            sender=Session, request=request, leaving=store.row, entering=None
        )
    store.announce_sign_out(user)
    if request is not None and hasattr(request, "multisession"):
        request.multisession.forget()


def _nobody(request: HttpRequest | None) -> None:
    """``login()`` has set these to the user who was refused."""

    async def auser() -> AnonymousUser:
        return AnonymousUser()

    if request is not None and hasattr(request, "user"):
        request.user = AnonymousUser()
        request.auser = auser


def _leave_messages_behind(request: HttpRequest) -> None:
    """Unread messages of the account that made room are still in its session: not for this one.

    What this request has queued is for whom its answer is for.
    """
    storage: Any = getattr(request, "_messages", None)
    if hasattr(storage, "_loaded_data"):
        storage._loaded_data = []
