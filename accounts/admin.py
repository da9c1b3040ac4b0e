"""Users in the admin. Notes are not registered, because they are private even from staff."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from multisession.admin import link_to_events, link_to_sessions


class UserCreationForm(AdminUserCreationForm):
    """The admin's "add user" form, with an e-mail address in place of a username."""

    class Meta:
        model = User
        fields = ("email", "name")


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """Django's user admin, with an e-mail address in place of a username."""

    add_form = UserCreationForm
    ordering = ["email"]
    list_display = ["email", "name", "is_staff", "is_active", "last_login"]
    search_fields = ["email", "name"]
    readonly_fields = ["last_login", "date_joined", "sessions", "events"]
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        (
            _("Permissions"),
            {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
        (_("Dates"), {"fields": ("last_login", "date_joined", "sessions", "events")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "name", "usable_password", "password1", "password2"),
            },
        ),
    )

    @admin.display(description=_("sessions"))
    def sessions(self, user: User) -> str:
        return link_to_sessions(user)

    @admin.display(description=_("audit trail"))
    def events(self, user: User) -> str:
        return link_to_events(user)
