"""Who may make a call, until when, and how it ends: the same for a call that is made alone and for one in an exchange."""

import contextvars
import time
from collections.abc import Mapping
from typing import NoReturn

import grpc
import structlog
from google.rpc import status_pb2 as rpc_status_pb2
from grpc_status import rpc_status

from chassis import caller
from chassis.errors import KodamaError, Unavailable, to_rpc_status

log = structlog.get_logger(__name__)

MAX_DEADLINE_SECONDS = 60.0
UNSIGNED = "The call is not signed by a process of this network."

_deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar("deadline", default=None)


class Aborted(grpc.aio.AbortError):
    """A call that is ended with a google.rpc.Status."""

    def __init__(self, status: rpc_status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


class Policies:
    """Which roles may call which RPC; what is not listed may be called by nobody."""

    def __init__(self, roles: Mapping[str, frozenset[str]]) -> None:
        self._roles = roles

    def admit(self, method: str, role: str, remaining_seconds: float | None) -> None:
        """Begin a call in this context: note its role and deadline for what it calls itself.

        Raises Aborted where the caller is nobody, is not let in, or gave no deadline.
        """
        if not role:
            _abort(grpc.StatusCode.UNAUTHENTICATED, UNSIGNED)
        if role not in self._roles.get(method, frozenset()):
            _abort(grpc.StatusCode.PERMISSION_DENIED, f"{role} may not call this RPC.")
        if remaining_seconds is None:
            _abort(grpc.StatusCode.INVALID_ARGUMENT, "The call has no deadline.")
        caller.current_role.set(role)
        _deadline.set(time.monotonic() + min(remaining_seconds, MAX_DEADLINE_SECONDS))


def _abort(code: grpc.StatusCode, message: str) -> NoReturn:
    raise Aborted(rpc_status_pb2.Status(code=code.value[0], message=message))


def status_of(method: str, error: Exception) -> rpc_status_pb2.Status:
    """Return what a call ends with; a fault of ours is logged, and its text stays here."""
    if isinstance(error, Aborted):
        return error.status
    if not isinstance(error, KodamaError):
        log.error("rpc failed", method=method, exc_info=error)
        error = KodamaError("The service failed; the fault is ours and has been logged.")
    return to_rpc_status(error)


async def end(context: grpc.aio.ServicerContext[object, object], method: str, error: Exception) -> None:
    """End a call that is made alone with an error. Raises AbortError."""
    if isinstance(error, grpc.aio.AbortError) and not isinstance(error, Aborted):
        raise error
    status = status_of(method, error)
    if status.details:
        await context.abort_with_status(rpc_status.to_status(status))
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    await context.abort(code, status.message)


def time_left(timeout_seconds: float) -> float:
    """Return how long an inner call may take: not longer than the call that is being served still has, less the way back.

    Raises Unavailable where nothing is left.
    """
    deadline = _deadline.get()
    if deadline is None:
        return timeout_seconds
    left = (deadline - time.monotonic()) * 0.9  # the answer needs its way back
    if left <= 0:
        raise Unavailable("The call took too long; please try again in a moment.")
    return min(timeout_seconds, left)
