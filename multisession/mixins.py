"""Django's permission mixin, extended to offer another account; and ``RecentSignInMixin``."""

from typing import Any

from django.contrib.auth import mixins
from django.http import HttpRequest, HttpResponseRedirect

from .decorators import recent_sign_in
from .offers import ForbiddenForThisAccount, accounts_to_offer

__all__ = [
    "PermissionRequiredMixin",
    "RecentSignInMixin",
]


class RecentSignInMixin:
    """The mixin for ``recent_sign_in``: ``recent_minutes`` is how recent. Put it first."""

    recent_minutes = 10

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        dispatch: Any = super().dispatch  # type: ignore[misc]
        return recent_sign_in(minutes=self.recent_minutes)(dispatch)(request, *args, **kwargs)


class PermissionRequiredMixin(mixins.PermissionRequiredMixin):
    """Django's mixin, plus a 403 page that offers accounts of this browser with the permission.

    For a rule of your own override ``has_permission_as`` instead of ``has_permission``. It is
    called for the active user and for the others.
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
