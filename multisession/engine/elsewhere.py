"""The user's other sessions, at a sign-in and after a change of password."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import HASH_SESSION_KEY
from django.db import connections, transaction
from django.utils.translation import ngettext

from multisession import signals
from multisession.conf import settings
from multisession.models import Client, Session, SessionLimitReached
from multisession.models.sessions import is_current
from multisession.models.tokens import Token
from multisession.models.user_locks import UserLock

from . import users
from .act import Act


def keep_to_session_limit(act: Act, data: dict[str, Any], client: Client) -> None:
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
    user: Any = users.as_written(user_id)
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


def keep_to_new_password(
    act: Act, token: Token | None, row: Session, before: dict[str, Any], data: dict[str, Any]
) -> None:
    """After a change of password, end all the user's sessions that have the old one.

    If a token is given, it alone keeps this session: a cookie copied before must not go on with the
    new password. Call it in a transaction.
    """
    if before.get(HASH_SESSION_KEY) == data.get(HASH_SESSION_KEY):
        return
    user: Any = users.as_written(row.user_id)
    if is_current(before, user):
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
