"""The user model, and notes that belong to a user."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.managers import UserManager


class LowercaseEmailField(models.EmailField):
    """An e-mail address, stored and looked up in lower case.

    So ``unique=True`` ignores case on every database, and "Ada@Example.com" signs in to the account
    of ada@example.com.
    """

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)
        return value.lower() if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return value.lower() if isinstance(value, str) else value

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = self.to_python(super().pre_save(model_instance, add))
        # Keep the instance the same as the row.
        setattr(model_instance, self.attname, value)
        return value


class User(AbstractBaseUser, PermissionsMixin):
    """A user who signs in with an e-mail address."""

    email = LowercaseEmailField(
        _("e-mail address"),
        unique=True,
        error_messages={"unique": _("There is already an account with this e-mail address.")},
    )
    name = models.CharField(_("name"), max_length=150, blank=True)
    is_staff = models.BooleanField(
        _("staff"), default=False, help_text=_("May enter the administration.")
    )
    is_active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("May sign in. Unset this instead of deleting an account."),
    )
    date_joined = models.DateTimeField(_("joined"), default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")

    def __str__(self) -> str:
        return str(self.email)

    def get_full_name(self) -> str:
        """Return the name, or "". The admin and the menu use it."""
        return str(self.name)

    def get_short_name(self) -> str:
        """Return the name for a greeting."""
        return str(self.name or self.email)


class Note(models.Model):
    """A private note: the demo's example of data that only one account sees."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notes")
    text = models.CharField(_("note"), max_length=500)
    created_at = models.DateTimeField(_("written"), auto_now_add=True)

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return self.text
