"""Who sent a request: a person with a form, htmx, Turbo, or a script; and whether anybody acted."""

from __future__ import annotations

from enum import Enum, auto

from django.http import HttpRequest

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
    """Who sent a request, and what can be done with the answer."""

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


def is_htmx(request: HttpRequest) -> bool:
    """Return whether htmx sent the request and will place the answer itself."""
    return request.headers.get("HX-Request") == "true"


def is_background(request: HttpRequest) -> bool:
    """Return whether nobody caused the request: a timer, a poll, a preview."""
    return request.headers.get(BACKGROUND_HEADER) == "true"


def wants_json(request: HttpRequest) -> bool:
    """Return whether a script sent the request that talks JSON."""
    preferred = request.get_preferred_type(["text/html", "application/json"])
    return preferred == "application/json" or request.content_type not in FORM_TYPES
