"""What this service asks others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from kodama.account.v1 import account_service_pb2 as account_pb
from kodama.account.v1 import account_service_pb2_grpc as account_pb_grpc
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
    on_profiles: frozenset[int] = frozenset()
    """Avatars and headers, of their owners alone; a member can show another one at any time, and tells nobody."""


class Showing:
    """Asks status, blog and account which pictures are shown: the truth about that is there."""

    def __init__(
        self,
        status: "status_pb_grpc.StatusServiceAsyncStub",
        blog: "blog_pb_grpc.BlogServiceAsyncStub",
        account: "account_pb_grpc.AccountServiceAsyncStub",
        signer: Signer,
    ) -> None:
        self._status = status
        self._blog = blog
        self._account = account
        self._signer = signer

    async def find(self, media_ids: Sequence[int]) -> Shown:
        """Return which of these pictures are shown now. Raises Unavailable where one of them does not answer."""
        if not media_ids:
            return Shown()
        on_statuses, in_texts, on_profiles = await asyncio.gather(
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
            call(
                self._account.FilterShownMedia,
                account_pb.FilterShownMediaRequest(media_ids=media_ids),
                self._signer,
                timeout_seconds=FILTER_SECONDS,
            ),
        )
        return Shown(
            frozenset(on_statuses.media_ids),
            frozenset((one.media_id, one.account_id) for one in in_texts.media),
            frozenset(on_profiles.media_ids),
        )


@asynccontextmanager
async def open_showing(settings: Settings, role: str) -> AsyncIterator[Showing]:
    """Open channels to status, blog and account, signing as `role`, until the block ends."""
    async with AsyncExitStack() as stack:
        status = open_channel(
            settings.address("status"), "kodama.status.v1.StatusService", retryable=("FilterAttachedMedia",)
        )
        stack.push_async_callback(status.close)
        blog = open_channel(settings.address("blog"), "kodama.blog.v1.BlogService", retryable=("FilterShownMedia",))
        stack.push_async_callback(blog.close)
        account = open_channel(
            settings.address("account"), "kodama.account.v1.AccountService", retryable=("FilterShownMedia",)
        )
        stack.push_async_callback(account.close)
        yield Showing(
            status_pb_grpc.StatusServiceStub(status),
            blog_pb_grpc.BlogServiceStub(blog),
            account_pb_grpc.AccountServiceStub(account),
            Signer(role, settings.derive("rpc")),
        )
