"""The engine's views, and two about users."""

from django.contrib import auth
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from tests.engine_urls import BACKEND, name_of


def sign_up(request: HttpRequest, name: str) -> HttpResponse:
    """Make an account and sign in to it: the replica has not heard of it."""
    user = get_user_model().objects.create_user(f"{name}@example.com", "secret", name=name)
    auth.login(request, user, backend=BACKEND)
    return JsonResponse({"user": name_of(request.user)})


def read_from(request: HttpRequest) -> HttpResponse:
    """Where Django goes on from ``request.user``."""
    return JsonResponse({"databases": [request.user._state.db, request.user.notes.all().db]})


urlpatterns = [
    path("sign-up/<name>/", sign_up),
    path("read-from/", read_from),
    path("", include("tests.engine_urls")),
]
