"""A system check of the Frontend API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Tags, Warning, register

from multisession.pages.links import url_of


@register(Tags.security)
def check_origins(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that nobody expects the trusted origins of forms to use the Frontend API."""
    others = list(django_settings.CSRF_TRUSTED_ORIGINS)
    if not others or not url_of("multisession_frontend:root"):
        return []
    return [
        Warning(
            "multisession.contrib.frontend answers pages of its own origin only, and "
            f"CSRF_TRUSTED_ORIGINS names others: {', '.join(others)}.",
            hint="That is how it is meant to be: scripts there can't read or switch the accounts. "
            "If none has to, silence this check.",
            id="multisession.W016",
        )
    ]
