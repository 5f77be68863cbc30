"""What the gateway asks status: statuses, threads, favourites."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from google.rpc import status_pb2 as rpc_status_pb2
from kodama.page.v1.window_pb2 import Window
from kodama.status.v1 import status_pb2
from kodama.status.v1 import status_service_pb2 as pb
from kodama.status.v1 import status_service_pb2_grpc as pb_grpc

from chassis import caller
from chassis.coalescing import Coalescer
from chassis.errors import KodamaError, from_rpc_status
from services.gateway.calling import Calling, put_key

MAX_POSTS = 200
GATHERING_SECONDS = 0.004
"""About as long as a call that posts takes: what the next one takes along costs each post a third less."""


class Posted(NamedTuple):
    """What has been posted, and what is counted of its author with it."""

    status: status_pb2.Status
    author: pb.AuthorCount


class StatusCalls(Calling):
    """The part of the services that is status's. Whoever opens the channels sets the stub."""

    _status: "pb_grpc.StatusServiceAsyncStub"

    def __init__(self, signer: caller.Signer) -> None:
        super().__init__(signer)
        # What is posted at the same moment is one call, which costs each post a third of one of its own.
        self._posts = Coalescer(self._create_statuses, max_batch=MAX_POSTS, gathering_seconds=GATHERING_SECONDS)

    async def create_status(
        self,
        *,
        account_id: int,
        text: str,
        visibility: status_pb2.Visibility.ValueType,
        in_reply_to_id: int = 0,
        media_ids: Sequence[int] = (),
    ) -> Posted:
        """Post a status."""
        request = pb.CreateStatusRequest(
            account_id=account_id,
            text=text,
            visibility=visibility,
            in_reply_to_id=in_reply_to_id,
            media_ids=media_ids,
        )
        put_key(request)
        return await self._posts.get(request)

    async def _create_statuses(self, requests: Sequence[pb.CreateStatusRequest]) -> list[Posted | Exception]:
        """Post statuses of one moment; the error of each is its own."""
        try:
            answer = await self._write(
                self._status.BatchCreateStatuses, pb.BatchCreateStatusesRequest(requests=requests)
            )
        except KodamaError as error:
            return [error for _ in requests]  # never made again one by one: what has no key could be posted twice
        return [_outcome_of(result) for result in answer.results]

    async def update_status(
        self, *, account_id: int, status_id: int, text: str | None, visibility: status_pb2.Visibility.ValueType
    ) -> status_pb2.Status:
        """Edit an own status, narrow who may see it, or both; None and unspecified leave it as it is."""
        request = pb.UpdateStatusRequest(account_id=account_id, status_id=status_id, text=text, visibility=visibility)
        return (await self._write(self._status.UpdateStatus, request)).status

    async def delete_status(self, account_id: int, status_id: int) -> status_pb2.Status:
        """Delete an own status; return what it was."""
        request = pb.DeleteStatusRequest(account_id=account_id, status_id=status_id)
        return (await self._write(self._status.DeleteStatus, request)).status

    async def favourite_status(self, account_id: int, status_id: int) -> None:
        """Favour a status."""
        request = pb.FavouriteStatusRequest(account_id=account_id, status_id=status_id)
        await self._write(self._status.FavouriteStatus, request)

    async def unfavourite_status(self, account_id: int, status_id: int) -> None:
        """Favour a status no more."""
        request = pb.UnfavouriteStatusRequest(account_id=account_id, status_id=status_id)
        await self._write(self._status.UnfavouriteStatus, request)

    async def favourite_statuses(self, account_id: int, window: Window) -> pb.ListFavouriteStatusesResponse:
        """Return a page of what a member favours; the window is of ids of favourites."""
        request = pb.ListFavouriteStatusesRequest(account_id=account_id, window=window)
        return await self._read(self._status.ListFavouriteStatuses, request)

    async def status_favourites(
        self, viewer_id: int, status_id: int, window: Window
    ) -> pb.ListStatusFavouritesResponse:
        """Return a page of who favours a status; the window is of ids of favourites."""
        request = pb.ListStatusFavouritesRequest(viewer_id=viewer_id, status_id=status_id, window=window)
        return await self._read(self._status.ListStatusFavourites, request)

    async def statuses(self, viewer_id: int, status_ids: Sequence[int]) -> Sequence[status_pb2.Status]:
        """Return those that the viewer may see, in no order."""
        if not status_ids:
            return []
        request = pb.BatchGetStatusesRequest(viewer_id=viewer_id, status_ids=status_ids)
        return (await self._read(self._status.BatchGetStatuses, request)).statuses

    async def account_statuses(
        self,
        viewer_id: int,
        account_id: int,
        window: Window,
        *,
        exclude_replies: bool = False,
        only_media: bool = False,
    ) -> Sequence[status_pb2.Status]:
        """Return a page of an account's statuses that the viewer may see, newest first."""
        request = pb.ListAccountStatusesRequest(
            viewer_id=viewer_id,
            account_id=account_id,
            window=window,
            exclude_replies=exclude_replies,
            only_media=only_media,
        )
        return (await self._read(self._status.ListAccountStatuses, request)).statuses

    async def context(self, viewer_id: int, status_id: int) -> pb.GetContextResponse:
        """Return the thread around a status."""
        request = pb.GetContextRequest(viewer_id=viewer_id, status_id=status_id)
        return await self._read(self._status.GetContext, request)

    async def revisions(self, viewer_id: int, status_id: int) -> pb.ListRevisionsResponse:
        """Return a status with what it said before and says now."""
        request = pb.ListRevisionsRequest(viewer_id=viewer_id, status_id=status_id)
        return await self._read(self._status.ListRevisions, request)

    async def status_counts(self, account_ids: Iterable[int]) -> pb.BatchCountStatusesResponse:
        """Return how many statuses accounts have, and when each posted last."""
        request = pb.BatchCountStatusesRequest(account_ids=sorted(set(account_ids)))
        return await self._read(self._status.BatchCountStatuses, request)


def _outcome_of(result: pb.CreateStatusResult) -> Posted | Exception:
    if result.WhichOneof("outcome") == "status":
        return Posted(result.status, result.author)
    error = rpc_status_pb2.Status.FromString(result.error)
    return from_rpc_status(error) or KodamaError(f"The post failed: {error.message}")
