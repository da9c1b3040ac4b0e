"""The engine for SESSION_ENGINE: sessions in the database. See multisession/engine/store.py."""

from multisession.engine.store import SessionStore

__all__ = ["SessionStore"]
