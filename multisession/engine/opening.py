"""Find what a session key opens: one statement for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib.sessions.backends.base import UpdateError

from . import quick, users

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from multisession.models import Session
    from multisession.models.tokens import Token


class Fetched(NamedTuple):
    """A token found by its digest, the session that the key names, and that session's user."""

    token: Token | None
    #: The token's session; with a number in the key, the account that has it, if the token sees it.
    session: Session | None = None
    user: AbstractBaseUser | None = None
    #: The user was not read; ``users.find`` does it when asked.
    is_user_missing: bool = False


class Opened(NamedTuple):
    """What a store's key opens. A store reads it once."""

    #: The value of the cookie, and the living token behind it; None if the key is unknown.
    secret: str | None = None
    token: Token | None = None
    #: The live session whose data it is, a visitor's included; None while nobody is active.
    row: Session | None = None
    user: AbstractBaseUser | None = None
    is_user_missing: bool = False
    #: The token behind the key, if it has ended.
    ended: Token | None = None

    @property
    def living_token(self) -> Token:
        """The token. Raises UpdateError if there is none."""
        if self.token is None:
            raise UpdateError
        return self.token

    @property
    def had_accounts(self) -> bool:
        """Return True if somebody has ever signed in on this client."""
        if self.token is None:
            return False
        session = self.row or self.token.known_session
        return session.number is not None if session is not None else self.token.client.accounts > 0


def fetch(using: str, digest: str, number: int | None = None) -> Fetched:
    """Find the token with this digest, and the session that the key names.

    The one statement of a page, also of most pages with a number. Two or three for a number that
    no live account has.
    """
    is_quick = quick.is_sure(using)
    if number and is_quick:
        account = _account(quick.find_account(using, digest, number))
        if account is not None:
            return account
    if is_quick:
        found = quick.find(using, digest)
        fetched = Fetched(*found, found.user is None and users.may_lag())
    else:
        from multisession.models.tokens import (
            Token,  # an engine is imported before the app registry is ready
        )

        token = Token.objects.using(using).select_related("session").filter(digest=digest).first()
        session = token.session if token is not None else None
        fetched = Fetched(token, session, None, users.may_lag())
    return fetched if number is None else _with_number(fetched, number)


def _account(found: quick.Found) -> Fetched | None:
    """Return the account that was found; None if the token does not see it, or it has ended."""
    token, session, user = found
    if token is None or session is None or not (token.is_living and session.is_live):
        return None
    if not token.sees(session):
        return None
    return Fetched(token, session, user, user is None and users.may_lag())


def _with_number(fetched: Fetched, number: int) -> Fetched:
    """Return the token with the account that has this number; with no session if nobody has it."""
    token, session = fetched.token, fetched.session
    if token is None or (session is not None and session.is_live and session.number == number):
        return fetched
    from multisession.models import Session

    if not token.is_living:
        return Fetched(token)
    mine = Session.objects.visible_to(token).live().order_by("-pk")
    account = mine.accounts().filter(number=number).first() if number else None
    if account is not None:
        return Fetched(token, account, is_user_missing=users.may_lag())
    # Nobody is active there: what a sign-in in several steps keeps, beside the active account.
    pointed_to: Any = token.session_id
    return Fetched(token, mine.visitors().exclude(pk=pointed_to).first())


def opened_by(secret: str, found: Fetched) -> Opened:
    """Return what a key opens whose token was found."""
    token, session = found.token, found.session
    if token is None:
        return Opened()
    if not token.is_living:
        return Opened(ended=token)
    if session is None or not session.is_live:
        return Opened(secret, token)
    return Opened(secret, token, session, found.user, found.is_user_missing)
