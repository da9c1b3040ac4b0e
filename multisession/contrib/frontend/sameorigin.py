"""Accept requests from pages of this very origin only.

Clerk's scripts send no CSRF token, so the views are exempt from Django's check and use this one.
It is stricter: ``CSRF_TRUSTED_ORIGINS`` does not count, and reading is checked too, because the
answers contain e-mail addresses.
"""

from __future__ import annotations

from django.http import HttpRequest

from multisession.ground.asking import SAFE_METHODS, is_of_this_site


def is_same_origin(request: HttpRequest) -> bool:
    """Return True if the browser says that a page of this origin sent the request.

    Browsers set ``Sec-Fetch-Site`` over HTTPS and on localhost (Fetch Metadata, W3C), and
    ``Origin`` with every POST and DELETE (Fetch standard, 3.2). Unsafe requests need one of them.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None and site != "same-origin":
        return False
    if origin is not None and not is_of_this_site(request, origin):
        return False
    return site is not None or origin is not None or request.method in SAFE_METHODS
