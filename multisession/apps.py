from importlib import import_module

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.utils.translation import gettext_lazy as _


class MultisessionConfig(AppConfig):
    name = "multisession"
    verbose_name = _("Sessions")
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        super().import_models()
        from . import receivers

        # Before any app's ready(), so that our receivers run before those of other apps, which may
        # save the session or read its key (django-axes does).
        user_logged_in.connect(receivers.on_signed_in, dispatch_uid="multisession")
        user_logged_out.connect(receivers.on_signed_out, dispatch_uid="multisession")

    def ready(self) -> None:
        from . import checks  # noqa: F401  (importing registers them)
        from .upkeep import user_changes

        user_changes.connect()

        # Importing the engine connects its receivers; cached_db needs them for invalidation.
        import_module(settings.SESSION_ENGINE)
