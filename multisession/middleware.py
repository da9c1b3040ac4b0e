"""Django's session middleware, for a cookie that several accounts share.

Three things differ from the stock class, all about the cookie:

* It is sent only by an answer whose own request changed the client. A late answer to an older
  cookie neither restores that one nor deletes the newer (better-auth 9987, Django 6984).
* It is sent on a 5xx too, if a new value was stored: otherwise the browser would be left with
  an old one.
* It is read by its exact octets (see cookies.py).

Under an engine that is not ours, everything is as in the stock class.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings as django_settings
from django.contrib.sessions import middleware as stock
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.http import http_date

from . import cookies, guard, offers, refusal, request_user, tokens
from .backends.db import SessionStore
from .origin import is_prefetch
from .request import MultiSession


class SessionMiddleware(stock.SessionMiddleware):
    """``request.session`` and ``request.multisession``; both lazy."""

    def process_request(self, request: HttpRequest) -> None:
        if not issubclass(self.SessionStore, SessionStore):
            super().process_request(request)
            return
        store = self.SessionStore(cookies.read(request, django_settings.SESSION_COOKIE_NAME))
        store.request = request
        request.session = store
        request.multisession = MultiSession(request)  # type: ignore[attr-defined]

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> HttpResponse | None:
        """Never act as the wrong account: see guard.py."""
        if not isinstance(getattr(request, "session", None), SessionStore):
            return None
        request_user.install(request)
        guard.bind(request)
        wrong = guard.check(request, view)
        return None if wrong is None else refusal.answer(request, wrong)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A refusal that names the accounts that may: see offers.py."""
        return offers.answer(request, exception)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        store = getattr(request, "session", None)
        if not isinstance(store, SessionStore):
            return super().process_response(request, response)
        self._save(request, store, response)
        guard.finish(request, response)
        if store.rotated:
            self._set_cookie(store, response)
        elif store.flushed and self._may_delete_cookie(request, store):
            response.delete_cookie(
                django_settings.SESSION_COOKIE_NAME,
                path=django_settings.SESSION_COOKIE_PATH,
                domain=django_settings.SESSION_COOKIE_DOMAIN,
                samesite=_samesite(),
            )
            patch_vary_headers(response, ("Cookie",))
        elif django_settings.SESSION_SAVE_EVERY_REQUEST and response.status_code < 500:
            self._set_cookie(store, response)
        if store.accessed:
            patch_vary_headers(response, ("Cookie",))
        store.finish()
        return response

    def _save(self, request: HttpRequest, store: SessionStore, response: HttpResponse) -> None:
        """Write what changed; nothing for an answer that failed."""
        if response.status_code >= 500:
            return
        changed = store.modified or django_settings.SESSION_SAVE_EVERY_REQUEST
        if changed and (store.flushed or not store.is_empty() or store.superseded):
            try:
                store.save()
            except UpdateError:
                raise SessionInterrupted(
                    "The request's session was deleted before the request completed. The user "
                    "may have signed out, or in as somebody else, in a concurrent request."
                ) from None
        elif (
            store.accessed
            and store.row is not None
            and store.row.is_touch_due
            and not is_prefetch(request)
        ):
            active = request.multisession.session  # type: ignore[attr-defined]
            if active is not None:
                store.touch(active)

    def _may_delete_cookie(self, request: HttpRequest, store: SessionStore) -> bool:
        """After a flush(): there is a cookie, and nothing is behind it any more."""
        sent = cookies.read(request, django_settings.SESSION_COOKIE_NAME)
        return sent is not None and (store.emptied or not tokens.is_token(sent))

    def _set_cookie(self, store: SessionStore, response: HttpResponse) -> None:
        cookie = store.cookie()
        if cookie is None:
            return
        response.set_cookie(
            django_settings.SESSION_COOKIE_NAME,
            cookie.value,
            max_age=cookie.max_age,
            expires=None if cookie.max_age is None else http_date(time.time() + cookie.max_age),
            domain=django_settings.SESSION_COOKIE_DOMAIN,
            path=django_settings.SESSION_COOKIE_PATH,
            secure=django_settings.SESSION_COOKIE_SECURE or False,
            httponly=django_settings.SESSION_COOKIE_HTTPONLY or False,
            samesite=_samesite(),
        )
        patch_vary_headers(response, ("Cookie",))
        store.rotated = False


def _samesite() -> Any:
    """Django allows False here, for no attribute at all; the stubs do not."""
    return django_settings.SESSION_COOKIE_SAMESITE
