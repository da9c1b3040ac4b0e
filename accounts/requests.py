"""The request as the demo's views receive it."""

from django_htmx.middleware import HtmxDetails

from accounts.models import User
from multisession.request import MultiSessionRequest


class DemoRequest(MultiSessionRequest):
    """A request with what the middleware adds. For type checkers; never instantiated."""

    htmx: HtmxDetails


class SignedInRequest(DemoRequest):
    """The same behind ``login_required``: somebody is signed in."""

    user: User


def wants_partial(request: DemoRequest) -> bool:
    """Return True if the answer goes into a page that is already there.

    When htmx 2 restores a page from history it wants all of it, although it is htmx that asks.
    """
    return bool(request.htmx) and not request.htmx.history_restore_request
