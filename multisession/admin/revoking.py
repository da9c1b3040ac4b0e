"""Revoke sessions in the admin: one, the selected ones, or all that match the list's filters.

A page names who will be signed out before anything happens. A large number goes in steps: each
POST revokes some batches and answers with the progress and the form of the next step, which a
script sends, or a person who presses *Continue*. If the database is lost in between, the answer
says how far it came and has the same form. A revocation is named by its filters, which are in
the URL, and by the moment at which it was confirmed; what has ended is no longer in it. So nothing
is lost if the page is reloaded or closed, and nothing else has to be stored.
"""

from __future__ import annotations

import datetime
import itertools
import logging
from collections.abc import Iterable
from typing import Any, Unpack

from django.conf import settings as django_settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError, close_old_connections
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from multisession import actions
from multisession.backends.db import SessionStore
from multisession.ground.attempts import in_steps_of_its_own
from multisession.ground.origin import Origin
from multisession.models import Session
from multisession.models.events import Cause
from multisession.models.session_sets import SessionQuerySet
from multisession.pages.browsers import browser_name
from multisession.pages.profiles import plain_name

from .lists import SELECTED, PagedAdmin, PagedList
from .people import ago, person, place

#: How many sessions the page names before it revokes them.
MOST_NAMED = 20
#: How many batches (``actions.BATCH``) one request revokes, each in its own transaction.
BATCHES = 4
#: The most sessions that can be selected one by one.
MOST_SELECTED = 1000

UNPROCESSABLE, UNAVAILABLE = 422, 503

logger = logging.getLogger("multisession")


class RevokingAdmin(PagedAdmin):
    """The part of ``SessionAdmin`` that revokes."""

    revoke_template = "multisession/admin/revoke.html"

    def hand_over(
        self, request: HttpRequest, sessions: SessionQuerySet, **cause: Unpack[Cause]
    ) -> bool:
        """Give a large revocation to the project's task queue. Return True if that has taken it.

        Called once it is confirmed, for more than ``actions.BATCH`` sessions. By default, the page
        revokes them itself, step by step.
        """
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("multisession.revoke_session")

    @admin.action(description=_("Revoke selected sessions…"), permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        """Lead to the page that names them."""
        query = request.META.get("QUERY_STRING", "")
        if request.POST.get("select_across") != "1":
            keys = queryset.order_by("-pk").values_list("pk", flat=True)[:MOST_SELECTED]
            selected = urlencode({SELECTED: ",".join(str(key) for key in keys)})
            query = f"{query}&{selected}" if query else selected
        return redirect(f"{self.url('session', 'revoke')}?{query}")

    def revoke_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for confirmation, then revoke one session."""
        self.require(self.has_view_permission(request) and self.has_revoke_permission(request))
        session = self.get_object(request, object_id)
        if session is None:
            raise Http404
        back = self.url("session", "change", session.pk)
        if request.method == "POST":
            ended = actions.revoke(session, **cause_of(request))
            self._note(request, [session] if ended else [])
            self._say_how_many(request, int(ended))
            return redirect(back)
        found: Any = self.get_queryset(request)
        return self._ask(request, found.filter(pk=session.pk).live(), back)

    def revoke_matching(self, request: HttpRequest) -> HttpResponse:
        """Ask for confirmation, then revoke the sessions that match, step by step."""
        self.require(self.has_view_permission(request) and self.has_revoke_permission(request))
        try:
            shown = self.list_of(request)
        except IncorrectLookupParameters:
            return redirect(self.url("session", "changelist"))
        back = self.url("session", "changelist") + shown.query_string()
        found = shown.queryset.live()
        own = own_session(request)
        selected = request.GET.get(SELECTED)
        if selected is not None:
            found = found.filter(pk__in=_keys(selected))
        elif own is not None:
            found = found.exclude(pk=own.pk)
        if getattr(request, "multisession_search_is_cut", False):
            found = found.none()  # The users beyond those that the list shows would follow.
        if request.method != "POST":
            return self._ask(request, found, back, is_selection=selected is not None)
        moment = _moment(request.POST.get("before"))
        if moment is None:
            return self._ask(request, found, back, is_selection=selected is not None, is_wrong=True)
        return self._step(request, found, moment, back)

    def _step(
        self, request: HttpRequest, found: SessionQuerySet, moment: datetime.datetime, back: str
    ) -> HttpResponse:
        """Revoke some batches of those that began until ``moment``."""
        cause = cause_of(request)
        done, of = _number(request.POST.get("done")), _number(request.POST.get("of"))
        is_first = "done" not in request.POST
        started = found.filter(created_at__lte=moment)
        if is_first and len(started.order_by()[: actions.BATCH + 1].values("pk")) > actions.BATCH:
            of = started.count()
            if self.hand_over(request, started, **cause):
                text = ngettext(
                    "%(count)d session will be revoked in the background.",
                    "%(count)d sessions will be revoked in the background.",
                    of,
                )
                messages.success(request, text % {"count": of})
                return redirect(back)
        batches = actions.revoke_in_batches(found, before=moment, **cause)
        is_lost = False
        try:
            for ended in itertools.islice(batches, BATCHES):
                done += len(ended)
                self._note(request, ended)
            left = started.count() if of else 0
        except (OperationalError, InterfaceError):
            if not of:
                raise  # The only batch: nothing has ended.
            logger.exception("A revocation was interrupted after %d of %d sessions.", done, of)
            close_old_connections()  # The next query opens a new one.
            is_lost, left = True, max(of - done, 1)
        else:
            done = max(done, of - left)  # A step whose answer got lost counts, too.
        if is_first and not left:
            self._say_how_many(request, done)
            return redirect(back)
        context = {
            "title": _("Revoke sessions"),
            "back": back,
            "before": moment.isoformat(),
            "done": done,
            "left": left,
            "of": max(of, done + left),
            "is_lost": is_lost,
        }
        return self._page(request, context, status=UNAVAILABLE if is_lost else 200)

    def _ask(
        self,
        request: HttpRequest,
        found: SessionQuerySet,
        back: str,
        *,
        is_selection: bool = True,
        is_wrong: bool = False,
    ) -> HttpResponse:
        """Ask whether to revoke the live sessions ``found``. Two queries."""
        first = list(found.order_by("-pk")[:MOST_NAMED])
        count = len(first) if len(first) < MOST_NAMED else found.count()
        own = own_session(request)
        includes_own = own is not None and (
            any(session.pk == own.pk for session in first)
            or (count > len(first) and found.filter(pk=own.pk).exists())
        )
        context = {
            "title": _("Revoke sessions"),
            "back": back,
            "before": timezone.now().isoformat(),
            "named": [_named(session) for session in first],
            "count": count,
            "more": count - len(first),
            "own": own,
            "includes_own": includes_own,
            "keeps_own": own is not None and not is_selection,
            "is_wrong": is_wrong,
            "is_cut": getattr(request, "multisession_search_is_cut", False),
        }
        return self._page(request, context, status=UNPROCESSABLE if is_wrong else 200)

    def _page(
        self, request: HttpRequest, context: dict[str, Any], status: int = 200
    ) -> HttpResponse:
        everywhere = {**self.admin_site.each_context(request), "opts": self.opts}
        return TemplateResponse(request, self.revoke_template, everywhere | context, status=status)

    def _note(self, request: HttpRequest, ended: Iterable[Session]) -> None:
        """Write who did it to the admin's log."""
        person: Any = request.user
        if rows := list(ended):
            entries = [
                LogEntry(
                    user_id=person.pk,
                    content_type_id=ContentType.objects.get_for_model(Session).pk,
                    object_id=str(session.pk),
                    object_repr=str(session),
                    action_flag=CHANGE,
                    change_message=gettext("Revoked"),
                )
                for session in rows
            ]
            LogEntry.objects.bulk_create(entries)

    def _say_how_many(self, request: HttpRequest, count: int) -> None:
        text = ngettext("%(count)d session revoked.", "%(count)d sessions revoked.", count)
        messages.success(request, text % {"count": count})

    def require(self, is_allowed: bool) -> None:
        if not is_allowed:
            raise PermissionDenied

    def list_of(self, request: HttpRequest) -> PagedList:
        """Return the list that the query string asks for. Raises IncorrectLookupParameters."""
        shown = self.get_changelist_instance(request)
        assert isinstance(shown, PagedList)  # noqa: S101 - for the type checker
        return shown

    def get_urls(self) -> list[Any]:
        own: list[tuple[str, Any, str]] = [
            ("revoke/", self.revoke_matching, "revoke"),
            ("<path:object_id>/revoke/", self.revoke_one, "revoke_one"),
        ]
        urls: list[Any] = []
        for route, view, name in own:
            wrapped = in_steps_of_its_own(self.admin_site.admin_view(view))
            urls.append(path(route, wrapped, name=f"multisession_session_{name}"))
        return urls + super().get_urls()


def cause_of(request: HttpRequest) -> Cause:
    """Return the user and the origin of the request, for the audit trail."""
    person: Any = request.user
    store = request.session
    by = store.acting(person) if isinstance(store, SessionStore) else person
    return {"by": by, "origin": Origin.of(request)}


def own_session(request: HttpRequest) -> Session | None:
    """Return the session that the request is made with."""
    found: Session | None = getattr(getattr(request, "multisession", None), "session", None)
    return found


def _named(session: Session) -> dict[str, Any]:
    """Return what the page says about a session that it will revoke."""
    browser = browser_name(session.client.user_agent)
    return {
        "session": session,
        "person": person(session.user, session.user_id),
        "name": plain_name(session.user) if session.user else session.user_id,
        "browser": browser,
        "place": place(browser, session.ip_address),
        "last_active": ago(session.last_active_at),
    }


def _moment(given: str | None) -> datetime.datetime | None:
    """Return the moment that the form was drawn, never one to come; None for anything else."""
    try:
        found = parse_datetime(given or "")
    except ValueError:
        return None
    if found is None or timezone.is_aware(found) != django_settings.USE_TZ:
        return None
    return min(found, timezone.now())


def _keys(given: str) -> list[int]:
    return [key for key in map(_number, given.split(",")[:MOST_SELECTED]) if key]


def _number(given: str | None) -> int:
    """Return a number from a form; 0, which no row has, for anything else."""
    text = given or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
