"""Django's admin with our ``AdminSite``."""

from django.contrib.admin import apps


class AdminConfig(apps.AdminConfig):
    """Django's own, but for the class of ``admin.site``."""

    default = True
    default_site = "multisession.contrib.admin.sites.AdminSite"
