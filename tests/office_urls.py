"""The engine's views, and an admin site of a project's own beside Django's."""

from django.contrib import admin
from django.urls import path

from accounts.admin import UserAdmin
from accounts.models import User
from multisession.admin.events import EventAdmin
from multisession.admin.sessions import SessionAdmin
from multisession.contrib.admin.sites import AccountsMixin
from multisession.models import Event, Session
from tests.engine_urls import urlpatterns as engine


class OfficeSite(AccountsMixin, admin.AdminSite):
    """Lets only those in whose address begins with "office"."""

    def has_permission(self, request):
        return super().has_permission(request) and request.user.email.startswith("office")


site = OfficeSite(name="office")
site.register(Session, SessionAdmin)
site.register(Event, EventAdmin)
site.register(User, UserAdmin)

urlpatterns = [*engine, path("office/", site.urls)]
