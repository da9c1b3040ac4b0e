"""What actions.py and the middleware do with the current session, as the store carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.sessions.backends.base import UpdateError

from multisession.ground.attempts import attempt

from . import placing, rows, steps
from .departures import Departure

if TYPE_CHECKING:
    from typing import Any

    from django.contrib.auth.base_user import AbstractBaseUser

    from multisession.models import Session
    from multisession.models.session_sets import SessionQuerySet

    from .current import CurrentSession


def switch(
    current: CurrentSession,
    row: Session,
    *,
    organization: str | None = None,
    by: AbstractBaseUser | None = None,
) -> None:
    """Make another live session of this client the active one.

    Unsaved data is saved to the present one first. ``organization``: its new organization, or None
    if that stays. ``by`` is the user who asked for it. Raises UpdateError if the token or the
    session has ended meanwhile.
    """
    opened = current.opened
    if opened.token is None:
        raise UpdateError
    if current.modified and opened.row is not None:
        current.save()
        opened = current.opened
    placed = steps.switch(current.act({}), opened, row, by=by, organization=organization)
    current.go_on_as(placed, row.get_decoded())
    rows.try_to_drop_visitor(current.using, opened.row)


def enter_organization(
    current: CurrentSession,
    row: Session,
    organization: str,
    *,
    by: AbstractBaseUser | None = None,
) -> None:
    """Put the active session into this organization; "" for none. Raises UpdateError."""
    opened = current.opened
    if opened.token is None:
        raise UpdateError
    placed = steps.enter_organization(current.act({}), opened, row, organization, by=by)
    if placed is not opened:
        current.become(placed)
    current.accessed = True


def step_aside(current: CurrentSession, page: str = "") -> None:
    """Make nobody active; the account that was stays signed in.

    Unsaved data is saved to it first. From here on the data is a visitor's; it names the account
    that stepped aside, and its page. With a number in the key, whoever is active elsewhere stays
    it. Raises UpdateError.
    """
    row, beside = current.opened.row, current.number is not None
    if row is None or row.user_id is None:
        return
    if current.modified:
        current.save()
    data = {placing.ASIDE: {"session": row.public_id, "page": page}}
    act, nobody = current.act(data), current.opened._replace(row=None, user=None)
    placed = steps.visit(act, data, nobody, None, cycled=False, beside=beside)
    current.go_on_as(placed, data)


def sign_out(current: CurrentSession) -> None:
    """Sign out of the active account, as ``logout()`` does, or drop a visitor's data.

    Messages and the language that this request has set are kept.
    """
    row, data = current.opened.row, current._get_session()
    if row is None:
        return
    said = placing.said_since(row.get_decoded(), data) if row.user_id is not None else {}
    current.announce_sign_out(current.user)
    current.flush()
    current.update(said)


def sign_out_other(current: CurrentSession, row: Session, *, by: Any) -> None:
    """Sign out of an account of this browser that is not the active one."""
    current.depart(row, row.Status.ENDED, by)


def take_off(current: CurrentSession, sessions: SessionQuerySet, *, by: Any) -> list[Session]:
    """Take these sessions of this client off its list. Return those that this call ended."""
    token = current.token
    if token is None:
        return []
    departure = Departure(sessions, token.client_id, None, {"by": by, "origin": current.origin})
    current.note_departures().carry_out_again_if_undone(departure)
    ended = departure.carry_out(current.using)
    current.renews_cookie |= any(row.expire_at_browser_close for row in ended)
    return ended


def make_nobody_active(
    current: CurrentSession, *, forget: bool = False, stay: bool = False
) -> None:
    """Make nobody active, after a verb has closed the active session.

    ``forget``: carry nothing over to the next page. ``stay``: no other account follows by itself.
    """
    opened = current.opened
    departures = current.become_nobody()
    departures.opened = departures.opened or opened
    if forget:
        departures.kept = ()
    if stay and opened.token is not None:
        opened.token.point_to(None, unless_moved=True)
        departures.kept = None


def touch(current: CurrentSession, row: Session) -> bool:
    """Note activity (see ``Session.touch``) and the browser's name."""
    if not row.is_touch_due:
        return False

    def step() -> bool:
        rows.note_user_agent(current.act({}), row)
        return row.touch(origin=current.origin)

    return attempt(current.using, step, row, atomic=False)
