"""``path("multisession/", include("multisession.urls"))``."""

from django.urls import path

from .pages import device_views, nickname_views, views

app_name = "multisession"

urlpatterns = [
    path("button/", views.button, name="button"),
    path("menu/", views.menu, name="menu"),
    path("choose/", views.choose, name="choose"),
    path("nickname/", nickname_views.nickname, name="nickname"),
    path("icon.svg", views.icon, name="icon"),
    path("notice/", views.notice, name="notice"),
    path("add-account/", views.add_account, name="add_account"),
    path("set-active/", views.set_active, name="set_active"),
    path("confirm-switch/", views.confirm_switch, name="confirm_switch"),
    path("organizations/", views.organization_list, name="organizations"),
    path("set-organization/", views.set_organization, name="set_organization"),
    path("sign-out/", views.sign_out, name="sign_out"),
    path("sign-out-all/", views.sign_out_all, name="sign_out_all"),
    path("forget/", views.forget, name="forget"),
    path("sessions/", device_views.sessions, name="sessions"),
    path("sessions/history/", device_views.history, name="history"),
    path("sessions/sign-out/", device_views.sign_out_device, name="sign_out_session"),
    path("sessions/sign-out-others/", device_views.sign_out_others, name="sign_out_others"),
]
