"""Middleware of the demo."""

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import has_vary_header, patch_cache_control
from django.utils.deprecation import MiddlewareMixin


class PrivatePagesMiddleware(MiddlewareMixin):
    """Keep pages that depend on the visitor out of all caches, including the browser's.

    Such pages have ``Vary: Cookie``, so this needs no query and ignores public answers. It comes
    before the session middleware, which sets that header. An answer with its own ``Cache-Control``
    keeps it.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if has_vary_header(response, "Cookie") and not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_store=True)
        return response
