"""Django's session middleware, for a cookie that several accounts share.

Five things differ from the stock class. Four are about the cookie:

* It is sent only by an answer whose own request changed its value. A late answer to an older
  cookie neither restores that one nor deletes the newer (better-auth 9987, Django 6984).
* It is sent on a 5xx too, if a new value was stored: otherwise the browser would be left with
  an old one.
* It is read by its exact octets (see ground/cookies.py), also where there are several
  (engine/doubled.py).
* What a view did to it on the response never costs the browser its accounts.

And whatever becomes of a request, also if it is cut off, what it has signed out of is signed out.

Under an engine that is not ours, everything is as in the stock class.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from http.cookies import Morsel
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.sessions import middleware as stock
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _

from . import offers, request_user
from .backends.db import SessionStore
from .conf import django_settings
from .engine import doubled
from .engine.attempts import Busy
from .ground import cookies, tokens
from .ground.asking import SAFE_METHODS, has_page, wants_json
from .ground.origin import is_prefetch
from .guard import guard, page_tokens
from .pages import fragments, limit, sending
from .request import MultiSession

__all__ = [
    "SessionMiddleware",
]

logger = logging.getLogger("multisession")


class SessionMiddleware(stock.SessionMiddleware):
    """``request.session`` and ``request.multisession``; both lazy."""

    def __call__(self, request: HttpRequest) -> Any:
        if self.async_mode:
            return self.__acall__(request)
        try:
            return super().__call__(request)
        finally:
            if _is_to_be_concluded(request):
                _conclude(request)

    async def __acall__(self, request: HttpRequest) -> Any:
        try:
            return await super().__acall__(request)
        finally:
            if _is_to_be_concluded(request):
                await asyncio.shield(sync_to_async(_conclude)(request))

    def process_request(self, request: HttpRequest) -> None:
        if not issubclass(self.SessionStore, SessionStore):
            super().process_request(request)
            return
        values = cookies.read_all(request, django_settings.SESSION_COOKIE_NAME)
        if len(values) > 1:
            choice = request._multisession_doubled = doubled.choose(values)  # type: ignore[attr-defined]
            values = [choice.value] if choice.value is not None else []
        # (Django's test client puts a key there, which names one account: the browser is meant.)
        value = values[0].partition(".")[0] if values else None
        store = self.SessionStore(value)
        store.request = request
        request._multisession_store = store  # type: ignore[attr-defined]
        request.session = store
        request.multisession = MultiSession(request)  # type: ignore[attr-defined]
        page_tokens.prepare(request)

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> HttpResponse | None:
        """Never act as the wrong account: see guard/guard.py."""
        if not isinstance(getattr(request, "session", None), SessionStore):
            return None
        request_user.install(request)
        if iscoroutinefunction(view):
            request_user.read_ahead(request)
        page_tokens.bind(request)
        if request.method in SAFE_METHODS:
            return None
        return sending.answer(request, view, guard.check(request, view))

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer 403 or 404 with more to say (pages/limit.py, offers.py); 503 where changes met.

        UpdateError: a verb's cookie or session has ended meanwhile. Sent again, it meets what is
        true by then.
        """
        if isinstance(exception, (Busy, UpdateError)):
            return _busy(request)
        return limit.answer(request, exception) or offers.answer(request, exception)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        store = getattr(request, "session", None)
        if not isinstance(store, SessionStore):
            return super().process_response(request, response)
        if self._is_untouched(request, store, response):
            store.is_over = True
            return response
        theirs = cookies.take(response)
        try:
            if theirs is not None:
                self._heed(store, theirs)
            self._save(request, store, response)
            store.conclude()
        except Busy:
            response = _busy(request)
        if response.status_code >= 400:
            sending.give_back(request)
        elif response.status_code == 302:
            response = fragments.take_to_sign_in(request, response)
        if response.status_code in (401, 403) or has_page(request):
            guard.tell_of_refusal(request, response)
        page_tokens.finish(request, response)
        if store.is_issued or store.renews_cookie or (store.accessed and _is_key(request, store)):
            self._set_cookie(store, response)
        elif store.flushed and self._may_delete_cookie(request, store, response):
            cookies.delete(response)
        elif django_settings.SESSION_SAVE_EVERY_REQUEST and response.status_code < 500:
            self._set_cookie(store, response)
        if theirs is not None:
            self._answer_theirs(store, response, theirs)
        if doubled.is_to_mend(request):
            if django_settings.SESSION_COOKIE_NAME not in response.cookies:
                self._set_cookie(store, response)  # It may stand in a scope that goes now.
            cookies.delete_elsewhere(request, response)
        if store.accessed:
            patch_vary_headers(response, ("Cookie",))
        return response

    def _is_untouched(
        self, request: HttpRequest, store: SessionStore, response: HttpResponse
    ) -> bool:
        """Return True if the request has nothing to do with sessions: then nothing follows."""
        return not (
            store.accessed
            or store.modified
            or store.is_opened
            or response.cookies
            or response.status_code != 200
            or django_settings.SESSION_SAVE_EVERY_REQUEST
            or has_page(request)
            or doubled.is_to_mend(request)
        )

    def _save(self, request: HttpRequest, store: SessionStore, response: HttpResponse) -> None:
        """Write what changed; nothing for an answer that failed."""
        if response.status_code >= 500:
            return
        changed = store.modified or django_settings.SESSION_SAVE_EVERY_REQUEST
        if changed and (store.flushed or not store.is_empty()):
            try:
                store.save()
            except UpdateError:
                raise SessionInterrupted(
                    "The request's session was deleted before the request completed. The user "
                    "may have signed out, or in as somebody else, in a concurrent request."
                ) from None
        elif (
            store.accessed
            and (row := store.row) is not None
            and row.is_touch_due
            and not is_prefetch(request)
        ):
            active = request.multisession.session  # type: ignore[attr-defined]
            if active is not None:
                with suppress(Busy):  # then the next page will note it
                    store.touch(active)

    def _may_delete_cookie(
        self, request: HttpRequest, store: SessionStore, response: HttpResponse
    ) -> bool:
        """After a flush(): there is a cookie, and nothing is behind it any more."""
        sent = cookies.read_all(request, django_settings.SESSION_COOKIE_NAME)
        if not sent:
            return False
        return store.emptied or not any(tokens.is_token(value) for value in sent)

    def _set_cookie(self, store: SessionStore, response: HttpResponse) -> None:
        cookie = store.cookie()
        if cookie is not None:
            cookies.send(response, cookie.value, cookie.max_age)
            store.is_issued = False

    def _heed(self, store: SessionStore, theirs: Morsel[str]) -> None:
        """Sign out of the active account if a view has deleted the cookie."""
        if not cookies.is_deletion(theirs) or not cookies.has_our_scope(theirs):
            return
        if not store.flushed and not store.is_issued and not store.has_unsaved_sign_in:
            store.sign_out_active()

    def _answer_theirs(
        self, store: SessionStore, response: HttpResponse, theirs: Morsel[str]
    ) -> None:
        """Answer what a view has made of the cookie: it never costs the browser its accounts.

        On a browser that has nothing here to lose, it stays as it is.
        """
        is_ours = cookies.has_our_scope(theirs)
        if cookies.is_deletion(theirs) and not is_ours:
            cookies.put(response, theirs)
        elif django_settings.SESSION_COOKIE_NAME in response.cookies:
            pass
        elif store.token is None and not store.is_ended:
            cookies.put(response, theirs)
        elif theirs.value in (store.cookie_value, store.session_key):
            self._set_cookie(store, response)
        elif not cookies.is_deletion(theirs):
            logger.warning(
                "A view has set another value of the cookie %r, which was left out: it would "
                "have cost this browser its accounts.",
                django_settings.SESSION_COOKIE_NAME,
            )


def _conclude(request: HttpRequest) -> None:
    """Carry out what is left to be done when a request was cut off before its answer.

    Of the first store: a view may have put another one in its place.
    """
    request._multisession_store.conclude()  # type: ignore[attr-defined]


def _is_to_be_concluded(request: HttpRequest) -> bool:
    store: SessionStore | None = getattr(request, "_multisession_store", None)
    return store is not None and not store.is_over


def _is_key(request: HttpRequest, store: SessionStore) -> bool:
    """Return True if a test client sent a key, and another account is active by now."""
    sent = request.COOKIES.get(django_settings.SESSION_COOKIE_NAME, "")
    return "." in sent and sent != store.session_key and not store.emptied


def _busy(request: HttpRequest) -> HttpResponse:
    """Answer 503: two changes were in each other's way. Nothing was changed."""
    headers = {"Retry-After": "1"}
    if wants_json(request):
        return JsonResponse({"error": "busy"}, status=503, headers=headers)
    text = _("Too many changes at the same time. Please try again.")
    return HttpResponse(text, content_type="text/plain; charset=utf-8", status=503, headers=headers)
