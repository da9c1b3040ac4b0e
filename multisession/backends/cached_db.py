"""The database engine with Django's cache (``SESSION_CACHE_ALIAS``) in front of it.

The cache saves the query for the session. The user is always read from the database, so a
changed password or a deactivated user takes effect at once. The database is the truth:

* A change of a client's sessions writes a **tombstone** under its tokens' keys, for longer than a
  read takes. A request that has read the old state can't write it back, because it only *adds*
  entries.
* An entry has the session's deadlines, so a cached session expires in time.
* An entry lives for a minute, in case an invalidation does not reach the cache. Without the cache
  every request asks the database; nothing is lost.
* An entry holds plain values, as unpickling model instances takes four times as long. It names
  their columns, so that entries of another release are ignored.

Keys are hashes of tokens, as in the database. The cache holds no secret.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from django.core.cache import caches
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from multisession import signals
from multisession.conf import django_settings
from multisession.engine import store
from multisession.engine.opening import Fetched
from multisession.ground.asking import SAFE_METHODS

if TYPE_CHECKING:
    from multisession.models import Session
    from multisession.models.tokens import Token

__all__ = ["SessionStore"]

#: Seconds that an entry lives, and so the longest effect of a lost invalidation.
ENTRY_AGE = 60
#: Seconds that a tombstone blocks older reads. Longer than a read takes.
TOMBSTONE_AGE = 15
TOMBSTONE = "changed"
#: Accounts up to this number have an entry of their own, for their tabs (paths.py). A change buries
#: one key for each of them.
NUMBERED = 9

logger = logging.getLogger("multisession.cache")
Answer = TypeVar("Answer")


class SessionStore(store.SessionStore):
    """Sessions from the cache, or else from the database.

    Unsafe requests skip the cache: they must not act as an account that another request has just
    switched away from.
    """

    def _fetch(self, digest: str, number: int | None = None) -> Fetched:
        is_unsafe = self.request is not None and self.request.method not in SAFE_METHODS
        if is_unsafe or (number is not None and not 0 < number <= NUMBERED):
            return super()._fetch(digest, number)
        # The active account may have the number; otherwise it has an entry of its own.
        own = _key(digest, number)
        keys = {_key(digest), own}
        entries = _quietly(lambda: _cache().get_many(keys)) or {}
        for key in keys:
            known = _from_entry(entries.get(key), self.using)
            if known is not None and _is_asked_for(known.session, number):
                return known
        found = super()._fetch(digest, number)
        token, session = found.token, found.session
        if (
            token is not None
            and own not in entries
            and _is_asked_for(session, number)
            and token.is_living
            and not token.is_to_be_noted(timezone.now())
        ):
            entry = _as_entry(token, session)
            _quietly(lambda: _cache().add(own, entry, ENTRY_AGE))
        return found


def _is_asked_for(session: Session | None, number: int | None) -> bool:
    """Return True if this is the session that a key with this number names."""
    return number is None or (session is not None and session.number == number)


def forget_clients(sender: Any, client_ids: list[int], using: str, **kwargs: Any) -> bool | None:
    """Invalidate the entries of these clients, now and again after the commit.

    Return False if the cache does not answer.
    """
    from multisession.models.tokens import Token

    engine = import_string(f"{django_settings.SESSION_ENGINE}.SessionStore")
    if not issubclass(engine, SessionStore):
        return None  # This module is imported, but another engine is in use.
    known = Token.objects.using(using).filter(client_id__in=client_ids)
    keys = []
    for digest, accounts in known.values_list("digest", "client__accounts"):
        numbers = range(1, min(accounts, NUMBERED) + 1)
        keys += [_key(digest), *(_key(digest, number) for number in numbers)]
    if not keys:
        return None

    def bury() -> bool:
        tombstones = dict.fromkeys(keys, TOMBSTONE)
        failed = _quietly(lambda: _cache().set_many(tombstones, TOMBSTONE_AGE))
        return failed == []

    is_told = bury()
    if transaction.get_connection(using).in_atomic_block:
        transaction.on_commit(bury, using=using)
    return is_told


def _as_entry(token: Token, session: Session | None) -> tuple[Any, ...]:
    """Return the columns of token and session with their values; None for no session."""
    columns, _makers = _layout()
    rows = zip(columns, (token, session), strict=True)
    return (columns, *(row and [getattr(row, name) for name in names] for names, row in rows))


def _from_entry(entry: Any, using: str) -> Fetched | None:
    """Return the token and the session of an entry; None for any other value."""
    columns, makers = _layout()
    if not isinstance(entry, tuple) or entry[:1] != (columns,):
        return None
    rows: Any = zip(makers, columns, entry[1:], strict=True)
    made: list[Any] = [make(using, names, row) if row else None for make, names, row in rows]
    token, session = made
    if session is None or session.pk == token.session_id:
        token._state.fields_cache["session"] = session
    return Fetched(token, session, None, True)


@lru_cache
def _layout() -> Any:
    """Return the columns of tokens and sessions, and the functions that make their instances."""
    from multisession.ground import django_private
    from multisession.models import Session
    from multisession.models.tokens import Token

    columns = tuple(
        tuple(field.attname for field in model._meta.concrete_fields) for model in (Token, Session)
    )
    return columns, tuple(django_private.maker(model) for model in (Token, Session))


def _cache() -> Any:
    return caches[django_settings.SESSION_CACHE_ALIAS]


def _key(digest: str, number: int | None = None) -> str:
    return f"multisession:{digest}" if number is None else f"multisession:{digest}:{number}"


def _quietly(ask: Callable[[], Answer]) -> Answer | None:
    """Return the cache's answer. If it fails, log a warning without the key and return None."""
    try:
        return ask()
    except Exception as error:
        logger.warning("The session cache does not answer (%s).", type(error).__name__)
        return None


signals.clients_changed.connect(forget_clients, dispatch_uid="multisession.backends.cached_db")
