"""Views of every kind that the guard distinguishes, for the tests of its table."""

from typing import Any

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from multisession.guard import any_account

#: What was written, and as whom: the tests look here.
WRITTEN: list[tuple[str | None, dict[str, str]]] = []


def write(request: HttpRequest) -> HttpResponse:
    """Write for whoever is active; nobody is told so as an API does it."""
    user: Any = request.user
    if not user.is_authenticated:
        return JsonResponse({"detail": "Sign in."}, status=401)
    return public(request)


def public(request: HttpRequest) -> HttpResponse:
    """Write for anybody."""
    user: Any = request.user
    who = user.email if user.is_authenticated else None
    said = request.POST.dict() if request.content_type != "application/json" else {}
    said.pop("csrfmiddlewaretoken", None)
    WRITTEN.append((who, said))
    return JsonResponse({"user": who})


def with_its_own_check(request: HttpRequest) -> HttpResponse:
    """Check as REST framework's SessionAuthentication does, for people who are signed in."""
    user: Any = request.user
    if user.is_authenticated:
        check = CsrfViewMiddleware(lambda request: HttpResponse())
        check.process_request(request)
        if check.process_view(request, None, (), {}) is not None:  # type: ignore[arg-type]
            return JsonResponse({"detail": "CSRF Failed"}, status=403)
    return write(request)


urlpatterns = [
    path("write/", write),
    path("public/", public),
    path("newsletter/", public),
    path("about-the-browser/", any_account(public)),
    path("exempt/", csrf_exempt(public)),
    path("own-check/", csrf_exempt(with_its_own_check)),
    path("leave/", LogoutView.as_view(next_page="/")),
    path("enter/", LoginView.as_view()),
    path("", include("config.urls")),
]
