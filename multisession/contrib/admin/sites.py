"""An admin site that knows that a browser has several accounts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import update_wrapper
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from multisession.conf import settings
from multisession.offers import ForbiddenForThisAccount, accounts_to_offer
from multisession.pages.links import link_to
from multisession.pages.profiles import profile_of

if TYPE_CHECKING:
    Base = admin.AdminSite
else:  # A mixin for any admin site.
    Base = object

__all__ = ["AccountsMixin", "AdminSite"]


class AccountsMixin(Base):
    """Offer the accounts of this browser where the admin refuses or signs out the active one.

    A page that the active account may not open offers those that may. After *Log out* come the
    other accounts of the browser, or, if there are none, a page that says who has been signed out.
    """

    logout_template = "multisession/admin/signed_out.html"

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        guarded: Callable[..., HttpResponse] = super().admin_view(view, cacheable)

        def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not self.has_permission(request) and request.path != self._url("logout"):

                def may_enter(user: Any) -> bool:
                    return self._admits(request, user)

                if accounts_to_offer(request, may_enter):
                    raise ForbiddenForThisAccount(may_enter)
            return guarded(request, *args, **kwargs)

        return update_wrapper(inner, guarded)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        user: Any = request.user
        context = {"signed_out": profile_of(user) if user.is_authenticated else None}
        response = super().logout(request, context | (extra_context or {}))
        accounts = getattr(request, "multisession", None)
        if request.method != "POST" or accounts is None:
            return response
        accounts.read_again()
        if not accounts.sessions:
            return response
        index = self._url("index")
        if settings.AFTER_SIGN_OUT == "next":
            return HttpResponseRedirect(index)
        chooser = link_to(settings.CHOOSE_URL, next=index)
        return HttpResponseRedirect(chooser) if chooser else response

    def _admits(self, request: HttpRequest, user: Any) -> bool:
        """Return True if this user would be let in with the same request."""
        as_this_user = copy.copy(request)
        as_this_user.user = user
        return self.has_permission(as_this_user)

    def _url(self, page: str) -> str:
        return reverse(f"admin:{page}", current_app=self.name)


class AdminSite(AccountsMixin, admin.AdminSite):
    """Django's admin site with ``AccountsMixin``."""
