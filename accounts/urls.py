"""URLs of the app."""

from django.urls import path

from accounts import alerts, teams, views
from multisession.pages.device_views import sessions
from multisession.pages.views import choose

app_name = "accounts"

urlpatterns = [
    path("sign-in/", views.SignInView.as_view(), name="sign_in"),
    path("sign-in/demo/", views.demo_sign_in, name="demo_sign_in"),
    path("sign-up/", views.SignUpView.as_view(), name="sign_up"),
    path("not-me/<str:token>/", alerts.not_me, name="not_me"),
    path("new-password/<uidb64>/<token>/", alerts.NewPasswordView.as_view(), name="new_password"),
    path("choose/", choose, name="choose"),
    path("sessions/", sessions, name="sessions"),
    path("teams/new/", teams.create, name="new_team"),
    path("teams/leave/", teams.leave, name="leave_team"),
    path("teams/<slug:slug>/", teams.team, name="team"),
    path("profile/", views.ProfileView.as_view(), name="profile"),
    path("profile/password/", views.PasswordView.as_view(), name="password"),
]
