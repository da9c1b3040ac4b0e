"""``ASK_AT_SWITCH``: the project's rule for switches that need the account's password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.module_loading import import_string

from multisession.conf import settings

if TYPE_CHECKING:
    from django.http import HttpRequest

    from multisession.models import Session


def asks(request: HttpRequest | None, session: Session) -> bool:
    """Return True if a switch to this session needs its password."""
    path = settings.ASK_AT_SWITCH
    return path is not None and bool(import_string(path)(request, session))
