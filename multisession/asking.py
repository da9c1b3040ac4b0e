"""Tell a person with a form from a script that talks JSON."""

from django.http import HttpRequest

FORM_TYPES = ("", "application/x-www-form-urlencoded", "multipart/form-data")


def wants_json(request: HttpRequest) -> bool:
    """Return True if a script sent the request that can't do anything with a page."""
    preferred = request.get_preferred_type(["text/html", "application/json"])
    return preferred == "application/json" or request.content_type not in FORM_TYPES
