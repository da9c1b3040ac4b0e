"""A browser, and how caches hear of its changes."""

from __future__ import annotations

import datetime
from typing import Any

from django.db import models, router
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from multisession import signals
from multisession.ground import tokens

from .managers import PrimaryManager


def now() -> datetime.datetime:
    """Return the time: the default of every time field. A test can set the clock."""
    return timezone.now()


class Client(models.Model):
    """A browser, known by its one cookie."""

    public_id = models.CharField(
        _("id"), max_length=40, default=tokens.new_client_id, editable=False
    )
    #: How many accounts have signed in here; each has its number, from 1 on (Session.number).
    accounts = models.PositiveIntegerField(default=0, editable=False)
    user_agent = models.CharField(_("browser"), max_length=256, blank=True)
    #: The hash of the CSRF secret of its pages before the first sign-in, so that sign-in pages
    #: open in other tabs still work (guard/page_tokens.py).
    visitor_csrf_digest = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=now, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=now, editable=False)

    objects = PrimaryManager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("client")
        verbose_name_plural = _("clients")
        indexes = [models.Index(fields=["-created_at", "-id"], name="multisession_newest_client")]
        # Not unique=True: for that Django makes a second index on PostgreSQL, for LIKE.
        constraints = [
            models.UniqueConstraint(fields=["public_id"], name="multisession_client_public_id")
        ]

    def __str__(self) -> str:
        return self.public_id

    @classmethod
    def lock(cls, pk: int, *, using: str) -> Client | None:
        """Return the row, locked until the transaction ends; None if it has been purged.

        The one lock order, against deadlocks: a client, then the lock of a user (user_locks.py),
        then sessions by primary key, then tokens.
        A change that begins with a session need not lock its client.
        """
        return cls.objects.using(using).select_for_update().filter(pk=pk).first()


def clients_changed(client_ids: list[int], using: str | None) -> bool:
    """Tell the caches of a change before its transaction ends and other requests see it.

    Return False if a cache could not be told.
    """
    if not signals.clients_changed.has_listeners(Client):
        return True
    alias = using or router.db_for_write(Client)
    told: Any = signals.clients_changed.send(sender=Client, client_ids=client_ids, using=alias)
    return all(heard is not False for _receiver, heard in told)
