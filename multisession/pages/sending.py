"""*Switch to A and send*: send a form that was refused for B again, once, as A.

The refusal (refusal.py) has all fields in a form with the original URL. The form has the CSRF token
of A's page and a random number. When it arrives:

* If A is not active, A becomes active, in the organization of the page, and a 307 makes the browser
  send the form again, so that no middleware of the project sees the account change within a
  request.
* If A is active, the number is claimed and the view runs. If it redirects, the next page says
  "Sent as A". A second click, also after going back,
  finds the number claimed. If the view fails, the claim is given back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from multisession import actions
from multisession.ground import django_private
from multisession.ground.asking import Sender, address_of, sender_of
from multisession.guard import guard
from multisession.guard.guard import WrongAccount
from multisession.models.sent_forms import SentForm

from . import refusal


def answer(
    request: HttpRequest, view: Callable[..., Any], wrong: WrongAccount | None
) -> HttpResponse | None:
    """Return the answer to a form that must not reach the view; None to run the view."""
    if wrong is not None:
        if _may_switch(request, view, wrong):
            return HttpResponse(status=307, headers={"Location": address_of(request)})
        return refusal.answer(request, wrong)
    if getattr(view, "csrf_exempt", False) or not guard.is_sent_again(request):
        return None
    return None if _is_first(request) else refusal.sent_already(request)


def confirm(request: HttpRequest, response: HttpResponse) -> None:
    """Say "Sent as Ada" on the page to which the view redirects after it has taken the form."""
    storage = getattr(request, "_messages", None)
    if storage is None or getattr(request, "_multisession_claim", None) is None:
        return
    [name] = refusal.short_names(request.multisession.session)  # type: ignore[attr-defined]
    if name:
        messages.success(request, _("Sent as %(account)s.") % {"account": name})
        storage.update(response)  # Its middleware has stored the others already.


def give_back(request: HttpRequest) -> None:
    """Give the claim back after a failure, so that the form can be sent again."""
    claim: SentForm | None = getattr(request, "_multisession_claim", None)
    if claim is not None:
        claim.delete()


def _may_switch(request: HttpRequest, view: Callable[..., Any], wrong: WrongAccount) -> bool:
    """Switch to the account of the page if the form asks for it. Return True if done."""
    if (
        wrong.page is None
        or (wrong.is_left and wrong.is_of_same_user)
        or wrong.secret is None
        or sender_of(request) is not Sender.FORM
        or not guard.is_sent_again(request)
        or guard.is_from_elsewhere(request)
        or not django_private.passes_check(request, view, wrong.secret)
    ):
        return False
    try:
        actions.set_active(request, wrong.page, organization=wrong.organization_to_enter)
    except (Http404, actions.UpdateError, PermissionDenied):
        return False
    return True


def _is_first(request: HttpRequest) -> bool:
    """Claim the form's number and return True if it is new, or if there is nothing to claim."""
    number = guard.number_of(request)
    client = request.multisession.client if number else None  # type: ignore[attr-defined]
    if client is None:
        return True
    claim = SentForm.claim(client.pk, number)
    request._multisession_claim = claim  # type: ignore[attr-defined]
    return claim is not None
