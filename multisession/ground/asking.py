"""Tell who sent a request: a person with a form, htmx, Turbo or a script; or a timer."""

from __future__ import annotations

from enum import Enum, auto
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.utils.http import escape_leading_slashes

#: What changes nothing, by HTTP's own words (RFC 9110, 9.2.1).
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
FORM_TYPES = ("", "application/x-www-form-urlencoded", "multipart/form-data")
TURBO_STREAM = "text/vnd.turbo-stream.html"

#: The session that a page was drawn for. Sent by notice.js.
PAGE_HEADER = "X-Multisession-Page"
#: "true": no click, no key press caused the request. Sent by notice.js.
BACKGROUND_HEADER = "X-Multisession-Background"

#: What the answers that depend on it vary on.
VARY = (
    "Accept",
    "HX-Request",
    "Sec-Fetch-Mode",
    "X-Inertia",
    "X-Requested-With",
    PAGE_HEADER,
    BACKGROUND_HEADER,
)


class Sender(Enum):
    """The kinds of senders, by what they can do with an answer."""

    #: A person, by a navigation: the browser shows a page.
    FORM = auto()
    #: htmx puts a fragment into the page.
    HTMX = auto()
    #: Turbo carries out a stream.
    TURBO = auto()
    #: Inertia asks for the data of a page.
    INERTIA = auto()
    #: Any other script, or nobody: it reads a status and a few words.
    SCRIPT = auto()

    @property
    def is_person(self) -> bool:
        """Return whether it is a form of a person, whose text would be lost."""
        return self is not Sender.SCRIPT


def sender_of(request: HttpRequest) -> Sender:
    """Return who sent the request, by its headers.

    ``Sec-Fetch-Mode`` comes from the browser itself, over HTTPS and from localhost. The rest is
    what libraries say of themselves.
    """
    headers = request.headers
    if is_background(request):
        return Sender.SCRIPT
    if is_htmx(request):
        return Sender.HTMX
    if "X-Inertia" in headers:
        return Sender.INERTIA
    if TURBO_STREAM in headers.get("Accept", ""):
        return Sender.TURBO
    is_script = (
        PAGE_HEADER in headers
        or headers.get("Sec-Fetch-Mode", "navigate") != "navigate"
        or headers.get("X-Requested-With") == "XMLHttpRequest"
        or wants_json(request)
    )
    return Sender.SCRIPT if is_script else Sender.FORM


def address_of(request: HttpRequest) -> str:
    """Return the path and the query of the request, to come back to it.

    With two slashes at its beginning it would lead to another site.
    """
    return escape_leading_slashes(request.get_full_path())


def is_of_this_site(request: HttpRequest, url: str) -> bool:
    """Return whether an Origin or a Referer names this very host.

    Over HTTPS only by HTTPS; the other way round, something in front of us takes the HTTPS off.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_as_safe = parts.scheme == "https" or not request.is_secure()
    return parts.netloc == request.get_host() and is_as_safe


def is_htmx(request: HttpRequest) -> bool:
    """Return whether htmx sent the request and will place the answer itself."""
    # Asked for every answer; request.headers would make a dictionary of all of them.
    return bool(request.META.get("HTTP_HX_REQUEST") == "true")


def has_page(request: HttpRequest) -> bool:
    """Return whether notice.js says which page a script sent the request from."""
    return "HTTP_X_MULTISESSION_PAGE" in request.META


def is_background(request: HttpRequest) -> bool:
    """Return whether nobody caused the request: a timer, a poll, a preview."""
    return request.headers.get(BACKGROUND_HEADER) == "true"


def wants_json(request: HttpRequest) -> bool:
    """Return whether a script sent the request that talks JSON."""
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        return True
    # (wsgiref, and so runserver, says "text/plain" of a request without a body.)
    has_body = request.method not in ("GET", "HEAD")
    return has_body and request.content_type not in FORM_TYPES
