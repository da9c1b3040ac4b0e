"""The secret keys of programs in the admin: make one, see what it is used for, revoke it.

A key sees every session and the audit trail, so whoever makes one needs the permissions for what
the key may do: ``view_session`` and ``view_event``, and ``revoke_session`` for a key that revokes.
Where a project narrows what its staff see (``get_queryset`` of ``SessionAdmin`` or ``EventAdmin``),
nobody but a superuser makes keys.
"""

from __future__ import annotations

import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from multisession.api import keys
from multisession.models import ApiKey, Event, Session

from .lists import PagedAdmin

#: How long a key may be valid, in days; 0: until it is revoked.
DAYS = (30, 90, 365, 0)


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a new key is for, what it may do, and how long."""

    scope = forms.ChoiceField(
        label=_("Scope"), choices=ApiKey.Scope.choices, widget=forms.RadioSelect, initial="read"
    )
    days = forms.TypedChoiceField(
        label=_("Valid for"),
        coerce=int,
        initial=DAYS[1],
        choices=[(days, _("%(days)d days") % {"days": days}) for days in DAYS if days]
        + [(0, _("until it is revoked"))],
    )

    class Meta:
        model = ApiKey
        fields = ("name",)

    #: The scopes that the person may give away.
    scopes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        scope: Any = self.fields["scope"]
        scope.choices = [choice for choice in scope.choices if choice[0] in self.scopes]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise forms.ValidationError(gettext("The name must be in one line."))
        return name


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = ApiKeyForm
    list_display = ("name", "scope", "state", "created_at", "last_used_at", "expires_at")
    list_filter = ("scope",)
    search_fields = ("name",)
    ordering = ("-pk",)
    actions = None
    change_form_template = "multisession/admin/key.html"

    # Who may do what

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # A key is what was handed over; another scope is another key.

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # The list says which keys there were.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and bool(self.scopes_of(request))

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and request.user.has_perm(
            "multisession.revoke_apikey"
        )

    def scopes_of(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the scopes that this person may give to a key: no more than they have."""
        user: Any = request.user
        may_read = user.has_perms(["multisession.view_session", "multisession.view_event"])
        if not may_read or not self.admin_site.is_registered(Session):
            return ()
        if self._is_narrowed() and not user.is_superuser:
            return ()
        if not user.has_perm("multisession.revoke_session"):
            return (ApiKey.Scope.READ,)
        return (ApiKey.Scope.READ, ApiKey.Scope.REVOKE)

    def _is_narrowed(self) -> bool:
        """Return True if staff may see only a part of what a key sees."""
        site = self.admin_site
        shown = [site.get_model_admin(m) for m in (Session, Event) if site.is_registered(m)]
        return any(not isinstance(each, PagedAdmin) or each.is_narrowed() for each in shown)

    # The list

    @admin.display(description=_("state"))
    def state(self, key: ApiKey) -> str:
        if key.revoked_at is not None:
            return gettext("Revoked")
        return gettext("Valid") if key.is_valid else gettext("Expired")

    # Making one

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is not None:  # A key's page has nothing to fill in.
            return super().get_form(request, obj, change, form=forms.ModelForm, **kwargs)
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.scopes = self.scopes_of(request)
        return form

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ("name", "scope", "days")
        return ("name", "scope", "state", "created_at", "last_used_at", "expires_at", "revoked_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else self.get_fields(request, obj)

    @method_decorator(sensitive_variables("secret"))
    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        given = form.cleaned_data
        days = datetime.timedelta(days=given["days"])
        made, secret = keys.issue(
            given["name"],
            scope=ApiKey.Scope(given["scope"]),
            expires_at=timezone.now() + days if days else None,
        )
        obj.__dict__.update(made.__dict__)
        request._multisession_secret = secret  # type: ignore[attr-defined]

    @method_decorator(sensitive_variables("secret"))
    def response_add(self, request: HttpRequest, obj: ApiKey, *args: Any) -> HttpResponse:
        """Show the secret, this once, in the answer itself: it is stored nowhere."""
        secret = request._multisession_secret  # type: ignore[attr-defined]
        answer = self._page(request, "new_key", gettext("The new key"), key=obj, secret=secret)
        add_never_cache_headers(answer)
        return answer

    # Revoking one

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        key = self.get_object(request, object_id)
        may = key is not None and key.revoked_at is None and self.has_revoke_permission(request)
        context = {"may_revoke": may, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Make the key invalid, for good. The page of the key has the button."""
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        key = self.get_object(request, object_id)
        if key is None:
            raise Http404
        if request.method != "POST" and key.revoked_at is None:
            return self._page(request, "revoke_key", gettext("Revoke this key?"), key=key)
        if request.method == "POST" and key.revoke():
            self.log_change(request, key, [{"changed": {"fields": [gettext("revoked")]}}])
            text = gettext("%(name)s is revoked: it opens nothing any more.")
            messages.success(request, text % {"name": key.name})
        page, site = "admin:multisession_apikey_change", self.admin_site.name
        return redirect(reverse(page, args=[key.pk], current_app=site))

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.revoke_view)
        own = path("<path:object_id>/revoke/", view, name="multisession_apikey_revoke")
        return [own, *super().get_urls()]

    def _page(self, request: HttpRequest, name: str, title: str, **more: Any) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": title}
        template = f"multisession/admin/{name}.html"
        return TemplateResponse(request, template, {**context, **more})
