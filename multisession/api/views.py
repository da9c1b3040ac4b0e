"""The endpoints. Each returns its data; the ``endpoint`` decorator does the rest."""

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
from multisession.models import ApiKey, Client, Session
from multisession.models.events import Cause
from multisession.models.tokens import Token

from . import errors, keys, openapi
from .resources import (
    client_resource,
    error_resource,
    event_resource,
    page_resource,
    session_resource,
)

View = Callable[..., Any]

#: The most sessions shown for a client. It has few accounts, but each may have many old sessions.
SESSIONS_OF_A_CLIENT = 100
#: More digits than any valid number has. Python is slow at parsing thousands of digits.
MAX_DIGITS = 20
_NUMBER = re.compile(r"-?[0-9]+", re.ASCII)
_PATTERN_OF_USER_IDS = re.compile(rf"{lists.USER_PREFIX}.+", re.DOTALL)


def endpoint(*methods: str, scope: ApiKey.Scope = ApiKey.Scope.READ) -> Callable[[View], View]:
    """Make an API view: it answers in JSON and refuses requests without a valid key of this scope.

    The API ignores cookies, so it needs no CSRF protection. The view gets the query and the URL's
    arguments.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def run(request: HttpRequest, **kwargs: str) -> JsonResponse:
            try:
                key = keys.authenticate(request)
                if methods and request.method not in methods:
                    raise errors.method_not_allowed(", ".join(methods))
                if not key.allows(scope):
                    raise errors.scope_missing(scope.value)
                # Not request.GET: the Content-Type of the request sets its charset.
                query = QueryDict(request.META.get("QUERY_STRING", ""))
                if request.method == "POST":
                    # For the audit trail.
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
    """Return one session."""
    return session_resource(_session(session_id))


@endpoint("POST", scope=ApiKey.Scope.REVOKE)
def revoke(query: QueryDict, session_id: str, **cause: Unpack[Cause]) -> Any:
    """Revoke a session. An ended session keeps its status, so a repeated request is harmless."""
    found = _session(session_id)
    if found.is_live and not actions.revoke(found, **cause):
        found.refresh_from_db(fields=["status", "updated_at"])  # another request has ended it
    return session_resource(found)


@endpoint(*READ)
def client_list(query: QueryDict) -> Any:
    """List all clients, the newest first."""
    limit = lists.checked_number("limit", _number(query, "limit", 10), 1, lists.MAX_LIMIT)
    offset = lists.checked_number("offset", _number(query, "offset", 0), 0, lists.MAX_OFFSET)
    paginated = _flag(query, "paginated")
    # Counting the clients of a large site is slow, so do it on request only.
    total = Client.objects.count() if paginated else None
    beyond = total is not None and offset >= total
    found = [] if beyond else newest_clients()[offset : offset + limit]
    data = [client_resource(row, row.remembered_sessions) for row in found]
    return data if total is None else page_resource(data, total)


@endpoint(*READ)
def client(query: QueryDict, client_id: str) -> Any:
    """Return one client with the accounts that it remembers."""
    row = _clients().filter(public_id=client_id).first() if lists.is_client_id(client_id) else None
    if row is None:
        raise errors.not_found("Client", client_id)
    return client_resource(row, row.remembered_sessions)


@endpoint(*READ)
def event_list(query: QueryDict) -> Any:
    """List what happened to a user's sessions, the newest first."""
    found = lists.get_event_list(
        user_id=_user_id(query), limit=_number(query, "limit", 10), before=query.get("before")
    )
    return {"data": [event_resource(event) for event in found.data], "older": found.older}


@csrf_exempt
@login_not_required
def description(request: HttpRequest) -> JsonResponse:
    """Return the OpenAPI description. Needs no key."""
    if request.method not in READ:
        return _refusal(errors.method_not_allowed(", ".join(READ)), READ)
    return JsonResponse(openapi.document(request.path.rpartition("/")[0]))


@endpoint()
def nothing(query: QueryDict, **kwargs: Any) -> Any:
    """Answer any other path below the API."""
    raise errors.no_such_endpoint()


def _refusal(error: errors.ApiError, methods: tuple[str, ...]) -> JsonResponse:
    resource = error_resource(error.code, error.message, error.long_message, error.parameter)
    answer = JsonResponse(resource, status=error.status)
    if error.status == 401:
        answer["WWW-Authenticate"] = "Bearer"
    if error.status == 403:
        answer["WWW-Authenticate"] = 'Bearer error="insufficient_scope"'
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
    """Return clients with all that ``client_resource`` reads, in a constant number of queries."""
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
    """Return the ``user_id`` parameter unchanged, with its prefix."""
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
