"""The demo's settings functions for the menu: pictures, and lines of its own."""

from typing import Any

from django.templatetags.static import static
from django.utils.translation import gettext as _

from accounts.demo import ACCOUNTS
from accounts.models import User
from accounts.requests import DemoRequest

PORTRAITS = {account.email: account.portrait for account in ACCOUNTS if account.portrait}


def picture(user: User) -> str:
    """``USER_PICTURE``: return the portrait of a demo account. For uploads, return their URL."""
    portrait = PORTRAITS.get(user.email)
    return static(portrait) if portrait else ""


def items(request: DemoRequest) -> list[dict[str, Any]]:
    """``MENU_ITEMS``: return the account's sessions page and, for staff, the admin."""
    lines: list[dict[str, Any]] = [
        {"label": _("Devices"), "url": "accounts:sessions", "icon": "browser"}
    ]
    if request.user.is_authenticated and request.user.is_staff:
        lines.append({"label": _("Administration"), "url": "admin:index", "icon": "shield"})
    return lines
