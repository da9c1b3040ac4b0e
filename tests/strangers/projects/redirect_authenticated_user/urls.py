from django.contrib.auth.views import LoginView
from django.urls import path

from mysite.urls import urlpatterns

sign_in = LoginView.as_view(redirect_authenticated_user=True)
urlpatterns = [path("accounts/login/", sign_in, name="login"), *urlpatterns]
