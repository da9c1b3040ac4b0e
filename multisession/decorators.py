"""Django's permission decorators, extended to offer another account; and ``recent_sign_in``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.contrib.auth import REDIRECT_FIELD_NAME, decorators
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from .offers import ForbiddenForThisAccount, Predicate, accounts_to_offer
from .organizations import Organization
from .pages import confirmation
from .pages.links import link_to

__all__ = [
    "organization_required",
    "permission_required",
    "recent_sign_in",
    "user_passes_test",
]

View = TypeVar("View", bound=Callable[..., Any])


def user_passes_test(
    test_func: Predicate,
    login_url: str | None = None,
    redirect_field_name: str = REDIRECT_FIELD_NAME,
) -> Callable[[View], View]:
    """Django's decorator, plus a 403 page that offers this browser's accounts that pass the test.

    If no other account passes, it works as in Django. The test may be a coroutine function.
    """
    if iscoroutinefunction(test_func):
        test_func = async_to_sync(test_func)
    refuse = decorators.user_passes_test(test_func, login_url, redirect_field_name)
    return _offering(test_func, refuse)


def permission_required(
    perm: str | Iterable[str], login_url: str | None = None, raise_exception: bool = False
) -> Callable[[View], View]:
    """Django's decorator, plus a 403 page that offers accounts of this browser with the permission.

    The permission may also be a list, of which a user needs all.
    """
    perms = (perm,) if isinstance(perm, str) else tuple(perm)
    refuse = decorators.permission_required(perms, login_url, raise_exception)
    return _offering(lambda user: bool(user.has_perms(perms)), refuse)


def organization_required(role: str | Iterable[str] | None = None) -> Callable[[View], View]:
    """Let only accounts in that are in an organization, with this role or one of these.

    Whoever is in none is sent to the page that lists the organizations, and back; a person without
    the role gets a 403 page that offers the organizations of this browser's accounts that have it.
    Anonymous visitors are sent to the sign-in page.
    """
    roles = None if role is None else {role} if isinstance(role, str) else set(role)

    def has_role(user: Any, organization: Organization) -> bool:
        return roles is None or organization.role in roles

    def refuse(
        request: HttpRequest, user: Any, organization: Organization | None
    ) -> HttpResponse | None:
        here = request.get_full_path()
        if not user.is_authenticated:
            return redirect_to_login(here)
        if organization is None:
            to = link_to("multisession:organizations", next=here)
            if not to:
                raise PermissionDenied
            return HttpResponseRedirect(to)
        if not has_role(user, organization):
            raise ForbiddenForThisAccount(organization_predicate=has_role)
        return None

    def decorate(view: View) -> View:
        if iscoroutinefunction(view):

            async def ask_first_async(request: Any, *args: Any, **kwargs: Any) -> Any:
                user = await request.auser()
                refused = refuse(request, user, await request.multisession.aorganization())
                return refused or await view(request, *args, **kwargs)

            return cast(View, wraps(view)(ask_first_async))

        def ask_first(request: Any, *args: Any, **kwargs: Any) -> Any:
            refused = refuse(request, request.user, request.multisession.organization)
            return refused or view(request, *args, **kwargs)

        return cast(View, wraps(view)(ask_first))

    return decorate


def recent_sign_in(*, minutes: int = 10) -> Callable[[View], View]:
    """Let only people in who have proven in the last ``minutes`` who they are.

    By signing in, by typing the password, or by the project's own way (``CONFIRM_URL``). Others are
    asked for the password in the place of the page, and go on there; a form that they sent is sent
    with it. Anonymous visitors are sent to the sign-in page.
    """
    seconds = minutes * 60

    def ask(request: Any, user: Any) -> HttpResponse | None:
        if not user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        return confirmation.ask(request, seconds)

    def decorate(view: View) -> View:
        if iscoroutinefunction(view):

            async def ask_first_async(request: Any, *args: Any, **kwargs: Any) -> Any:
                user = await request.auser()
                asked = await sync_to_async(ask)(request, user)
                return asked or await view(request, *args, **kwargs)

            return cast(View, wraps(view)(ask_first_async))

        def ask_first(request: Any, *args: Any, **kwargs: Any) -> Any:
            return ask(request, request.user) or view(request, *args, **kwargs)

        return cast(View, wraps(view)(ask_first))

    return decorate


def _offering(
    passes: Predicate, refuse: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Callable[[View], View]:
    """Make the decorator. ``refuse`` is Django's, which answers if no account passes."""

    def is_let_in(request: HttpRequest, user: Any) -> bool:
        if passes(user):
            return True
        if accounts_to_offer(request, passes):
            raise ForbiddenForThisAccount(passes)
        return False

    def decorate(view: View) -> View:
        # Wrap Django's result, because LoginRequiredMiddleware looks for its attributes.
        refused = refuse(view)

        if iscoroutinefunction(view):

            async def ask_first_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                let_in = await sync_to_async(is_let_in)(request, await request.auser())
                return await (view if let_in else refused)(request, *args, **kwargs)

            return cast(View, wraps(refused)(ask_first_async))

        def ask_first(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return (view if is_let_in(request, request.user) else refused)(request, *args, **kwargs)

        return cast(View, wraps(refused)(ask_first))

    return decorate
