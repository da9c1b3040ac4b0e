"""Find what a session key opens: one statement for a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from django.contrib.sessions.backends.base import UpdateError

from . import quick, users

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from multisession.models import Session
    from multisession.models.tokens import Token


class Fetched(NamedTuple):
    """A token found by its digest, with its session and that session's user."""

    token: Token | None
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
    def base(self) -> Token:
        """The token. Raises UpdateError if there is none."""
        if self.token is None:
            raise UpdateError
        return self.token

    @property
    def had_accounts(self) -> bool:
        """Return True if somebody has ever signed in on this client."""
        if self.token is None:
            return False
        session = self.row or self.token.session
        return session.number is not None if session is not None else self.token.client.accounts > 0


def fetch(using: str, digest: str) -> Fetched:
    """Find the token with this digest. The one statement of a page."""
    if quick.is_sure(using):
        found = quick.find(using, digest)
        return Fetched(found.token, found.user, found.user is None and users.lag())
    from multisession.models.tokens import (
        Token,  # an engine is imported before the app registry is ready
    )

    known = Token.objects.using(using).select_related("session")
    return Fetched(known.filter(digest=digest).first(), None, users.lag())


def opened_by(secret: str, number: int | None, found: Fetched) -> Opened:
    """Return what a key opens whose token was found.

    ``number``: the account that the key names; one more statement if it is not the active one.
    """
    token = found.token
    if token is None:
        return Opened()
    if not token.is_living:
        return Opened(ended=token)
    row = token.live_session()
    if number is None or (row is not None and row.number == number):
        return Opened(secret, token, row, found.user, found.is_user_missing)
    from multisession.models import Session

    if number == 0:  # no account has it
        return Opened(secret, token)
    others = Session.objects.visible_to(token).live()
    other = others.filter(number=number).order_by("-pk").first()
    return Opened(secret, token, other)
