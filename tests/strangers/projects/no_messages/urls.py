from django.apps import apps
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

# mysite.urls needs the admin.
urlpatterns = [
    path("", include("pages.urls")),
    path("accounts/login/", LoginView.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
]
if apps.is_installed("multisession"):
    urlpatterns += [
        path("multisession/", include("multisession.urls")),
        path("v1/", include("multisession.api.urls")),
    ]
