"""What can go wrong, in our words, and its translation from and to gRPC.

    KodamaError
    ├── InvalidField          a field can never be right so
    ├── NotFound              not there, or not for this viewer; which of both is not told
    ├── AlreadyExists         the name is taken
    ├── Unauthenticated       the token is missing, unknown or revoked
    ├── PermissionDenied      known, and may not
    ├── FailedPrecondition    the state does not allow it
    ├── LimitReached          a stated maximum
    ├── IdempotencyKeyReused  the same key with another body
    ├── OAuthRefused          OAuth says no; `code` says it in its words
    ├── TooManyAttempts       somebody tries too often
    ├── Conflict              a concurrent change; try again
    └── Unavailable           a part of the network does not answer

On the wire an error is a google.rpc.Status with exactly one google.rpc.ErrorInfo (AIP-193), whose reason is a value of
kodama.errors.v1.ErrorReason. Drivers' errors never leave a service.
"""

from typing import ClassVar

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2
from google.rpc import status_pb2 as rpc_status_pb2
from grpc_status import rpc_status
from kodama.errors.v1.error_reason_pb2 import ErrorReason

DOMAIN = "kodama"


class KodamaError(Exception):
    """An expected failure with a sentence for people and a reason for machines."""

    reason: ClassVar[ErrorReason.ValueType] = ErrorReason.ERROR_REASON_INTERNAL
    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata


class InvalidField(KodamaError):
    """A field has a value that can never be right; `field` names it."""

    reason = ErrorReason.ERROR_REASON_INVALID_FIELD
    code = grpc.StatusCode.INVALID_ARGUMENT

    def __init__(self, field: str, message: str, **metadata: str) -> None:
        super().__init__(message, field=field, **metadata)


class NotFound(KodamaError):
    """What was asked for does not exist, or this viewer may not see it."""

    reason = ErrorReason.ERROR_REASON_NOT_FOUND
    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(KodamaError):
    """The name is taken; `field` names which."""

    reason = ErrorReason.ERROR_REASON_ALREADY_EXISTS
    code = grpc.StatusCode.ALREADY_EXISTS


class Unauthenticated(KodamaError):
    """The token is missing, unknown or revoked."""

    reason = ErrorReason.ERROR_REASON_UNAUTHENTICATED
    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(KodamaError):
    """The caller is known and may not do this."""

    reason = ErrorReason.ERROR_REASON_PERMISSION_DENIED
    code = grpc.StatusCode.PERMISSION_DENIED


class FailedPrecondition(KodamaError):
    """The state does not allow it."""

    reason = ErrorReason.ERROR_REASON_FAILED_PRECONDITION
    code = grpc.StatusCode.FAILED_PRECONDITION


class LimitReached(KodamaError):
    """A stated maximum is reached."""

    reason = ErrorReason.ERROR_REASON_LIMIT_REACHED
    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class IdempotencyKeyReused(KodamaError):
    """The same idempotency key came with another body."""

    reason = ErrorReason.ERROR_REASON_IDEMPOTENCY_KEY_REUSED
    code = grpc.StatusCode.INVALID_ARGUMENT


class OAuthRefused(KodamaError):
    """OAuth says no (RFC 6749): `code` is the error's name there, `redirect_uri` where the app is told, if it is."""

    reason = ErrorReason.ERROR_REASON_OAUTH_REFUSED
    code = grpc.StatusCode.INVALID_ARGUMENT


class TooManyAttempts(KodamaError):
    """Somebody tries too often; `retryAfterSeconds` says when the next attempt is let through."""

    reason = ErrorReason.ERROR_REASON_TOO_MANY_ATTEMPTS
    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Conflict(KodamaError):
    """A concurrent change got in the way; the same call can succeed now."""

    reason = ErrorReason.ERROR_REASON_CONFLICT
    code = grpc.StatusCode.ABORTED


class Unavailable(KodamaError):
    """A part of the network does not answer."""

    reason = ErrorReason.ERROR_REASON_UNAVAILABLE
    code = grpc.StatusCode.UNAVAILABLE


_KINDS: dict[str, type[KodamaError]] = {
    ErrorReason.Name(kind.reason).removeprefix("ERROR_REASON_"): kind
    for kind in (
        NotFound,
        AlreadyExists,
        Unauthenticated,
        PermissionDenied,
        FailedPrecondition,
        LimitReached,
        IdempotencyKeyReused,
        OAuthRefused,
        TooManyAttempts,
        Conflict,
        Unavailable,
    )
}


def to_rpc_status(error: KodamaError) -> rpc_status_pb2.Status:
    """Return what an RPC is ended with."""
    info = error_details_pb2.ErrorInfo(
        reason=ErrorReason.Name(error.reason).removeprefix("ERROR_REASON_"),
        domain=DOMAIN,
        metadata=error.metadata,
    )
    detail = any_pb2.Any()
    detail.Pack(info)
    return rpc_status_pb2.Status(code=error.code.value[0], message=error.message, details=[detail])


def from_rpc_error(error: grpc.aio.AioRpcError) -> KodamaError:
    """Return the error of ours that an RPC ended with; what is not ours becomes Unavailable or a plain KodamaError."""
    rich = rpc_status.from_call(error)  # type: ignore[arg-type]  # an AioRpcError has what is read here
    ours = from_rpc_status(rich) if rich is not None else None
    if ours is not None:
        return ours
    if error.code() in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
    ):
        return Unavailable("A part of the network does not answer; please try again in a moment.")
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Unavailable("The network is busy; please try again in a moment.")
    return KodamaError(f"The call failed: {error.code().name}: {error.details() or 'no details'}")


def from_rpc_status(status: rpc_status_pb2.Status) -> KodamaError | None:
    """Return the error of ours that a status tells of; None where it is none of ours."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            return _from_info(info, status.message)
    return None


def _from_info(info: error_details_pb2.ErrorInfo, message: str) -> KodamaError:
    metadata = dict(info.metadata)
    if info.reason == "INVALID_FIELD":
        return InvalidField(metadata.pop("field", "?"), message, **metadata)
    return _KINDS.get(info.reason, KodamaError)(message, **metadata)
