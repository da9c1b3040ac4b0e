"""What every page of the demo shares."""

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import has_vary_header, patch_cache_control
from django.utils.deprecation import MiddlewareMixin


class PrivatePagesMiddleware(MiddlewareMixin):
    """Keep pages that depend on the visitor out of every cache, the browser's own included.

    Whoever looked at the session has said so in ``Vary: Cookie``, so this costs no query and
    leaves truly public answers alone. It stands before the session middleware, which writes that
    header. An answer that knows its own lifetime keeps it.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if has_vary_header(response, "Cookie") and not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_store=True)
        return response
