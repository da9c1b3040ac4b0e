"""Views that accept forms from any page, because they concern the browser and not an account."""

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

#: Django's views that do not depend on the active account: they use an e-mail address or a token.
RESET_VIEWS = (auth_views.PasswordResetView, auth_views.PasswordResetConfirmView)


def any_account(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let a view accept forms from any page, for views that concern the browser and no account.

    The view runs as the active account, and the CSRF check stays. (``csrf_exempt`` turns off both
    checks.) Sign-in pages don't need this. For a whole package or a part of the site use
    ``MULTISESSION["ANY_ACCOUNT"]``.
    """
    # Mark a wrapper, so that the same view stays guarded at its other URLs.
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
    """Return True if this view accepts forms from the pages of any account.

    These are views marked by ``any_account`` or named in ``MULTISESSION["ANY_ACCOUNT"]``, Django's
    language view and password-reset pages, and sign-in pages.
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
    # The path alone does not identify a page with a query or on another site.
    is_of_its_own = not (page.query or page.fragment) and page.path not in ("", "/")
    is_here = not page.netloc or page.netloc == request.get_host()
    return is_of_its_own and is_here and request.path == page.path


def is_sign_out(view: Callable[..., Any]) -> bool:
    """Return True for Django's ``LogoutView`` and its subclasses."""
    return is_made_of(view, auth_views.LogoutView)


def is_made_of(view: Callable[..., Any], classes: type | tuple[type, ...]) -> bool:
    """Return True if ``as_view()`` of one of these classes, or of a subclass, made the view."""
    view_class = getattr(view, "view_class", None)
    return isinstance(view_class, type) and issubclass(view_class, classes)


def _is_named_in_settings(request: HttpRequest, view: Callable[..., Any]) -> bool:
    """Return True if ``ANY_ACCOUNT`` has a prefix of the view's path, or its module."""
    module = getattr(getattr(view, "view_class", view), "__module__", "")
    return any(
        request.path_info.startswith(part)
        if part.startswith("/")
        else f"{module}.".startswith(f"{part}.")
        for part in settings.ANY_ACCOUNT
    )


def _is_admins_sign_in_page(view: Any) -> bool:
    """Return True if this is an admin site's ``login`` method, also below decorators."""
    from django.contrib.admin import AdminSite  # its models need the app

    while view is not None:
        if isinstance(getattr(view, "__self__", None), AdminSite):
            return bool(view.__name__ == "login")
        view = getattr(view, "__wrapped__", None)
    return False
