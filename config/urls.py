"""URLs of the demo project."""

from django.contrib import admin
from django.urls import include, path
from django.views.i18n import set_language

from accounts import home
from config import views

urlpatterns = [
    path("", home.home, name="home"),
    path("whoami", home.whoami, name="whoami"),
    path("stores/", home.stores, name="stores"),
    path("note", home.scratchpad, name="scratchpad"),
    path("notes/", home.add_note, name="add_note"),
    path("notes/<int:pk>/", home.note, name="note"),
    path("notes/<int:pk>/delete/", home.delete_note, name="delete_note"),
    path("accounts/", include("accounts.urls")),
    path("multisession/", include("multisession.urls")),  # multisession
    path("v1/", include("multisession.api.urls")),  # multisession: the API for programs
    path("__clerk/", include("multisession.contrib.frontend.urls")),  # multisession: for scripts
    # The language belongs to the browser, whichever account is active.
    path("language/", set_language, name="set_language"),
    path("favicon.ico", views.favicon),
    path("admin/", admin.site.urls),
]
