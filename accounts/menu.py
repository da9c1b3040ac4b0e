"""What the demo adds to the menu: a picture, and lines of its own."""

from typing import Any

from django.templatetags.static import static
from django.utils.translation import gettext as _

from accounts.demo import ACCOUNTS
from accounts.models import User
from accounts.requests import DemoRequest

PORTRAITS = {account.email: account.portrait for account in ACCOUNTS if account.portrait}


def picture(user: User) -> str:
    """``USER_PICTURE``: the portrait of a demo account. Of a user's upload it would be its URL."""
    portrait = PORTRAITS.get(user.email)
    return static(portrait) if portrait else ""


def items(request: DemoRequest) -> list[dict[str, Any]]:
    """``MENU_ITEMS``: where this account is signed in, and the admin for those who may go there."""
    lines: list[dict[str, Any]] = [
        {"label": _("Devices"), "url": "accounts:sessions", "icon": "browser"}
    ]
    if request.user.is_authenticated and request.user.is_staff:
        lines.append({"label": _("Administration"), "url": "admin:index", "icon": "shield"})
    return lines
