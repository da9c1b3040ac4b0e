"""Views of the site as a whole."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.cache import cache_control
from django_htmx.http import HttpResponseClientRefresh


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without a valid token, and say what to do.

    The usual reason is harmless: signing in makes a new token, so forms that were opened before in
    another tab have an old one.
    """
    if request.headers.get("HX-Request"):
        # htmx swaps no 403; reloading the page gives its forms the new token.
        response: HttpResponse = HttpResponseClientRefresh()
        response.status_code = 403
        return response
    return render(request, "403_csrf.html", {"reason": reason}, status=403)


@cache_control(public=True, max_age=24 * 60 * 60)
def favicon(request: HttpRequest) -> HttpResponse:
    """Redirect to the icon, for pages without a link to it, such as the admin's."""
    return redirect(static("mark.svg"))
