"""Write to the database: one transaction for each step of ``placing.decide``, and for a switch.

Each step takes what the request has read and reads the token again: under the client's lock, or in
the condition of its own statement. It returns the new ``Opened`` for the store, which changes its
own fields only after the commit. Raises ``Refused`` if the token or the row has ended meanwhile.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.db import IntegrityError
from django.db.models import Exists, Q
from django.utils import timezone

from multisession import signals
from multisession.ground import serialization, tokens
from multisession.ground.attempts import attempt
from multisession.models import Client, Event, Session
from multisession.models.clients import clients_changed
from multisession.models.nicknames import NO_LOOK, Look, look_of
from multisession.models.session_sets import MOST_LISTED
from multisession.models.sessions import actor_with, announce
from multisession.models.tokens import SETTLING, Token

from . import elsewhere, rows, users
from .act import Act
from .opening import Opened
from .placing import SIGNED_IN

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class Refused(UpdateError):
    """The token has ended meanwhile, or the row is gone."""


def begin(act: Act, data: dict[str, Any], opened: Opened, *, secret: str | None = None) -> Opened:
    """Create a client for this data. The visitor's row that held it is deleted.

    ``secret``: the value of the first token. Raises CreateError if it is taken.
    """
    secret = secret or tokens.new_token()
    is_account = users.account_of(data) is not None

    def step() -> Opened:
        client = Client.objects.using(act.using).create(
            user_agent=act.origin.user_agent,
            visitor_csrf_digest=act.csrf_digest,
            accounts=int(is_account),
        )
        if is_account:
            elsewhere.keep_to_session_limit(act, data, client)
        look = _look(act, data)
        row = rows.make(act, data, client=client, number=1 if is_account else None, look=look)
        if is_account:
            elsewhere.announce_new_browser(act, row)
        token = Token.objects.using(act.using).create(
            digest=tokens.digest(secret), client=client, session=row
        )
        rows.drop_visitor(act.using, opened.row)
        return Opened(secret, token, row)

    try:
        return attempt(act.using, step)
    except IntegrityError as error:
        raise CreateError from error


def sign_in(act: Act, data: dict[str, Any], opened: Opened, issued: Token | None) -> Opened | None:
    """Add the account to this client, or continue its session if it is signed in already.

    ``issued``: a token that this request created, which no browser has seen. Return None if the
    token has ended meanwhile.
    """
    token, user_id = opened.living_token, users.key_in(data)

    def step() -> Opened | None:
        client = token.lock_client()
        if client is None:
            return None
        everything = Session.objects.using(act.using).filter(client_id=client.pk)
        mine = everything.filter(user_id=user_id) if user_id is not None else everything.none()
        live = list(mine.live().with_users().order_by("-pk"))
        known = _continue(act, data, token, live)
        if known is None:
            elsewhere.keep_to_session_limit(act, data, client)
        over = [row.pk for row in live if row is not known]
        surplus = act.entering.surplus if act.entering is not None else ()
        over += [row.pk for row in surplus if known is None or row.pk != known.pk]
        if over:
            by: Any = actor_with(act.actor_id) or act.user
            going = everything.filter(pk__in=over)
            going.close(Session.Status.REPLACED, by=by, origin=act.origin)
        secret = opened.secret if issued is not None else tokens.new_token()
        follower = token if issued is not None else token.add(tokens.digest(str(secret)), known)
        if known is None:
            accounts, look = client.accounts, _look(act, data, client)
            number = _number(client, mine, act)
            row = rows.make(act, data, client=client, number=number, added_by=follower, look=look)
            if client.accounts > accounts:
                elsewhere.announce_new_browser(act, row)
            Token.objects.using(act.using).filter(pk=follower.pk).update(session=row)
        else:
            row = known
            if issued is not None:
                Token.objects.using(act.using).filter(pk=follower.pk).update(session=row)
            rows.record_sign_in(act, row, anew=False)
        follower.session = row
        if act.csrf_digest:
            client.visitor_csrf_digest = act.csrf_digest
            client.save(using=act.using, update_fields=["visitor_csrf_digest"])
        name = act.origin.user_agent
        if name and name != client.user_agent:
            Client.objects.using(act.using).filter(pk=client.pk).update(user_agent=name)
        rows.drop_visitor(act.using, opened.row)
        clients_changed([client.pk], act.using)
        return Opened(secret, follower, row)

    return attempt(act.using, step, token)


def reissue(act: Act, data: dict[str, Any], opened: Opened, issued: Token | None) -> Opened:
    """Write the open row under a new token, which points to the session that is active.

    That is the row itself, or another one if a key with a number opened it. After a change of
    password only the new token opens the row: a copied cookie must not go on.
    """
    token, row = opened.living_token, opened.row
    if row is None:
        raise Refused
    before = serialization.loads(rows.as_loaded(row))
    is_active = token.session_id == row.pk

    def step() -> Opened:
        client = token.lock_client()
        if client is None or not row_is_visible(row, token, act.using):
            raise Refused
        secret = tokens.new_token()
        if issued is not None:
            follower = token
            token.digest = tokens.digest(secret)
            Token.objects.using(act.using).filter(pk=token.pk).update(digest=token.digest)
        else:
            mine = Token.objects.using(act.using).filter(pk=token.pk).values("session_id")
            pointed_to = Session.objects.using(act.using).filter(pk__in=mine)
            active = row if is_active else pointed_to.first()
            follower = token.add(tokens.digest(secret), active)
        if not rows.write(act, row, data):
            raise Refused
        elsewhere.keep_to_new_password(act, follower, row, before, data)
        clients_changed([client.pk], act.using)
        return Opened(secret, follower, row, opened.user)

    return attempt(act.using, step, token, row)


def visit(
    act: Act,
    data: dict[str, Any],
    opened: Opened,
    issued: Token | None,
    *,
    cycled: bool,
    beside: bool = False,
) -> Opened:
    """Save a visitor's data while no account is active. ``cycled``: under a new token.

    ``beside``: for a key with a number that no live account has; whoever is active stays it.
    Raises Refused if somebody became active meanwhile, or the token has ended.
    """
    token = opened.living_token

    def step() -> Opened:
        client = token.lock_client()
        if client is None:
            raise Refused
        number = 0 if opened.had_accounts else None
        row = rows.make(act, data, client=client, number=number, added_by=token)
        secret, follower = opened.secret, token
        if beside:
            pass
        elif cycled and issued is None:
            secret = tokens.new_token()
            follower = token.add(tokens.digest(secret), row)
        elif not token.point_to(row, unless_moved=True):
            raise Refused
        rows.drop_visitor(act.using, opened.row)
        clients_changed([client.pk], act.using)
        return Opened(secret, follower, row)

    return attempt(act.using, step, token)


def switch(
    act: Act,
    opened: Opened,
    row: Session,
    *,
    by: AbstractBaseUser | None,
    organization: str | None = None,
    unless_moved: bool = False,
) -> Opened:
    """Make this account of the client the active one. Raises Refused.

    ``organization``: the id of its new organization, or "" for none; None if it stays.
    ``unless_moved``: refuse if another request has switched meanwhile.

    The cookie keeps its value, because a switch gives its holder no new rights. It changes only if
    the cache could not be told: a stale entry would go on showing the other account.
    """
    token = opened.living_token
    changed = row.activity(act.origin)
    if organization is not None:
        changed["organization"] = organization

    def step() -> Opened:
        # (Sessions before tokens, as everywhere.)
        here = Session.objects.using(act.using).filter(pk=row.pk).visible_to(token).live()
        if not here.update(**changed) or not token.point_to(row, unless_moved=unless_moved):
            raise Refused
        events = [row.event("switched", by=by, origin=act.origin)]
        announce(signals.session_activated, act.using, session=row)
        if organization is not None:
            events.append(_enter(act, row, organization, by))
        Event.record(events, act.using)
        return _told(act, Opened(opened.secret, token, row))

    placed = attempt(act.using, step, token, row)
    for name, value in changed.items():
        setattr(row, name, value)
    return placed


def enter_organization(
    act: Act, opened: Opened, row: Session, organization: str, *, by: AbstractBaseUser | None
) -> Opened:
    """Put the active account into this organization; "" for none. Raises Refused.

    One UPDATE, and the event. The cookie changes only as in ``switch``.
    """
    token = opened.living_token

    def step() -> Opened:
        here = Session.objects.using(act.using).filter(pk=row.pk).visible_to(token).live()
        is_living = Exists(Token.objects.using(act.using).living().filter(pk=token.pk))
        if not here.filter(is_living).update(organization=organization):
            raise Refused
        Event.record([_enter(act, row, organization, by)], act.using)
        return _told(act, opened)

    return attempt(act.using, step, token, row)


def _told(act: Act, opened: Opened) -> Opened:
    """Tell the caches of a change; if one can't be told, return the session under a new token.

    (The client is locked last here. A deadlock that comes of it is repeated.)
    """
    token = opened.living_token
    if clients_changed([token.client_id], act.using):
        return opened
    if token.lock_client() is None:
        raise Refused
    secret = tokens.new_token()
    return opened._replace(secret=secret, token=token.add(tokens.digest(secret), opened.row))


def _enter(act: Act, row: Session, organization: str, by: AbstractBaseUser | None) -> Event:
    """Note the new organization on the row, announce it, and return its event."""
    row.organization = organization
    announce(signals.organization_activated, act.using, session=row)
    return row.event("organization", organization=organization, by=by, origin=act.origin)


def forget(act: Act, token: Token) -> bool:
    """End a token that has no accounts left. Return False if another one follows it.

    A follower that was a minute old when this request began, and was never presented, is lost: the
    browser never got it.
    """

    def step() -> bool:
        if token.lock_client() is None:
            return False  # A newer token has been presented, which ended this one.
        followers = Token.objects.using(act.using).living().filter(parent_id=token.pk)
        recent = Q(presented_at__isnull=False) | Q(created_at__gt=act.began - SETTLING)
        if followers.filter(recent).exists():
            return False
        token.end()
        clients_changed([token.client_id], act.using)
        return True

    return attempt(act.using, step, token)


def _continue(act: Act, data: dict[str, Any], token: Token, live: list[Session]) -> Session | None:
    """Write a sign-in to the live session of its user that this token sees; None if there is none.

    Impersonation does not continue the person's own session.
    """
    for row in live:
        if token.sees(row) and row.is_current_for(row.user) and row.actor_id == act.actor_id:
            signed_in = {**row.get_decoded(), **data, SIGNED_IN: int(timezone.now().timestamp())}
            if rows.write(act, row, signed_in, in_use=True):
                return row
    return None


def row_is_visible(row: Session, token: Token, using: str) -> bool:
    """Return True if the token may see this row, by a query."""
    return Session.objects.using(using).visible_to(token).filter(pk=row.pk).exists()


def _number(client: Client, mine: Any, act: Act) -> int:
    """Return the number of the account: the one that it had here before, or the next."""
    before = mine.filter(number__gt=0).order_by("-pk").values_list("number", flat=True).first()
    if before is not None:
        # The list shows one entry for each account, the newest. (The others have ended.)
        mine.filter(forgotten=False).update(forgotten=True)
        return int(before)
    client.accounts += 1
    Client.objects.using(act.using).filter(pk=client.pk).update(accounts=client.accounts)
    if client.accounts > MOST_LISTED:
        others = Session.objects.using(act.using).filter(client_id=client.pk, forgotten=False)
        old = others.filter(number__gt=0, number__lte=client.accounts - MOST_LISTED)
        old.exclude(status=Session.Status.ACTIVE).update(forgotten=True)
    return client.accounts


def _look(act: Act, data: dict[str, Any], client: Client | None = None) -> Look:
    """Return the nickname and the colour of the account in the data. One query for an account.

    An administrator who acts as the user does not see the nickname.
    """
    user_id = users.key_in(data)
    if user_id is None:
        return NO_LOOK
    look = look_of(user_id, client.pk if client is not None else None, act.using)
    return replace(look, nickname="") if act.actor_id else look
