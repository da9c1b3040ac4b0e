from django.urls import path

from . import views

urlpatterns = [
    path("", views.home, name="home"),
    path("whoami/", views.whoami, name="whoami"),
    path("note/", views.note, name="note"),
    path("account/<str:act>/", views.account, name="account"),
    path("session/<str:act>/", views.session, name="session"),
]
