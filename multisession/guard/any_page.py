"""Views that take the form of any page, because they are about the browser and not an account."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from asgiref.sync import iscoroutinefunction
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth import views as auth_views
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch
from django.views.i18n import set_language

from multisession.conf import settings

#: Who is active does not matter to these of Django's: they ask for an address, or hold a proof.
RESET_VIEWS = (auth_views.PasswordResetView, auth_views.PasswordResetConfirmView)


def any_account(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let a view take forms of any page: it is about the browser, not about an account.

    It runs as whoever is active. The CSRF check stays. (To leave out both, ``csrf_exempt`` is
    enough.) Sign-in pages need no such mark; for a whole package or a part of the site there is
    ``MULTISESSION["ANY_ACCOUNT"]``.
    """
    # The mark is on a function of its own: the same view may be guarded at another address.
    if iscoroutinefunction(view):

        async def marked_coroutine(*args: Any, **kwargs: Any) -> Any:
            return await view(*args, **kwargs)

        marked: Callable[..., Any] = wraps(view)(marked_coroutine)
    else:

        def marked_view(*args: Any, **kwargs: Any) -> Any:
            return view(*args, **kwargs)

        marked = wraps(view)(marked_view)
    marked.any_account = True  # type: ignore[attr-defined]
    return marked


def takes_any_page(request: HttpRequest, view: Callable[..., Any]) -> bool:
    """Return whether it does not matter to this view which account the page was drawn for.

    So it is with views marked by ``any_account`` or named in ``MULTISESSION["ANY_ACCOUNT"]``,
    with Django's language view and password-reset pages, and with sign-in pages.
    """
    return (
        getattr(view, "any_account", False)
        or view is set_language
        or is_made_of(view, RESET_VIEWS)
        or is_sign_in_page(request, view)
        or _is_named_in_settings(request, view)
    )


def is_sign_in_page(request: HttpRequest, view: Callable[..., Any]) -> bool:
    """Return True for Django's sign-in view, an admin site's, and the one behind ``LOGIN_URL``."""
    if is_made_of(view, auth_views.LoginView):
        return True
    if apps.is_installed("django.contrib.admin") and _is_admins_sign_in_page(view):
        return True
    try:
        page = urlsplit(resolve_url(str(django_settings.LOGIN_URL)))
    except NoReverseMatch:
        return False
    # A page with a query, or of another site, has a path that other pages may have, too.
    is_of_its_own = not (page.query or page.fragment) and page.path not in ("", "/")
    is_here = not page.netloc or page.netloc == request.get_host()
    return is_of_its_own and is_here and request.path == page.path


def is_sign_out(view: Callable[..., Any]) -> bool:
    """Return True for Django's ``LogoutView`` and what is made of it."""
    return is_made_of(view, auth_views.LogoutView)


def is_made_of(view: Callable[..., Any], classes: type | tuple[type, ...]) -> bool:
    """Return whether ``as_view()`` of one of these classes, or of a subclass, made the view."""
    view_class = getattr(view, "view_class", None)
    return isinstance(view_class, type) and issubclass(view_class, classes)


def _is_named_in_settings(request: HttpRequest, view: Callable[..., Any]) -> bool:
    """Return whether ``ANY_ACCOUNT`` has the beginning of its address, or its module."""
    module = getattr(getattr(view, "view_class", view), "__module__", "")
    return any(
        request.path_info.startswith(part)
        if part.startswith("/")
        else f"{module}.".startswith(f"{part}.")
        for part in settings.ANY_ACCOUNT
    )


def _is_admins_sign_in_page(view: Any) -> bool:
    """Return whether this is the method ``login`` of an admin site, perhaps inside decorators."""
    from django.contrib.admin import AdminSite  # its models need the app

    while view is not None:
        if isinstance(getattr(view, "__self__", None), AdminSite):
            return bool(view.__name__ == "login")
        view = getattr(view, "__wrapped__", None)
    return False
