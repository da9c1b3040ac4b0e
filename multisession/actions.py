"""The verbs: everything that a view or a program can do to a browser's accounts.

A request may act on the sessions of the client that its cookie presents, and on no others. For an
unknown id, another client's and a removed one, a verb changes nothing and raises the same
``SessionNotFound``. Every verb has an async twin whose name begins with ``a``.

Use Django's ``login()`` to add an account and ``logout()`` to sign out of the active one.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Unpack

from asgiref.sync import sync_to_async
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import UpdateError
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import Max
from django.http import Http404, HttpRequest
from django.utils import timezone

from . import lists, organizations, request_user, signals
from .backends.db import SessionStore
from .engine import switch_rule, verbs
from .ground.attempts import attempt
from .guard import page_tokens
from .models import AccountLimitReached, Session
from .models.events import Cause
from .models.nicknames import set_look
from .models.session_sets import SessionQuerySet
from .organizations import KEEP, Keep, Organization
from .upkeep import erasing
from .upkeep.erasing import Erased

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from .request import MultiSession


#: How many sessions ``revoke_in_batches`` ends in one transaction.
BATCH = 500


class SessionNotFound(Http404):
    """No such session on this client; the same for unknown, foreign and removed ones."""


class SignInAgain(SessionNotFound):
    """The client remembers this account, but the person has to sign in again to use it.

    It was signed out or deactivated, has expired, or has a new password. ``session`` is the
    remembered one.
    """

    def __init__(self, session: Session) -> None:
        super().__init__("This account has to sign in again.")
        self.session = session


class ConfirmationNeeded(PermissionDenied):
    """The project's rule asks for the password of ``session`` first (``ASK_AT_SWITCH``)."""

    def __init__(self, session: Session, organization: str | None = None) -> None:
        super().__init__("This account asks for its password first.")
        self.session = session
        #: The organization to enter; None if it stays.
        self.organization = organization


class OrganizationNotFound(Http404):
    """No such organization for this user; the same for unknown and foreign ones."""


def set_active(
    request: HttpRequest,
    session: Session | str | None | Keep = KEEP,
    *,
    organization: Organization | str | None | Keep = KEEP,
    confirmed: bool = False,
) -> Session | None:
    """Switch: make another account of this browser the active one. Returns its session.

    ``session`` is a Session or its public id. None removes the current one from the client and
    activates no other. ``organization`` is an Organization of the account's user, its id, or None
    to be in none; each session has its own, which stays unless it is given. Afterwards
    ``request.user``, ``request.session`` and ``request.multisession.organization`` are the new
    ones; answer with a full page load. The cookie does not change.

    ``confirmed``: the person has just proven to be this account's user. Then ``ASK_AT_SWITCH`` is
    not asked, and the cookie gets a new value.

    Raises SessionNotFound, SignInAgain, OrganizationNotFound, ConfirmationNeeded, UpdateError (a
    concurrent request has ended the cookie or the session), or what a receiver of
    ``active_session_changing`` or ``active_organization_changing`` raises. Then nothing changes.
    """
    store, accounts = _store(request), _accounts(request)
    active = accounts.session
    if session is KEEP:
        if active is None:
            raise SessionNotFound("No account is active.")
        session = active
    if session is None:
        if organization is not KEEP:
            raise TypeError("set_active() got an organization, but no session to be in it.")
        if active is not None:
            _announce_change(request, active, None)
            _remove(request, active)
            _leave_active(request, stay=True)
        return None
    if active is not None and _public_id(session) == active.public_id:
        _enter_organization(request, active, organization)
        return active
    found = _find(accounts, session)
    if found not in accounts.sessions:
        raise SignInAgain(found)
    entering = _find_organization(found, organization)
    if not confirmed and switch_rule.asks(request, found):
        raise ConfirmationNeeded(found, None if isinstance(entering, Keep) else _id_of(entering))
    _announce_change(request, active, found)
    user: Any = found.user
    changed: str | None = None
    if entering is not KEEP and found.organization != _id_of(entering):
        _announce_organization(request, found, entering)
        changed = _id_of(entering)
    _put_away_messages(request)
    by = user if active is None else store.acting(active.user)
    verbs.switch(store, found, organization=changed, by=by)
    if confirmed:
        store.cycle_key()
    request_user.become(request, user)
    accounts.read_again()
    page_tokens.account_changed(request)
    return found


def _enter_organization(
    request: HttpRequest, active: Session, organization: Organization | str | None | Keep
) -> None:
    """Put the active account into this organization, if it is not there already."""
    store, accounts = _store(request), _accounts(request)
    entering = _find_organization(active, organization)
    if entering is KEEP or (
        active.organization == _id_of(entering) and not accounts._lost_organization
    ):
        return
    _announce_organization(request, active, entering)
    verbs.enter_organization(store, active, _id_of(entering), by=store.acting(active.user))
    accounts._enter(active, entering)
    accounts.read_again()
    page_tokens.account_changed(request)


def _find_organization(
    session: Session, organization: Organization | str | None | Keep
) -> Organization | None | Keep:
    """Return this organization of the session's user, as the provider says now."""
    if organization is None or isinstance(organization, Keep):
        return organization
    wanted = organization if isinstance(organization, str) else organization.id
    found = organizations.find(session.user, wanted)
    if found is None:
        raise OrganizationNotFound("No such organization for this account.")
    return found


def _id_of(organization: Organization | None) -> str:
    return organization.id if organization is not None else ""


def _announce_organization(
    request: HttpRequest, session: Session, entering: Organization | None
) -> None:
    signals.active_organization_changing.send(
        sender=Session, request=request, session=session, entering=entering
    )


def step_aside(request: HttpRequest, *, page: str = "") -> Session | None:
    """Make no account active; all stay signed in. Returns the session that was active.

    For sign-in pages that redirect signed-in users. Afterwards ``request.user`` is anonymous and
    ``request.session`` is a visitor's. Until an account is active again,
    ``request.multisession.stepped_aside`` is the returned session and ``page_left`` is ``page``.

    Raises UpdateError (a concurrent request has ended the cookie), or what a receiver of
    ``active_session_changing`` raises. Then nothing has changed.
    """
    store, accounts = _store(request), _accounts(request)
    active = accounts.session
    if active is None:
        return None
    _announce_change(request, active, None)
    _put_away_messages(request)
    verbs.step_aside(store, page)
    _nobody_is_active(request)
    return active


def sign_out(request: HttpRequest, session: Session | str) -> Session:
    """Sign out of one account of this browser, which stays remembered. Returns its session.

    For the active account this calls Django's ``logout()``. Raises SessionNotFound.
    """
    store, accounts = _store(request), _accounts(request)
    active, found = accounts.session, _find(accounts, session)
    if not found.is_live:
        raise SessionNotFound("This account is signed out.")
    if active is not None and found.pk == active.pk:
        logout(request)
        request_user.become(request, request.user)
        found.status = Session.Status.ENDED
    else:
        verbs.sign_out_other(store, found, by=_actor(request))
    accounts.read_again()
    return found


def sign_out_all(request: HttpRequest) -> list[Session]:
    """Sign out of every account of this browser and forget them all. Returns those that ended.

    The answer deletes the cookie.
    """
    store, accounts = _store(request), _accounts(request)
    token, by = store.token, _actor(request)
    if token is None:
        return []
    if accounts.session is not None:
        _announce_change(request, accounts.session, None)
    everything = Session.objects.using(store.using).visible_to(token)
    newest = everything.aggregate(newest=Max("pk"))["newest"]
    if newest is None or (store.row is None and not everything.remembered().exists()):
        return []
    ended = verbs.take_off(store, everything.filter(pk__lte=newest), by=by)
    attempt(store.using, everything.visitors().delete)
    _leave_active(request, forget=True)
    return ended


def forget(request: HttpRequest, session: Session | str) -> Session:
    """Take one account off this browser's list, signed in or remembered. Returns its session.

    Raises SessionNotFound.
    """
    accounts = _accounts(request)
    active, found = accounts.session, _find(accounts, session)
    if active is not None and found.pk == active.pk:
        set_active(request, None)
    else:
        _remove(request, found)
        _nothing_remembered(request)
    accounts.read_again()
    found.refresh_from_db(fields=["status", "updated_at", "forgotten"])
    return found


def set_nickname(
    request: HttpRequest,
    session: Session | str,
    nickname: str | None = None,
    *,
    colour: int | None = None,
) -> Session:
    """Give an account of this browser a nickname and a colour, here and in every other browser.

    None leaves one as it is, and "" takes the nickname away. ``colour`` is a number, 0 to 11.
    Returns the session. Raises SessionNotFound, also for an administrator who acts as the user;
    SignInAgain for an account that is signed out; and ValueError for a nickname of more than 40
    characters or an unknown colour.
    """
    accounts = _accounts(request)
    found = _find(accounts, session)
    if found not in accounts.sessions:
        raise SignInAgain(found)
    if found.actor_id:
        raise SessionNotFound("Only the person gives the account a nickname.")
    set_look(found.user_id, nickname=nickname, hue=colour)
    for row in filter(None, (found, accounts.session)):
        if row.pk == found.pk:
            row.nickname = row.nickname if nickname is None else nickname
            row.hue = row.hue if colour is None else colour
    accounts.read_again()
    return found


def revoke(session: Session, **cause: Unpack[Cause]) -> bool:
    """End a session of any client. Its next request is signed out. Returns True if it was live.

    For the audit trail, ``by`` is a user or the name of a program, and ``origin`` is
    ``Origin.of(request)``.
    """
    return session.revoke(**cause)


def revoke_all(sessions: Iterable[Session], **cause: Unpack[Cause]) -> int:
    """Revoke many sessions in a constant number of queries. Returns how many were live."""
    keys = [session.pk for session in sessions]
    return len(Session.objects.filter(pk__in=keys).close(Session.Status.REVOKED, **cause))


def revoke_in_batches(
    sessions: SessionQuerySet,
    *,
    before: datetime.datetime | None = None,
    **cause: Unpack[Cause],
) -> Iterator[list[Session]]:
    """Revoke any number of sessions, ``BATCH`` in a transaction. Yields those that each one ended.

    No lock is held for long. Leaves out sessions that began after ``before``, by default now. If
    the caller stops in between, another call with the same arguments goes on.
    """
    moment, last = before or timezone.now(), 0
    rest = sessions.live().filter(created_at__lte=moment).order_by("pk")
    while True:
        keys = list(rest.filter(pk__gt=last).values_list("pk", flat=True)[:BATCH])
        if keys:
            last = keys[-1]
            found = Session.objects.filter(pk__in=keys)
            yield found.close(Session.Status.REVOKED, **cause)
        if len(keys) < BATCH:
            return


def erase(user: Any, *, by: AbstractBaseUser | str | None = None) -> Erased:
    """Erase what is kept of one person: sessions, addresses, browsers, names in the audit trail.

    ``user`` is a user, or the key of one, also of one that is deleted. Live sessions end at once.
    Returns how much was erased. Deleting a user does the same.
    """
    return erasing.erase(lists.user_key(user), by=by)


def touch(request: HttpRequest) -> bool:
    """Update the active session's ``last_active_at``, if it is due. Returns True if written."""
    active = _accounts(request).session
    return active is not None and verbs.touch(_store(request), active)


aset_active = sync_to_async(set_active)
astep_aside = sync_to_async(step_aside)
asign_out = sync_to_async(sign_out)
asign_out_all = sync_to_async(sign_out_all)
aerase = sync_to_async(erase)
aforget = sync_to_async(forget)
aset_nickname = sync_to_async(set_nickname)
arevoke = sync_to_async(revoke)
arevoke_all = sync_to_async(revoke_all)
atouch = sync_to_async(touch)


def _store(request: HttpRequest) -> SessionStore:
    store = getattr(request, "session", None)
    if not isinstance(store, SessionStore):
        raise ImproperlyConfigured(
            "This needs SESSION_ENGINE = 'multisession.backends.db' and "
            "'multisession.middleware.SessionMiddleware' in MIDDLEWARE."
        )
    return store


def _accounts(request: HttpRequest) -> MultiSession:
    _store(request)
    accounts: MultiSession = request.multisession  # type: ignore[attr-defined]
    return accounts


def _find(accounts: MultiSession, session: Session | str) -> Session:
    """Return the account of this browser with that id, live or remembered."""
    wanted = _public_id(session)
    for row in [*accounts.sessions, *accounts.signed_out_sessions]:
        if row.public_id == wanted:
            return row
    raise SessionNotFound("No such session in this browser.")


def _public_id(session: Session | str) -> str:
    return session.public_id if isinstance(session, Session) else session


def _announce_change(
    request: HttpRequest, leaving: Session | None, entering: Session | None
) -> None:
    signals.active_session_changing.send(
        sender=Session, request=request, leaving=leaving, entering=entering
    )


def _remove(request: HttpRequest, session: Session) -> None:
    """Remove an account from the browser's list, including its earlier sessions."""
    store = _store(request)
    if store.token is not None:
        key: Any = session.user_id
        mine = Session.objects.using(store.using).visible_to(store.token).filter(user_id=key)
        verbs.take_off(store, mine.filter(pk__lte=session.pk), by=_actor(request))


def _nothing_remembered(request: HttpRequest) -> None:
    """If no account is left on the list, delete the cookie, or shorten it to a visitor's age."""
    store = _store(request)
    if store.token is None or (store.row is not None and store.row.user_id is not None):
        return
    if not Session.objects.visible_to(store.token).accounts().remembered().exists():
        if store.row is None:
            verbs.make_nobody_active(store, forget=True)
        else:
            store.renews_cookie = True


def _leave_active(request: HttpRequest, *, forget: bool = False, stay: bool = False) -> None:
    """Make the rest of this request anonymous.

    ``forget``: keep no data for the next visitor. ``stay``: activate no other account, even with
    ``AFTER_SIGN_OUT = "next"``.
    """
    verbs.make_nobody_active(_store(request), forget=forget, stay=stay)
    _nobody_is_active(request)


def _nobody_is_active(request: HttpRequest) -> None:
    _accounts(request).read_again()
    request_user.become(request, AnonymousUser())
    page_tokens.account_changed(request)


def _put_away_messages(request: HttpRequest) -> None:
    """Store the pending messages with the account that is left, and begin anew for the next one."""
    storage = getattr(request, "_messages", None)
    if storage is not None:
        from django.contrib.messages.storage import default_storage
        from django.http import HttpResponse

        storage.update(HttpResponse())
        request._messages = default_storage(request)  # type: ignore[attr-defined]


def _actor(request: HttpRequest) -> Any:
    user = getattr(request, "user", None)
    return _store(request).acting(user) if user is not None and user.is_authenticated else None


__all__ = [
    "KEEP",
    "AccountLimitReached",
    "ConfirmationNeeded",
    "Erased",
    "OrganizationNotFound",
    "SessionNotFound",
    "SignInAgain",
    "UpdateError",
    "aerase",
    "aforget",
    "arevoke",
    "arevoke_all",
    "aset_active",
    "aset_nickname",
    "asign_out",
    "asign_out_all",
    "astep_aside",
    "atouch",
    "erase",
    "forget",
    "revoke",
    "revoke_all",
    "revoke_in_batches",
    "set_active",
    "set_nickname",
    "sign_out",
    "sign_out_all",
    "step_aside",
    "touch",
]
