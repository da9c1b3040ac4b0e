"""Receivers of Django's sign-in signals. The AppConfig connects them."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.translation import ngettext

from . import signals
from .backends.db import SessionStore
from .conf import settings
from .engine import doubled, login
from .engine.departures import said_without_request
from .guard import page_tokens
from .models import Session
from .pages.profiles import profile_of
from .request_user import become


def on_signed_in(sender: Any, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """Add the account, after ``login()`` has written the user into the session.

    Some packages send the signal without ``login()``, when they issue a token (django-rest-knox,
    djoser). This receiver ignores it.

    Without a request (Channels sends none) there is no store. Then the previous account ends, as
    under Django's own sessions.
    """
    store = getattr(request, "session", None)
    if not isinstance(store, SessionStore):
        _say_without_request("in", request, user)
        return
    if not login.is_of(store, user):
        return  # A package has issued a token; nobody signed in on this browser.
    # If a test has swapped AUTH_USER_MODEL, the foreign key can't refer to this user.
    users: Any = Session.user.field.related_model
    fits = isinstance(user, users._meta.concrete_model)
    active = store.row
    if active is not None and active.user_id == user.pk and not store.is_issued:
        if fits:
            login.repeat(store, user)
        return
    leaving = login.session_left(store)
    if leaving is not None and leaving.is_of(user):
        leaving = None
    entering = Session(user=user) if fits else Session()
    try:
        signals.active_session_changing.send(
            sender=Session, request=request, leaving=leaving, entering=entering
        )
        replaced = login.keep_to_account_limit(store, user) if fits else []
    except Exception:
        login.refuse(store)
        _nobody(request)
        raise
    login.confirm(store, user)
    if request is not None:
        doubled.note_sign_in(request, store)
    if request is not None and hasattr(request, "multisession"):
        request.multisession.read_again()
        _leave_messages_behind(request)
        for session in replaced if settings.MAX_ACCOUNTS > 1 else ():
            text = ngettext(
                "%(account)s was signed out because a browser can hold %(count)d account.",
                "%(account)s was signed out because a browser can hold %(count)d accounts.",
                settings.MAX_ACCOUNTS,
            )
            profile = profile_of(session)
            values = {"account": profile.label, "count": settings.MAX_ACCOUNTS}
            messages.info(request, text % values, fail_silently=True)
        page_tokens.account_changed(request)
        if request.multisession._serves_coroutine:
            store.save()  # What the coroutine renders next needs the session's id.


def on_signed_out(sender: Any, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """Tell the store that the flush() of ``logout()``, which follows, is a sign-out."""
    store = getattr(request, "session", None)
    if not isinstance(store, SessionStore):
        _say_without_request("out", request, user)
        return
    is_account = store.row is not None and store.row.user_id is not None
    if is_account:
        signals.active_session_changing.send(
            sender=Session, request=request, leaving=store.row, entering=None
        )
    store.announce_sign_out(user)
    if request is not None and hasattr(request, "multisession"):
        request.multisession.read_again()
        if is_account:
            page_tokens.account_changed(request)


def _say_without_request(what: str, request: HttpRequest | None, user: Any) -> None:
    if request is None and user is not None:
        said_without_request.set((what, user.pk))


def _nobody(request: HttpRequest | None) -> None:
    """Make ``request.user`` anonymous, as ``login()`` has set the refused user."""
    if request is not None and hasattr(request, "user"):
        become(request, AnonymousUser())


def _leave_messages_behind(request: HttpRequest) -> None:
    """Drop the previous account's unread messages from this request; its session keeps them.

    Messages that this request has added stay, as they belong to its answer.
    """
    storage: Any = getattr(request, "_messages", None)
    if hasattr(storage, "_loaded_data"):
        storage._loaded_data = []
