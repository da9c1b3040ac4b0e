"""The app's configuration."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        from accounts import alerts
        from multisession.signals import signed_in_on_new_browser

        signed_in_on_new_browser.connect(alerts.tell_of_new_browser, dispatch_uid="accounts")
