"""The RPCs of the ledger, the same in every producing service."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import grpc
import msgspec
from kodama.ledger.v1 import ledger_service_pb2 as pb
from kodama.ledger.v1 import ledger_service_pb2_grpc as pb_grpc

from chassis import caller, ledger
from chassis.database import Connection, Pool, connection
from chassis.errors import InvalidField
from chassis.metrics import Freshness
from chassis.rpc import Service, method_names, require_batch

MAX_ROWS = 1000
STATES = {state: pb.WorkState.Value(f"WORK_STATE_{state.name}") for state in ledger.WorkState}
Context = grpc.aio.ServicerContext[Any, Any]


class LedgerServicer(pb_grpc.LedgerServiceServicer):
    """Serves the ledger of one schema."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._freshness = Freshness()

    async def CompleteWork(self, request: pb.CompleteWorkRequest, context: Context) -> pb.CompleteWorkResponse:
        """Delete done rows."""
        require_batch("row_ids", request.row_ids, MAX_ROWS)
        async with connection(self._pool) as conn:
            deliveries = await ledger.complete(conn, request.row_ids)
        self._freshness.note(deliveries)
        return pb.CompleteWorkResponse(completed=len(deliveries))

    async def RecordFailure(self, request: pb.RecordFailureRequest, context: Context) -> pb.RecordFailureResponse:
        """Note a failure on rows."""
        require_batch("row_ids", request.row_ids, MAX_ROWS)
        async with connection(self._pool) as conn:
            await ledger.record_failure(conn, request.row_ids, request.error, is_transient=request.is_transient)
        return pb.RecordFailureResponse()

    async def ListOpenWork(self, request: pb.ListOpenWorkRequest, context: Context) -> pb.ListOpenWorkResponse:
        """List the oldest open rows."""
        limit = _bounded("limit", request.limit, default=1000, maximum=5000)
        async with connection(self._pool) as conn:
            rows = await ledger.list_open(conn, list(request.tasks), limit + 1)
        has_more = sum(len(ledger.payloads_of(row.payload)) for row in rows) > limit
        return pb.ListOpenWorkResponse(
            rows=[_to_proto(row) for row in rows[: -1 if has_more else None]], has_more=has_more
        )

    async def GetLag(self, request: pb.GetLagRequest, context: Context) -> pb.GetLagResponse:
        """Tell how late each task is, and how long the last rows took."""
        async with connection(self._pool) as conn:
            lags = await ledger.lag(conn)
        return pb.GetLagResponse(
            tasks=[pb.TaskLag(**asdict(lag)) for lag in lags],
            paces=[pb.TaskPace(**asdict(pace)) for pace in self._freshness.paces()],
        )

    async def ListDeadWork(self, request: pb.ListDeadWorkRequest, context: Context) -> pb.ListDeadWorkResponse:
        """List dead rows."""
        limit = _bounded("page_size", request.page_size, default=100, maximum=MAX_ROWS)
        async with connection(self._pool) as conn:
            rows = await ledger.list_dead(conn, request.after_id, limit)
        return pb.ListDeadWorkResponse(rows=[_to_proto(row) for row in rows])

    async def ReplayDeadWork(self, request: pb.ReplayDeadWorkRequest, context: Context) -> pb.ReplayDeadWorkResponse:
        """Make dead rows due again."""
        return pb.ReplayDeadWorkResponse(replayed=await self._on_rows(ledger.replay, request.row_ids))

    async def DiscardDeadWork(self, request: pb.DiscardDeadWorkRequest, context: Context) -> pb.DiscardDeadWorkResponse:
        """Delete dead rows."""
        return pb.DiscardDeadWorkResponse(discarded=await self._on_rows(ledger.discard, request.row_ids))

    async def _on_rows(self, change: Callable[[Connection, Any], Awaitable[int]], row_ids: Any) -> int:
        require_batch("row_ids", row_ids, MAX_ROWS)
        async with connection(self._pool) as conn:
            return await change(conn, row_ids)


def _bounded(field: str, value: int, *, default: int, maximum: int) -> int:
    if value < 0:
        raise InvalidField(field, f"{field} cannot be negative.")
    return min(value or default, maximum)


def _to_proto(row: ledger.WorkRow) -> pb.WorkRow:
    return pb.WorkRow(
        id=row.id,
        task=row.task,
        payload_json=msgspec.json.encode(row.payload).decode(),
        created_at_ms=int(row.created_at.timestamp() * 1000),
        attempts=row.failures,
        last_error=row.last_error,
        publications=row.publications,
        failures=row.failures,
        state=STATES[row.state],
    )


def ledger_service(pool: Pool) -> Service:
    """Return the ledger's service for a server, with its policy."""
    workers = frozenset({caller.WORKER})
    operators = frozenset({caller.OPERATOR})
    return Service(
        name="kodama.ledger.v1.LedgerService",
        add=lambda server: pb_grpc.add_LedgerServiceServicer_to_server(LedgerServicer(pool), server),
        callers={
            "CompleteWork": workers,
            "RecordFailure": workers,
            "ListOpenWork": frozenset({caller.TIMELINE, caller.OPERATOR}),
            "GetLag": frozenset({caller.TIMELINE, caller.OPERATOR}),
            "ListDeadWork": operators,
            "ReplayDeadWork": operators,
            "DiscardDeadWork": operators,
        },
        methods=method_names(pb.DESCRIPTOR.services_by_name["LedgerService"]),
    )
