"""The demo's URLs, and those of the packages."""

from django.contrib.auth.models import AnonymousUser
from django.urls import include, path, re_path
from knox.views import LoginView, LogoutView
from rest_framework.authentication import BasicAuthentication
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Note, User
from config.urls import urlpatterns as demo
from tests.ecosystem import recipes


@api_view(["GET", "POST"])
def notes(request: Request) -> Response:
    """The notes of whoever asks."""
    assert not isinstance(request.user, AnonymousUser)
    owner = User.objects.get(pk=request.user.pk)
    if request.method == "POST":
        Note.objects.create(user=owner, text=request.data["text"])
    return Response({"user": owner.email, "notes": [note.text for note in owner.notes.all()]})


class TokenView(LoginView):
    """A token for whoever sends a name and a password: for a program, not for the browser."""

    authentication_classes = (BasicAuthentication,)


urlpatterns = [
    path("with-recipe/allauth/confirm-email/<str:key>/", recipes.ConfirmAnyEmailView.as_view()),
    re_path(
        r"^with-recipe/allauth/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        recipes.ResetAnyPasswordView.as_view(),
    ),
    path("allauth/", include("allauth.urls")),
    path("_allauth/", include("allauth.headless.urls")),
    path("api/notes/", notes),
    path("hijack/", include("hijack.urls")),
    path("knox/", TokenView.as_view()),
    path("knox/logout/", LogoutView.as_view()),
    path("login-as/<int:pk>/", recipes.login_as),
    path("login-as/back/", recipes.back),
    path("loginas/", include("loginas.urls")),
    path("su/", include("django_su.urls")),
    path("v1/", include("multisession.api.urls")),
    *demo,
]
