"""The same engine in front of Django's cache (``SESSION_CACHE_ALIAS``).

The cache saves the query for the session; the user is always read from the database, so a
changed password or a deactivated user counts at once. The database is the truth:

* Whatever changes what a token shows leaves a **tombstone** under its key, for longer than a
  read takes. A request that had read the old state cannot put it back (it only ever *adds*).
* An entry holds the times, so what has expired has expired.
* An entry lives a minute, in case a change could not reach the cache. Without the cache every
  request asks the database; nothing is lost.

Keys are hashes of tokens, as in the database: no secret is in the cache.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings as django_settings
from django.core.cache import caches
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from multisession import signals
from multisession.engine import store
from multisession.engine.opening import Fetched
from multisession.ground.asking import SAFE_METHODS

#: Seconds that an entry lives, and so the longest that a lost invalidation can matter.
ENTRY_AGE = 60
#: Seconds that a tombstone keeps older reads out. Longer than a read takes.
TOMBSTONE_AGE = 15
TOMBSTONE = "changed"

logger = logging.getLogger("multisession.cache")
Answer = TypeVar("Answer")


class SessionStore(store.SessionStore):
    """Sessions from the cache where it knows them, from the database otherwise.

    Never for a request that changes something: it must not act as an account that another page has
    just left.
    """

    def _fetch(self, digest: str) -> Fetched:
        from multisession.models import Token

        if self.request is not None and self.request.method not in SAFE_METHODS:
            return super()._fetch(digest)
        entry = _quietly(lambda: _cache().get(_key(digest)))
        if isinstance(entry, Token):
            return Fetched(entry, None, True)
        found = super()._fetch(digest)
        token = found.token
        if token is not None and entry is None and token.is_living:
            if token.is_to_be_noted(timezone.now()):
                return found
            _quietly(lambda: _cache().add(_key(digest), token, ENTRY_AGE))
        return found


def forget_clients(sender: Any, client_ids: list[int], using: str, **kwargs: Any) -> bool | None:
    """What the tokens of these clients show has changed: now, and again when it is committed.

    Return False if the cache could not be told.
    """
    from multisession.models import Token

    engine = import_string(f"{django_settings.SESSION_ENGINE}.SessionStore")
    if not issubclass(engine, SessionStore):
        return None  # loaded, but not in use
    digests = Token.objects.using(using).filter(client_id__in=client_ids)
    keys = [_key(digest) for digest in digests.values_list("digest", flat=True)]
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


def _cache() -> Any:
    return caches[django_settings.SESSION_CACHE_ALIAS]


def _key(digest: str) -> str:
    return f"multisession:{digest}"


def _quietly(ask: Callable[[], Answer]) -> Answer | None:
    """The cache's answer; None, and a warning without any key in it, if it has none to give."""
    try:
        return ask()
    except Exception as error:
        logger.warning("The session cache does not answer (%s).", type(error).__name__)
        return None


signals.clients_changed.connect(forget_clients, dispatch_uid="multisession.backends.cached_db")
