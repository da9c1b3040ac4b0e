"""The API's errors, with the status, code and wording of Clerk's Backend API."""

from __future__ import annotations

from multisession.lists import InvalidParameter, MissingParameter

MAX_SHOWN = 100


class ApiError(Exception):
    """An error response. ``parameter`` is the name of the invalid parameter."""

    def __init__(
        self, status: int, code: str, message: str, long_message: str, *, parameter: str = ""
    ) -> None:
        super().__init__(long_message)
        self.status = status
        self.code = code
        self.message = message
        self.long_message = long_message
        self.parameter = parameter


def header_invalid() -> ApiError:
    return ApiError(
        401,
        "authorization_header_format_invalid",
        "Invalid Authorization header format",
        "Invalid Authorization header format. Must be 'Bearer <YOUR_API_KEY>'.",
    )


def key_invalid() -> ApiError:
    """Return the error for an unknown, revoked or expired key."""
    return ApiError(
        401,
        "clerk_key_invalid",
        "The provided secret key is invalid",
        "The provided secret key is invalid. Make sure that it is correct, was not revoked and has "
        "not expired.",
    )


def scope_missing(scope: str) -> ApiError:
    """Return the error for a valid key that does not allow this."""
    return ApiError(
        403,
        "authorization_invalid",
        "Unauthorized request",
        f"The provided secret key may not do this. It needs the scope {scope!r}.",
    )


def not_found(what: str, public_id: str) -> ApiError:
    """Return the error for an unknown id. ``what``: "Session" or "Client"."""
    return ApiError(
        404,
        "resource_not_found",
        f"{what} not found",
        f"No {what.lower()} was found with id {_cut(public_id)}",
    )


def no_such_endpoint() -> ApiError:
    return ApiError(404, "resource_not_found", "Not found", "There is no such endpoint.")


def method_not_allowed(allowed: str) -> ApiError:
    text = f"This endpoint takes {allowed} only."
    return ApiError(405, "method_not_allowed", "Method not allowed", text)


def malformed() -> ApiError:
    return ApiError(
        400,
        "malformed_request_parameters",
        "Malformed request parameters",
        "The parameters of the request could not be read.",
    )


def wrong_type(parameter: str, type_: str) -> ApiError:
    return ApiError(
        422,
        "form_param_type_invalid",
        "is invalid",
        f"{parameter} must be a {type_}.",
        parameter=parameter,
    )


def wrong_parameter(error: InvalidParameter) -> ApiError:
    """Return the API error for an InvalidParameter that a list raised."""
    name = error.parameter
    if isinstance(error, MissingParameter):
        which = "Either of the following query parameters" if "," in name else "The query parameter"
        text = f"{which} must be provided: {name}."
        return ApiError(400, "missing_query_parameter", "Missing query parameter", text)
    if name == "status":
        code = "form_param_value_invalid"
        text = f"{_cut(error.value)} does not match one of the allowed values for parameter {name}"
        text = f"{text}. It must be {error.valid}."
    else:
        code, text = "form_param_format_invalid", str(error)
    return ApiError(422, code, "is invalid", text, parameter=name)


def _cut(value: object) -> str:
    text = str(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
