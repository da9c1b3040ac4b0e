"""Build the URLs for the buttons and links of our pages, always on this site."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from django.conf import settings as django_settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import QueryDict
from django.shortcuts import resolve_url
from django.templatetags.static import static
from django.urls import NoReverseMatch, get_script_prefix
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme

from multisession.conf import settings
from multisession.ground.asking import SAFE_METHODS, is_htmx
from multisession.request import MultiSessionRequest

#: The parameter of the menu's URL on a page that answered a form.
POSTED = "posted"
#: Views that show a part of a page.
FRAGMENTS = ("multisession:button", "multisession:menu")
#: The longest URL for a redirect. Django and some proxies refuse longer Location headers.
LONGEST_URL = 2000


def on_site(request: MultiSessionRequest, url: str | None) -> str:
    """Return ``url`` if it is on this site, else "".

    Relative URLs such as ``foo`` are refused: their meaning depends on the page.
    """
    if not url or not url.startswith(("/", "http://", "https://")):
        return ""
    if not url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return ""
    encoded = iri_to_uri(url)  # leaves no control character that could split a header
    return encoded if len(encoded) <= LONGEST_URL else ""


def current_page(request: MultiSessionRequest) -> str:
    """Return the page that the person is looking at, for a link back, or "".

    On the sign-in page and the chooser, return the page in their ``next`` parameter instead.
    """
    page = _page(request)
    if asks_to_sign_in(request):
        return on_site(request, QueryDict(page.query).get(REDIRECT_FIELD_NAME))
    return page._replace(scheme="", netloc="", fragment="").geturl()


def page_to_keep(request: MultiSessionRequest) -> str:
    """Return ``current_page()`` for after a switch; "" if it answered a form, or is a fragment.

    Loading the URL of a form again would not show that page, and often nothing else either.
    """
    if is_htmx(request):
        return "" if POSTED in request.GET else current_page(request)
    found = request.resolver_match
    is_fragment = found is not None and found.view_name in FRAGMENTS
    return "" if is_fragment or request.method not in SAFE_METHODS else current_page(request)


def _page(request: MultiSessionRequest) -> SplitResult:
    url = request.headers.get("HX-Current-URL") if is_htmx(request) else request.get_full_path()
    return urlsplit(on_site(request, url))


def asks_to_sign_in(request: MultiSessionRequest) -> bool:
    """Return True if the person is looking at the sign-in page or the chooser."""
    return _page(request).path in (
        _path(str(django_settings.LOGIN_URL)),
        _path(settings.CHOOSE_URL),
    )


def url_of(to: str | None) -> str:
    """Return the URL for a URL or URL name; "" for a name that does not exist.

    Pages leave out links without a URL; ``manage.py check`` reports what is missing.
    """
    if not to:
        return ""
    try:
        return str(resolve_url(to))
    except NoReverseMatch:
        return ""


def script_url(path: str) -> str:
    """Return the URL of a static file; "" if it was not collected (``collectstatic``).

    A page must not fail for a script that it may never load.
    """
    try:
        return static(path)
    except ValueError:
        return ""


def after_switch_url() -> str:
    """Return the URL of ``LOGIN_REDIRECT_URL``, or the site's root if there is none."""
    return url_of(str(django_settings.LOGIN_REDIRECT_URL)) or get_script_prefix()


def sign_in_link(url: str | None, **parameters: str) -> str:
    """Return ``link_to(url, …)``, by default for ``LOGIN_URL``."""
    return link_to(url or str(django_settings.LOGIN_URL), **parameters)


def link_to(url: str, **parameters: str) -> str:
    """Return ``url_of(url)`` with the query parameters that are not empty."""
    page = urlsplit(url_of(url))
    if page == urlsplit(""):
        return ""
    query = QueryDict(page.query, mutable=True)
    for name, value in parameters.items():
        if value:
            query[name] = value
    return page._replace(query=query.urlencode(safe="/")).geturl()


def with_query(name: str, query: str) -> str:
    url = url_of(name)
    return url and url + query


def _path(url: str) -> str:
    return urlsplit(url_of(url)).path
