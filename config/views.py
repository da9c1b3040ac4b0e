"""Answers of the site as a whole."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.cache import cache_control
from django_htmx.http import HttpResponseClientRefresh


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without a valid token: nothing was done; say what to do.

    The usual reason is harmless. Signing in makes a new token, so a form that was opened before,
    in another tab, no longer fits.
    """
    if request.headers.get("HX-Request"):
        # htmx shows no 403; loading the page again gives the form its new token.
        response: HttpResponse = HttpResponseClientRefresh()
        response.status_code = 403
        return response
    return render(request, "403_csrf.html", {"reason": reason}, status=403)


@cache_control(public=True, max_age=24 * 60 * 60)
def favicon(request: HttpRequest) -> HttpResponse:
    """Redirect to the icon: browsers look here on pages that name none, as the admin's."""
    return redirect(static("mark.svg"))
