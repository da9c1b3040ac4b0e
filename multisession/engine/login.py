"""What a ``login()`` changes, told by Django's signals: see receivers.py.

``login()`` flushes another user's session, writes its own user into the data and sends
``user_logged_in``. Then there has to be room for the account (``keep_to_account_limit``), and the
departure that the flush has noted is dropped (``confirm``); or the sign-in is undone (``refuse``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.utils import timezone
from django.utils.translation import ngettext

from multisession.conf import settings
from multisession.models import AccountLimitReached, Event, Session

from .act import Entering
from .placing import SIGNED_IN

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from .current import CurrentSession


def is_of(current: CurrentSession, user: Any) -> bool:
    """Return True if ``login()`` has written this user into the session, in this request."""
    field = getattr(getattr(user, "_meta", None), "pk", None)
    data = current._get_session()
    return (
        current.modified
        and field is not None
        and data.get(SESSION_KEY) == field.value_to_string(user)
    )


def session_left(current: CurrentSession) -> Session | None:
    """Return the session that ``login()`` has just flushed for another user."""
    departures = current.departures
    return departures.session if departures is not None and departures.may_stay else None


def keep_to_account_limit(current: CurrentSession, user: AbstractBaseUser) -> list[Session]:
    """Return the accounts beyond ``MAX_ACCOUNTS`` that end when this user's session begins.

    Raises AccountLimitReached if ``AT_LIMIT`` is "refuse".
    """
    entering = current.entering = Entering(timezone.now())
    token = current.token
    if token is None or not current.had_accounts:
        return []
    visible = Session.objects.using(current.using).visible_to(token).live()
    others = list(visible.accounts().exclude(user_id=user.pk).most_recently_used())
    mine = visible.filter(user_id=user.pk).exclude(pk=current.made_session_id or 0)
    first = session_left(current)
    if first is not None and first in others:  # the most recently used of all
        others = [first, *(row for row in others if row != first)]
    only_one = settings.MAX_ACCOUNTS == 1 and settings.AT_LIMIT == "replace"
    if current.login_mode == "replace" or only_one:
        entering.surplus = others
        return others
    places = settings.MAX_ACCOUNTS - 1
    surplus = others[max(places, 0) :]
    is_full = bool(surplus) or places < 0
    if is_full and mine.exists():
        return []
    if is_full and settings.AT_LIMIT == "refuse":
        text = ngettext(
            "This browser is signed in to %(count)d account already.",
            "This browser is signed in to %(count)d accounts already.",
            settings.MAX_ACCOUNTS,
        )
        raise AccountLimitReached(text % {"count": settings.MAX_ACCOUNTS})
    entering.surplus = surplus
    return surplus


def confirm(current: CurrentSession, user: AbstractBaseUser) -> None:
    """Keep the account signed in that ``flush()`` left: ``login()`` called it."""
    if current.departures is not None:
        current.departures.drop_note()
        current.departures.outdated = None
    entering = current.entering
    if entering is None:
        return
    entering.user = user
    if current.made_session_id is not None and entering.surplus:
        # An earlier receiver had the session saved already, so they end now.
        keys = [row.pk for row in entering.surplus if row.pk != current.made_session_id]
        found = Session.objects.using(current.using).filter(pk__in=keys)
        found.close(Session.Status.REPLACED, by=current.acting(user), origin=current.origin)
        entering.surplus = []


def repeat(current: CurrentSession, user: Any) -> None:
    """Record a ``login()`` as the account that is active already."""
    row = current.row
    if row is not None:
        row.user = user
        current[SIGNED_IN] = int(timezone.now().timestamp())
        event = row.event("signed-in", by=current.acting(user), origin=current.origin)
        Event.record([event], current.using)


def refuse(current: CurrentSession) -> None:
    """Undo a ``login()`` that a receiver refused."""
    row, departures, before = current.opened.row, current.departures, session_left(current)
    if current.is_issued and row is not None and row.user_id is not None:
        # An earlier receiver of user_logged_in has saved the new session already.
        row.remove(origin=current.origin)
        current.is_issued = False
    current.is_cycled = False
    if departures is not None and departures.opened is not None and before is not None:
        departures.drop_note()
        current.go_back_to(departures.opened)
        departures.opened = None
    else:
        for key in (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY):
            current._session_cache.pop(key, None)
