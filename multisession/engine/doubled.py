"""Choose between several session cookies in one request.

A browser sends every cookie whose scope fits: also a neighbour's on the parent domain, or one set
before ``SESSION_COOKIE_DOMAIN`` or ``SESSION_COOKIE_PATH`` was changed. One query
for all of them decides:

* one is a token of ours: take it. The others may be a neighbour's, and stay;
* several are, of one client: take the newest;
* several are, of different clients: one may have been planted. Nobody is signed in, unless a
  person signed in on one of the clients while the browser sent all the others: take that one.

If more than one was ours, the response deletes the cookies of other scopes and sends ours again.
That is logged.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings as django_settings
from django.http import HttpRequest

from multisession.conf import settings
from multisession.ground import tokens
from multisession.models import Session
from multisession.models.tokens import Token

from . import adoption

if TYPE_CHECKING:
    from multisession.backends.db import SessionStore

#: In an account's data: the keys of the tokens that the browser also sent at its sign-in.
BESIDE = "_multisession_beside"

logger = logging.getLogger("multisession")


class Choice(NamedTuple):
    """The value to use, and the keys of all tokens if more than one was ours."""

    value: str | None
    ours: list[int]


def choose(values: list[str]) -> Choice:
    """Choose one of several values. One query; two if they belong to several clients."""
    candidates = {tokens.digest(value): value for value in values if tokens.is_token(value)}
    found = list(
        Token.objects.filter(digest__in=candidates).select_related("client").order_by("-pk")
    )
    ours = [token.pk for token in found]
    valid = [token for token in found if token.is_living]
    if not found and settings.ADOPT_FROM:
        engine = settings.ADOPT_FROM
        adoptable = [value for value in candidates.values() if adoption.load(engine, value)]
        return Choice(adoptable[0] if len(adoptable) == 1 else None, [])
    if len({token.client_id for token in valid}) > 1:
        valid = _made_beside_the_others(valid)
    if len(found) > 1:
        name = django_settings.SESSION_COOKIE_NAME
        told = "went on with the newest" if valid else "went on with none: they open different"
        logger.warning("Several cookies %r of ours came with one request; %s.", name, told)
    return Choice(candidates[valid[0].digest] if valid else None, ours if len(ours) > 1 else [])


def note_sign_in(request: HttpRequest, store: SessionStore) -> None:
    """Note in the session which other cookies of ours the browser sends."""
    if beside := _ours(request):
        store[BESIDE] = beside


def is_to_mend(request: HttpRequest) -> bool:
    """Return True if more than one cookie was ours."""
    return bool(_ours(request))


def _ours(request: HttpRequest) -> list[int]:
    choice: Choice | None = getattr(request, "_multisession_doubled", None)
    return [] if choice is None else choice.ours


def _made_beside_the_others(valid: list[Token]) -> list[Token]:
    """Return the tokens of the client on which a person signed in beside all the others."""
    accounts: Any = Session.objects.filter(client__in={token.client_id for token in valid})
    for row in accounts.live().accounts().order_by("-pk"):
        mine = [token for token in valid if token.client_id == row.client_id]
        others = {token.pk for token in valid if token.client_id != row.client_id}
        if others <= set(row.get_decoded().get(BESIDE, ())):
            return mine
    return []
