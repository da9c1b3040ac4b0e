from django.apps import AppConfig


class LoadSiteConfig(AppConfig):
    name = "tools.load.site"
    label = "load_site"
    default_auto_field = "django.db.models.BigAutoField"
