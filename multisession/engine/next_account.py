"""Under ``AFTER_SIGN_OUT = "next"``: which account becomes active by itself, and when.

Only after the active account has ended, and only for a page that a person opens: not outside a
request, not for an unsafe method (it was meant for the account that ended), not for a prefetch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from multisession import signals
from multisession.conf import settings
from multisession.ground.asking import SAFE_METHODS
from multisession.ground.attempts import Busy
from multisession.ground.origin import is_prefetch

from . import switch_rule
from .placing import NEXT

if TYPE_CHECKING:
    from django.http import HttpRequest

    from .act import Act
    from .opening import Opened


def is_due(request: HttpRequest | None, opened: Opened) -> bool:
    """Return True if the active account has ended and another may follow it."""
    row, token = opened.row, opened.token
    if token is None or token.session_id is None or (row is not None and row.user_id is not None):
        return False
    # A visitor's session that is over calls for no account, unless it says so.
    last = row or token.known_session
    gone = last is None or last.user_id is not None or NEXT in last.get_decoded()
    return gone and may_follow(request)


def may_follow(request: HttpRequest | None) -> bool:
    """Return True if this request may make another account active by itself."""
    return (
        request is not None
        and settings.AFTER_SIGN_OUT == "next"
        and request.method in SAFE_METHODS
        and not is_prefetch(request)
    )


def activate(act: Act, opened: Opened, request: HttpRequest | None) -> Opened | None:
    """Make the most recently used live account active. Return None if there is none."""
    from multisession.models import Session

    from . import rows, steps

    candidates = Session.objects.using(act.using).visible_to(opened.living_token).live().accounts()
    for row in candidates.with_users().most_recently_used():
        if not row.is_current_for(row.user):
            continue
        if switch_rule.asks(request, row):
            return None  # The person chooses it, and is asked for its password.
        answers = signals.active_session_changing.send_robust(
            sender=Session, request=request, leaving=None, entering=row
        )
        if any(isinstance(answer, Exception) for _receiver, answer in answers):
            return None  # Refused: nobody is active.
        try:
            placed = steps.switch(act, opened._replace(row=None), row, by=None, unless_moved=True)
        except (steps.Refused, Busy):
            return None  # Another request was quicker.
        rows.try_to_drop_visitor(act.using, opened.row)
        return placed
    return None
