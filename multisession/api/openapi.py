"""The API's description in OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from django.db import models

from multisession import __version__, lists
from multisession.models import Event, Session

Schema = dict[str, Any]

_ID = {"type": "string"}
_TIME = {"type": "integer", "format": "int64", "description": "Milliseconds since 1970."}
_TEXT_OR_NULL = {"type": ["string", "null"]}


def document(base: str) -> Schema:
    """Return the whole document. ``base`` is the path under which the API is included."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "multisession",
            "version": __version__,
            "description": "Who is signed in where: sessions and clients, as in Clerk's API; and "
            "the history of a user.",
        },
        "servers": [{"url": base or "/"}],
        "security": [{"secret_key": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"secret_key": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


def _paths() -> Schema:
    which = [
        _query("client_id", {"type": "string", "pattern": "^client_[0-9A-Za-z]{1,33}$"}),
        _query("user_id", {"type": "string", "pattern": _pattern_of_user_ids()}),
        _query("status", {"type": "string", "enum": list(Session.Status.values)}),
    ]
    session_id = _path("session_id", {"type": "string", "pattern": "^sess_[0-9A-Za-z]{1,35}$"})
    client_id = _path("client_id", {"type": "string", "pattern": "^client_[0-9A-Za-z]{1,33}$"})
    return {
        "/sessions": {
            "get": _operation(
                "GetSessionList",
                "The sessions of a client, of a user, or of both; the newest first. At least one "
                "of client_id and user_id is required.",
                _array_or_page("Session"),
                [*which, *_page()],
                "400",
                "422",
            )
        },
        "/sessions/{session_id}": {
            "get": _operation("GetSession", "One session.", _ref("Session"), [session_id], "404")
        },
        "/sessions/{session_id}/revoke": {
            "post": _operation(
                "RevokeSession",
                "End a session. One that is over stays what it is.",
                _ref("Session"),
                [session_id],
                "403",
                "404",
            )
        },
        "/clients": {
            "get": _operation(
                "GetClientList",
                "All clients, the newest first.",
                _array_or_page("Client"),
                _page(),
                "422",
            )
        },
        "/clients/{client_id}": {
            "get": _operation("GetClient", "One client.", _ref("Client"), [client_id], "404")
        },
        "/events": {
            "get": _operation(
                "GetEventList",
                "What happened to the sessions of a user, the newest first. For the next page, "
                "send the answer's older as before; null is the end.",
                _ref("EventPage"),
                [
                    _query("user_id", {"type": "string", "pattern": _pattern_of_user_ids()})
                    | {"required": True},
                    _query("before", {"type": "string", "pattern": "^event_[0-9]{1,18}$"}),
                    _query("limit", _limit()),
                ],
                "422",
            )
        },
    }


def _operation(
    name: str, description: str, schema: Schema, parameters: list[Schema], *errors: str
) -> Schema:
    words = {
        "400": "The parameters can't be read, or a required one is missing.",
        "401": "There is no valid secret key.",
        "403": "The secret key may only read.",
        "404": "There is no such thing.",
        "422": "A parameter has a value that it can't have.",
    }
    answers: Schema = {"200": _answer("What was asked for.", schema)}
    for status in sorted({"400", "401", *errors}):
        answers[status] = _answer(words[status], _ref("Errors"))
    return {
        "operationId": name,
        "description": description,
        "parameters": parameters,
        "responses": answers,
    }


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _array_or_page(name: str) -> Schema:
    array = {"type": "array", "items": _ref(name)}
    page = _object({"data": array, "total_count": {"type": "integer", "minimum": 0}})
    return {"oneOf": [array, page]}


def _page() -> list[Schema]:
    offset = {"type": "integer", "minimum": 0, "maximum": lists.MAX_OFFSET, "default": 0}
    return [
        _query("limit", _limit()),
        _query("offset", offset),
        _query("paginated", {"type": "boolean", "default": False}),
    ]


def _limit() -> Schema:
    return {"type": "integer", "minimum": 1, "maximum": lists.MAX_LIMIT, "default": 10}


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


def _path(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _pattern_of_user_ids() -> str:
    """Return the pattern of user ids, which depends on the project's user model."""
    field: Any = lists.user_model()._meta.pk
    while field.remote_field is not None:
        field = field.target_field
    if isinstance(field, models.UUIDField):
        return "^user_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
    if isinstance(field, models.IntegerField):
        return "^user_(0|[1-9][0-9]{0,8})$"
    return "^user_.+$"


def _schemas() -> Schema:
    activity = _object(
        {
            "object": {"type": "string", "const": "session_activity"},
            "id": _ID,
            "is_mobile": {"type": "boolean"},
            "device_type": _TEXT_OR_NULL,
            "browser_name": _TEXT_OR_NULL,
            "browser_version": _TEXT_OR_NULL,
            "ip_address": _TEXT_OR_NULL,
            "city": _TEXT_OR_NULL,
            "country": _TEXT_OR_NULL,
        }
    )
    session = _object(
        {
            "object": {"type": "string", "const": "session"},
            "id": _ID,
            "client_id": _ID,
            "user_id": _ID,
            "actor": {"type": ["object", "null"], "properties": {"sub": _ID}, "required": ["sub"]},
            "status": {"type": "string", "enum": list(Session.Status.values)},
            "last_active_organization_id": _TEXT_OR_NULL,
            "last_active_at": _TIME,
            "latest_activity": activity,
            "expire_at": _TIME,
            "abandon_at": _TIME,
            "created_at": _TIME,
            "updated_at": _TIME,
            "tasks": {"type": ["array", "null"], "items": {"type": "object"}},
        }
    )
    client = _object(
        {
            "object": {"type": "string", "const": "client"},
            "id": _ID,
            "session_ids": {"type": "array", "items": _ID},
            "sessions": {"type": "array", "items": _ref("Session")},
            "sign_in_id": _TEXT_OR_NULL,
            "sign_up_id": _TEXT_OR_NULL,
            "last_active_session_id": _TEXT_OR_NULL,
            "last_authentication_strategy": _TEXT_OR_NULL,
            "created_at": _TIME,
            "updated_at": _TIME,
        }
    )
    text = {"type": "string"}
    actor = _object({"sub": _TEXT_OR_NULL, "name": text})
    event = _object(
        {
            "object": {"type": "string", "const": "event"},
            "id": _ID,
            "kind": {"type": "string", "enum": list(Event.Kind.values)},
            "user_id": _ID,
            "account": text,
            "session_id": _ID,
            "client_id": _ID,
            "organization_id": _TEXT_OR_NULL,
            "actor": {**actor, "type": ["object", "null"]},
            "ip_address": _TEXT_OR_NULL,
            "browser_name": _TEXT_OR_NULL,
            "device_type": _TEXT_OR_NULL,
            "created_at": _TIME,
        }
    )
    events = _object({"data": {"type": "array", "items": _ref("Event")}, "older": _TEXT_OR_NULL})
    error = _object(
        {"message": text, "long_message": text, "code": text, "meta": {"type": "object"}}
    )
    errors = _object({"errors": {"type": "array", "items": error, "minItems": 1}})
    return {
        "Session": session,
        "Client": client,
        "Event": event,
        "EventPage": events,
        "Errors": errors,
    }
