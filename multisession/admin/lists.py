"""What the administrators' lists have in common: pages without numbers, and filters.

Quick at any size: what a list may be asked is what an index answers (see ``paging``).
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
    """Rows to read, in a ``PagedList``: none is counted, added or changed here."""

    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # They would count every row, for every choice.
    sortable_by = ()
    ordering = ("-pk",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class PagedList(ChangeList):
    """Django's, with pages found by a cursor in place of a number."""

    page: paging.Page
    root_queryset: Any

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        given = request.GET
        self.before, self.after = given.get(BEFORE, ""), given.get(AFTER, "")
        # Whatever is left over in the query, the list takes for a filter.
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
        # Only what is on this page can be selected in it.
        self.result_count = self.full_result_count = len(rows)
        self.show_full_result_count = False
        self.show_admin_actions = bool(rows)
        self.can_show_all = self.multi_page = False
        # Nothing asks it for a page, but the list has to have one.
        self.paginator = Paginator(rows, self.list_per_page)

    @property
    def order(self) -> paging.Order:
        """Return how the rows are sorted; there has to be an index that has them so."""
        return paging.BY_KEY

    def number(self, count: int) -> str:
        """So many rows, in words, with ``%(count)s`` for the number."""
        raise NotImplementedError("A PagedList says what it lists: number().")

    @property
    def is_narrowed(self) -> bool:
        return bool(self.query or self.get_filters_params())

    def total(self) -> str:
        """Return how many there are, as far as that costs nothing."""
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
        """Return the filters and the search, for a page that works on the same sessions."""
        return self.get_query_string()

    def _link(self, name: str, cursor: str) -> str:
        return self.get_query_string({name: cursor}) if cursor else ""


class ChosenFilter(admin.SimpleListFilter):
    """By one of very many, chosen by a link elsewhere: shown here only to be taken back."""

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
    """By when it was, or began: the moment in ``field``."""

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
    except NoReverseMatch:  # a site that has taken it out
        return str(text)
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(filters), text)


def link_of_user(user: Any, model: str, text: Any) -> str:
    """Return such a link for a user's own admin page, where the user may be a new one."""
    if user is None or user.pk is None:
        return "–"
    return link_to(model, text, user=user.pk)


def user_has_field(name: str) -> bool:
    try:
        lists.user_model()._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True
