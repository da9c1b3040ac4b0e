"""Django's session middleware, for a cookie that several accounts share.

Five things differ from Django's class. Four are about the cookie:

* An answer sends it only if its own request changed the value. A late answer to an older cookie
  neither restores the old value nor deletes the new one (better-auth 9987, Django 6984).
* A 5xx sends it, too, if a new value was stored. Otherwise the browser would keep an old one.
* It is read by its exact octets (see ground/cookies.py), also if the browser sends several
  (engine/doubled.py).
* A view that sets or deletes the cookie on the response never loses the browser its accounts.

The fifth: a sign-out takes effect even if its request is cut off.

With any other session engine this middleware works like Django's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from http.cookies import Morsel
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions import middleware as stock
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _

from . import offers, paths, request_user
from .backends.db import SessionStore
from .conf import django_settings, settings
from .engine import doubled, login, verbs
from .engine.conclusion import conclude
from .ground import cookies, tokens
from .ground.asking import SAFE_METHODS, has_page, wants_json
from .ground.attempts import Busy
from .ground.origin import is_prefetch
from .guard import guard, page_tokens
from .models import SessionLimitReached
from .pages import confirmation, fragments, limit, sending
from .request import MultiSession

__all__ = [
    "SessionMiddleware",
]

logger = logging.getLogger("multisession")


class SessionMiddleware(stock.SessionMiddleware):
    """Add ``request.session`` and ``request.multisession``, both lazy."""

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
        # Django's test client sends a session key, which names an account: take its token.
        value = values[0].partition(".")[0] if values else None
        if value and (number := getattr(request, "account_number", None)) is not None:
            value = f"{value}.{number}"
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
        """Refuse requests from pages of other accounts; see guard/guard.py."""
        if not isinstance(getattr(request, "session", None), SessionStore):
            return None
        request_user.install(request)
        if iscoroutinefunction(view):
            request_user.read_ahead(request)
        page_tokens.bind(request)
        if settings.ACCOUNT_PATHS and (elsewhere := paths.redirect(request)) is not None:
            return elsewhere
        if request.method in SAFE_METHODS:
            return None
        return sending.answer(request, view, guard.check(request, view))

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer our exceptions with a page (pages/limit.py, offers.py), conflicts with a 503.

        UpdateError: a concurrent request has ended the cookie or session that a verb needed. A
        repeated request works with the new state.
        """
        if isinstance(exception, (Busy, UpdateError)):
            return _busy(request)
        if isinstance(exception, SessionLimitReached):
            return _refuse_sign_in(request, exception)
        return (
            limit.answer(request, exception)
            or confirmation.answer(request, exception)  # type: ignore[arg-type]
            or offers.answer(request, exception)
        )

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        store = getattr(request, "session", None)
        if not isinstance(store, SessionStore):
            return super().process_response(request, response)
        if self._is_untouched(request, store, response):
            store.is_over = True
            return response
        if response.status_code in (302, 303):
            sending.confirm(request, response)
        theirs = cookies.take(response)
        try:
            if theirs is not None:
                self._heed(store, theirs)
            self._save(request, store, response)
            conclude(store)
        except Busy:
            response = _busy(request)
        except SessionLimitReached as error:
            response = _refuse_sign_in(request, error)
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
                self._set_cookie(store, response)  # It may have one of the scopes to be deleted.
            cookies.delete_elsewhere(request, response)
        if store.accessed:
            patch_vary_headers(response, ("Cookie",))
        return response

    def _is_untouched(
        self, request: HttpRequest, store: SessionStore, response: HttpResponse
    ) -> bool:
        """Return True if the request did not use the session, so there is nothing to do."""
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
        """Save the session, unless the answer is a 5xx."""
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
                with suppress(Busy):  # the next page will update it
                    verbs.touch(store, active)

    def _may_delete_cookie(
        self, request: HttpRequest, store: SessionStore, response: HttpResponse
    ) -> bool:
        """Return True if a flush() has left nothing that the browser's cookie leads to."""
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
            verbs.sign_out(store)

    def _answer_theirs(
        self, store: SessionStore, response: HttpResponse, theirs: Morsel[str]
    ) -> None:
        """Replace the cookie that a view has set by our own, so that no account is lost.

        On a browser without a client, send the view's cookie unchanged.
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
    """Carry out the pending sign-outs of a request that was cut off before its answer.

    Uses the store from ``process_request``, as a view may have replaced ``request.session``.
    """
    conclude(request._multisession_store)  # type: ignore[attr-defined]


def _is_to_be_concluded(request: HttpRequest) -> bool:
    store: SessionStore | None = getattr(request, "_multisession_store", None)
    return store is not None and not store.is_over


def _is_key(request: HttpRequest, store: SessionStore) -> bool:
    """Return True if a test client sent a session key, and another account is active now."""
    sent = request.COOKIES.get(django_settings.SESSION_COOKIE_NAME, "")
    return "." in sent and sent != store.session_key and not store.emptied


def _refuse_sign_in(request: HttpRequest, error: SessionLimitReached) -> HttpResponse:
    """Undo a ``login()`` whose session may not begin, and say why. Nobody is signed in by it."""
    store: SessionStore = request.session  # type: ignore[assignment]
    login.refuse(store)
    request_user.become(request, AnonymousUser())
    request.multisession.read_again()  # type: ignore[attr-defined]
    return limit.refusal(request, error)


def _busy(request: HttpRequest) -> HttpResponse:
    """Answer with a 503 after a conflict of two changes. Nothing has changed."""
    headers = {"Retry-After": "1"}
    if wants_json(request):
        return JsonResponse({"error": "busy"}, status=503, headers=headers)
    text = _("Too many changes at the same time. Please try again.")
    return HttpResponse(text, content_type="text/plain; charset=utf-8", status=503, headers=headers)
