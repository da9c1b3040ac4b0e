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
from urllib.parse import urljoin, urlsplit, urlunsplit

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings as lazy_settings
from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix, set_script_prefix, translate_url
from django.utils.cache import add_never_cache_headers
from django.utils.http import escape_leading_slashes
from django.views.i18n import LANGUAGE_QUERY_PARAMETER

from .backends.db import SessionStore
from .conf import django_settings, settings
from .ground.asking import SAFE_METHODS, Sender, sender_of

__all__ = [
    "AccountPathASGI",
    "AccountPathMiddleware",
    "account_url",
    "share_url",
]

_PREFIX = re.compile(r"/u/(0|[1-9][0-9]{0,8})(?=/|$)", re.ASCII)
_PREFIX_AT_END = re.compile(_PREFIX.pattern + r"\Z", re.ASCII)
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
    inside reads, as Channels' ``SessionMiddleware`` does, and to the scope as ``account_number``.
    HTTP requests pass through unchanged.
    """

    def __init__(self, application: Callable[..., Awaitable[Any]]) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        if scope["type"] == "websocket" and settings.ACCOUNT_PATHS:
            # The path includes the root path. That stays as it is: URLRouter compares the two.
            root = scope.get("root_path", "").rstrip("/")
            path = scope["path"].removeprefix(root)
            if found := _PREFIX.match(path):
                scope = {
                    **scope,
                    "path": root + (path[found.end() :] or "/"),
                    "account_number": int(found[1]),
                    "headers": [
                        (name, _with_number(value, found[1]) if name == b"cookie" else value)
                        for name, value in scope["headers"]
                    ],
                }
        return await self._application(scope, receive, send)


def _with_number(cookies: bytes, number: str) -> bytes:
    """Return a Cookie header whose session cookie names an account.

    A value that is no token gets the number, too, and then opens nothing.
    """
    name = re.escape(django_settings.SESSION_COOKIE_NAME).encode()
    value = re.compile(rb"(?<![^;\s])" + name + rb"\s*=[^;]*?(?=\s*(?:;|$))")
    return value.sub(rb"\g<0>." + number.encode(), cookies)


def number_of(request: HttpRequest) -> int | None:
    """Return the account's number in the path of the request, or None."""
    return getattr(request, "account_number", None)


def account_url(request: HttpRequest, number: int, url: str) -> str:
    """Return ``url``, a path of this site, as account ``number`` of this browser."""
    parts = urlsplit(url)
    path = f"{_root(request)}/u/{number}{_unprefixed(request, parts.path) or '/'}"
    return urlunsplit(parts._replace(path=path))


def share_url(request: HttpRequest | None, url: str) -> str:
    """Return ``url`` without an account's number, for a link that leaves this browser.

    A path, or an absolute URL of this site. Without a request, as in the template of an e-mail, a
    path that was made during one.
    """
    parts = urlsplit(url)
    if parts.netloc and (request is None or not _is_host(request, parts.netloc)):
        return url
    path = escape_leading_slashes(_root(request) + _unprefixed(request, parts.path))
    return urlunsplit(parts._replace(path=path))


def redirect(request: HttpRequest) -> HttpResponse | None:
    """Return the answer to a page that has another URL in this browser; None for most.

    A number that this browser does not know: the same page without prefix, so that a link which
    somebody shared works anywhere. The tab of an account that is signed out but remembered keeps
    its number, and nobody is active in it: a sign-in there gives it back. Under "always", a page
    of the active account goes to its prefix.

    What a script fetches is not redirected: it would put the active account's data into the page of
    the one that is gone. Nobody is active there. Nor are requests with an unsafe method: the guard
    refuses them if they were meant for an account that is gone.
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
    accessed, row = store.accessed, store.row
    if number == NOBODY or (row is not None and row.user_id is not None):
        store.accessed = accessed  # The page decides whether it is a use of the session.
        return None
    if _is_remembered(request, number):
        return None
    if sender_of(request) not in (Sender.FORM, Sender.HTMX, Sender.INERTIA):
        return None
    return _go_to(request, share_url(request, request.get_full_path()))


def _is_remembered(request: HttpRequest, number: int) -> bool:
    accounts = request.multisession  # type: ignore[attr-defined]
    return any(row.number == number for row in accounts.signed_out_sessions)


def _go_to(request: HttpRequest, url: str) -> HttpResponse:
    request._multisession_is_elsewhere = True  # type: ignore[attr-defined]
    sender = sender_of(request)
    if sender is Sender.HTMX:
        response = HttpResponse(headers={"HX-Redirect": url})
    elif sender is Sender.INERTIA:
        response = HttpResponse(status=409, headers={"X-Inertia-Location": url})
    else:
        response = HttpResponse(status=302, headers={"Location": url})
    add_never_cache_headers(response)  # Another account may have this number tomorrow.
    return response


def _root(request: HttpRequest | None) -> str:
    """Return the path that the server has mounted the site at, without a slash at its end."""
    if request is None:
        return _PREFIX_AT_END.sub("", get_script_prefix().rstrip("/"))
    root: str = getattr(request, "_multisession_root", get_script_prefix())
    return root.rstrip("/")


def _split(request: HttpRequest | None, path: str) -> tuple[int | None, str]:
    """Return the account's number in a path of this site, and the path without root and prefix."""
    path = path.removeprefix(_root(request))
    found = _PREFIX.match(path)
    return (int(found[1]), path[found.end() :]) if found else (None, path)


def _unprefixed(request: HttpRequest | None, path: str) -> str:
    """Return a path of this site without its root and without an account's prefix."""
    return _split(request, path)[1]


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
    language = _chosen_language(request, response)

    def moved(url: str) -> str:
        """Return where ``url`` leads; an explicit other number stays, unless the account is new."""
        if not _is_here(request, url):
            return url
        if language:
            url = _translated(request, url, language)
        has_number = _split(request, urlsplit(url).path)[0] is not None
        return account_url(request, current, url) if is_new or not has_number else url

    if is_new and "Location" in response.headers:
        with suppress(ValueError):  # What is relative to the old tab is not in the new one.
            here = request.get_full_path()
            response.headers["Location"] = urljoin(here, response.headers["Location"])
    for name in sent:
        response.headers[name] = moved(response.headers[name])
    # htmx takes a path, or an object that has one.
    place = response.headers.get("HX-Location")
    if place and place.startswith("{"):
        with suppress(ValueError, KeyError, TypeError):
            told = json.loads(place)
            response.headers["HX-Location"] = json.dumps({**told, "path": moved(told["path"])})


def _chosen_language(request: HttpRequest, response: HttpResponse) -> str:
    """Return the language that a form for Django's ``set_language`` has chosen, or ""."""
    cookie = response.cookies.get(django_settings.LANGUAGE_COOKIE_NAME)
    if cookie is None or request.method != "POST":
        return ""
    return cookie.value if cookie.value == request.POST.get(LANGUAGE_QUERY_PARAMETER) else ""


def _translated(request: HttpRequest, url: str, language: str) -> str:
    """Return the URL of the same page in another language, for URLs of ``i18n_patterns``.

    Django's ``translate_url()``, which ``set_language`` uses, knows no URL with a script name.
    """
    parts = urlsplit(url)
    number, path = _split(request, parts.path)
    if number is None:
        return url
    translated = translate_url(path, language)
    if translated == path:
        return url
    path = urlsplit(account_url(request, number, translated)).path
    return urlunsplit(parts._replace(path=path))


def _is_here(request: HttpRequest, url: str) -> bool:
    """Return True for a page of this site; False for its files, which a server may deliver."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    root = _root(request)
    is_path = parts.path.startswith("/") and (parts.path + "/").startswith(f"{root}/")
    is_host = not parts.netloc or _is_host(request, parts.netloc)
    return is_path and is_host and not _is_file(root, parts.path)


def _is_host(request: HttpRequest, netloc: str) -> bool:
    return netloc.lower() == request.get_host().lower()


def _is_file(root: str, path: str) -> bool:
    for url in (lazy_settings.STATIC_URL, lazy_settings.MEDIA_URL):
        # MEDIA_URL is the site's root by default.
        folder = urlsplit(url or "").path.rstrip("/")
        if folder != root and path.startswith(f"{folder}/"):
            return True
    return False


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
