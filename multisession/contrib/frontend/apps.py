from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FrontendConfig(AppConfig):
    name = "multisession.contrib.frontend"
    label = "multisession_frontend"
    verbose_name = _("Frontend API")

    def ready(self) -> None:
        from . import checks  # noqa: F401 - they register themselves
