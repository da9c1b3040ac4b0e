from django.urls import path

from mysite.urls import urlpatterns
from own import views

urlpatterns = [
    path("app/", views.app, name="app"),
    path("api/login/", views.sign_in, name="api_login"),
    path("api/logout/", views.sign_out, name="api_logout"),
    *urlpatterns,
]
