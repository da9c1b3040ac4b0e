"""Common parts of the admin's lists: cursor pagination and filters.

The lists are fast at any size, as they allow only what an index can answer (see ``paging``).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from multisession import lists
from multisession.ground.moments import in_utc
from multisession.models.managers import users_to_read

from . import paging

if TYPE_CHECKING:
    AdminBase = admin.ModelAdmin[Any]
else:  # Generic for the type checker only.
    AdminBase = admin.ModelAdmin

BEFORE, AFTER = "before", "after"
#: The parameter with the selected rows, on the page that revokes them.
SELECTED = "selected"


class PagedAdmin(AdminBase):
    """A read-only admin with a ``PagedList``. It does not count rows.

    Its pages name nobody outside ``get_queryset()``: see ``readable()``.
    """

    #: If True, staff who are not superusers also see what superusers do, and may revoke it.
    shows_superusers = False

    list_per_page = 50

    class Media:
        css = {"all": ("multisession/user_button.css", "multisession/admin.css")}

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # Facets count all rows for every choice.
    sortable_by = ()
    ordering = ("-pk",)

    def is_narrowed(self) -> bool:
        """Return True if the project overrides ``get_queryset()``, as for tenants."""
        raise NotImplementedError("A PagedAdmin says if it is narrowed: is_narrowed().")

    def sees_superusers(self, request: HttpRequest) -> bool:
        return self.shows_superusers or bool(getattr(request.user, "is_superuser", True))

    def readable(self, request: HttpRequest, keys: Iterable[str]) -> set[str]:
        """Return those of these users' keys whose names this reader may see.

        Costs no query for a reader who sees everything, else one.
        """
        wanted = {key for key in keys if key}
        own = {str(request.user.pk)} & wanted
        if not self.is_narrowed() and self.sees_superusers(request):
            return wanted
        if not wanted - own:
            return own
        if self.is_narrowed():
            return own | self._in_queryset(request, wanted - own)
        users = users_to_read(lists.user_model()).filter(pk__in=_primary_keys(wanted - own))
        if user_has_field("is_superuser"):
            users = users.filter(is_superuser=False)
        return own | {str(key) for key in users.values_list("pk", flat=True)}

    def _in_queryset(self, request: HttpRequest, keys: set[str]) -> set[str]:
        """Return those of these keys of which ``get_queryset()`` has a row."""
        rows = self.get_queryset(request).filter(user_id__in=_primary_keys(keys))
        return {str(key) for key in rows.order_by().values_list("user_id", flat=True).distinct()}

    def name_of_user(self, request: HttpRequest, key: Any) -> str:
        """Return the name of a user of whom ``get_queryset()`` has a row, else ""."""
        raise NotImplementedError("A PagedAdmin names the users in its rows: name_of_user().")

    def link_to(self, model: str, text: Any, **filters: Any) -> str:
        """Return a link to a list of this site, filtered."""
        return link_to(model, text, site=self.admin_site.name, **filters)

    def url(self, model: str, page: str, *args: Any) -> str:
        """Return the URL of a page of this site."""
        name = f"admin:multisession_{model}_{page}"
        return reverse(name, args=args, current_app=self.admin_site.name)

    def prepare(self, request: HttpRequest, rows: list[Any]) -> None:
        """Add to the rows what a page shows of them, with one query for all."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            self.prepare(request, [found])
        return found

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Lead to the row's page. Django's history names users without asking who reads it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return redirect(self.url(self.opts.model_name or "", "change", object_id))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PagedList(ChangeList):
    """Django's ChangeList with cursors in place of page numbers."""

    page: paging.Page
    root_queryset: Any
    model_admin: Any

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        given = request.GET
        self.before, self.after = given.get(BEFORE, ""), given.get(AFTER, "")
        # ChangeList takes all other parameters for filters.
        rest = given.copy()
        rest.pop(BEFORE, None)
        rest.pop(AFTER, None)
        rest.pop(SELECTED, None)
        request.GET = rest  # type: ignore[assignment]
        try:
            super().__init__(request, *args, **kwargs)
        finally:
            request.GET = given

    def get_results(self, request: HttpRequest) -> None:
        self.page = paging.page_of(
            self.queryset,
            self.list_per_page,
            order=self.order,
            before=self.before,
            after=self.after,
        )
        rows = self.page.rows
        self.model_admin.prepare(request, rows)
        self.result_list = rows
        # Only the rows of this page can be selected.
        self.result_count = self.full_result_count = len(rows)
        self.show_full_result_count = False
        self.show_admin_actions = bool(rows)
        self.can_show_all = self.multi_page = False
        # Not used, but ChangeList needs one.
        self.paginator = Paginator(rows, self.list_per_page)

    @property
    def order(self) -> paging.Order:
        """Return the order of the rows. It needs a matching index."""
        return paging.BY_KEY

    def number(self, count: int) -> str:
        """Return the text for this number of rows, with ``%(count)s`` in place of the number."""
        raise NotImplementedError("A PagedList says what it lists: number().")

    @property
    def is_narrowed(self) -> bool:
        return bool(self.query or self.get_filters_params())

    def total(self) -> str:
        """Return the number of rows in words: exact, "about" or "more than", whatever is cheap."""
        if self.page.is_all:
            total = paging.Total(len(self.page.rows))
        elif self.is_narrowed:
            total = paging.Total(self.list_per_page, is_more=True)
        else:
            guess = not self.model_admin.is_narrowed()
            total = paging.total_of(self.root_queryset, may_estimate=guess)
        count = number_format(total.number, force_grouping=True)
        text = self.number(total.number) % {"count": count}
        if total.is_about:
            return gettext("about %(number)s") % {"number": text}
        if total.is_more:
            return gettext("more than %(number)s") % {"number": text}
        return text

    def newer_link(self) -> str:
        return self._link(AFTER, self.page.newer)

    def older_link(self) -> str:
        return self._link(BEFORE, self.page.older)

    def query_string(self) -> str:
        """Return the filters and the search as a query string, for pages about the same rows."""
        return self.get_query_string()

    def _link(self, name: str, cursor: str) -> str:
        return self.get_query_string({name: cursor}) if cursor else ""


class ChosenFilter(admin.SimpleListFilter):
    """A filter with too many choices to list. Links elsewhere set it; here it can be removed."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        value = self.value()
        return [(value, self.name_of(request, model_admin, value))] if value else []

    def name_of(self, request: HttpRequest, model_admin: Any, value: str) -> str:
        return value


class UserFilter(ChosenFilter):
    title = _("user")
    parameter_name = "user"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not self.value():
            return queryset
        keys = _primary_keys([self.value() or ""])
        return queryset.filter(user_id__in=keys) if keys else queryset.none()

    def name_of(self, request: HttpRequest, model_admin: Any, value: str) -> str:
        """Return the user's name if the list has a row of this user, else the key as it came."""
        keys = _primary_keys([value])
        return (model_admin.name_of_user(request, keys[0]) if keys else "") or value


def _primary_keys(given: Iterable[str]) -> list[Any]:
    """Return the keys of users that these texts spell."""
    found = []
    for text in given:
        try:
            found.append(lists.primary_key(text))
        except lists.InvalidParameter:
            continue
    return found


class SinceFilter(admin.SimpleListFilter):
    """Filter by the age of the datetime in ``field``."""

    parameter_name = "since"
    field: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("1", _("Past 24 hours")),
            ("7", _("Past 7 days")),
            ("30", _("Past 30 days")),
            ("365", _("Past year")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value not in ("1", "7", "30", "365"):
            return queryset
        since = timezone.now() - datetime.timedelta(days=int(value))
        return queryset.filter(**{f"{self.field}__gte": since})


class DuringFilter(ChosenFilter):
    """Filter by a span of the datetime in ``field``, as the bars of the pictures lead to it."""

    title = _("time")
    parameter_name = "during"
    field: str

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not self.value():
            return queryset
        span = _span(self.value() or "")
        if span is None:
            return queryset.none()
        return queryset.filter(**{f"{self.field}__gte": span[0], f"{self.field}__lt": span[1]})

    def name_of(self, request: HttpRequest, model_admin: Any, value: str) -> str:
        span = _span(value)
        if span is None:
            return value
        ends = (
            date_format(timezone.localtime(in_utc(end)), "SHORT_DATETIME_FORMAT") for end in span
        )
        return " – ".join(ends)


def during(start: datetime.datetime, end: datetime.datetime) -> str:
    """Return the value of a ``DuringFilter``."""
    return f"{int(start.timestamp())}-{int(end.timestamp())}"


def _span(value: str) -> tuple[datetime.datetime, datetime.datetime] | None:
    found = re.fullmatch(r"([0-9]{1,11})-([0-9]{1,11})", value)
    if found is None:
        return None
    # Without USE_TZ, naive and in the process's time zone, which Django sets to TIME_ZONE.
    zone = datetime.UTC if django_settings.USE_TZ else None
    first, last = (datetime.datetime.fromtimestamp(int(part), zone) for part in found.groups())
    return first, last


def link_to(
    model: str, text: Any, *, site: str | None = None, page: str = "changelist", **filters: Any
) -> str:
    """Return a link to the list of this model, filtered; the text alone if there is no list."""
    try:
        url = reverse(f"admin:multisession_{model}_{page}", current_app=site)
    except NoReverseMatch:  # The site has not registered this model.
        return str(text)
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(filters), text)


def link_of_user(user: Any, model: str, text: Any, *, page: str = "changelist") -> str:
    """Return such a link for a user's own admin page, or "–" for a user who is not saved yet."""
    if user is None or user.pk is None:
        return "–"
    return link_to(model, text, page=page, user=user.pk)


def user_has_field(name: str) -> bool:
    try:
        lists.user_model()._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True
