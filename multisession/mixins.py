"""For class-based views: Django's permission mixin, which offers another account that may."""

from typing import Any

from django.contrib.auth import mixins
from django.http import HttpRequest, HttpResponseRedirect

from .offers import ForbiddenForThisAccount, accounts_to_offer

__all__ = [
    "PermissionRequiredMixin",
]


class PermissionRequiredMixin(mixins.PermissionRequiredMixin):
    """Django's, and a 403 that offers the other accounts of this browser with the permission.

    A view with a rule of its own overrides ``has_permission_as``, which is asked about the active
    user and about the others, instead of ``has_permission``.
    """

    request: HttpRequest

    def has_permission_as(self, user: Any) -> bool:
        """Return True if this user may open the page."""
        return bool(user.has_perms(self.get_permission_required()))

    def has_permission(self) -> bool:
        return self.has_permission_as(getattr(self.request, "user", None))

    def handle_no_permission(self) -> HttpResponseRedirect:
        if accounts_to_offer(self.request, self.has_permission_as):
            raise ForbiddenForThisAccount(self.has_permission_as)
        return super().handle_no_permission()
