"""Common parts of the admin's lists: cursor pagination and filters.

The lists are fast at any size, as they allow only what an index can answer (see ``paging``).
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from multisession import lists
from multisession.pages.profiles import plain_name

from . import paging

if TYPE_CHECKING:
    AdminBase = admin.ModelAdmin[Any]
else:  # Generic for the type checker only.
    AdminBase = admin.ModelAdmin

BEFORE, AFTER = "before", "after"


class PagedAdmin(AdminBase):
    """A read-only admin with a ``PagedList``. It does not count rows."""

    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # Facets count all rows for every choice.
    sortable_by = ()
    ordering = ("-pk",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PagedList(ChangeList):
    """Django's ChangeList with cursors in place of page numbers."""

    page: paging.Page
    root_queryset: Any

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        given = request.GET
        self.before, self.after = given.get(BEFORE, ""), given.get(AFTER, "")
        # ChangeList takes all other parameters for filters.
        rest = given.copy()
        rest.pop(BEFORE, None)
        rest.pop(AFTER, None)
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
            total = paging.total_of(self.root_queryset)
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
        return [(value, self.name_of(value))] if value else []

    def name_of(self, value: str) -> str:
        return value


class UserFilter(ChosenFilter):
    title = _("user")
    parameter_name = "user"

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        key = self._key()
        if not self.value():
            return queryset
        return queryset.none() if key is None else queryset.filter(user_id=key)

    def name_of(self, value: str) -> str:
        key = self._key()
        user = None if key is None else lists.user_model()._base_manager.filter(pk=key).first()
        return value if user is None else plain_name(user)

    def _key(self) -> Any:
        try:
            return lists.primary_key(self.value())
        except lists.InvalidParameter:
            return None


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


def link_to(model: str, text: Any, **filters: Any) -> str:
    """Return a link to the list of this model, filtered; the text alone if there is no list."""
    try:
        url = reverse(f"admin:multisession_{model}_changelist")
    except NoReverseMatch:  # The site has not registered this model.
        return str(text)
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(filters), text)


def link_of_user(user: Any, model: str, text: Any) -> str:
    """Return such a link for a user's own admin page, or "–" for a user who is not saved yet."""
    if user is None or user.pk is None:
        return "–"
    return link_to(model, text, user=user.pk)


def user_has_field(name: str) -> bool:
    try:
        lists.user_model()._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True
