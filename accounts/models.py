"""The user model, and notes that belong to a user."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.urls import reverse
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


class Team(models.Model):
    """Several people who share notes: the demo's organization."""

    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(_("short name"), max_length=64, unique=True)

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("accounts:team", args=[self.slug])


class Membership(models.Model):
    """A person in a team."""

    class Role(models.TextChoices):
        OWNER = "owner", _("owner")
        MEMBER = "member", _("member")

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=6, choices=Role.choices, default=Role.MEMBER)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="member_of_team")]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.team_id}"


class NoteQuerySet(models.QuerySet["Note"]):
    def visible_to(self, user: User) -> "NoteQuerySet":
        """Keep the user's own notes, and those of the user's teams."""
        teams = Team.objects.filter(memberships__user=user)
        return self.filter(models.Q(team=None, user=user) | models.Q(team__in=teams))


class Note(models.Model):
    """A note of a person, or of a team; ``user`` wrote it.

    The demo's example of data that only one account, or one organization, sees.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notes")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="notes", null=True)
    text = models.CharField(_("note"), max_length=500)
    created_at = models.DateTimeField(_("written"), auto_now_add=True)

    objects = NoteQuerySet.as_manager()

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return self.text
