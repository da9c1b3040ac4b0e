from django.urls import include, path

from . import views

urlpatterns = [
    path("", views.home, name="home"),
    path("whoami", views.whoami, name="whoami"),
    path("note", views.note, name="note"),
    path("expire", views.expire, name="expire"),
    path("accounts/", include("django.contrib.auth.urls")),
    path("multisession/", include("multisession.urls")),
]
