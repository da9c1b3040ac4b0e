"""Offer another account of this browser that may open a page.

A view or a permission check gives a predicate, a function that tells if a user may open the page.
If the active account is refused, the predicate is called for the browser's other accounts, and a
page offers to switch to one that passes. If none passes, or if the request is not for a page, the
refusal is the ordinary one and does not reveal whether the object exists.
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

from . import organizations
from .conf import settings
from .ground.asking import VARY, Sender, address_of, is_htmx, sender_of
from .guard.guard import REASON_HEADER
from .models import Session
from .organizations import Organization
from .pages.links import current_page, link_to, url_of
from .pages.organization_menu import Place

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
OrganizationPredicate = Callable[[Any, Organization], bool]


class NeedsAnotherAccount(Exception):
    """A refusal for the active account. ``predicate(user)`` is True for users who are let in.

    Raise one of the two subclasses. ``organization_predicate(user, organization)`` is True for
    organizations in which the page may be opened. The middleware calls the predicates later,
    outside the transaction of the view and never in an event loop. Without our middleware or in a
    framework with its own error pages, the exception acts as its other base class, a plain refusal.
    """

    def __init__(
        self,
        predicate: Predicate | None = None,
        message: str = "",
        *,
        organization_predicate: OrganizationPredicate | None = None,
    ) -> None:
        super().__init__(message)
        self.predicate = predicate or (lambda user: False)
        self.organization_predicate = organization_predicate


class NotFoundForThisAccount(NeedsAnotherAccount, Http404):
    """A 404. Raise it for missing objects, too, so that nobody can tell the two cases apart."""


class ForbiddenForThisAccount(NeedsAnotherAccount, PermissionDenied):
    """A 403."""


def accounts_that_can(request: HttpRequest, predicate: Predicate) -> list[Session]:
    """List the other accounts signed in on this browser whose user satisfies ``predicate``.

    Costs one query for the list, plus those of the predicate. Leaves out expired, revoked and
    deactivated accounts, and those whose password has changed.
    """
    accounts: MultiSession | None = getattr(request, "multisession", None)
    if accounts is None:  # another engine or no middleware of ours
        return []
    return [session for session in accounts.other_sessions if predicate(session.user)]


def accounts_to_offer(request: HttpRequest, predicate: Predicate) -> list[Session]:
    """List these accounts if the answer is shown to a person as a page.

    Scripts and background requests get the plain refusal.
    """
    return accounts_that_can(request, predicate) if _looks_at_it(request) else []


def places_that_can(request: HttpRequest, predicate: OrganizationPredicate) -> list[Place]:
    """List the organizations of this browser's accounts that satisfy ``predicate``.

    Those of the active account come first; the one that it is in is left out. Asks the provider
    once for each account.
    """
    accounts: MultiSession | None = getattr(request, "multisession", None)
    if accounts is None or not organizations.is_on():
        return []
    active, current = accounts.session, accounts.organization
    found = [] if active is None else [(active, each) for each in accounts.organizations]
    for other in accounts.other_sessions:
        found += [(other, each) for each in organizations.listed(other.user)]
    return [
        Place(session, each, names_account=True)
        for session, each in found
        if not (session is active and each == current) and predicate(session.user, each)
    ]


def _looks_at_it(request: HttpRequest) -> bool:
    """Return True if the answer is shown to a person as a page."""
    sender = sender_of(request)
    takes_pages = request.get_preferred_type(["text/html", "application/json"]) == "text/html"
    return request.method in ("GET", "HEAD") and (
        sender is Sender.HTMX or (sender is Sender.FORM and takes_pages)
    )


def get_object_or_offer(
    request: HttpRequest,
    queryset_for: Callable[[Any], Manager[M] | QuerySet[M]],
    **lookup: Any,
) -> M:
    """Call ``get_object_or_404()`` with ``queryset_for(user)`` of the active user.

    If the object is missing there, but is in the queryset of another account of this browser, the
    404 page offers that account.
    """
    user = getattr(request, "user", None)
    try:
        return get_object_or_404(queryset_for(user), **lookup)
    except Http404 as missing:
        raise NotFoundForThisAccount(
            lambda other: queryset_for(other).filter(**lookup).exists(), str(missing)
        ) from None


def answer(request: HttpRequest, exception: Exception) -> HttpResponse | None:
    """Return the page that offers an account; None for an ordinary refusal."""
    if not isinstance(exception, NeedsAnotherAccount):
        return None
    if not url_of("multisession:set_active"):
        return None  # Without the package's URLs nobody can switch.
    offered: list[Session | Place] = [*accounts_to_offer(request, exception.predicate)]
    if exception.organization_predicate is not None and _looks_at_it(request):
        offered += places_that_can(request, exception.organization_predicate)
    if not offered:
        return None
    status = 404 if isinstance(exception, Http404) else 403
    if request.headers.get("HX-Boosted") == "true":
        # htmx swaps no 403 into the page, but it follows this header and loads the page.
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
    offered: list[Session | Place],
    status: int,
    template: str = "other_account.html",
) -> HttpResponse:
    """Show a form for each account that switches to it and leads back here.

    For htmx *here* is the page that has the fragment.
    """
    here = current_page(request)
    context = {
        "session": request.multisession.session,
        "offered": [each for each in offered if isinstance(each, Session)],
        "places": [each for each in offered if isinstance(each, Place)],
        "next": here,
        "choose_url": link_to(settings.CHOOSE_URL, next=here),
    }
    response = render(request, f"multisession/{template}", context, status=status)
    add_never_cache_headers(response)
    patch_vary_headers(response, ("Cookie", "HX-Boosted", *VARY))
    return response


aaccounts_that_can = sync_to_async(accounts_that_can)
aget_object_or_offer = sync_to_async(get_object_or_offer)
