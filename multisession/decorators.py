"""Django's permission decorators, extended to offer another account that passes the test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.contrib.auth import REDIRECT_FIELD_NAME, decorators
from django.http import HttpRequest

from .offers import ForbiddenForThisAccount, Predicate, accounts_to_offer

__all__ = [
    "permission_required",
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
