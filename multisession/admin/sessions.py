"""The sessions in the admin: view and revoke them.

Nothing is added, changed or deleted here: only signing in makes sessions, and only the model's own
methods end them. Deleting a user in the admin deletes the user's sessions.

The list is fast at any size, as it allows only what an index can answer (see ``paging``). Viewing
needs the permission ``view_session``, revoking ``revoke_session``.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.contrib.contenttypes.models import ContentType
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import path
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.formats import date_format, number_format
from django.utils.html import format_html, format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from multisession import lists
from multisession.ground.moments import in_utc
from multisession.ground.origin import ip_address
from multisession.models import Client, Event, Session
from multisession.models.managers import prefetched_users
from multisession.models.session_sets import SessionQuerySet
from multisession.pages.browsers import FAMILIES, browser_name
from multisession.pages.profiles import plain_name

from . import export, paging
from .events import link_to_events, shown_actor
from .lists import (
    ChosenFilter,
    DuringFilter,
    PagedList,
    SinceFilter,
    UserFilter,
    link_of_user,
    user_has_field,
)
from .paging import BY_CLOCK, BY_EXPIRY, BY_KEY, BY_SIGN_IN
from .people import address_and_place, ago, person, place
from .pictures import PicturesAdmin
from .revoking import RevokingAdmin

__all__ = ["SessionAdmin", "link_to_events", "link_to_sessions"]

#: The most users whose sessions a search shows.
MOST_USERS = 50

#: The names of common browsers and their marks in the user agent.
BROWSER_SIGNS = dict(reversed([(name, sign) for sign, name in FAMILIES]))


def link_to_sessions(user: Any) -> str:
    """Return a link to a user's sessions, for a read-only field on the user's admin page."""
    return link_of_user(user, "session", _("Sessions of this user"))


class StatusFilter(admin.SimpleListFilter):
    """Filter by the current status, including expired sessions whose column is not updated yet."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Session.Status.choices)

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value not in Session.Status.values:
            return queryset
        return queryset.with_current_status(value)


class SignedInDuringFilter(DuringFilter):
    field = "created_at"


class SortFilter(admin.SimpleListFilter):
    """The orders for which there is an index. Last use has none: every touch would write to it."""

    title = _("order")
    parameter_name = "sort"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("oldest", _("Oldest first")), ("expiring", _("Signed in, expiring first"))]

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            is_default = choice["query_string"] == changelist.get_query_string(
                remove=[self.parameter_name]
            )
            yield {**choice, "display": _("Newest first")} if is_default else choice

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.live() if self.value() == "expiring" else queryset


class ClientFilter(ChosenFilter):
    title = _("client")
    parameter_name = "client"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        return of_client(queryset, value) if value else queryset


class BrowserFilter(admin.SimpleListFilter):
    title = _("browser")
    parameter_name = "browser"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, name) for name in sorted(BROWSER_SIGNS)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value not in BROWSER_SIGNS:
            return queryset
        signs = [sign for sign, name in FAMILIES if name == value]
        first = next(place for place, (_sign, name) in enumerate(FAMILIES) if name == value)
        for sign, name in FAMILIES[:first]:
            if name != value:
                queryset = queryset.exclude(client__user_agent__contains=sign)
        any_sign = Q(*[("client__user_agent__contains", sign) for sign in signs], _connector="OR")
        return queryset.filter(any_sign)


def of_client(queryset: Any, public_id: str) -> Any:
    """Filter by the client's primary key, whose index has the rows in the right order."""
    found = Client.objects.filter(public_id=public_id) if "\x00" not in public_id else []
    keys = [client.pk for client in found]
    return queryset.filter(client_id__in=keys) if keys else queryset.none()


class SignedInFilter(SinceFilter):
    title = _("signed in")
    field = "created_at"


FILTERS = (
    SortFilter,
    StatusFilter,
    SignedInFilter,
    SignedInDuringFilter,
    BrowserFilter,
    UserFilter,
    ClientFilter,
)


class SessionList(PagedList):
    queryset: SessionQuerySet

    @property
    def order(self) -> paging.Order:
        sort = self.params.get("sort")
        if sort == "expiring":
            return BY_EXPIRY
        return replace(self._newest_first, ascending=sort == "oldest")

    @property
    def _newest_first(self) -> paging.Order:
        if self.query or self.params.get("client"):
            return BY_KEY  # Few rows, in the order of an index.
        if self.params.get("user") or self.params.get("during"):
            return BY_SIGN_IN
        by_clock = BY_CLOCK.get(self.params.get("status", ""))
        if self.params.get("since") and (not by_clock or self.params.get("sort") == "oldest"):
            return BY_SIGN_IN  # So the database begins with the oldest row that matches.
        return by_clock or BY_KEY

    @property
    def is_narrowed(self) -> bool:
        return bool(self.query or self.get_filters_params().keys() - {"sort"}) or (
            self.params.get("sort") == "expiring"
        )

    def number(self, count: int) -> str:
        return ngettext("%(count)s session", "%(count)s sessions", count)


@admin.register(Session)
class SessionAdmin(PicturesAdmin, RevokingAdmin):
    #: The user's fields whose beginning a search matches. None: those of username and e-mail
    #: address that have an index.
    user_search_fields: tuple[str, ...] | None = None

    list_display = ("person", "place", "use", "live_sessions")
    list_display_links = ("person",)
    list_filter = FILTERS
    search_fields = ("public_id",)  # See get_search_results().
    actions = ("revoke_selected",)
    change_list_template = "multisession/admin/change_list.html"
    change_form_template = "multisession/admin/change_form.html"
    fields = (
        "public_id",
        "of_user",
        "status_now",
        "organization",
        "of_client",
        "browser",
        "user_agent",
        "address",
        "created_at",
        "last_active_at",
        "updated_at",
        "expire_at",
        "abandon_at",
        "timeline",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> SessionQuerySet:
        """Return the sessions that this user may see and revoke.

        Override it to narrow them, as for tenants. Lists, filters, search, files, numbers, actions
        and the audit trail follow, and no page names a user of other sessions.
        """
        # No page here shows session data.
        found = Session.objects.accounts().defer("session_data").order_by("-pk")
        found = found.with_users().select_related("client")
        if not user_has_field("is_superuser") or self.sees_superusers(request):
            return found
        return found.of_ordinary_users()

    def is_narrowed(self) -> bool:
        return getattr(self.get_queryset, "__func__", None) is not SessionAdmin.get_queryset

    def name_of_user(self, request: HttpRequest, key: Any) -> str:
        # In the order of an index: by primary key, all of the user's rows would be read.
        found = self.get_queryset(request).filter(user_id=key)
        session = found.order_by("-created_at", "-pk").first()
        return plain_name(session.user) if session is not None and session.user else ""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SessionList

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        # Django would allow every field, so one could guess session data letter by letter.
        return lookup in {chosen.parameter_name for chosen in FILTERS}

    # Searching

    def get_user_search_fields(self) -> list[str]:
        if self.user_search_fields is not None:
            return list(self.user_search_fields)
        user_model = lists.user_model()
        email = getattr(user_model, "get_email_field_name", lambda: "email")()
        names = dict.fromkeys([user_model.USERNAME_FIELD, email])
        return [name for name in names if user_has_field(name) and _is_indexed(name)]

    @property
    def search_help_text(self) -> str:  # type: ignore[override]
        fields = [
            lists.user_model()._meta.get_field(name) for name in self.get_user_search_fields()
        ]
        names = ", ".join(str(getattr(field, "verbose_name", field.name)) for field in fields)
        return gettext(
            "The beginning of: %(fields)s. Or all of: a session's id (sess_…), a client's id "
            "(client_…), an IP address."
        ) % {"fields": names}

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """Choose the column to search by the form of the term."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if "\x00" in term:
            return queryset.none(), False
        if term.startswith("sess_"):
            return queryset.filter(public_id=term), False
        if term.startswith("client_"):
            return of_client(queryset, term), False
        if (address := ip_address(term)) is not None:
            return queryset.filter(ip_address=address), False
        users = self._users_called(request, queryset, term)
        return queryset.filter(user_id__in=users) if users else queryset.none(), False

    def _users_called(
        self, request: HttpRequest, queryset: SessionQuerySet, term: str
    ) -> list[Any]:
        """Return the keys of the users of these sessions whose search fields begin with the term.

        Users of other sessions are not counted either.
        """
        wanted = Q()
        for name in self.get_user_search_fields():
            # Case-sensitive, to use the index; addresses are mostly stored in lower case.
            wanted |= Q(**{f"{name}__startswith": term})
            wanted |= Q(**{f"{name}__startswith": term.lower()})
        if not wanted:
            return []
        keys = list(queryset.users_among(wanted)[: MOST_USERS + 1])
        if len(keys) > MOST_USERS:
            text = ngettext(
                "Showing the first %(count)d matching user. Type more to narrow the list.",
                "Showing the first %(count)d matching users. Type more to narrow the list.",
                MOST_USERS,
            )
            messages.warning(request, text % {"count": MOST_USERS}, fail_silently=True)
            request.multisession_search_is_cut = True  # type: ignore[attr-defined]
        return keys[:MOST_USERS]

    # What is shown

    @admin.display(description=_("person"))
    def person(self, session: Session) -> str:
        return person(session.user, session.user_id)

    @admin.display(description=_("browser and IP address"))
    def place(self, session: Session) -> str:
        return place(self.browser(session), session.ip_address)

    @admin.display(description=_("status and last use"))
    def use(self, session: Session) -> str:
        return format_html("{} {}", self.status_now(session), ago(session.last_active_at))

    @admin.display(description=_("live"))
    def live_sessions(self, session: Session) -> str:
        """Return the number of the person's live sessions, with a link to them."""
        ask: Callable[[], dict[Any, int]] = getattr(session, "live_of_users", dict)
        count = ask().get(session.user_id, 0)
        if not count:
            return "0"
        text = ngettext("Signed in on %(count)d browser", "Signed in on %(count)d browsers", count)
        number = format_html(
            '<span title="{}">{}</span>', text % {"count": count}, number_format(count)
        )
        return self.link_to("session", number, user=session.user_id, status="active")

    @admin.display(description=_("status"))
    def status_now(self, session: Session) -> str:
        status = session.current_status
        return format_html('<span class="ms-pill ms-pill-{}">{}</span>', status.value, status.label)

    @admin.display(description=_("browser"))
    def browser(self, session: Session) -> str:
        return browser_name(session.client.user_agent)

    @admin.display(description=_("user agent"))
    def user_agent(self, session: Session) -> str:
        return session.client.user_agent or "–"

    @admin.display(description=_("IP address"))
    def address(self, session: Session) -> str:
        return address_and_place(session.ip_address)

    @admin.display(description=_("user"))
    def of_user(self, session: Session) -> str:
        user = session.user
        text = session.user_id if user is None else plain_name(user)
        return self.link_to("session", text, user=session.user_id)

    @admin.display(description=_("client"))
    def of_client(self, session: Session) -> str:
        client = session.client.public_id
        return self.link_to("session", client, client=client)

    @admin.display(description=_("timeline"))
    def timeline(self, session: Session) -> str:
        """Return what happened to the session, in order."""
        events = sorted(self.events_of(session), key=lambda event: event[0])
        return format_html_join(
            "",
            '<div><time datetime="{}">{}</time> {}</div>',
            (
                (
                    in_utc(moment).isoformat(),
                    date_format(timezone.localtime(in_utc(moment)), "DATETIME_FORMAT"),
                    text,
                )
                for moment, text in events
            ),
        )

    def events_of(self, session: Session) -> Iterator[tuple[datetime.datetime, str]]:
        """Yield the parts of the timeline, each with its time."""
        recorded = list(Event.objects.filter(session_id=session.public_id).order_by("-pk")[:100])
        kinds = {event.kind for event in recorded}
        shown = self._readable_on(session, {event.actor_id for event in recorded})
        if Event.Kind.SIGNED_IN not in kinds:
            place = {"browser": browser_name(session.client.user_agent)}
            yield session.created_at, gettext("Signed in: %(browser)s") % place
        if session.last_active_at > session.created_at:
            place = {"address": session.ip_address or gettext("an unknown address")}
            yield session.last_active_at, gettext("Last active, from %(address)s") % place
        for event in recorded:
            yield event.at, _told(event, shown)
        # Add what is not in the audit trail: it is off, or no job has noted the timeout yet.
        status = session.current_status
        over = {Session.Status.EXPIRED, Session.Status.ABANDONED}
        if status in over and not over & kinds:
            yield session.expire_at, gettext("Expired")
        if status == Session.Status.ABANDONED and status not in kinds:
            yield session.abandon_at, gettext("Abandoned")
        if status not in {Session.Status.ACTIVE, *over}:
            yield session.updated_at, gettext("Ended: %(status)s") % {"status": status.label}
            if status not in kinds:
                yield from self._noted(session)

    def _noted(self, session: Session) -> Iterator[tuple[datetime.datetime, str]]:
        """Yield the entries of the admin's log."""
        entries = LogEntry.objects.filter(
            content_type=ContentType.objects.get_for_model(Session), object_id=str(session.pk)
        )
        found = list(
            entries.prefetch_related(prefetched_users(LogEntry.user.field.related_model)).order_by(
                "action_time"
            )[:100]
        )
        shown = self._readable_on(session, {str(entry.user_id) for entry in found})
        for entry in found:
            named = str(entry.user_id) in shown
            who = entry.user if named else gettext("another account")
            said = {"what": entry.get_change_message(), "who": who}
            yield entry.action_time, gettext("%(what)s (%(who)s)") % said

    def prepare(self, request: HttpRequest, rows: list[Any]) -> None:
        keys = {session.user_id for session in rows}

        @cache
        def live_of_users() -> dict[Any, int]:
            """Only the list shows the numbers: neither a file nor a session's page asks."""
            theirs = self.get_queryset(request).order_by().filter(user_id__in=keys).live()
            return dict(theirs.values_list("user_id").annotate(live=Count("pk")))

        for session in rows:
            session.readable_keys = partial(self.readable, request)
            session.live_of_users = live_of_users

    def _readable_on(self, session: Session, keys: set[str]) -> set[str]:
        """Return those of these users' keys whose names the reader of the session's page may see.

        None if it is not known who reads it.
        """
        own = str(session.user_id)
        ask = getattr(session, "readable_keys", None)
        return {own} if ask is None else ask(keys - {own}) | {own}

    # Files

    def export_csv(self, request: HttpRequest) -> HttpResponseBase:
        return self._export(request, export.as_csv, "text/csv; charset=utf-8", "csv")

    def export_json(self, request: HttpRequest) -> HttpResponseBase:
        return self._export(request, export.as_json, "application/json", "json")

    def _export(
        self,
        request: HttpRequest,
        write: Callable[[SessionQuerySet], Iterator[str]],
        content_type: str,
        ending: str,
    ) -> HttpResponseBase:
        self.require(self.has_view_permission(request))
        try:
            shown = self.list_of(request)
        except IncorrectLookupParameters:
            return redirect(self.url("session", "changelist"))
        name = f"sessions-{timezone.localdate(in_utc(timezone.now())).isoformat()}.{ending}"
        response = StreamingHttpResponse(
            write(shown.queryset),
            content_type=content_type,
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
        add_never_cache_headers(response)
        return response

    # Django's hooks

    def get_urls(self) -> list[Any]:
        protected = self.admin_site.admin_view
        own: list[tuple[str, Any, str]] = [
            ("export.csv", self.export_csv, "export_csv"),
            ("export.json", self.export_json, "export_json"),
        ]
        urls: list[Any] = [
            path(route, protected(view), name=f"multisession_session_{name}")
            for route, view, name in own
        ]
        return urls + super().get_urls()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = self._with_permission(request, extra_context)
        context["may_see_pictures"] = self.may_see_pictures(request)
        return super().changelist_view(request, context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = self._with_permission(request, extra_context)
        return super().change_view(request, object_id, form_url, context)

    def _with_permission(
        self, request: HttpRequest, context: dict[str, Any] | None
    ) -> dict[str, Any]:
        return {**(context or {}), "may_revoke": self.has_revoke_permission(request)}

    def has_delete_permission(self, request: HttpRequest, obj: Session | None = None) -> bool:
        return False


def _told(event: Event, shown: set[str]) -> str:
    """Return the text of an event, for the story of its session."""
    what = capfirst(event.get_kind_display())
    if event.actor and event.actor_id != event.user_id:
        who = shown_actor(event, shown) or gettext("another account")
        what = gettext("%(what)s (%(who)s)") % {"what": what, "who": who}
    if event.kind == Event.Kind.SIGNED_IN and event.user_agent:
        what = f"{what}: {browser_name(event.user_agent)}"
    return what


def _is_indexed(name: str) -> bool:
    field: Any = lists.user_model()._meta.get_field(name)
    return bool(field.unique or field.db_index)
