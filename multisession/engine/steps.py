"""Write to the database: one transaction for each step of ``placing.decide``, and for a switch.

Each step takes what the request has read, locks the client, reads the token again, and returns the
new ``Opened`` for the store, which changes its own fields only after the commit. Raises ``Refused``
if the token or the row has ended meanwhile.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.db import IntegrityError, connections, transaction
from django.db.models import Exists, Q
from django.utils import timezone
from django.utils.translation import ngettext

from multisession import signals
from multisession.conf import settings
from multisession.ground import serialization, tokens
from multisession.ground.browsers import kind_of
from multisession.ground.origin import NOWHERE, Origin
from multisession.models import Client, Event, Session, SessionLimitReached
from multisession.models.clients import clients_changed
from multisession.models.nicknames import NO_LOOK, Look, look_of
from multisession.models.session_sets import LISTED
from multisession.models.sessions import announce
from multisession.models.tokens import SETTLING, Token
from multisession.models.user_locks import UserLock

from . import quick, users
from .attempts import Busy, attempt
from .opening import Opened
from .placing import SIGNED_IN

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

#: After this long without activity, the browser may have been updated: note its name again.
BROWSER_INTERVAL = datetime.timedelta(hours=1)


class Refused(UpdateError):
    """The token has ended meanwhile, or the row is gone."""


@dataclass
class Entering:
    """One call of ``login()``, as ``user_logged_in`` reports it."""

    since: datetime.datetime
    #: Set once there is room for the account.
    user: AbstractBaseUser | None = None
    #: The accounts beyond ``MAX_ACCOUNTS``: they end when this one begins.
    surplus: list[Session] = field(default_factory=list)


@dataclass(frozen=True)
class Act:
    """Who acts, from where, and in which ``login()``."""

    using: str
    origin: Origin = NOWHERE
    #: The administrator who signs in as the user, by primary key; or "".
    actor_id: str = ""
    #: The ``login()`` that is under way.
    entering: Entering | None = None
    #: When the request read its session.
    began: datetime.datetime = field(default_factory=timezone.now)
    #: The name of the program that signs the user in, instead of a person.
    program: str | None = None
    #: The hash of the CSRF secret that the browser's pages have had so far.
    csrf_digest: str = ""

    @property
    def user(self) -> Any:
        """Return the user that ``login()`` signs in; it saves a query for the name."""
        return self.entering.user if self.entering is not None else None


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
            make_room(act, data, client)
        look = _look(act, data)
        row = _new_row(act, data, client=client, number=1 if is_account else None, look=look)
        if is_account:
            announce_new_browser(act, row)
        token = Token.objects.using(act.using).create(
            digest=tokens.digest(secret), client=client, session=row
        )
        drop_visitor(act.using, opened.row)
        return Opened(secret, token, row)

    try:
        return attempt(act.using, step)
    except IntegrityError as error:
        raise CreateError from error


def sign_in(act: Act, data: dict[str, Any], opened: Opened, issued: Token | None) -> Opened:
    """Add the account to this client, or continue its session if it is signed in already.

    ``issued``: a token that this request created, which no browser has seen.
    """
    token, user_id = opened.base, users.key_in(data)

    def step() -> Opened | None:
        client = token.lock()
        if client is None:
            return None
        everything = Session.objects.using(act.using).filter(client_id=client.pk)
        mine = everything.filter(user_id=user_id) if user_id is not None else everything.none()
        live = list(mine.live().with_users().order_by("-pk"))
        seen = {row.pk for row in mine.visible_to(token).live()} if live else set()
        known = next(
            (
                row
                for row in live
                # (Impersonation does not continue the person's own session.)
                if row.pk in seen
                and row.is_current_for(row.user)
                and row.actor_id == act.actor_id
                and write(act, row, _continued(row, data), in_use=True)
            ),
            None,
        )
        if known is None:
            make_room(act, data, client)
        over = [row.pk for row in live if row is not known]
        surplus = act.entering.surplus if act.entering is not None else ()
        over += [row.pk for row in surplus if known is None or row.pk != known.pk]
        if over:
            by: Any = Session(actor_id=act.actor_id).actor or act.user
            going = everything.filter(pk__in=over)
            going.close(Session.Status.REPLACED, by=by, origin=act.origin)
        secret = opened.secret if issued is not None else tokens.new_token()
        follower = token if issued is not None else token.add(tokens.digest(str(secret)), known)
        if known is None:
            accounts, look = client.accounts, _look(act, data, client)
            number = _number(client, mine, act)
            row = _new_row(act, data, client=client, number=number, added_by=follower, look=look)
            if client.accounts > accounts:
                announce_new_browser(act, row)
            Token.objects.using(act.using).filter(pk=follower.pk).update(session=row)
        else:
            row = known
            if issued is not None:
                Token.objects.using(act.using).filter(pk=follower.pk).update(session=row)
            record_sign_in(act, row, anew=False)
        follower.session = row
        if act.csrf_digest:
            client.visitor_csrf_digest = act.csrf_digest
            client.save(using=act.using, update_fields=["visitor_csrf_digest"])
        name = act.origin.user_agent
        if name and name != client.user_agent:
            Client.objects.using(act.using).filter(pk=client.pk).update(user_agent=name)
        drop_visitor(act.using, opened.row)
        clients_changed([client.pk], act.using)
        return Opened(secret, follower, row)

    return attempt(act.using, step, token) or begin(act, data, opened)


def reissue(
    act: Act, data: dict[str, Any], opened: Opened, row: Session, issued: Token | None
) -> Opened:
    """Write this row under a new token, which points to the session that is active.

    That is the row itself, or another one if a key with a number opened the row. After a change of
    password only the new token opens the row: a copied cookie must not go on.
    """
    token, before = opened.base, serialization.loads(as_loaded(row))
    is_active = token.session_id == row.pk

    def step() -> Opened:
        client = token.lock()
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
        if not write(act, row, data):
            raise Refused
        keep_to_new_password(act, follower, row, before, data)
        clients_changed([client.pk], act.using)
        return Opened(secret, follower, row, opened.user)

    return attempt(act.using, step, token, row)


def keep_to_new_password(
    act: Act, token: Token | None, row: Session, before: dict[str, Any], data: dict[str, Any]
) -> None:
    """After a change of password, end all the user's sessions that have the old one.

    If a token is given, it alone keeps this session: a cookie copied before must not go on with the
    new password. Call it in a transaction.
    """
    if before.get(HASH_SESSION_KEY) == data.get(HASH_SESSION_KEY):
        return
    user: Any = users.fresh(row)
    if Session(session_data=serialization.dumps(before)).is_current_for(user):
        return  # The hash differs by SECRET_KEY or hasher; the password is the same.
    sessions = Session.objects.using(act.using)
    key: Any = row.user_id
    others = sessions.filter(user_id=key).live().exclude(pk=row.pk)
    over = [other.pk for other in others if not other.is_current_for(user)]
    if over:
        by = row.actor or user
        sessions.filter(pk__in=over).close(row.Status.REVOKED, by=by, origin=act.origin)
    if token is not None:
        sessions.filter(pk=row.pk).update(added_by=token)
        row.added_by_id = token.pk
        pointing = Token.objects.using(act.using).filter(client_id=row.client_id)
        pointing.filter(session_id=row.pk).exclude(pk=token.pk).update(session=None)


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
    token = opened.base

    def step() -> Opened:
        client = token.lock()
        if client is None:
            raise Refused
        number = 0 if opened.had_accounts else None
        row = _new_row(act, data, client=client, number=number, added_by=token)
        secret, follower = opened.secret, token
        if beside:
            pass
        elif cycled and issued is None:
            secret = tokens.new_token()
            follower = token.add(tokens.digest(secret), row)
        elif not token.point_to(row, unless_moved=True):
            raise Refused
        drop_visitor(act.using, opened.row)
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
    token = opened.base
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
        if clients_changed([token.client_id], act.using):
            return Opened(opened.secret, token, row)
        if token.lock() is None:
            raise Refused
        secret = tokens.new_token()
        return Opened(secret, token.add(tokens.digest(secret), row), row)

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
    token = opened.base

    def step() -> Opened:
        here = Session.objects.using(act.using).filter(pk=row.pk).visible_to(token).live()
        is_living = Exists(Token.objects.using(act.using).living().filter(pk=token.pk))
        if not here.filter(is_living).update(organization=organization):
            raise Refused
        Event.record([_enter(act, row, organization, by)], act.using)
        if clients_changed([token.client_id], act.using):
            return opened
        if token.lock() is None:
            raise Refused
        secret = tokens.new_token()
        return opened._replace(secret=secret, token=token.add(tokens.digest(secret), row))

    return attempt(act.using, step, token, row)


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
        if token.lock() is None:
            return False  # A newer token has been presented, which ended this one.
        followers = Token.objects.using(act.using).living().filter(parent_id=token.pk)
        recent = Q(presented_at__isnull=False) | Q(created_at__gt=act.began - SETTLING)
        if followers.filter(recent).exists():
            return False
        token.end()
        clients_changed([token.client_id], act.using)
        return True

    return attempt(act.using, step, token)


def write(act: Act, row: Session, data: dict[str, Any], *, in_use: bool = False) -> bool:
    """Write the data to the row that it was loaded from. One statement, none for no change.

    ``in_use``: also note activity. Return False if the row is no longer active.
    """
    text, now, loaded = serialization.dumps(data), timezone.now(), as_loaded(row)
    if in_use:
        note_browser(act, row)
    changed: dict[str, Any] = {"session_data": text, "updated_at": now}
    if in_use:
        changed |= {"last_active_at": now, "ip_address": act.origin.ip_address}
    if act.actor_id and not row.actor_id:
        changed |= {"actor_id": act.actor_id, "nickname": ""}  # The nickname is the person's own.
    active_at = now if in_use else row.last_active_at
    expiry = _expiry(row, data, saved_at=now, active_at=active_at)
    is_same = text == loaded == row.session_data
    if not in_use and act.origin is not NOWHERE and is_same and _is_saved(row, expiry, now):
        return True
    changed |= expiry
    # An account that has expired meanwhile does not come back. (A visitor's data may.)
    if quick.is_sure(act.using) and quick.takes(changed):
        written = quick.write(act.using, row.pk, changed, is_account=row.user_id is not None)
    else:
        active = Session.objects.using(act.using).filter(pk=row.pk, status=row.Status.ACTIVE)
        if row.user_id is not None:
            active = active.filter(expire_at__gt=now)
        written = bool(active.update(**changed))
    if written:
        for name, value in changed.items():
            setattr(row, name, value)
        if "actor_id" in changed:
            _name_actor(act, row)
        clients_changed([row.client_id], act.using)
    return written


def _name_actor(act: Act, row: Session) -> None:
    """Name the administrator in events recorded before ``login()`` had named them."""
    vars(row).pop("actor", None)
    if act.entering is not None and settings.AUDIT:
        told = Event.objects.using(act.using).filter(
            client_id=row.client.public_id, actor_id=str(row.user_id), at__gte=act.entering.since
        )
        told.update(**Event.actor_fields(row.actor))


def record_sign_in(act: Act, row: Session, *, anew: bool) -> None:
    """Record a sign-in and send its signals. ``anew``: the account was added to the client."""
    if row.is_of(act.user):
        row.user = act.user
    by: Any = act.program or row.actor or users.of(row)
    Event.record([row.event("signed-in", by=by, origin=act.origin)], act.using)
    if anew:
        announce(signals.session_created, act.using, session=row)
    announce(signals.session_activated, act.using, session=row)


def _continued(row: Session, data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a live session whose user signs in again."""
    return {**row.get_decoded(), **data, SIGNED_IN: int(timezone.now().timestamp())}


def announce_new_browser(act: Act, row: Session) -> None:
    """Announce a ``login()`` on a client on which this user has no earlier session.

    Costs a query after the commit, and only if somebody listens. Not for an administrator who acts
    as the user.
    """
    is_heard = signals.signed_in_on_new_browser.has_listeners(Session)
    if not is_heard or act.entering is None or act.actor_id or row.user_id is None:
        return
    key: Any = row.user_id
    others = Session.objects.using(act.using).filter(user_id=key).exclude(pk=row.pk)

    def send() -> None:
        signals.signed_in_on_new_browser.send_robust(
            sender=Session, session=row, is_first=not others.exists()
        )

    transaction.on_commit(send, using=act.using, robust=True)


def note_browser(act: Act, row: Session) -> None:
    """Update the browser's name when the account is used again after ``BROWSER_INTERVAL``.

    A page reads no client, so this costs a statement. It comes before the session is written: see
    the lock order in Client.lock.
    """
    name, a_while = act.origin.user_agent, timezone.now() - BROWSER_INTERVAL
    if name and row.last_active_at <= a_while:
        clients = Client.objects.using(act.using).filter(pk=row.client_id)
        clients.exclude(user_agent=name).update(user_agent=name)


def row_is_visible(row: Session, token: Token, using: str) -> bool:
    """Return True if the token may see this row, by a query."""
    return Session.objects.using(using).visible_to(token).filter(pk=row.pk).exists()


def make_room(act: Act, data: dict[str, Any], client: Client) -> None:
    """Keep to ``MAX_SESSIONS_PER_USER`` before a session of this user begins on this client.

    Needs the client's lock, and takes the user's: of two browsers that sign in at once, the second
    one counts the session of the first. Sessions that can't act any more don't count. Raises
    SessionLimitReached.
    """
    most, user_id = settings.MAX_SESSIONS_PER_USER, users.key_in(data)
    if most is None or user_id is None or act.entering is None or act.actor_id:
        return
    UserLock.take(user_id, using=act.using)
    everything = Session.objects.using(act.using)
    others = everything.filter(user_id=user_id, actor_id="").live().exclude(client_id=client.pk)
    if connections[act.using].vendor == "mysql":
        # An ordinary read would show the rows as they were before the wait for the lock.
        others = others.order_by("pk").select_for_update()
    user: Any = users.fresh(Session(user_id=user_id))
    found = [row for row in others if row.is_current_for(user)]
    if len(found) < most:
        return
    if settings.AT_SESSION_LIMIT == "refuse":
        text = ngettext(
            "This account is signed in on %(count)d browser already.",
            "This account is signed in on %(count)d browsers already.",
            len(found),
        )
        raise SessionLimitReached(text % {"count": len(found)})
    found.sort(key=lambda row: (row.last_active_at, row.pk), reverse=True)
    going = everything.filter(pk__in=[row.pk for row in found[most - 1 :]])
    going.close(Session.Status.REVOKED, by=act.user or user, origin=act.origin)


def _number(client: Client, mine: Any, act: Act) -> int:
    """Return the number of the account: the one that it had here before, or the next."""
    before = mine.filter(number__gt=0).order_by("-pk").values_list("number", flat=True).first()
    if before is not None:
        # The list shows one entry for each account, the newest. (The others have ended.)
        mine.filter(forgotten=False).update(forgotten=True)
        return int(before)
    client.accounts += 1
    Client.objects.using(act.using).filter(pk=client.pk).update(accounts=client.accounts)
    if client.accounts > LISTED:
        others = Session.objects.using(act.using).filter(client_id=client.pk, forgotten=False)
        old = others.filter(number__gt=0, number__lte=client.accounts - LISTED)
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


def _new_row(
    act: Act,
    data: dict[str, Any],
    *,
    client: Client,
    number: int | None,
    added_by: Token | None = None,
    look: Look = NO_LOOK,
) -> Session:
    now = timezone.now()
    row = Session(
        client=client,
        user_id=users.key_in(data),
        number=number,
        added_by=added_by,
        nickname=look.nickname,
        hue=look.hue,
        session_data=serialization.dumps(data),
        actor_id=act.actor_id,
        ip_address=act.origin.ip_address,
        browsers=kind_of(act.origin.user_agent) if act.origin.user_agent else "",
        created_at=now,
        updated_at=now,
        last_active_at=now,
    )
    for name, value in _expiry(row, data, saved_at=now, active_at=now).items():
        setattr(row, name, value)
    row.save(using=act.using, force_insert=True)
    if row.user_id is not None:
        record_sign_in(act, row, anew=True)
    return row


def drop_visitor(using: str, row: Session | None) -> None:
    """Delete a visitor's row whose data has moved or is no longer needed.

    Tokens that point to it then point to nobody.
    """
    if row is None or row.user_id is not None:
        return
    Session.objects.using(using).visitors().filter(pk=row.pk).delete()
    pointing = Token.objects.using(using).filter(client_id=row.client_id, session_id=row.pk)
    pointing.update(session=None)
    clients_changed([row.client_id], using)


def discard_visitor(using: str, row: Session | None) -> None:
    """Call ``drop_visitor`` after the change that made the row useless.

    A conflict leaves the row to the purge, but for one in an outer transaction, which is lost.
    """
    try:
        attempt(using, lambda: drop_visitor(using, row))
    except Busy:
        if transaction.get_connection(using).in_atomic_block:
            raise


def _expiry(
    row: Session, data: dict[str, Any], *, saved_at: datetime.datetime, active_at: datetime.datetime
) -> dict[str, Any]:
    custom = data.get(serialization.EXPIRY)
    deadlines = row.deadlines(saved_at=saved_at, active_at=active_at, custom=custom)
    return {**deadlines, "expire_at_browser_close": closes_with_browser(data)}


def closes_with_browser(data: dict[str, Any]) -> bool:
    """Return True if the session ends when the browser closes, as Django computes it."""
    from django.conf import settings as django_settings

    custom = data.get(serialization.EXPIRY)
    return django_settings.SESSION_EXPIRE_AT_BROWSER_CLOSE if custom is None else custom == 0


def as_loaded(row: Session) -> str:
    """Return the row's data as it was read: later writes may be rolled back."""
    text: str = vars(row).setdefault("_as_loaded", row.session_data)
    return text


def _is_saved(row: Session, expiry: dict[str, Any], now: datetime.datetime) -> bool:
    """Return True if saving would hardly move a deadline.

    "Hardly" is less than ``ACTIVITY_INTERVAL`` and less than a tenth of the time left, so that a
    session of half a minute is prolonged too.
    """
    interval = datetime.timedelta(seconds=settings.ACTIVITY_INTERVAL)
    return expiry["expire_at_browser_close"] == row.expire_at_browser_close and all(
        abs(expiry[name] - getattr(row, name)) < min(interval, (row.expire_at - now) / 10)
        for name in ("expire_at", "abandon_at")
    )
