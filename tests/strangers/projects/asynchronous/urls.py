from django.urls import path

from mysite.urls import urlpatterns
from own import views

urlpatterns = [
    path("", views.home, name="home"),
    path("note/", views.note, name="note"),
    path("in/", views.sign_in, name="async_login"),
    path("out/", views.sign_out, name="async_logout"),
    *urlpatterns,
]
