"""The one cookie: read by its exact octets, and sent with the attributes of Django's settings.

Django's parser strips Unicode white space around a cookie's name (``http.cookie.parse_cookie``,
5.2 and 6.1). So a subdomain can plant a cookie whose name begins with U+2000 and which Django
then takes for ``__Host-sessionid``, though no browser would let it set that one. We trim what
RFC 6265 (5.2) calls white space, space and tab, and compare names exactly.

A cookie's *scope* is its domain and its path. A browser keeps one value for each scope and sends
all that fit, without saying which is which: see doubled.py.
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

#: What a browser may send with the same name, at most; of more, none counts.
MOST_VALUES = 10


def read_all(request: HttpRequest, name: str) -> list[str]:
    """Return the different values of the cookie ``name``, in the browser's order."""
    header = request.META.get("HTTP_COOKIE")
    if not header:
        # Made by hand, as by a RequestFactory: there are no octets to read.
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
    """Return whether Django reads this cookie as we would: mostly, and then it has done so already.

    Then there is one of the name, no quotes, and no character that it would strip but a space.
    """
    is_plain = header.isascii() and header.isprintable() and '"' not in header
    return is_plain and header.count(name) == 1


def send(response: HttpResponse, value: str, max_age: int | None) -> None:
    """Set the cookie. Nothing is left of what a view had made of it."""
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
    """Delete the cookie, where it was set."""
    response.cookies.pop(settings.SESSION_COOKIE_NAME, None)
    response.delete_cookie(
        settings.SESSION_COOKIE_NAME,
        path=settings.SESSION_COOKIE_PATH,
        domain=settings.SESSION_COOKIE_DOMAIN,
        samesite=_samesite(),
    )
    patch_vary_headers(response, ("Cookie",))


def take(response: HttpResponse) -> Morsel[str] | None:
    """Take off the response what a view has made of the cookie. None if it made nothing."""
    return response.cookies.pop(settings.SESSION_COOKIE_NAME, None)


def is_deletion(cookie: Morsel[str]) -> bool:
    """Return True if a browser that receives this cookie drops the one that it has."""
    return not cookie.value or str(cookie["max-age"]) == "0"


def has_our_scope(cookie: Morsel[str]) -> bool:
    """Return True if a browser that receives this cookie replaces the one that we set."""
    ours = (settings.SESSION_COOKIE_PATH, _bare(settings.SESSION_COOKIE_DOMAIN))
    return (cookie["path"], _bare(cookie["domain"])) == ours


def put(response: HttpResponse, cookie: Morsel[str]) -> None:
    """Send this cookie; if there is one of its name already, beside it, in its own scope.

    ``response.cookies`` is a dictionary by name. Django writes its values into headers, so any
    other key will do.
    """
    if cookie.key in response.cookies:
        key = f"{cookie.key} {cookie['domain']}{cookie['path']}"
    else:
        key = cookie.key
    response.cookies[key] = cookie


def delete_elsewhere(request: HttpRequest, response: HttpResponse) -> None:
    """Delete cookies of this name in the scopes that an earlier setting may have had.

    That is the other of host-only and domain, the domains above this host, and the path "/".
    """
    if settings.SESSION_COOKIE_NAME.startswith("__Host-"):
        return  # There is no other scope under this name.
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
    """Django allows False here, for no attribute at all; the stubs do not."""
    return settings.SESSION_COOKIE_SAMESITE
