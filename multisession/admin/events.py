"""The audit trail in the admin: read and search only.

Needs the permission ``view_event``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from multisession.ground.moments import in_utc
from multisession.ground.origin import ip_address
from multisession.models import Event, Session
from multisession.pages.browsers import browser_name
from multisession.upkeep.counting import ENDS

from . import paging
from .lists import (
    ChosenFilter,
    DuringFilter,
    PagedAdmin,
    PagedList,
    SinceFilter,
    UserFilter,
    link_of_user,
)
from .paging import BY_KEY, BY_TIME
from .people import address_and_place, place

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList


def link_to_events(user: Any) -> str:
    """Return a link to a user's events, for a read-only field on the user's admin page."""
    return link_of_user(user, "event", _("Timeline of this user"), page="timeline")


class KindFilter(admin.SimpleListFilter):
    title = _("what")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*Event.Kind.choices, (ANY_END, _("all ends"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value == ANY_END:
            return queryset.filter(kind__in=ENDS)
        return queryset.filter(kind=value) if value in Event.Kind.values else queryset


class WhenFilter(SinceFilter):
    title = _("when")
    field = "at"


class HappenedDuringFilter(DuringFilter):
    field = "at"


class EventUserFilter(UserFilter):
    """Filter by the user's key, also of deleted users."""

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return _equal(queryset, "user_id", self.value())


class EventActorFilter(ChosenFilter):
    """Filter by who did it to others. Nothing for a reader who may not see that user's name."""

    title = _("by")
    parameter_name = "actor"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        self._admin = model_admin
        super().__init__(request, params, model, model_admin)

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        key = self.value()
        if key and not self._admin.readable(request, {key}):
            return queryset.none()
        return _equal(queryset, "actor_id", key).exclude(user_id=key) if key else queryset

    def name_of(self, request: HttpRequest, model_admin: Any, value: str) -> str:
        return model_admin.name_of_user(request, value) or value


class EventSessionFilter(ChosenFilter):
    title = _("session")
    parameter_name = "session"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return _equal(queryset, "session_id", self.value())


class EventClientFilter(ChosenFilter):
    title = _("client")
    parameter_name = "client"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return _equal(queryset, "client_id", self.value())


FILTERS = (
    KindFilter,
    WhenFilter,
    HappenedDuringFilter,
    EventUserFilter,
    EventActorFilter,
    EventSessionFilter,
    EventClientFilter,
)

#: The filters of which a timeline needs one.
SUBJECTS = ("user", "actor", "client", "session")

#: The value of ``KindFilter`` for every way in which a session ends.
ANY_END = "ends"


def shown_actor(event: Event, shown: Collection[str]) -> str:
    """Return the name of who did it; "" if that user's key is not among those shown."""
    if event.actor_id and event.actor_id != event.user_id and event.actor_id not in shown:
        return ""
    return event.actor or event.actor_id


def _equal(queryset: Any, field: str, value: str | None) -> Any:
    if not value:
        return queryset
    return queryset.none() if "\x00" in value else queryset.filter(**{field: value})


class EventList(PagedList):
    @property
    def order(self) -> paging.Order:
        if self.query or self.subject:
            return BY_KEY
        has_index = any(self.params.get(name) for name in ("kind", "since", "during"))
        return BY_TIME if has_index else BY_KEY

    def number(self, count: int) -> str:
        return ngettext("%(count)s event", "%(count)s events", count)

    @property
    def subject(self) -> str:
        """Return the filter that makes these events a timeline: "user", "client", "session"."""
        return next((name for name in SUBJECTS if self.params.get(name)), "")


@admin.register(Event)
class EventAdmin(PagedAdmin):
    list_display = ("at", "what", "of_user", "by_whom", "browser", "address", "of_session")
    list_filter = FILTERS
    search_fields = ("account",)  # See get_search_results().
    search_help_text = _(
        "All of: an account's name at that time, a session's id (sess_…), a client's id "
        "(client_…), an IP address."
    )
    actions = None
    change_list_template = "multisession/admin/events.html"
    change_form_template = "multisession/admin/event.html"
    fields = (
        "at",
        "what",
        "of_user",
        "organization",
        "by_whom",
        "of_session",
        "client_id",
        "browser",
        "agent",
        "address",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        """Return the events that this user may read.

        If the project narrows ``SessionAdmin.get_queryset()``, as for tenants, these are the events
        of the sessions in it.
        """
        found = Event.objects.order_by("-pk")
        if not self.sees_superusers(request):
            found = found.filter(superuser=False)
        if (sessions := self._narrowed_sessions(request)) is not None:
            found = found.filter(session_id__in=sessions)
        return found

    def is_narrowed(self) -> bool:
        own = getattr(self.get_queryset, "__func__", None)
        return own is not EventAdmin.get_queryset or self._narrowing_admin() is not None

    def _narrowing_admin(self) -> Any:
        """Return the site's admin of sessions if it is narrowed, else None."""
        try:
            found = self.admin_site.get_model_admin(Session)
        except NotRegistered:
            return None
        return None if isinstance(found, PagedAdmin) and not found.is_narrowed() else found

    def _narrowed_sessions(self, request: HttpRequest) -> Any:
        narrowing = self._narrowing_admin()
        if narrowing is None:
            return None
        return narrowing.get_queryset(request).order_by().values("public_id")

    def _in_queryset(self, request: HttpRequest, keys: set[str]) -> set[str]:
        known = [key for key in keys if "\x00" not in key]
        rows = self.get_queryset(request).filter(user_id__in=known)
        return set(rows.order_by().values_list("user_id", flat=True).distinct())

    def name_of_user(self, request: HttpRequest, key: Any) -> str:
        text = str(key)
        event = _equal(self.get_queryset(request), "user_id", text).first() if text else None
        return event.account if event is not None else ""

    def prepare(self, request: HttpRequest, rows: list[Any]) -> None:
        shown = {event.user_id for event in rows}
        shown |= self.readable(request, {event.actor_id for event in rows} - shown)
        for event in rows:
            event.shown_actor = shown_actor(event, shown)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EventList

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        return lookup in {chosen.parameter_name for chosen in FILTERS}

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """Choose the column to search by the form of the term."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.startswith("sess_"):
            return _equal(queryset, "session_id", term), False
        if term.startswith("client_"):
            return _equal(queryset, "client_id", term), False
        if (address := ip_address(term)) is not None:
            return queryset.filter(ip_address=address), False
        return _equal(queryset, "account", term), False

    # What is shown

    @admin.display(description=_("what"))
    def what(self, event: Event) -> str:
        return str(event.get_kind_display())

    @admin.display(description=_("account"))
    def of_user(self, event: Event) -> str:
        return self.link_to("event", event.account or event.user_id, user=event.user_id)

    @admin.display(description=_("by"))
    def by_whom(self, event: Event) -> str:
        name: str = getattr(event, "shown_actor", "")
        if name and event.actor_id and event.actor_id != event.user_id:
            return self.link_to("event", name, user=event.actor_id)
        return name or (gettext("another account") if event.actor_id else "–")

    @admin.display(description=_("browser"))
    def browser(self, event: Event) -> str:
        return browser_name(event.user_agent) if event.user_agent else "–"

    @admin.display(description=_("user agent"))
    def agent(self, event: Event) -> str:
        return event.user_agent or "–"

    @admin.display(description=_("IP address"))
    def address(self, event: Event) -> str:
        return address_and_place(event.ip_address)

    @admin.display(description=_("session"))
    def of_session(self, event: Event) -> str:
        return self.link_to("session", event.session_id, q=event.session_id)

    # The timeline

    def timeline(self, request: HttpRequest) -> HttpResponse:
        """Show the events of a person, a browser or a session, day by day, the newest first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            shown: Any = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return redirect(self.url("event", "changelist"))
        if not shown.subject:
            return redirect(self.url("event", "changelist") + shown.query_string())
        for event in shown.result_list:
            self._tell(event)
        name = shown.params[shown.subject]
        if shown.subject == "user":
            name = next((event.account for event in shown.result_list), "") or name
        elif shown.subject == "actor":
            name = self.name_of_user(request, name) or name
        context = {
            **self.admin_site.each_context(request),
            "title": _("Timeline"),
            "subtitle": name,
            "opts": self.opts,
            "cl": shown,
            "media": self.media,
            "subject_value": shown.params[shown.subject],
            "may_see_sessions": request.user.has_perm("multisession.view_session"),
        }
        return TemplateResponse(request, "multisession/admin/timeline.html", context)

    def _tell(self, event: Any) -> None:
        """Add to the event what the timeline shows."""
        at = timezone.localtime(in_utc(event.at))
        event.day, event.clock, event.exact = at.date(), at, in_utc(event.at).isoformat()
        browser = browser_name(event.user_agent) if event.user_agent else ""
        event.place = place(browser, event.ip_address) if browser or event.ip_address else ""
        event.is_by_another = bool(event.actor_id) and event.actor_id != event.user_id
        event.is_impersonation = event.is_by_another and event.kind == Event.Kind.SIGNED_IN

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.timeline)
        own = path("timeline/", view, name="multisession_event_timeline")
        return [own, *super().get_urls()]

    # Django's hooks

    def has_delete_permission(self, request: HttpRequest, obj: Event | None = None) -> bool:
        return False
