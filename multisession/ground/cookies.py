"""Read the cookie by its exact octets; send it with the attributes from Django's settings.

Django's parser strips Unicode white space around a cookie's name (``http.cookie.parse_cookie``,
5.2 and 6.1). So a subdomain can set a cookie whose name begins with U+2000, and Django takes it
for ``__Host-sessionid``, which no browser would let the subdomain set. This module trims only
space and tab, the white space of RFC 6265 (5.2), and compares names exactly.

A cookie's *scope* is its domain and its path. A browser keeps one value for each scope, and sends
all that match the request without their scopes: see engine/doubled.py.
"""

from __future__ import annotations

import logging
import time
from http.cookies import Morsel
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.http import http_date

from multisession.conf import django_settings as settings

logger = logging.getLogger("multisession")

#: The most values that a request may have for one cookie name. With more, all are ignored.
MOST_VALUES = 10


def read_all(request: HttpRequest, name: str) -> list[str]:
    """Return the different values of the cookie ``name``, in the browser's order."""
    header = request.META.get("HTTP_COOKIE")
    if not header:
        # A request that a RequestFactory made has no Cookie header to read.
        value = request.COOKIES.get(name)
        return [] if value is None else [value]
    if _is_plain(header, name):
        value = request.COOKIES.get(name)
        return [value] if value else []
    found = [
        value.strip(" \t")
        for key, separator, value in (part.partition("=") for part in header.split(";"))
        if separator and key.strip(" \t") == name
    ]
    values = list(dict.fromkeys(value for value in found if value))
    if len(values) > MOST_VALUES:
        logger.warning("A request has %s cookies %r: none is taken.", len(values), name)
        return []
    return values


def read_last(request: HttpRequest, name: str) -> str | None:
    """Return the last value of the cookie ``name``, which is the one that Django takes."""
    values = read_all(request, name)
    return values[-1] if values else None


def _is_plain(header: str, name: str) -> bool:
    """Return True if Django's parser gives the same value as ours, which is the usual case.

    True for a header in which the name occurs once, without quotes and without any white space but
    the space. ``request.COOKIES`` then has the value already.
    """
    is_plain = header.isascii() and header.isprintable() and '"' not in header
    return is_plain and header.count(name) == 1


def send(response: HttpResponse, value: str, max_age: int | None) -> None:
    """Set the cookie, in place of any that a view has set."""
    response.cookies.pop(settings.SESSION_COOKIE_NAME, None)
    response.set_cookie(
        settings.SESSION_COOKIE_NAME,
        value,
        max_age=max_age,
        expires=None if max_age is None else http_date(time.time() + max_age),
        domain=settings.SESSION_COOKIE_DOMAIN,
        path=settings.SESSION_COOKIE_PATH,
        secure=settings.SESSION_COOKIE_SECURE or False,
        httponly=settings.SESSION_COOKIE_HTTPONLY or False,
        samesite=_samesite(),
    )
    patch_vary_headers(response, ("Cookie",))


def delete(response: HttpResponse) -> None:
    """Delete the cookie, in the scope of the settings."""
    response.cookies.pop(settings.SESSION_COOKIE_NAME, None)
    response.delete_cookie(
        settings.SESSION_COOKIE_NAME,
        path=settings.SESSION_COOKIE_PATH,
        domain=settings.SESSION_COOKIE_DOMAIN,
        samesite=_samesite(),
    )
    patch_vary_headers(response, ("Cookie",))


def take(response: HttpResponse) -> Morsel[str] | None:
    """Remove and return the cookie that a view has set on the response; None if there is none."""
    return response.cookies.pop(settings.SESSION_COOKIE_NAME, None)


def is_deletion(cookie: Morsel[str]) -> bool:
    """Return True if this cookie makes a browser delete its own."""
    return not cookie.value or str(cookie["max-age"]) == "0"


def has_our_scope(cookie: Morsel[str]) -> bool:
    """Return True if this cookie replaces the one that ``send()`` sets."""
    ours = (settings.SESSION_COOKIE_PATH, _bare(settings.SESSION_COOKIE_DOMAIN))
    return (cookie["path"], _bare(cookie["domain"])) == ours


def put(response: HttpResponse, cookie: Morsel[str]) -> None:
    """Add this cookie to the response; keep one of the same name with another scope.

    ``response.cookies`` is a dictionary by name, but Django writes only its values into headers.
    So a second cookie of the same name goes under another key.
    """
    if cookie.key in response.cookies:
        key = f"{cookie.key} {cookie['domain']}{cookie['path']}"
    else:
        key = cookie.key
    response.cookies[key] = cookie


def delete_elsewhere(request: HttpRequest, response: HttpResponse) -> None:
    """Delete cookies of this name in the scopes that earlier settings may have used.

    These are the host alone, the host as a domain, the domains above it, and the path "/".
    """
    if settings.SESSION_COOKIE_NAME.startswith("__Host-"):
        return  # A cookie with this prefix can have one scope only.
    host = request.get_host().partition(":")[0].rstrip(".").lower()
    labels = host.split(".")
    domains = [".".join(labels[at:]) for at in range(len(labels) - 1)]
    if labels[-1].isdigit():
        domains = []  # an address, which has no domain above it
    for path in dict.fromkeys((settings.SESSION_COOKIE_PATH, "/")):
        for domain in ("", *domains[-4:]):
            gone: Any = Morsel()
            gone.set(settings.SESSION_COOKIE_NAME, "", "")
            gone.update(
                {
                    "domain": domain,
                    "path": path,
                    "max-age": 0,
                    "expires": http_date(0),
                    "secure": settings.SESSION_COOKIE_SECURE or "",
                }
            )
            if not has_our_scope(gone):
                put(response, gone)


def _bare(domain: str | None) -> str:
    return (domain or "").removeprefix(".").lower()


def _samesite() -> Any:
    """Return the setting untyped: Django accepts False (no attribute), the stubs do not."""
    return settings.SESSION_COOKIE_SAMESITE
