"""Tell who sent a request: a person with a form, htmx, Turbo or a script; or a timer."""

from __future__ import annotations

from enum import Enum, auto
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.utils.http import escape_leading_slashes

#: The safe methods of HTTP (RFC 9110, 9.2.1): their requests change nothing.
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
FORM_TYPES = ("", "application/x-www-form-urlencoded", "multipart/form-data")
TURBO_STREAM = "text/vnd.turbo-stream.html"

#: The session that a page was drawn for. Sent by notice.js.
PAGE_HEADER = "X-Multisession-Page"
#: Its value when more.js asks for the sign-in page, whose form it puts on a cover.
ON_COVER = "again"
#: "true": neither a click nor a key press caused the request. Sent by notice.js.
BACKGROUND_HEADER = "X-Multisession-Background"

#: The ``Vary`` header of the answers that depend on the sender.
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

    #: A navigation: the browser shows the answer as a page.
    FORM = auto()
    #: htmx puts a fragment into the page.
    HTMX = auto()
    #: Turbo applies a stream to the page.
    TURBO = auto()
    #: Inertia fetches the data of a page.
    INERTIA = auto()
    #: Any other script, or a background request: it reads a status and a few words.
    SCRIPT = auto()

    @property
    def is_person(self) -> bool:
        """Return True if a person waits for the answer and could lose typed text."""
        return self is not Sender.SCRIPT


def sender_of(request: HttpRequest) -> Sender:
    """Return who sent the request, by its headers.

    The browser itself sets ``Sec-Fetch-Mode``, over HTTPS and on localhost. Libraries set the
    other headers.
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
    """Return the path and the query of the request, for a link back to it.

    Escapes two leading slashes, which would make it a URL of another site.
    """
    return escape_leading_slashes(request.get_full_path())


def is_of_this_site(request: HttpRequest, url: str) -> bool:
    """Return True if an Origin or a Referer names this very host.

    A request over HTTPS needs an HTTPS URL. A request over HTTP accepts both, because a proxy in
    front of Django may have ended the HTTPS connection.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_as_safe = parts.scheme == "https" or not request.is_secure()
    return parts.netloc == request.get_host() and is_as_safe


def is_htmx(request: HttpRequest) -> bool:
    """Return True if htmx sent the request and will swap the answer into the page."""
    # Runs for every answer; request.headers would build a dictionary of all headers.
    return bool(request.META.get("HTTP_HX_REQUEST") == "true")


def has_page(request: HttpRequest) -> bool:
    """Return True if notice.js has added the header that names the page of the request."""
    return "HTTP_X_MULTISESSION_PAGE" in request.META


def is_background(request: HttpRequest) -> bool:
    """Return True if no action of the person caused the request: a timer, a poll, a preview."""
    return request.headers.get(BACKGROUND_HEADER) == "true"


def wants_json(request: HttpRequest) -> bool:
    """Return True if a script that sends or accepts JSON sent the request."""
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        return True
    # wsgiref, and so runserver, gives a request without a body the type "text/plain".
    has_body = request.method not in ("GET", "HEAD")
    return has_body and request.content_type not in FORM_TYPES
