from django.urls import path

from mysite.urls import urlpatterns
from own.views import sign_out

urlpatterns = [path("accounts/logout/", sign_out, name="logout"), *urlpatterns]
