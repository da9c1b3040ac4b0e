"""Who is signed in where, for administrators: a list to look at, and *Revoke*.

Sessions begin by signing in and end through the one door, so nothing is added, changed or
deleted here. Deleting a user in the admin takes their sessions along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from . import actions
from .models import Session, SessionQuerySet

if TYPE_CHECKING:
    SessionAdminBase = admin.ModelAdmin[Session]
else:  # Generic for the type checker only.
    SessionAdminBase = admin.ModelAdmin


class StatusFilter(admin.SimpleListFilter):
    """By the status at this moment, expired ones included that no job has marked."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Session.Status.choices)

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value not in Session.Status.values:
            return queryset
        return queryset.with_current_status(value)


@admin.register(Session)
class SessionAdmin(SessionAdminBase):
    list_display = ("user", "browser", "status_now", "last_active_at", "expire_at", "public_id")
    list_display_links = ("public_id",)
    list_filter = (StatusFilter, "last_active_at", "created_at")
    list_select_related = ("user", "client")
    list_per_page = 50
    show_full_result_count = False
    ordering = ("-pk",)
    actions = ("revoke_selected",)
    fields = (
        "public_id",
        "user",
        "status_now",
        "client_id_shown",
        "browser",
        "ip_address",
        "created_at",
        "last_active_at",
        "updated_at",
        "expire_at",
        "abandon_at",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> SessionQuerySet:
        return Session.objects.accounts().order_by("-pk")

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        user_model = get_user_model()
        names = {user_model.USERNAME_FIELD, user_model.get_email_field_name()}
        existing = {field.name for field in user_model._meta.get_fields()}
        users = [f"user__{name}" for name in sorted(names & existing)]
        return [*users, "=public_id", "=client__public_id"]

    @admin.display(description=_("status"), ordering="status")
    def status_now(self, session: Session) -> str:
        return str(session.current_status.label)

    @admin.display(description=_("browser"))
    def browser(self, session: Session) -> str:
        return session.client.user_agent or "–"

    @admin.display(description=_("client"))
    def client_id_shown(self, session: Session) -> str:
        return session.client.public_id

    @admin.action(description=_("Revoke selected sessions"), permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: Any) -> None:
        count = actions.revoke_all(queryset, by=request.user)  # type: ignore[arg-type]
        text = ngettext("%(count)d session revoked.", "%(count)d sessions revoked.", count)
        messages.success(request, text % {"count": count})

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Session | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Session | None = None) -> bool:
        # The admin asks this too when a user is deleted, whose sessions go along. Only our own
        # pages offer no deletion: it would leave no trace of the session.
        match = request.resolver_match
        return match is None or not (match.url_name or "").startswith("multisession_session_")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("multisession.revoke_session")
