"""The cookie that a store has for its browser: its value, and for how long."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, NamedTuple

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from multisession.conf import settings

if TYPE_CHECKING:
    from .opening import Opened


class Cookie(NamedTuple):
    """A value, and for how many seconds a browser keeps it; None: until it is closed."""

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
    """Return what the browser may be given; None if it is to keep what it has.

    A new value is not sent if the transaction was rolled back in which it was made, an old one not
    if another has followed it (but for one that was lost: a minute later nobody has shown it). One
    statement; none for the value of a browser that is new.

    One cookie serves all accounts of the client: as soon as one of them asked to be forgotten when
    the browser closes, all are. It lives ``COOKIE_AGE`` if the client remembers an account. For a
    visitor it lives as long as Django's, and half as long again: in the first half of that time it
    is not renewed (see ``is_wearing_out``).

    ``is_certain``: the value was made by this very request, and committed. ``began``: when the
    request read its session. ``age`` (seconds) and
    ``closes_with_browser`` are what Django would give this session's cookie.
    """
    from multisession.models import SETTLING, Session, Token

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
    """Return True if the value was made so long ago that the browser may soon drop it.

    ``age``: how many seconds a visitor's cookie lives.
    """
    token, row = opened.token, opened.row
    if token is None:
        return False
    seconds = age if row is not None and row.user_id is None else settings.COOKIE_AGE
    return token.created_at <= timezone.now() - datetime.timedelta(seconds=seconds) / 2
