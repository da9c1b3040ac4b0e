from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from multisession.signals import session_activated, session_ended


class ImpersonationConfig(AppConfig):
    name = "multisession.contrib.impersonation"
    label = "multisession_impersonation"
    verbose_name = _("Impersonation")

    def ready(self) -> None:
        from . import receivers

        session_activated.connect(receivers.on_activated, dispatch_uid=self.name)
        session_ended.connect(receivers.on_ended, dispatch_uid=self.name)
