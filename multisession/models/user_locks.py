"""A lock for each user: two browsers that sign in at once take turns."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F

from .events import LONGEST_NAME, short_name
from .managers import PrimaryManager


class UserLock(models.Model):
    """The lock of one user, for ``MAX_SESSIONS_PER_USER``. Without that setting there are no rows.

    Not the user's own row: that may be in another database, and other code locks it.
    """

    user_key = models.CharField(max_length=LONGEST_NAME, unique=True, editable=False)
    #: Changed by each holder. Under REPEATABLE READ, a transaction that waited for the lock has an
    #: old view of the sessions; by this change the database notices, and the step is repeated.
    taken = models.PositiveBigIntegerField(default=0, editable=False)

    objects = PrimaryManager()

    class Meta:
        base_manager_name = "objects"
        default_permissions = ()

    def __str__(self) -> str:
        return f"lock {self.pk}"

    @classmethod
    def take(cls, user_id: Any, *, using: str) -> None:
        """Hold the lock until the transaction ends. Take it after clients and before sessions."""
        key, rows = short_name(user_id), cls.objects.using(using)
        mine = rows.filter(user_key=key)
        while not mine.update(taken=F("taken") + 1):
            rows.bulk_create([cls(user_key=key)], ignore_conflicts=True)

    @classmethod
    def take_if_used(cls, user_id: Any, *, using: str) -> None:
        """Hold the lock if there is one: the user has signed in under the setting."""
        mine = cls.objects.using(using).filter(user_key=short_name(user_id))
        mine.update(taken=F("taken") + 1)
