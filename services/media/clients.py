"""What this service asks others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from kodama.blog.v1 import blog_service_pb2 as blog_pb
from kodama.blog.v1 import blog_service_pb2_grpc as blog_pb_grpc
from kodama.status.v1 import status_service_pb2 as status_pb
from kodama.status.v1 import status_service_pb2_grpc as status_pb_grpc

from chassis.caller import Signer
from chassis.rpc import call, open_channel
from chassis.settings import Settings

FILTER_SECONDS = 3


@dataclass(frozen=True)
class Shown:
    """Which pictures are shown now."""

    on_statuses: frozenset[int] = frozenset()
    """Their owners' alone: status has seen to that when it was posted."""
    in_texts: frozenset[tuple[int, int]] = frozenset()
    """(picture, who wrote the blog entry or draft), which need not be the owner."""


class Showing:
    """Asks status and blog which pictures are shown: the truth about that is there."""

    def __init__(
        self,
        status: "status_pb_grpc.StatusServiceAsyncStub",
        blog: "blog_pb_grpc.BlogServiceAsyncStub",
        signer: Signer,
    ) -> None:
        self._status = status
        self._blog = blog
        self._signer = signer

    async def find(self, media_ids: Sequence[int]) -> Shown:
        """Return which of these pictures are shown now. Raises Unavailable where one of both does not answer."""
        if not media_ids:
            return Shown()
        on_statuses, in_texts = await asyncio.gather(
            call(
                self._status.FilterAttachedMedia,
                status_pb.FilterAttachedMediaRequest(media_ids=media_ids),
                self._signer,
                timeout_seconds=FILTER_SECONDS,
            ),
            call(
                self._blog.FilterShownMedia,
                blog_pb.FilterShownMediaRequest(media_ids=media_ids),
                self._signer,
                timeout_seconds=FILTER_SECONDS,
            ),
        )
        return Shown(
            frozenset(on_statuses.media_ids), frozenset((one.media_id, one.account_id) for one in in_texts.media)
        )


@asynccontextmanager
async def open_showing(settings: Settings, role: str) -> AsyncIterator[Showing]:
    """Open channels to status and blog, signing as `role`, until the block ends."""
    async with AsyncExitStack() as stack:
        status = open_channel(
            settings.address("status"), "kodama.status.v1.StatusService", retryable=("FilterAttachedMedia",)
        )
        stack.push_async_callback(status.close)
        blog = open_channel(settings.address("blog"), "kodama.blog.v1.BlogService", retryable=("FilterShownMedia",))
        stack.push_async_callback(blog.close)
        yield Showing(
            status_pb_grpc.StatusServiceStub(status),
            blog_pb_grpc.BlogServiceStub(blog),
            Signer(role, settings.derive("rpc")),
        )
