"""The end of a request: what had to wait for its transactions, and what its browser told us."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from multisession.conf import settings
from multisession.ground.attempts import Busy, attempt
from multisession.ground.browsers import kind_of
from multisession.ground.origin import user_agent_of

from . import next_account, saving, users

if TYPE_CHECKING:
    from .current import CurrentSession
    from .departures import Departures
    from .opening import Opened


def conclude(current: CurrentSession) -> None:
    """Finish what had to wait for the end of the request and of its transactions.

    Safe to call more than once, whatever the response was.
    """
    if current.is_opened:
        departures = current.departures
        if departures is not None:
            departures.carry_out_noted()
            departures.carry_out_again()
            if current.opened.row is None and not current.emptied:
                saving.step_down(current)
            _leave_outdated(current, departures)
        _note_presentation(current)
        _note_kind(current)
    current.is_over = True


def _leave_outdated(current: CurrentSession, departures: Departures) -> None:
    """Make nobody active where ``get_user()`` found an earlier password.

    The row stays: the request that changed the password may be about to write it.
    """
    outdated, departures.outdated = departures.outdated, None
    if outdated is None or outdated.token is None or outdated.row is None:
        return
    if outdated.row.is_current_for(users.as_written(outdated.row.user_id)):
        # The new password was rolled back, so the flushed session had the right one.
        current.depart(outdated.row, outdated.row.Status.REMOVED, None)
    elif current.opened.row is None and not _another_follows(current, outdated):
        with suppress(Busy):  # the next request tries again
            step = partial(outdated.token.point_to, None, unless_moved=True)
            attempt(current.using, step, outdated.token, atomic=False)


def _another_follows(current: CurrentSession, ended: Opened) -> bool:
    """Make another account active by itself, if this request may. Return True if one is."""
    if not next_account.may_follow(current.request):
        return False
    return next_account.activate(current.act({}), ended, current.request) is not None


def _note_presentation(current: CurrentSession) -> None:
    """Note that the browser presented this token: its ancestors end (models/tokens.py)."""
    token, current.presented = current.presented, None
    if token is None:
        return
    with suppress(Busy):  # the next request tries again
        # (A value that has ended during the request was good when it was presented.)
        if not token.is_living_at(current.began):
            attempt(current.using, partial(token.note_reuse, current.origin))
        elif token.is_to_be_noted(current.began):
            attempt(current.using, partial(token.note_presentation, current.began), token)


def _note_kind(current: CurrentSession) -> None:
    """Note that another kind of browser than at the sign-in presented the cookie."""
    row, request = current.opened.row, current.request
    if request is None or row is None or not row.browsers or not settings.KEEP_USER_AGENTS:
        return
    # Not current.origin: most pages need no address.
    kind = kind_of(user_agent_of(request))
    if row.browsers != kind and row.user_id is not None and row.is_on_another_browser(kind):
        with suppress(Busy):  # the next request tries again
            attempt(current.using, partial(row.note_browser, kind, origin=current.origin), row)
