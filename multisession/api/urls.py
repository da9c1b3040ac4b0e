"""``path("v1/", include("multisession.api.urls"))``: the API for programs."""

from django.urls import path, re_path

from . import views

app_name = "multisession_api"

urlpatterns = [
    path("openapi.json", views.description, name="openapi"),
    path("sessions", views.session_list, name="session_list"),
    path("sessions/<str:session_id>", views.session, name="session"),
    path("sessions/<str:session_id>/revoke", views.revoke, name="revoke"),
    path("clients", views.client_list, name="client_list"),
    path("clients/<str:client_id>", views.client, name="client"),
    path("events", views.event_list, name="event_list"),
    # Any other path: a 404 in JSON.
    re_path(r"", views.nothing),
]
