"""The endpoints. Each returns what it found; ``endpoint`` does what they have in common."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Unpack

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import SuspiciousOperation
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest, JsonResponse, QueryDict
from django.utils.cache import patch_cache_control
from django.views.decorators.csrf import csrf_exempt

from multisession import actions, lists
from multisession.ground.origin import Origin
from multisession.models import Client, Session
from multisession.models.events import Cause
from multisession.models.tokens import Token

from . import errors, keys, openapi
from .resources import client_resource, error_resource, page_resource, session_resource

View = Callable[..., Any]

#: A client remembers few accounts, but may have remembered them often.
SESSIONS_OF_A_CLIENT = 100
#: More digits than any number that is accepted; Python takes its time for thousands of them.
MAX_DIGITS = 20
_NUMBER = re.compile(r"-?[0-9]+", re.ASCII)
_PATTERN_OF_USER_IDS = re.compile(rf"{lists.USER_PREFIX}.+", re.DOTALL)


def endpoint(*methods: str) -> Callable[[View], View]:
    """Make a view of the API: JSON for requests with a valid key, an error for others.

    What a browser sends along by itself, its cookies, counts for nothing here; so there is nothing
    for a CSRF token to protect. The view is given the query and what the address says.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def run(request: HttpRequest, **kwargs: str) -> JsonResponse:
            try:
                key = keys.authenticate(request)
                if methods and request.method not in methods:
                    raise errors.method_not_allowed(", ".join(methods))
                # Not request.GET, which is read in whatever charset the Content-Type names.
                query = QueryDict(request.META.get("QUERY_STRING", ""))
                if request.method == "POST":
                    # What changes something is told who asks, for the audit trail.
                    cause = {"by": f"API key {key}", "origin": Origin.of(request)}
                    answer = JsonResponse(view(query, **kwargs, **cause), safe=False)
                else:
                    answer = JsonResponse(view(query, **kwargs), safe=False)
            except errors.ApiError as error:
                answer = _refusal(error, methods)
            except lists.InvalidParameter as error:
                answer = _refusal(errors.wrong_parameter(error), methods)
            except SuspiciousOperation:  # far too many parameters
                answer = _refusal(errors.malformed(), methods)
            patch_cache_control(answer, private=True, no_store=True)
            return answer

        return csrf_exempt(login_not_required(run))

    return decorate


READ = ("GET", "HEAD")


@endpoint(*READ)
def session_list(query: QueryDict) -> Any:
    """List the sessions of a client, of a user, or of both."""
    found = lists.get_session_list(
        client_id=query.get("client_id"),
        user_id=_user_id(query),
        status=query.get("status"),
        limit=_number(query, "limit", 10),
        offset=_number(query, "offset", 0),
    )
    data = [session_resource(session) for session in found.data]
    return page_resource(data, found.total_count) if _flag(query, "paginated") else data


@endpoint(*READ)
def session(query: QueryDict, session_id: str) -> Any:
    """One session."""
    return session_resource(_session(session_id))


@endpoint("POST")
def revoke(query: QueryDict, session_id: str, **cause: Unpack[Cause]) -> Any:
    """End a session. One that is over stays what it is, so asking twice does no harm."""
    found = _session(session_id)
    if found.is_live and not actions.revoke(found, **cause):
        found.refresh_from_db(fields=["status", "updated_at"])  # somebody else was quicker
    return session_resource(found)


@endpoint(*READ)
def client_list(query: QueryDict) -> Any:
    """All clients, the newest first."""
    limit = lists.checked_number("limit", _number(query, "limit", 10), 1, lists.MAX_LIMIT)
    offset = lists.checked_number("offset", _number(query, "offset", 0), 0, lists.MAX_OFFSET)
    paginated = _flag(query, "paginated")
    # Counting every client of a large site takes a while: only for who wants to know.
    total = Client.objects.count() if paginated else None
    beyond = total is not None and offset >= total
    found = [] if beyond else newest_clients()[offset : offset + limit]
    data = [client_resource(row, row.remembered_sessions) for row in found]
    return data if total is None else page_resource(data, total)


@endpoint(*READ)
def client(query: QueryDict, client_id: str) -> Any:
    """One client, with the accounts that it remembers."""
    row = _clients().filter(public_id=client_id).first() if lists.is_client_id(client_id) else None
    if row is None:
        raise errors.not_found("Client", client_id)
    return client_resource(row, row.remembered_sessions)


@csrf_exempt
@login_not_required
def description(request: HttpRequest) -> JsonResponse:
    """Describe this API in OpenAPI. No key is needed."""
    if request.method not in READ:
        return _refusal(errors.method_not_allowed(", ".join(READ)), READ)
    return JsonResponse(openapi.document(request.path.rpartition("/")[0]))


@endpoint()
def nothing(query: QueryDict, **kwargs: Any) -> Any:
    """Any other address below this API."""
    raise errors.no_such_endpoint()


def _refusal(error: errors.ApiError, methods: tuple[str, ...]) -> JsonResponse:
    resource = error_resource(error.code, error.message, error.long_message, error.parameter)
    answer = JsonResponse(resource, status=error.status)
    if error.status == 401:
        answer["WWW-Authenticate"] = "Bearer"
    if error.status == 405:
        answer["Allow"] = ", ".join(methods)
    return answer


def _session(public_id: str) -> Session:
    found = lists.find_session(public_id)
    if found is None:
        raise errors.not_found("Session", public_id)
    return found


def newest_clients() -> QuerySet[Any]:
    return _clients().order_by("-created_at", "-pk")


def _clients() -> QuerySet[Any]:
    """Clients, with all that ``client_resource`` asks for: a constant number of statements."""
    remembered = Session.objects.accounts().remembered()
    shown = Token.objects.living().filter(Q(parent=None) | Q(presented_at__isnull=False))
    return Client.objects.prefetch_related(
        Prefetch(
            "tokens",
            queryset=shown.select_related("session").order_by("-pk")[:1],
            to_attr="shown_tokens",
        ),
        Prefetch(
            "sessions",
            queryset=remembered.order_by("-created_at", "-pk")[:SESSIONS_OF_A_CLIENT],
            to_attr="remembered_sessions",
        ),
    )


def _user_id(query: QueryDict) -> str | None:
    """Return it as it is on the wire, with its prefix."""
    value = query.get("user_id")
    if value is not None and not _PATTERN_OF_USER_IDS.fullmatch(value):
        raise lists.InvalidParameter("user_id", value, f"an id such as '{lists.USER_PREFIX}1'")
    return value


def _number(query: QueryDict, name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text):
        raise errors.wrong_type(name, "whole number")
    return int(text[:MAX_DIGITS])


def _flag(query: QueryDict, name: str) -> bool:
    text = query.get(name, "false")
    if text not in ("true", "false"):
        raise errors.wrong_type(name, "boolean, true or false")
    return text == "true"
