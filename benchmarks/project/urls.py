from django.conf import settings
from django.urls import include, path

from . import views

urlpatterns = [
    path("empty", views.empty),
    path("page", views.page),
    path("form", views.form),
    path("write", views.write),
    path("rewrite", views.rewrite),
    path("list", views.own_sessions),
    path("sign-in/<str:username>", views.sign_in),
    path("sign-out", views.sign_out),
    path("purge", views.purge),
]
if "multisession" in settings.INSTALLED_APPS:
    urlpatterns += [
        path("multisession/", include("multisession.urls")),
        path("accounts", views.accounts),
        path("revoke-here", views.revoke_here),
        path("revoke/<int:count>", views.revoke),
    ]
