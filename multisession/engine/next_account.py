"""Under AFTER_SIGN_OUT "next": which account follows by itself, and when.

Nothing that the person did not do changes the active account. So only after an account has gone,
not outside a request, not for a write, which was meant for somebody else, and not for a page that
the browser only fetches in advance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from multisession import signals
from multisession.conf import settings
from multisession.ground.asking import SAFE_METHODS
from multisession.ground.origin import is_prefetch

from .attempts import Busy
from .placing import NEXT

if TYPE_CHECKING:
    from django.http import HttpRequest

    from .opening import Opened
    from .steps import Act


def is_due(request: HttpRequest | None, opened: Opened) -> bool:
    """Return True if another account is to follow one that has gone."""
    row, token = opened.row, opened.token
    if token is None or token.session_id is None or (row is not None and row.user_id is not None):
        return False
    # (Nobody has left where a visit is over; unless an account was to follow it.)
    last = row or token.session
    gone = last is None or last.user_id is not None or NEXT in last.get_decoded()
    return gone and may_follow(request)


def may_follow(request: HttpRequest | None) -> bool:
    """Return True if this request may change the active account by itself."""
    return (
        request is not None
        and settings.AFTER_SIGN_OUT == "next"
        and request.method in SAFE_METHODS
        and not is_prefetch(request)
    )


def activate(act: Act, opened: Opened, request: HttpRequest | None) -> Opened | None:
    """Make the most recently used live account active, in place of one that is gone."""
    from multisession.models import Session

    from . import steps

    candidates = Session.objects.using(act.using).visible_to(opened.base).live().accounts()
    for row in candidates.with_users().most_recently_used():
        if not row.is_current_for(row.user):
            continue
        answers = signals.active_session_changing.send_robust(
            sender=Session, request=request, leaving=None, entering=row
        )
        if any(isinstance(answer, Exception) for _receiver, answer in answers):
            return None  # Refused: then nobody is active. Nobody had asked for it.
        try:
            placed = steps.switch(act, opened._replace(row=None), row, by=None, unless_moved=True)
        except (steps.Refused, Busy):
            return None  # A page beside this one was quicker.
        steps.drop_visitor(act.using, opened.row)
        return placed
    return None
