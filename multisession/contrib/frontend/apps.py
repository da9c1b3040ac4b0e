from django.apps import AppConfig


class FrontendConfig(AppConfig):
    name = "multisession.contrib.frontend"
    label = "multisession_frontend"
    verbose_name = "Frontend API"

    def ready(self) -> None:
        from . import checks  # noqa: F401  (importing registers them)
