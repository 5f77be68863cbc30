"""The RPCs of StatusService: requests into the domain's words and back, no rules, no SQL."""

from typing import Any

import grpc
from kodama.status.v1 import status_pb2, status_service_pb2_grpc
from kodama.status.v1 import status_service_pb2 as pb

from chassis import caller, ids
from chassis.idempotency import Write, Writes, once
from chassis.paging import page_of
from chassis.rpc import Service, method_names, require_batch
from services.status.domain import Status, check_new_status
from services.status.posting import Posting
from services.status.reading import Reading

MAX_BATCH = 1000
MAX_AUTHORS = 5000
Context = grpc.aio.ServicerContext[Any, Any]


class StatusServicer(status_service_pb2_grpc.StatusServiceServicer):
    """Translates between kodama.status.v1 and the use cases."""

    def __init__(self, writes: Writes, posting: Posting, reading: Reading) -> None:
        self.writes = writes
        self._posting = posting
        self._reading = reading

    async def CreateStatus(self, request: pb.CreateStatusRequest, context: Context) -> pb.CreateStatusResponse:
        """Post a status."""
        new = check_new_status(request.account_id, request.text, request.visibility, request.request_id)
        return pb.CreateStatusResponse(status=_to_proto(await self._posting.post(new)))

    @once(pb.DeleteStatusResponse)
    async def DeleteStatus(self, request: pb.DeleteStatusRequest, write: Write) -> pb.DeleteStatusResponse:
        """Delete an own status."""
        deleted = await self._posting.delete(write, request.account_id, request.status_id)
        return pb.DeleteStatusResponse(status=_to_proto(deleted))

    async def BatchGetStatuses(
        self, request: pb.BatchGetStatusesRequest, context: Context
    ) -> pb.BatchGetStatusesResponse:
        """Return those that the viewer may see."""
        require_batch("status_ids", request.status_ids, MAX_BATCH)
        statuses = await self._reading.visible(request.viewer_id, request.status_ids)
        return pb.BatchGetStatusesResponse(statuses=[_to_proto(status) for status in statuses])

    async def ListAccountStatuses(
        self, request: pb.ListAccountStatusesRequest, context: Context
    ) -> pb.ListAccountStatusesResponse:
        """Return a page of a profile."""
        page = page_of(request.window, default=20, maximum=40)
        statuses = await self._reading.of_account(request.viewer_id, request.account_id, page)
        return pb.ListAccountStatusesResponse(statuses=[_to_proto(status) for status in statuses])

    async def BatchCountStatuses(
        self, request: pb.BatchCountStatusesRequest, context: Context
    ) -> pb.BatchCountStatusesResponse:
        """Count the statuses of accounts."""
        require_batch("account_ids", request.account_ids, MAX_BATCH)
        counts = await self._reading.counts(request.account_ids)
        return pb.BatchCountStatusesResponse(
            counts={count.account_id: count.statuses for count in counts},
            last_status_at_ms={count.account_id: ids.created_at_ms(count.last_id) for count in counts},
        )

    async def CountStatuses(self, request: pb.CountStatusesRequest, context: Context) -> pb.CountStatusesResponse:
        """Count all statuses."""
        return pb.CountStatusesResponse(statuses=await self._reading.count())

    async def FilterHomeStatuses(
        self, request: pb.FilterHomeStatusesRequest, context: Context
    ) -> pb.FilterHomeStatusesResponse:
        """Return those that may stand on a home timeline."""
        require_batch("status_ids", request.status_ids, MAX_BATCH)
        status_ids = await self._reading.on_home(request.viewer_id, request.status_ids)
        return pb.FilterHomeStatusesResponse(status_ids=status_ids)

    async def PullStatuses(self, request: pb.PullStatusesRequest, context: Context) -> pb.PullStatusesResponse:
        """Return the newest of many authors."""
        require_batch("author_ids", request.author_ids, MAX_AUTHORS)
        pulled = await self._reading.pull(request.author_ids, page_of(request.window, default=1000, maximum=1000))
        return pb.PullStatusesResponse(statuses=[pb.PublishedStatus(status_id=i, author_id=a) for i, a in pulled])

    async def BatchGetPublishedStatuses(
        self, request: pb.BatchGetPublishedStatusesRequest, context: Context
    ) -> pb.BatchGetPublishedStatusesResponse:
        """Return who wrote those that exist."""
        require_batch("status_ids", request.status_ids, MAX_BATCH)
        published = await self._reading.published(request.status_ids)
        return pb.BatchGetPublishedStatusesResponse(
            statuses=[pb.PublishedStatus(status_id=i, author_id=a) for i, a in published]
        )


def _to_proto(status: Status) -> status_pb2.Status:
    return status_pb2.Status(
        id=status.id,
        account_id=status.account_id,
        text=status.text,
        visibility=status_pb2.Visibility.ValueType(status.visibility),
        created_at_ms=status.created_at_ms,
        version=status.version,
    )


def status_service(servicer: StatusServicer) -> Service:
    """Return the service for a server, with who may call what."""
    gateway = frozenset({caller.GATEWAY})
    timeline = frozenset({caller.TIMELINE, caller.WORKER})
    return Service(
        name="kodama.status.v1.StatusService",
        add=lambda server: status_service_pb2_grpc.add_StatusServiceServicer_to_server(servicer, server),
        callers={
            "CreateStatus": gateway | {caller.OPERATOR},
            "DeleteStatus": gateway,
            "BatchGetStatuses": gateway | timeline,
            "ListAccountStatuses": gateway,
            "BatchCountStatuses": gateway,
            "CountStatuses": gateway | {caller.OPERATOR},
            "FilterHomeStatuses": timeline,
            "PullStatuses": timeline,
            "BatchGetPublishedStatuses": timeline,
        },
        methods=method_names(pb.DESCRIPTOR.services_by_name["StatusService"]),
    )
