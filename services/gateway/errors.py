"""Errors over HTTP: every failure is a code, a sentence and, where one is at fault, a field.

Expected failures arrive as chassis.errors; the four below can only happen on this edge.
"""

import random
from collections.abc import Callable, Mapping

import msgspec
import structlog
from starlette.responses import Response

from chassis.errors import (
    AlreadyExists,
    Conflict,
    FailedPrecondition,
    IdempotencyKeyReused,
    InvalidField,
    KodamaError,
    LimitReached,
    NotFound,
    OAuthRefused,
    PermissionDenied,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
)

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = (1, 4)
"""From, to: drawn anew each time, so that who was refused together does not come back together."""

FIELD_NAMES: Mapping[str, str] = {
    "account_id": "id",
    "account_ids": "id",
    "handle": "username",
    "request_id": "Idempotency-Key",
    "requester_id": "id",
    "target_id": "id",
}
"""Names in the contracts that are called otherwise on every route; a route can add its own."""


class BadRequest(KodamaError):
    """The request cannot be read."""


class TooLarge(KodamaError):
    """The body is larger than allowed."""


class UnsupportedMedia(KodamaError):
    """The body has a form that is not read here."""


class TooManyRequests(KodamaError):
    """A rate limit is used up; `seconds` says for how long."""


HTTP_CODES: Mapping[type[KodamaError], int] = {
    BadRequest: 400,
    TooLarge: 413,
    UnsupportedMedia: 415,
    InvalidField: 422,
    NotFound: 404,
    AlreadyExists: 422,
    Unauthenticated: 401,
    PermissionDenied: 403,
    FailedPrecondition: 422,
    LimitReached: 422,
    IdempotencyKeyReused: 422,
    OAuthRefused: 400,
    TooManyAttempts: 429,
    Conflict: 409,
    TooManyRequests: 429,
    Unavailable: 503,
}


class ErrorBody(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a client reads of a failure."""

    error: str
    error_description: str
    field: str = ""


ErrorStyle = Callable[[KodamaError, Mapping[str, str]], Response]
"""How a family of routes says what went wrong: the error, and the names that fields of the contracts have on this route."""


def http_code(error: KodamaError) -> int:
    """Return the HTTP code of an error; 500 for what is nobody's fault but ours."""
    return HTTP_CODES.get(type(error), 500)


def field_name(error: KodamaError, names: Mapping[str, str]) -> str:
    """Return the name that the client knows the faulty field by, or the empty string."""
    field = error.metadata.get("field", "")
    return names.get(field) or FIELD_NAMES.get(field, field)


def error_headers(error: KodamaError) -> dict[str, str]:
    """Return the headers that belong to an error."""
    match error:
        case Unauthenticated():
            problem = ', error="invalid_token"' if error.metadata.get("given") else ""
            return {"www-authenticate": f'Bearer realm="Kodama"{problem}'}
        case PermissionDenied() if "scope" in error.metadata:
            scope = error.metadata["scope"]
            return {"www-authenticate": f'Bearer realm="Kodama", error="insufficient_scope", scope="{scope}"'}
        case TooManyAttempts():
            return {"retry-after": error.metadata["retryAfterSeconds"]}
        case Unavailable():
            return {"retry-after": retry_after()}
        case TooManyRequests():
            return {"retry-after": error.metadata["seconds"]}
        case TooLarge():
            return {"connection": "close"}  # what the client still sends is not worth reading
        case _:
            return {}


def retry_after() -> str:
    """Return in how many seconds somebody who was refused shall try again."""
    return str(random.randint(*RETRY_AFTER_SECONDS))  # noqa: S311 - not a secret


def api_error(error: KodamaError, names: Mapping[str, str]) -> Response:
    """Return the answer of an API route that failed."""
    body = ErrorBody(error=error.message, error_description=error.message, field=field_name(error, names))
    return error_response(http_code(error), body, error_headers(error))


def error_response(code: int, body: msgspec.Struct, headers: Mapping[str, str] | None = None) -> Response:
    """Return a failure as JSON."""
    return Response(msgspec.json.encode(body), code, dict(headers or {}), "application/json")


def plain_error(code: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a failure that no error of ours stands for, such as an unknown route."""
    return error_response(code, ErrorBody(error=sentence, error_description=sentence), headers)


def log_failure(error: BaseException, path: str) -> None:
    """Log a defect; the client is told nothing of it."""
    log.error("request failed", path=path, exc_info=error)
