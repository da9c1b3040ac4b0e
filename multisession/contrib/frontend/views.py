"""The endpoints. Each calls a verb and answers with the client as it is afterwards.

``?lean`` asks for the form that ``client.js`` uses. The views are about the browser and not about
an account, so the guard does not ask from which account's page a request comes; sameorigin.py
asks from which site.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpResponse, JsonResponse, QueryDict
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from multisession import actions
from multisession.api import errors
from multisession.api.errors import ApiError
from multisession.api.resources import error_resource, session_resource
from multisession.models import Session
from multisession.organizations import KEEP, Keep
from multisession.pages import devices as devices_of_account
from multisession.request import MultiSessionRequest

from . import resources
from .sameorigin import is_same_origin

View = Callable[..., Any]

READ = ("GET", "HEAD")
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
#: The largest body in bytes. Clerk's scripts send some hundred.
LARGEST_BODY = 4096
#: The most changes of one client in a minute.
MOST_CHANGES = 60


def endpoint(*methods: str) -> Callable[[View], View]:
    """Make a view that answers in JSON, only to pages of this origin, and is never cached."""

    def decorate(view: View) -> View:
        @wraps(view)
        def run(request: MultiSessionRequest, **kwargs: str) -> HttpResponse:
            try:
                answer = JsonResponse(_answer(view, request, methods, **kwargs), safe=False)
            except ApiError as error:
                body = error_resource(
                    error.code, error.message, error.long_message, error.parameter
                )
                answer = JsonResponse(body, status=error.status)
                if error.status == 405:
                    answer["Allow"] = ", ".join(methods)
            answer["Cross-Origin-Resource-Policy"] = "same-origin"
            answer["X-Content-Type-Options"] = "nosniff"
            patch_vary_headers(answer, ("Cookie", "Origin", "Sec-Fetch-Site"))
            return answer

        return csrf_exempt(login_not_required(never_cache(run)))

    return decorate


def _answer(
    view: View, request: MultiSessionRequest, methods: tuple[str, ...], **kwargs: str
) -> Any:
    if not is_same_origin(request):
        text = "This endpoint answers pages of its own origin only."
        raise ApiError(403, "origin_invalid", "Unauthorized request", text)
    # Not request.GET: the Content-Type of the request sets its charset.
    query = QueryDict(request.META.get("QUERY_STRING", ""))
    method = request.method
    if method == "POST":  # Clerk's scripts send nothing but GET and POST.
        method = query.get("_method", method).upper()
    if methods and method not in methods:
        raise errors.method_not_allowed(", ".join(methods))
    if method not in READ:
        _count_change(request)
    session_id = kwargs.get("session_id", "")
    try:
        return view(request, **kwargs)
    except actions.ConfirmationNeeded as error:
        text = "A switch to this account needs its password: see multisession:confirm_switch."
        raise ApiError(403, "confirmation_needed", "Confirmation needed", text) from error
    except actions.SignInAgain as error:
        text = "This account has to sign in again."
        raise ApiError(401, "session_ended", "Session ended", text) from error
    except actions.OrganizationNotFound as error:
        text = "This account has no such organization."
        raise ApiError(404, "resource_not_found", "Organization not found", text) from error
    except actions.SessionNotFound as error:
        raise errors.not_found("Session", session_id) from error
    except actions.UpdateError as error:
        text = "Another request came first. Nothing was changed."
        raise ApiError(409, "conflict", "Conflict", text) from error
    except PermissionDenied as error:
        text = "This site does not allow it. Nothing was changed."
        raise ApiError(403, "authorization_invalid", "Unauthorized request", text) from error
    except SuspiciousOperation as error:  # far too many parameters
        raise errors.malformed() from error


@endpoint()
def nothing(request: MultiSessionRequest) -> Any:
    """Answer any other path."""
    raise errors.no_such_endpoint()


@endpoint(*READ)
def environment(request: MultiSessionRequest) -> Any:
    """Return the settings for Clerk's scripts."""
    return resources.environment_resource()


@endpoint(*READ, "DELETE")
def client(request: MultiSessionRequest) -> Any:
    """Return the accounts of this browser. Two queries.

    DELETE signs out of all accounts, for clerk-js 4.
    """
    return whole_client(request) if request.method in READ else sign_out_all(request)


@endpoint("DELETE")
def sessions(request: MultiSessionRequest) -> Any:
    """Sign out of all accounts."""
    return sign_out_all(request)


@endpoint("POST")
def touch(request: MultiSessionRequest, session_id: str) -> Any:
    """Make a session or an organization the active one, or note activity.

    ``intent``: "select_session", or none from older scripts, switches. "select_org" also enters the
    organization ``active_organization_id``; an empty one leaves. ``client.js`` sends only
    ``organization`` for that. "focus" (a tab came to the front) notes the activity of the active
    session and never switches.
    """
    body = _body(request)
    intent = body.get("intent", "select_session")
    organization = body.get("organization")
    if intent == "select_org":
        organization = body.get("active_organization_id", "")
    if intent in ("select_session", "select_org"):
        entering: str | None | Keep = KEEP if organization is None else organization or None
        found = actions.set_active(request, session_id, organization=entering)
    elif intent == "focus":
        found = _signed_in(request, session_id)
        if found == request.multisession.session:
            actions.touch(request)
    else:
        raise ApiError(
            422,
            "form_param_value_invalid",
            "is invalid",
            "intent must be select_session, select_org or focus.",
            parameter="intent",
        )
    return changed(request, found)


@endpoint("POST")
def end(request: MultiSessionRequest, session_id: str) -> Any:
    """Sign out of one account, which stays remembered."""
    return changed(request, actions.sign_out(request, session_id))


@endpoint("POST")
def remove(request: MultiSessionRequest, session_id: str) -> Any:
    """Take one account off this browser's list."""
    return changed(request, actions.forget(request, session_id))


@endpoint("POST")
def tokens(request: MultiSessionRequest, session_id: str) -> Any:
    """Return a JWT for its times; it opens nothing."""
    return resources.token_resource(_signed_in(request, session_id), request)


@endpoint(*READ)
def devices(request: MultiSessionRequest) -> Any:
    """List where the active account is signed in, this browser first."""
    active = _active(request)
    elsewhere = [device.session for device in devices_of_account.elsewhere(active)]
    return [session_resource(row) for row in (active, *elsewhere)]


@endpoint("POST")
def revoke(request: MultiSessionRequest, session_id: str) -> Any:
    """Sign the active account out of one of its browsers."""
    _active(request)
    return session_resource(devices_of_account.sign_out_device(request, session_id))


def sign_out_all(request: MultiSessionRequest) -> dict[str, Any]:
    actions.sign_out_all(request)
    return whole_client(request)


def whole_client(request: MultiSessionRequest) -> dict[str, Any]:
    """Return the client as the answer to a request that is not about one session."""
    if _is_lean(request):
        return resources.lean_client(request)
    return {"response": resources.client_resource(request), "client": None}


def changed(request: MultiSessionRequest, session: Session | None) -> dict[str, Any]:
    """Return the session that was changed, and the client as it is now."""
    if _is_lean(request):
        return resources.lean_client(request)
    response = resources.full_session(session, request) if session is not None else None
    return {"response": response, "client": resources.client_resource(request)}


def _is_lean(request: MultiSessionRequest) -> bool:
    return "lean" in QueryDict(request.META.get("QUERY_STRING", ""))


def _active(request: MultiSessionRequest) -> Session:
    active = request.multisession.session
    if active is None:
        raise ApiError(401, "signed_out", "Signed out", "No account is active in this browser.")
    return active


def _signed_in(request: MultiSessionRequest, session_id: str) -> Session:
    """Return a session that is signed in on this browser. Raises SessionNotFound."""
    for row in request.multisession.sessions:
        if row.public_id == session_id:
            return row
    raise actions.SessionNotFound


def _body(request: MultiSessionRequest) -> dict[str, str]:
    """Return the fields of a form or of a JSON object. Raises ApiError."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST_BODY:
        text = f"The body may have {LARGEST_BODY} bytes."
        raise ApiError(413, "request_body_too_large", "Request body too large", text)
    if not request.body:  # a server may have made up its type (wsgiref: text/plain)
        return {}
    if request.content_type not in (FORM, JSON):
        text = f"The body must be {FORM} or {JSON}."
        raise ApiError(415, "unsupported_content_type", "Unsupported content type", text)
    try:
        text = request.body.decode()
        if request.content_type != JSON:
            return QueryDict(text).dict()
        found = json.loads(text or "{}")
    except ValueError as error:
        raise errors.malformed() from error
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise errors.malformed()
    return found


def _count_change(request: MultiSessionRequest) -> None:
    """Refuse a client that changes too often. Counted in Django's default cache."""
    client_id = request.multisession.client_id
    if client_id is None:
        return
    key = f"multisession.frontend:{client_id}"
    cache.add(key, 0, timeout=60)
    try:
        count = cache.incr(key)
    except ValueError:  # it has just expired
        return
    if count > MOST_CHANGES:
        text = "Too many changes. Try again in a minute."
        raise ApiError(429, "too_many_requests", "Too many requests", text)
