"""Types of the requests that the demo's views receive."""

from django_htmx.middleware import HtmxDetails

from accounts.models import User
from multisession.request import MultiSessionRequest


class DemoRequest(MultiSessionRequest):
    """A request with the attributes that middleware adds, for type checkers only."""

    htmx: HtmxDetails


class SignedInRequest(DemoRequest):
    """A request behind ``login_required``, so with a signed-in user."""

    user: User


def wants_partial(request: DemoRequest) -> bool:
    """Return True if htmx will swap the answer into a page.

    When htmx 2 restores a page from its history, it needs the whole page.
    """
    return bool(request.htmx) and not request.htmx.history_restore_request
