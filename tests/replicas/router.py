"""The router of Django's documentation, for one replica."""

from typing import Any


class PrimaryReplicaRouter:
    #: Not before there is a replica.
    reads_replica = False

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica" if self.reads_replica else "default"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool | None:
        either = {"default", "replica"}
        return True if {one._state.db, other._state.db} <= either else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return True
