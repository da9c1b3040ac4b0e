"""The engine for the time in which a project moves here from the engine in ``ADOPT_FROM``.

When a browser presents a cookie of the other engine, its session is copied, so that nobody is
signed out. See engine/adoption.py and docs/howto/upgrade.md. When the move is over, use
``multisession.backends.db``.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.contrib.sessions.backends.base import CreateError
from django.utils.module_loading import import_string

from multisession import signals
from multisession.conf import settings
from multisession.engine import adoption, store
from multisession.engine.opening import Opened

__all__ = ["SessionStore"]


class SessionStore(store.SessionStore):
    """Our sessions, and those of the other engine as browsers present them."""

    def _look_up(self, secret: str | None, number: int | None) -> Opened:
        """Find what the key opens, unless an old worker has signed it out."""
        opened = super()._look_up(secret, number)
        row = opened.row
        if row is None or settings.ADOPT_FROM is None:
            return opened
        twin = adoption.twin_of(row)
        if twin == opened.secret and adoption.is_signed_out(settings.ADOPT_FROM, str(twin)):
            row.end(origin=self.origin)
            return Opened(opened.secret, opened.token)
        return opened

    def _adopt(self) -> Opened | None:
        """Take over the other engine's session of this key, if there is one."""
        old_key, engine = self._session_key, settings.ADOPT_FROM
        data = adoption.load(engine, old_key) if engine is not None else None
        if data is None or old_key is None or engine is None:
            return None
        from multisession.engine import rows, steps

        self._program = f"ADOPT_FROM {engine}"
        act, before = self.act(data), Opened()
        try:
            # As with every new value, the old one stays valid until the browser sends the new one.
            first = steps.begin(act, data, before, secret=old_key)
            opened: Opened = steps.reissue(act, data, first, None)
        except CreateError:
            return self._look_up(old_key, None)  # A concurrent request has adopted it.
        finally:
            self._program = None
        row, new_key = opened.row, opened.secret
        if row is not None and new_key is not None:
            adoption.hand_over(engine, old_key, new_key, data)
            data = {**data, adoption.TWIN: adoption.hidden(row, new_key)}
            rows.write(act, row, data)
        self.is_issued = True
        return opened


def end_twin(sender: Any, session: Any, **kwargs: Any) -> None:
    """End the other engine's session when ours has ended."""
    engine = import_string(f"{django_settings.SESSION_ENGINE}.SessionStore")
    twin = adoption.twin_of(session) if settings.ADOPT_FROM is not None else None
    if twin is not None and issubclass(engine, SessionStore):
        adoption.sign_out(str(settings.ADOPT_FROM), twin)


signals.session_ended.connect(end_twin, dispatch_uid="multisession.backends.adopting")
