"""*Switch to A and send*: what was refused as B's is sent again, once, as A's.

The page that refused it (refusal.py) has everything in a form that goes straight to where it was
going. It carries the CSRF token of A's page and a random number. When it arrives:

* while A is not active, A becomes so, and a 307 makes the browser send it again: no middleware of
  the project sees a request whose account changes in its middle;
* while A is active, the number is claimed and the view runs. A second press, or going back and
  pressing again, finds it claimed. If the view fails, the claim is given back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

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
    """Answer what must not reach the view, or not again; None to go on to it."""
    if wrong is not None:
        if _may_switch(request, view, wrong):
            return HttpResponse(status=307, headers={"Location": address_of(request)})
        return refusal.answer(request, wrong)
    if getattr(view, "csrf_exempt", False) or not guard.is_sent_again(request):
        return None
    return None if _is_first(request) else refusal.sent_already(request)


def give_back(request: HttpRequest) -> None:
    """Let the form be sent again: nothing came of it."""
    claim: SentForm | None = getattr(request, "_multisession_claim", None)
    if claim is not None:
        claim.delete()


def _may_switch(request: HttpRequest, view: Callable[..., Any], wrong: WrongAccount) -> bool:
    """Make the account of the page active, if the person asked for that here."""
    if (
        wrong.page is None
        or wrong.secret is None
        or sender_of(request) is not Sender.FORM
        or not guard.is_sent_again(request)
        or guard.is_from_elsewhere(request)
        or not django_private.passes_check(request, view, wrong.secret)
    ):
        return False
    try:
        actions.set_active(request, wrong.page)
    except (actions.SessionNotFound, actions.UpdateError, PermissionDenied):
        return False
    return True


def _is_first(request: HttpRequest) -> bool:
    """Claim the number of the form. What is no number of ours, or of nobody's, claims nothing."""
    number = guard.number_of(request)
    client = request.multisession.client if number else None  # type: ignore[attr-defined]
    if client is None:
        return True
    claim = SentForm.claim(client.pk, number)
    request._multisession_claim = claim  # type: ignore[attr-defined]
    return claim is not None
