"""Offer another account of this browser that may open a page: *This page needs another account*.

A view, or a permission check, says who could open the page, as a predicate of a user. Only once
the active account has been refused are the other accounts of this browser asked; one that could
open the page is offered, by a form. Without any, and for everything but a page that a person looks
at, the refusal stays the ordinary one, so it tells nobody whether there is something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.db.models import Manager, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.views.decorators.csrf import csrf_protect

from .conf import settings
from .ground.asking import VARY, Sender, address_of, is_htmx, sender_of
from .guard.guard import REASON_HEADER
from .models import Session
from .pages.links import current_page, link_to, url_of

if TYPE_CHECKING:
    from .request import MultiSession, MultiSessionRequest

__all__ = [
    "ForbiddenForThisAccount",
    "NeedsAnotherAccount",
    "NotFoundForThisAccount",
    "aaccounts_that_can",
    "accounts_that_can",
    "aget_object_or_offer",
    "get_object_or_offer",
]

M = TypeVar("M", bound=Model)
Predicate = Callable[[Any], bool]


class NeedsAnotherAccount(Exception):
    """Refused for the active account; ``predicate(user)`` says for which others it would not be.

    Raise one of the two below. The predicate is asked later, by the middleware, outside the
    transaction of the view and never in an event loop. Where nobody catches it (under another
    engine, or in a framework with its own error pages), it is the plain refusal that it also is.
    """

    def __init__(self, predicate: Predicate, message: str = "") -> None:
        super().__init__(message)
        self.predicate = predicate


class NotFoundForThisAccount(NeedsAnotherAccount, Http404):
    """A 404. Raise it for what does not exist, too: the two must not be told apart."""


class ForbiddenForThisAccount(NeedsAnotherAccount, PermissionDenied):
    """A 403."""


def accounts_that_can(request: HttpRequest, predicate: Predicate) -> list[Session]:
    """List the other accounts signed in on this browser whose user satisfies ``predicate``.

    One query for the list, and what the predicate asks. Expired, revoked and deactivated accounts
    are not among them, nor those whose password has changed.
    """
    accounts: MultiSession | None = getattr(request, "multisession", None)
    if accounts is None:  # another engine, or no middleware
        return []
    return [session for session in accounts.other_sessions if predicate(session.user)]


def accounts_to_offer(request: HttpRequest, predicate: Predicate) -> list[Session]:
    """List these accounts if there is a person to offer them to, who looks at a page.

    Scripts get the plain refusal, and so does what nobody caused: they would not show a page.
    """
    sender = sender_of(request)
    takes_pages = request.get_preferred_type(["text/html", "application/json"]) == "text/html"
    looks_at_it = request.method in ("GET", "HEAD") and (
        sender is Sender.HTMX or (sender is Sender.FORM and takes_pages)
    )
    return accounts_that_can(request, predicate) if looks_at_it else []


def get_object_or_offer(
    request: HttpRequest,
    queryset_for: Callable[[Any], Manager[M] | QuerySet[M]],
    **lookup: Any,
) -> M:
    """``get_object_or_404`` among what the active user may open, ``queryset_for(user)``.

    If it is not there, but among what another account of this browser may open, the 404 offers
    that account.
    """
    user = getattr(request, "user", None)
    try:
        return get_object_or_404(queryset_for(user), **lookup)
    except Http404 as missing:
        raise NotFoundForThisAccount(
            lambda other: queryset_for(other).filter(**lookup).exists(), str(missing)
        ) from None


def answer(request: HttpRequest, exception: Exception) -> HttpResponse | None:
    """Answer with the page that offers an account; None if the refusal is the ordinary one."""
    if not isinstance(exception, NeedsAnotherAccount):
        return None
    if not url_of("multisession:set_active"):
        return None  # The package's URLs are not included: there is no way to switch.
    offered = accounts_to_offer(request, exception.predicate)
    if not offered:
        return None
    status = 404 if isinstance(exception, Http404) else 403
    if request.headers.get("HX-Boosted") == "true":
        # htmx shows nothing of a 403; but it follows this, and then it is a page.
        return HttpResponse(status=status, headers={"HX-Redirect": address_of(request)})
    if is_htmx(request):
        response = page(request, offered, status, "_other_account_sheet.html")  # type: ignore[arg-type]
        response["HX-Retarget"] = "body"
        response["HX-Reswap"] = "afterbegin"
        response[REASON_HEADER] = "other-account"
        return response
    return page(request, offered, status)  # type: ignore[arg-type]


@csrf_protect  # the forms in it need the cookie, whatever middleware the project has
def page(
    request: MultiSessionRequest,
    offered: list[Session],
    status: int,
    template: str = "other_account.html",
) -> HttpResponse:
    """Show one form for each account, to switch to it and come back here.

    For htmx *here* is the page that the fragment belongs to.
    """
    here = current_page(request)
    context = {
        "session": request.multisession.session,
        "offered": offered,
        "next": here,
        "choose_url": link_to(settings.CHOOSE_URL, next=here),
    }
    response = render(request, f"multisession/{template}", context, status=status)
    add_never_cache_headers(response)
    patch_vary_headers(response, ("Cookie", "HX-Boosted", *VARY))
    return response


aaccounts_that_can = sync_to_async(accounts_that_can)
aget_object_or_offer = sync_to_async(get_object_or_offer)
