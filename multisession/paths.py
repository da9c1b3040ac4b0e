"""One account in each tab: ``/u/N/…`` is this site as account N of this browser.

``AccountPathMiddleware`` takes the prefix off the path and adds it to the script name, as a server
does for a site that is mounted below a path. So ``reverse()``, ``{% url %}``, ``login_required``,
the admin and other packages make URLs of the same tab by themselves. N is ``Session.number``: it
chooses among the accounts of the cookie that is presented, and gives no rights of its own.

Pages without a prefix belong to the browser's active account, as without this middleware.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings as lazy_settings
from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix, set_script_prefix
from django.utils.http import escape_leading_slashes

from .backends.db import SessionStore
from .conf import django_settings, settings
from .ground.asking import SAFE_METHODS, Sender, is_htmx, sender_of

__all__ = [
    "AccountPathASGI",
    "AccountPathMiddleware",
    "account_url",
    "share_url",
]

_PREFIX = re.compile(r"/u/(0|[1-9][0-9]{0,8})(?=/|$)", re.ASCII)
#: The number of a tab for an account that is about to sign in: nobody is active there.
NOBODY = 0
#: Headers by which a view or htmx sends the browser to a page of this site.
_REDIRECTS = {"location", "hx-redirect", "hx-location", "hx-push-url", "hx-replace-url"}


class AccountPathMiddleware:
    """Serve ``/u/N/…`` as account N. Put it first in ``MIDDLEWARE``."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if self._is_async:
            return self.__acall__(request)
        root = get_script_prefix()
        if not _enter(request, root):
            return self.get_response(request)
        try:
            return _leave(request, self.get_response(request))
        finally:
            set_script_prefix(root)

    async def __acall__(self, request: HttpRequest) -> Any:
        root = get_script_prefix()
        if not _enter(request, root):
            return await self.get_response(request)
        try:
            return _leave(request, await self.get_response(request))
        finally:
            set_script_prefix(root)


class AccountPathASGI:
    """Open websockets below ``/u/N/`` as account N: ``AccountPathASGI(application)``.

    Takes the prefix off the path, and adds the number to the session cookie that the application
    inside reads, as Channels' ``SessionMiddleware`` does. HTTP requests pass through unchanged.
    """

    def __init__(self, application: Callable[..., Awaitable[Any]]) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        found = _PREFIX.match(scope["path"]) if scope["type"] == "websocket" else None
        if found is not None:
            scope = {
                **scope,
                "path": scope["path"][found.end() :] or "/",
                "root_path": scope.get("root_path", "") + found[0],
                "headers": [
                    (name, _with_number(value, found[1]) if name == b"cookie" else value)
                    for name, value in scope["headers"]
                ],
            }
        return await self._application(scope, receive, send)


def _with_number(cookies: bytes, number: str) -> bytes:
    """Return a Cookie header whose session cookie names an account."""
    name = re.escape(django_settings.SESSION_COOKIE_NAME).encode()
    token = re.compile(rb"(?<![^;\s])" + name + rb"=([0-9a-zA-Z]+)(?=\s*(?:;|$))")
    return token.sub(rb"\g<0>." + number.encode(), cookies)


def number_of(request: HttpRequest) -> int | None:
    """Return the account's number in the path of the request, or None."""
    return getattr(request, "account_number", None)


def account_url(request: HttpRequest, number: int, url: str) -> str:
    """Return ``url``, a path of this site, as account ``number`` of this browser."""
    parts = urlsplit(url)
    path = f"{_root(request)}/u/{number}{_unprefixed(request, parts.path) or '/'}"
    return urlunsplit(parts._replace(path=path))


def share_url(request: HttpRequest, url: str) -> str:
    """Return ``url`` without an account's number, for a link that leaves this browser.

    A path, or an absolute URL of this site.
    """
    parts = urlsplit(url)
    if parts.netloc and parts.netloc != request.get_host():
        return url
    path = escape_leading_slashes(_root(request) + _unprefixed(request, parts.path))
    return urlunsplit(parts._replace(path=path))


def redirect(request: HttpRequest) -> HttpResponse | None:
    """Return the answer to a page that has another URL in this browser; None for most.

    A number that this browser does not know: the same page without prefix, so that a link which
    somebody shared works anywhere. The tab of an account that is signed out but remembered keeps
    its number, and nobody is active in it: a sign-in there gives it back. Under "always", a page
    of the active account goes to its prefix. Requests with an unsafe method are not redirected:
    the guard refuses them if they were meant for an account that is gone.
    """
    store = request.session
    if request.method not in SAFE_METHODS or not isinstance(store, SessionStore):
        return None
    number = number_of(request)
    if number is None:
        if settings.ACCOUNT_PATHS != "always" or sender_of(request) is not Sender.FORM:
            return None
        active = request.multisession.session  # type: ignore[attr-defined]
        if active is None:
            return None
        return _go_to(request, account_url(request, active.number, request.get_full_path()))
    if number == NOBODY or store.row is not None or _is_remembered(request, number):
        return None
    return _go_to(request, share_url(request, request.get_full_path()))


def _is_remembered(request: HttpRequest, number: int) -> bool:
    accounts = request.multisession  # type: ignore[attr-defined]
    return any(row.number == number for row in accounts.signed_out_sessions)


def _go_to(request: HttpRequest, url: str) -> HttpResponse:
    request._multisession_is_elsewhere = True  # type: ignore[attr-defined]
    if is_htmx(request):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponse(status=302, headers={"Location": url})


def _root(request: HttpRequest) -> str:
    """Return the path that the server has mounted the site at, without a slash at its end."""
    return getattr(request, "_multisession_root", get_script_prefix()).rstrip("/")


def _unprefixed(request: HttpRequest, path: str) -> str:
    """Return a path of this site without its root and without an account's prefix."""
    path = path.removeprefix(_root(request))
    found = _PREFIX.match(path)
    return path[found.end() :] if found else path


def _enter(request: HttpRequest, root: str) -> bool:
    """Move an account's prefix from the path to the script name. Return False if it has none."""
    request.account_number = None  # type: ignore[attr-defined]
    found = _PREFIX.match(request.path_info) if settings.ACCOUNT_PATHS else None
    if found is None:
        return False
    # Django adds the script name to a relative URL of static files once, when it is first read.
    _ = lazy_settings.STATIC_URL, lazy_settings.MEDIA_URL
    request._multisession_root = root  # type: ignore[attr-defined]
    request.account_number = int(found[1])  # type: ignore[attr-defined]
    request.path_info = request.path_info[found.end() :] or "/"
    script = root.rstrip("/") + found[0]
    request.META["SCRIPT_NAME"] = script
    if hasattr(request, "script_name"):  # under ASGI
        request.script_name = script
    set_script_prefix(f"{script}/")
    return True


def _leave(request: HttpRequest, response: Any) -> Any:
    if not getattr(request, "_multisession_is_elsewhere", False):
        _keep_in_tab(request, response, request.account_number)  # type: ignore[attr-defined]
    if response.streaming:
        response.streaming_content = _within(get_script_prefix(), response.streaming_content)
    return response


def _keep_in_tab(request: HttpRequest, response: HttpResponse, number: int) -> None:
    """Give redirects within the site the tab's prefix; after a sign-in, that of the new account.

    As a reverse proxy does: a project may have paths that no ``reverse()`` has made.
    """
    # Asking for each of the names costs more: most pages have none.
    sent = [name for name in response.headers if name.lower() in _REDIRECTS]
    if not sent:
        return
    store = getattr(request, "session", None)
    row = store.row if isinstance(store, SessionStore) and store.is_opened else None
    current = (row.number if row is not None else None) or number
    is_new = current != number

    def moved(url: str) -> str:
        """Return where ``url`` leads; an explicit other number stays, unless the account is new."""
        if not _is_here(request, url):
            return url
        path = urlsplit(url).path
        has_number = _unprefixed(request, path) != path.removeprefix(_root(request))
        return account_url(request, current, url) if is_new or not has_number else url

    for name in sent:
        response.headers[name] = moved(response.headers[name])
    # htmx takes a path, or an object that has one.
    place = response.headers.get("HX-Location")
    if place and place.startswith("{"):
        with suppress(ValueError, KeyError, TypeError):
            told = json.loads(place)
            response.headers["HX-Location"] = json.dumps({**told, "path": moved(told["path"])})


def _is_here(request: HttpRequest, url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    root = _root(request)
    is_path = parts.path.startswith("/") and (parts.path + "/").startswith(f"{root}/")
    return is_path and parts.netloc in ("", request.get_host())


@contextmanager
def _script_prefix(prefix: str) -> Iterator[None]:
    """Run under this script prefix, and restore the one before."""
    before = get_script_prefix()
    set_script_prefix(prefix)
    try:
        yield
    finally:
        set_script_prefix(before)


def _within(prefix: str, content: Any) -> Any:
    """Run a streaming body under the prefix: it may call ``reverse()`` after the middleware."""
    if hasattr(content, "__aiter__"):
        return _awithin(prefix, content)
    return _swithin(prefix, content)


def _swithin(prefix: str, content: Iterable[bytes]) -> Iterator[bytes]:
    parts = iter(content)
    while True:
        with _script_prefix(prefix):
            part = next(parts, None)
        if part is None:
            return
        yield part


async def _awithin(prefix: str, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    parts = aiter(content)
    while True:
        with _script_prefix(prefix):
            part = await anext(parts, None)
        if part is None:
            return
        yield part
