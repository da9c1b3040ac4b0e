"""Keys for the HTTP API."""

from __future__ import annotations

import datetime

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .clients import now
from .managers import PrimaryManager


class ApiKey(models.Model):
    """The key of a program for the HTTP API. Only its hash is stored (api/keys.py)."""

    class Scope(models.TextChoices):
        """The rights of a key. Each includes the one before it."""

        READ = "read", pgettext_lazy("API key", "read")
        REVOKE = "revoke", pgettext_lazy("API key", "read and revoke")

    #: Note the use of a key at most this often.
    USE_INTERVAL = datetime.timedelta(minutes=1)

    name = models.CharField(_("name"), max_length=100)
    scope = models.CharField(_("scope"), max_length=6, choices=Scope.choices, default=Scope.READ)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=now, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    #: None: it is valid until it is revoked.
    expires_at = models.DateTimeField(_("expires"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    objects = PrimaryManager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        default_permissions = ("add", "view")
        permissions = [("revoke_apikey", "Can revoke API key")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_valid(self) -> bool:
        """Return True if it opens anything now: neither revoked nor expired."""
        is_over = self.expires_at is not None and self.expires_at <= timezone.now()
        return self.revoked_at is None and not is_over

    def allows(self, scope: str) -> bool:
        """Return True if its scope is this one or a wider one."""
        order = self.Scope.values
        return self.scope in order and order.index(scope) <= order.index(self.scope)

    def note_use(self) -> None:
        """Note that the key was used, at most once in ``USE_INTERVAL``: a conditional UPDATE."""
        now = timezone.now()
        if self.last_used_at is not None and self.last_used_at > now - self.USE_INTERVAL:
            return
        same = type(self).objects.filter(pk=self.pk, last_used_at=self.last_used_at)
        if same.update(last_used_at=now):
            self.last_used_at = now

    def revoke(self) -> bool:
        """Make the key invalid. Return True if this call did it."""
        now = timezone.now()
        revoked = type(self).objects.filter(pk=self.pk, revoked_at__isnull=True)
        return bool(revoked.update(revoked_at=now))
