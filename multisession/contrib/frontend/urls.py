"""``path("__clerk/", include("multisession.contrib.frontend.urls"))``."""

from django.urls import path, re_path

from . import views

app_name = "multisession_frontend"

_SESSION = "v1/client/sessions/<str:session_id>/"

urlpatterns = [
    path("v1/", views.nothing, name="root"),
    path("v1/environment", views.environment),
    path("v1/client", views.client),
    path("v1/client/sessions", views.sessions),
    path(f"{_SESSION}touch", views.touch),
    path(f"{_SESSION}end", views.end),
    path(f"{_SESSION}remove", views.remove),
    path(f"{_SESSION}tokens", views.tokens),
    path("v1/me/sessions/active", views.devices),
    path("v1/me/sessions/<str:session_id>/revoke", views.revoke),
    re_path(r"^v1/.*$", views.nothing),
]
