"""The cookie that a store sends to its browser: value and lifetime."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, NamedTuple

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from multisession.conf import settings

if TYPE_CHECKING:
    from .opening import Opened


class Cookie(NamedTuple):
    """A value and its ``Max-Age`` in seconds; None: until the browser closes."""

    value: str
    max_age: int | None


def cookie_of(
    opened: Opened,
    using: str,
    *,
    is_certain: bool,
    began: datetime.datetime,
    closes_with_browser: bool,
    age: int,
) -> Cookie | None:
    """Return the cookie to send; None if the browser is to keep what it has.

    A new value is not sent if its transaction was rolled back; an old one not if a follower exists
    that was presented or is less than a minute old (an older one was lost on its way). One
    statement; none for a new browser.

    One cookie serves all accounts of the client: if one is to end when the browser closes, all do.
    It lives ``COOKIE_AGE`` if the client remembers an account. A visitor's lives one and a half
    times as long as Django's, because it is not renewed in the first half of its life (see
    ``is_wearing_out``).

    ``is_certain``: this request created the value and committed it. ``began``: when the request
    read its session. ``age`` (seconds) and ``closes_with_browser``: what Django would give this
    session's cookie.
    """
    from multisession.models import Session
    from multisession.models.tokens import SETTLING, Token

    token, value, row = opened.token, opened.secret, opened.row
    if token is None or value is None:
        return None
    if is_certain and token.parent_id is None:
        until_it_closes, is_remembered = False, row is not None and row.user_id is not None
    else:
        sessions = Session.objects.using(using).filter(client_id=OuterRef("client_id"))
        closing = sessions.live().filter(expire_at_browser_close=True)
        followers = Token.objects.using(using).filter(parent_id=OuterRef("pk"))
        recent = Q(presented_at__isnull=False) | Q(created_at__gt=began - SETTLING)
        known = Token.objects.using(using).living().filter(pk=token.pk)
        known = known.filter(~Exists(followers.filter(recent)))
        remembered = Exists(sessions.accounts().remembered())
        found = known.values_list(Exists(closing), remembered).first()
        if found is None:
            return None
        until_it_closes, is_remembered = found
    if until_it_closes or closes_with_browser:
        return Cookie(value, None)
    return Cookie(value, max(age, settings.COOKIE_AGE) if is_remembered else age * 3 // 2)


def is_wearing_out(opened: Opened, age: int) -> bool:
    """Return True if half of the cookie's life is over.

    ``age``: the life of a visitor's cookie in seconds.
    """
    token, row = opened.token, opened.row
    if token is None:
        return False
    seconds = age if row is not None and row.user_id is None else settings.COOKIE_AGE
    return token.created_at <= timezone.now() - datetime.timedelta(seconds=seconds) / 2
