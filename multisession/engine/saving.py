"""Save the data of the current session: to the row that it came from, or to where it belongs.

``placing.decide`` has the rule, steps.py the transactions. What is here brings the two together,
and lets the current session become what was saved.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError

from multisession.conf import settings
from multisession.ground import serialization
from multisession.ground.attempts import attempt
from multisession.ground.origin import is_prefetch
from multisession.models.sessions import is_current

from . import elsewhere, placing, rows, steps, users
from .cookie import is_wearing_out
from .current import CurrentSession, account_in, data_of
from .departures import said_without_request
from .opening import Opened
from .placing import CARRIED_OVER, Step, decide

if TYPE_CHECKING:
    from multisession.models import Session
    from multisession.models.tokens import Token

    from .act import Act


def save_to_row(current: CurrentSession, row: Session, data: dict[str, Any]) -> None:
    """Write the data to the row that it was loaded from.

    If the account has ended, the data is dropped. Raises UpdateError if a visitor's row is gone.
    """
    act, before = current.act(data), serialization.loads(rows.as_loaded(row))
    closed_with_it = row.expire_at_browser_close
    _undo_hash(current, row, before, data)
    last_active_at = row.last_active_at
    request = current.request
    in_use = request is not None and row.is_touch_due and not is_prefetch(request)
    write = partial(rows.write, act, row, data, in_use=in_use)
    if not attempt(current.using, write, row, atomic=False):
        _row_has_ended(current, row, data)
        return
    if current.is_issued:
        _keep_to_new_password(current, act, current.opened.token, row, before, data)
    if before.get(serialization.EXPIRY) != data.get(serialization.EXPIRY):
        # The cookie of an account lives COOKIE_AGE, unless it has to be longer or shorter.
        current.renews_cookie |= (
            row.user_id is None
            or row.expire_at_browser_close != closed_with_it
            or current.get_expiry_age() > settings.COOKIE_AGE
        )
    if row.user_id is None or row.last_active_at != last_active_at:
        # For an account, checking once in ACTIVITY_INTERVAL is enough.
        current.renews_cookie |= is_wearing_out(current.opened, current.get_expiry_age())


def _keep_to_new_password(
    current: CurrentSession,
    act: Act,
    token: Token | None,
    row: Session,
    before: dict[str, Any],
    data: dict[str, Any],
) -> None:
    """Call ``elsewhere.keep_to_new_password`` if the data has another password now. Raises Busy."""
    if before.get(HASH_SESSION_KEY) != data.get(HASH_SESSION_KEY):
        step = partial(elsewhere.keep_to_new_password, act, token, row, before, data)
        attempt(current.using, step, row)


def _undo_hash(
    current: CurrentSession, row: Session, before: dict[str, Any], data: dict[str, Any]
) -> None:
    """Take back a new password's hash if the change of the password was rolled back."""
    if not current.may_be_undone:
        return
    known = before.get(HASH_SESSION_KEY)
    if known is None or known == data.get(HASH_SESSION_KEY):
        return
    if is_current(before, users.as_written(row.user_id)):
        data[HASH_SESSION_KEY] = known


def _row_has_ended(current: CurrentSession, row: Session, data: dict[str, Any]) -> None:
    """Keep new messages and the language of an account that ended during the request."""
    if row.number is None:
        raise UpdateError  # As Django's: a visitor's data was deleted.
    said = placing.said_since(row.get_decoded(), data)
    departures = current.note_departures()
    departures.opened, departures.kept = current.opened, CARRIED_OVER
    current.lose_row()
    current._session_cache = said
    if said:
        _carry_out(current, Step.VISIT, _kept_of(current, said))


def _kept_of(current: CurrentSession, data: dict[str, Any]) -> dict[str, Any]:
    """Return what a visitor keeps of this data; less if an account has left before."""
    departures = current.departures
    if departures is None or departures.kept is None or departures.opened is None:
        return data
    follows = settings.AFTER_SIGN_OUT == "next"
    return placing.after_sign_out(data, departures.kept, follows=follows)


def place(current: CurrentSession, data: dict[str, Any]) -> None:
    """Save data that has no row yet, or whose row belongs to another account."""
    account, row = users.account_of(data), current.opened.row
    if row is not None and row.user_id is not None and account_in(row) != account:
        data = part_with_row(current, data)
    for mark in placing.MARKS if account is not None else ():
        data.pop(mark, None)
    if account is None:
        current.carry_out_noted()
        current._session_cache = data = _kept_of(current, data)
    opened = current.opened
    was = None if opened.row is None else "visitor" if opened.row.user_id is None else "same"
    step = decide(
        is_known=opened.token is not None,
        had_accounts=opened.had_accounts,
        was=was,
        account=account is not None,
        data=bool(data) or (current.request is None and not current.flushed),
        cycled=current.is_cycled,
    )
    _carry_out(current, step, data)
    if account is not None and current.request is None:
        said, row = said_without_request.get(), current.opened.row
        if row is not None and said == ("in", row.user_id):
            said_without_request.set(None)
            current.carry_out_noted()  # Without a request, no signal could drop the note.


def part_with_row(current: CurrentSession, data: dict[str, Any]) -> dict[str, Any]:
    """End the account whose user a view rewrote in the data: a row never changes its user.

    Return the part of the data that may be kept: what was written since, and the new user.
    """
    row = current.opened.row
    if row is None:
        return data
    written = placing.written_since(row.get_decoded(), data)
    if users.account_of(data) is not None:
        auth = (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY)
        written |= {key: data[key] for key in auth if key in data}
    for key in (placing.PROVEN, placing.SIGNED_IN):
        written.pop(key, None)
    current.become_nobody()
    current.depart(row, row.Status.REMOVED, None)
    current._session_cache = written
    return written


def _carry_out(current: CurrentSession, step: Step, data: dict[str, Any]) -> None:
    act, opened = current.act(data), current.opened
    row, issued = opened.row, opened.token if current.is_issued else None
    if step is Step.BEGIN:
        _take_new(current, steps.begin(act, data, opened))
    elif step is Step.SIGN_IN:
        placed = steps.sign_in(act, data, opened, issued)
        if placed is None and issued is not None and current.presented is not None:
            # An earlier sign-in of this request was rolled back, with its token.
            placed = steps.sign_in(act, data, Opened(token=current.presented), None)
        placed = placed or steps.begin(act, data, opened)
        _take_new(current, placed)
        current._session_cache = {**data_of(placed), **data}
    elif step is Step.REISSUE and row is not None:
        try:
            current.become(steps.reissue(act, data, opened, issued))
        except UpdateError:
            current.is_cycled = False  # The token has ended; the row may still be written.
            before = row.get_decoded()
            save_to_row(current, row, data)
            _keep_to_new_password(current, act, None, row, before, data)
    elif step is Step.VISIT:
        beside = current.number is not None  # It does not change who is active.
        cycled = current.is_cycled
        try:
            current.become(steps.visit(act, data, opened, issued, cycled=cycled, beside=beside))
        except UpdateError:
            current._session_cache = {}  # Another account became active: not for its eyes.
    elif step is Step.WRITE and row is not None:
        save_to_row(current, row, data)
    elif step is Step.STEP_DOWN:
        step_down(current)


def _take_new(current: CurrentSession, placed: Opened) -> None:
    """Become a store of what a sign-in has saved: a new row, or one that goes on."""
    row = placed.row
    if row is not None and row.created_at == row.last_active_at:
        current.made_session_id = row.pk
    current.become(placed)


def step_down(current: CurrentSession) -> None:
    """End the token if its client has no active and no remembered account."""
    opened, departures = current.opened, current.departures
    if opened.token is None or departures is None or departures.opened is None:
        return
    session = departures.session
    if session is not None and session.status == session.Status.ENDED and session.is_remembered:
        return  # The account is remembered, to sign in again.
    if opened.had_accounts:
        sessions: Any = current.get_model_class().objects.using(current.using)
        if sessions.visible_to(opened.token).accounts().remembered().exists():
            return
    current.emptied = steps.forget(current.act({}), opened.token)
