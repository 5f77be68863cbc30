"""The RPCs of StatusService: requests into the domain's words and back, no rules, no SQL."""

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from kodama.status.v1 import status_pb2, status_service_pb2_grpc
from kodama.status.v1 import status_service_pb2 as pb

from chassis import caller, ids
from chassis.errors import InvalidField, KodamaError
from chassis.idempotency import Write, Writes, once
from chassis.paging import page_of, pages_of_each
from chassis.ragged import join, split
from chassis.rpc import Service, method_names, require_batch
from services.status.domain import NewStatus, check_text, check_visibility
from services.status.editing import Editing
from services.status.favouriting import Favouriting
from services.status.homes import Homes
from services.status.messages import put_count, put_result, put_status, to_card, to_cards, to_mentions, to_new, to_proto
from services.status.posting import Posting
from services.status.reading import Reading
from services.status.threads import Threads

MAX_BATCH = 1000
MAX_POSTS = 256
MAX_AUTHORS = 5000
MAX_VIEWERS = 100
MAX_HOME_STATUSES = 10_000
Context = grpc.aio.ServicerContext[Any, Any]


class StatusServicer(status_service_pb2_grpc.StatusServiceServicer):
    """Translates between kodama.status.v1 and the use cases."""

    def __init__(
        self,
        writes: Writes,
        posting: Posting,
        editing: Editing,
        favouriting: Favouriting,
        threads: Threads,
        reading: Reading,
        homes: Homes,
    ) -> None:
        self.writes = writes
        self._posting = posting
        self._editing = editing
        self._favouriting = favouriting
        self._threads = threads
        self._reading = reading
        self._homes = homes

    async def CreateStatus(self, request: pb.CreateStatusRequest, context: Context) -> pb.CreateStatusResponse:
        """Post a status."""
        [new] = await self._to_new([request])
        if isinstance(new, KodamaError):
            raise new
        posted = await self._posting.post(new)
        response = pb.CreateStatusResponse()
        put_status(response.status, posted.status)
        put_count(response.author, posted.counted)
        return response

    async def BatchCreateStatuses(
        self, request: pb.BatchCreateStatusesRequest, context: Context
    ) -> pb.BatchCreateStatusesResponse:
        """Post what is made at the same moment."""
        require_batch("requests", request.requests, MAX_POSTS)
        asked = await self._to_new(request.requests)
        posted = iter(await self._posting.post_all([one for one in asked if isinstance(one, NewStatus)]))
        outcomes = [next(posted) if isinstance(one, NewStatus) else one for one in asked]
        response = pb.BatchCreateStatusesResponse()
        for outcome in outcomes:
            put_result(response.results.add(), outcome)
        return response

    async def _to_new(self, requests: Sequence[pb.CreateStatusRequest]) -> list[NewStatus | KodamaError]:
        """Return what each request would post; in the place of one that cannot, why."""
        undecided = {one.account_id for one in requests if one.visibility == status_pb2.VISIBILITY_AUTHOR_DEFAULT}
        defaults: Mapping[int, int] | KodamaError = {}
        try:
            if undecided:
                defaults = await self._posting.default_visibilities(undecided)
        except KodamaError as error:
            defaults = error
        return [to_new(one, defaults) for one in requests]

    @once(pb.DeleteStatusResponse)
    async def DeleteStatus(self, request: pb.DeleteStatusRequest, write: Write) -> pb.DeleteStatusResponse:
        """Delete an own status."""
        deleted = await self._posting.delete(write, request.account_id, request.status_id)
        return pb.DeleteStatusResponse(status=to_proto(deleted))

    @once(pb.UpdateStatusResponse)
    async def UpdateStatus(self, request: pb.UpdateStatusRequest, write: Write) -> pb.UpdateStatusResponse:
        """Edit or narrow an own status."""
        updated = await self._editing.update(
            write,
            request.account_id,
            request.status_id,
            text=check_text(request.text) if request.HasField("text") else None,
            visibility=check_visibility(request.visibility),
        )
        return pb.UpdateStatusResponse(status=to_proto(updated))

    @once(pb.FavouriteStatusResponse)
    async def FavouriteStatus(self, request: pb.FavouriteStatusRequest, write: Write) -> pb.FavouriteStatusResponse:
        """Favour a status."""
        status = await self._favouriting.favourite(write, _member(request.account_id), request.status_id)
        return pb.FavouriteStatusResponse(is_favourited=status.is_favourited, favourites_count=status.favourites_count)

    @once(pb.UnfavouriteStatusResponse)
    async def UnfavouriteStatus(
        self, request: pb.UnfavouriteStatusRequest, write: Write
    ) -> pb.UnfavouriteStatusResponse:
        """Favour a status no more."""
        status = await self._favouriting.unfavourite(write, _member(request.account_id), request.status_id)
        return pb.UnfavouriteStatusResponse(
            is_favourited=status.is_favourited, favourites_count=status.favourites_count
        )

    async def ListFavouriteStatuses(
        self, request: pb.ListFavouriteStatusesRequest, context: Context
    ) -> pb.ListFavouriteStatusesResponse:
        """Return a page of what a member favours."""
        window = page_of(request.window, default=20, maximum=40)
        statuses, page = await self._favouriting.of_account(_member(request.account_id), window)
        return pb.ListFavouriteStatusesResponse(
            statuses=[to_proto(status) for status in statuses],
            newest_favourite_id=page.newest_id,
            oldest_favourite_id=page.oldest_id,
            is_end=page.is_end,
        )

    async def ListStatusFavourites(
        self, request: pb.ListStatusFavouritesRequest, context: Context
    ) -> pb.ListStatusFavouritesResponse:
        """Return a page of who favours a status."""
        window = page_of(request.window, default=40, maximum=80)
        page = await self._favouriting.of_status(request.viewer_id, request.status_id, window)
        return pb.ListStatusFavouritesResponse(
            favourites=[
                status_pb2.Favourite(id=one.id, status_id=one.status_id, account_id=one.account_id)
                for one in page.favourites
            ],
            newest_favourite_id=page.newest_id,
            oldest_favourite_id=page.oldest_id,
            is_end=page.is_end,
        )

    async def GetContext(self, request: pb.GetContextRequest, context: Context) -> pb.GetContextResponse:
        """Return the thread around a status."""
        ancestors, descendants = await self._threads.around(request.viewer_id, request.status_id)
        return pb.GetContextResponse(
            ancestors=[to_proto(status) for status in ancestors],
            descendants=[to_proto(status) for status in descendants],
        )

    async def ListRevisions(self, request: pb.ListRevisionsRequest, context: Context) -> pb.ListRevisionsResponse:
        """Return what a status said before and says now."""
        status, revisions = await self._reading.revisions(request.viewer_id, request.status_id)
        return pb.ListRevisionsResponse(
            status=to_proto(status),
            revisions=[
                status_pb2.Revision(
                    text=one.text,
                    mentions=to_mentions(one.mentioned_ids, one.mentioned_handles),
                    created_at_ms=one.created_at_ms,
                )
                for one in revisions
            ],
        )

    async def BatchGetStatuses(
        self, request: pb.BatchGetStatusesRequest, context: Context
    ) -> pb.BatchGetStatusesResponse:
        """Return those that the viewer may see."""
        require_batch("status_ids", request.status_ids, MAX_BATCH)
        statuses = await self._reading.visible(request.viewer_id, request.status_ids)
        return pb.BatchGetStatusesResponse(statuses=[to_proto(status) for status in statuses])

    async def ListAccountStatuses(
        self, request: pb.ListAccountStatusesRequest, context: Context
    ) -> pb.ListAccountStatusesResponse:
        """Return a page of a profile."""
        page = page_of(request.window, default=20, maximum=40)
        statuses = await self._reading.of_account(
            request.viewer_id,
            request.account_id,
            page,
            exclude_replies=request.exclude_replies,
            only_media=request.only_media,
        )
        return pb.ListAccountStatusesResponse(statuses=[to_proto(status) for status in statuses])

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
        [cards] = await self._homes.filter([(request.viewer_id, request.status_ids)])
        return pb.FilterHomeStatusesResponse(
            status_ids=[card.id for card in cards], cards=[to_card(card) for card in cards]
        )

    async def BatchFilterHomeStatuses(
        self, request: pb.BatchFilterHomeStatusesRequest, context: Context
    ) -> pb.BatchFilterHomeStatusesResponse:
        """Return those that may stand on the home timelines of many viewers."""
        require_batch("viewer_ids", request.viewer_ids, MAX_VIEWERS)
        require_batch("status_ids", request.status_ids, MAX_HOME_STATUSES)
        asked = split(request.viewer_ids, request.counts, request.status_ids)
        counts, cards = join(await self._homes.filter(asked))
        return pb.BatchFilterHomeStatusesResponse(counts=counts, cards=to_cards(cards))

    async def FilterAttachedMedia(
        self, request: pb.FilterAttachedMediaRequest, context: Context
    ) -> pb.FilterAttachedMediaResponse:
        """Return which pictures a status shows."""
        require_batch("media_ids", request.media_ids, MAX_BATCH)
        return pb.FilterAttachedMediaResponse(media_ids=await self._reading.attached_media(request.media_ids))

    async def PullStatuses(self, request: pb.PullStatusesRequest, context: Context) -> pb.PullStatusesResponse:
        """Return the newest of many authors."""
        require_batch("author_ids", request.author_ids, MAX_AUTHORS)
        page = page_of(request.window, default=1000, maximum=1000)
        pulled = await self._reading.pull(request.viewer_id, request.author_ids, page)
        return pb.PullStatusesResponse(statuses=[pb.PublishedStatus(status_id=i, author_id=a) for i, a in pulled])

    async def BatchPullOwnStatuses(
        self, request: pb.BatchPullOwnStatusesRequest, context: Context
    ) -> pb.BatchPullOwnStatusesResponse:
        """Return the newest of their own statuses for many authors."""
        require_batch("author_ids", request.author_ids, MAX_VIEWERS)
        pages = pages_of_each(request.author_ids, request.below_ids, request.above_ids, request.limits, maximum=1000)
        counts, status_ids = join(await self._homes.own(pages))
        return pb.BatchPullOwnStatusesResponse(counts=counts, status_ids=status_ids)

    async def BatchGetPublishedStatuses(
        self, request: pb.BatchGetPublishedStatusesRequest, context: Context
    ) -> pb.BatchGetPublishedStatusesResponse:
        """Return who wrote those that exist and go to friends' home timelines."""
        require_batch("status_ids", request.status_ids, MAX_BATCH)
        published = await self._reading.published(request.status_ids)
        return pb.BatchGetPublishedStatusesResponse(
            statuses=[pb.PublishedStatus(status_id=i, author_id=a) for i, a in published]
        )


def _member(account_id: int) -> int:
    if account_id <= 0:
        raise InvalidField("account_id", "Only a member can do this.")
    return account_id


def status_service(servicer: StatusServicer) -> Service:
    """Return the service for a server, with who may call what."""
    gateway = frozenset({caller.GATEWAY})
    timeline = frozenset({caller.TIMELINE, caller.WORKER})
    return Service(
        name="kodama.status.v1.StatusService",
        add=lambda server: status_service_pb2_grpc.add_StatusServiceServicer_to_server(servicer, server),
        callers={
            "CreateStatus": gateway | {caller.OPERATOR},
            "BatchCreateStatuses": gateway | {caller.OPERATOR},
            "DeleteStatus": gateway,
            "UpdateStatus": gateway,
            "FavouriteStatus": gateway | {caller.OPERATOR},
            "UnfavouriteStatus": gateway,
            "ListFavouriteStatuses": gateway,
            "ListStatusFavourites": gateway,
            "GetContext": gateway,
            "ListRevisions": gateway,
            "BatchGetStatuses": gateway | timeline,
            "ListAccountStatuses": gateway,
            "BatchCountStatuses": gateway,
            "CountStatuses": gateway | {caller.OPERATOR},
            "FilterHomeStatuses": timeline,
            "BatchFilterHomeStatuses": timeline,
            "BatchPullOwnStatuses": timeline,
            "FilterAttachedMedia": frozenset({caller.MEDIA, caller.WORKER}),
            "PullStatuses": timeline,
            "BatchGetPublishedStatuses": timeline,
        },
        methods=method_names(pb.DESCRIPTOR.services_by_name["StatusService"]),
    )
