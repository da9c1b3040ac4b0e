from django.contrib.admin import apps
from django.contrib.admin.sites import AdminSite


class Office(AdminSite):
    site_header = "The office"

    def has_permission(self, request):
        return request.user.is_active and request.user.is_superuser


class OfficeConfig(apps.AdminConfig):
    default_site = "own.admin.Office"
