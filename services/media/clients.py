"""What this service asks others."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from kodama.status.v1 import status_service_pb2 as pb
from kodama.status.v1 import status_service_pb2_grpc as pb_grpc

from chassis.caller import Signer
from chassis.rpc import call, open_channel
from chassis.settings import Settings

FILTER_SECONDS = 3


class Statuses:
    """Asks status which pictures are shown: the truth about that is there."""

    def __init__(self, stub: "pb_grpc.StatusServiceAsyncStub", signer: Signer) -> None:
        self._stub = stub
        self._signer = signer

    async def find_attached(self, media_ids: Sequence[int]) -> set[int]:
        """Return which of these pictures a status shows now. Raises Unavailable where status does not answer."""
        if not media_ids:
            return set()
        request = pb.FilterAttachedMediaRequest(media_ids=media_ids)
        response = await call(self._stub.FilterAttachedMedia, request, self._signer, timeout_seconds=FILTER_SECONDS)
        return set(response.media_ids)


@asynccontextmanager
async def open_statuses(settings: Settings, role: str) -> AsyncIterator[Statuses]:
    """Open a channel to status, signing as `role`, until the block ends."""
    channel = open_channel(
        settings.address("status"), "kodama.status.v1.StatusService", retryable=("FilterAttachedMedia",)
    )
    try:
        yield Statuses(pb_grpc.StatusServiceStub(channel), Signer(role, settings.derive("rpc")))
    finally:
        await channel.close()
