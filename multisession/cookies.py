"""The one cookie, read by its exact octets.

Django's parser strips Unicode white space around a cookie's name (``http.cookie.parse_cookie``,
5.2 and 6.1). So a subdomain can plant a cookie whose name begins with U+2000 and which Django
then takes for ``__Host-sessionid``, though no browser would let it set that one. We trim what
RFC 6265 (5.2) calls white space, space and tab, and compare names exactly. Two cookies of the
same name are none: nobody can say which of them is ours.
"""

from django.http import HttpRequest


def read(request: HttpRequest, name: str) -> str | None:
    """The value of the cookie ``name``, or None if it is missing, doubled or misspelt."""
    header = request.META.get("HTTP_COOKIE")
    if not header:
        # Made by hand, as by a RequestFactory: there are no octets to read.
        return request.COOKIES.get(name)
    found = [
        value.strip(" \t")
        for key, separator, value in (part.partition("=") for part in header.split(";"))
        if separator and key.strip(" \t") == name
    ]
    return found[0] if len(found) == 1 else None
