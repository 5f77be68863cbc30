"""The RPCs of TimelineService: requests into the domain's words and back, no rules, no SQL."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from kodama.status.v1 import status_pb2
from kodama.timeline.v1 import timeline_pb2, timeline_service_pb2_grpc
from kodama.timeline.v1 import timeline_service_pb2 as pb

from chassis import caller
from chassis.errors import InvalidField, NotFound
from chassis.ids import kind_of
from chassis.paging import page_of
from chassis.ragged import join
from chassis.rpc import Service, method_names, require_batch
from services.timeline.checking import Checking
from services.timeline.domain import Card, Entry
from services.timeline.explaining import Explaining
from services.timeline.home import HomeReading
from services.timeline.open_work import OpenWorkList
from services.timeline.retention import Retention
from services.timeline.upkeep import Upkeep

MAX_PAGE = 1000
MAX_READERS = 100
NO_CARD = Card(version=0, replies_count=0, favourites_count=0, is_favourited=False)
MIN_KEEP_DAYS, MAX_KEEP_DAYS = 7, 36_500
Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class UseCases:
    """What the RPCs work with."""

    reading: HomeReading
    open_work: OpenWorkList
    explaining: Explaining
    checking: Checking
    upkeep: Upkeep
    retention: Retention


class TimelineServicer(timeline_service_pb2_grpc.TimelineServiceServicer):
    """Translates between kodama.timeline.v1 and the use cases."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use = use_cases

    async def ListHomeEntries(self, request: pb.ListHomeEntriesRequest, context: Context) -> pb.ListHomeEntriesResponse:
        """Return a page of a home timeline."""
        page = page_of(request.window, default=20, maximum=40)
        found = await self._use.reading.page(_member(request.account_id), page)
        return pb.ListHomeEntriesResponse(
            entries=[_to_proto(entry) for entry in found.entries],
            lag_ms=self._use.open_work.lag_ms(),
            older_id=found.older,
            newer_id=found.newer,
        )

    async def BatchListHomeEntries(
        self, request: pb.BatchListHomeEntriesRequest, context: Context
    ) -> pb.BatchListHomeEntriesResponse:
        """Return pages of many home timelines."""
        require_batch("account_ids", request.account_ids, MAX_READERS)
        if len(request.windows) != len(request.account_ids):
            raise InvalidField("windows", "There is a window for each account.")
        pages = [page_of(window, default=20, maximum=40) for window in request.windows]
        read = self._use.reading.page
        found = await asyncio.gather(
            *(read(_member(an_id), page) for an_id, page in zip(request.account_ids, pages, strict=True))
        )
        counts, entries = join([each.entries for each in found])
        return pb.BatchListHomeEntriesResponse(
            counts=counts,
            author_ids=[entry.author_id for entry in entries],
            cards=_to_cards(entries),
            lag_ms=self._use.open_work.lag_ms(),
            older_ids=[each.older for each in found],
            newer_ids=[each.newer for each in found],
        )

    async def FilterHomeEntries(
        self, request: pb.FilterHomeEntriesRequest, context: Context
    ) -> pb.FilterHomeEntriesResponse:
        """Return which entries may stand on a home timeline."""
        require_batch("entry_ids", request.entry_ids, MAX_PAGE)
        shown = await self._use.reading.filter(_member(request.account_id), list(request.entry_ids))
        return pb.FilterHomeEntriesResponse(entry_ids=shown)

    async def ExplainHome(self, request: pb.ExplainHomeRequest, context: Context) -> pb.ExplainHomeResponse:
        """Say what is pushed, pulled and open."""
        found = await self._use.explaining.explain(_member(request.account_id))
        return pb.ExplainHomeResponse(
            has_home=found.active_at is not None,
            pushed_from=found.pushed_from,
            active_at_ms=int(found.active_at.timestamp() * 1000) if found.active_at else 0,
            is_dormant=found.is_dormant,
            pushed_entries=found.pushed_entries,
            pulled_author_ids=found.pulled_authors,
            open_entry_ids=found.open_entries,
            backfilling_author_ids=found.backfilling_authors,
            is_distrusted=found.is_distrusted,
            friends=found.friends,
        )

    async def ListHomes(self, request: pb.ListHomesRequest, context: Context) -> pb.ListHomesResponse:
        """Page through the members who are pushed to."""
        if request.page_size < 0:
            raise InvalidField("page_size", "page_size cannot be negative.")
        homes = await self._use.checking.homes(request.after_id, min(request.page_size or MAX_PAGE, MAX_PAGE))
        return pb.ListHomesResponse(account_ids=homes)

    async def VerifyHome(self, request: pb.VerifyHomeRequest, context: Context) -> pb.VerifyHomeResponse:
        """Compare what is pushed with what has to be."""
        check = self._use.checking.repair if request.repair else self._use.checking.verify
        difference = await check(_member(request.account_id))
        return pb.VerifyHomeResponse(
            expected=difference.expected,
            missing=len(difference.missing),
            stale=len(difference.stale),
            repaired=request.repair and bool(difference.missing or difference.stale or difference.is_unfilled),
            is_unfilled=difference.is_unfilled,
        )

    async def RebuildHome(self, request: pb.RebuildHomeRequest, context: Context) -> pb.RebuildHomeResponse:
        """Push anew."""
        if not await self._use.upkeep.rebuild(_member(request.account_id)):
            raise NotFound("Nothing is pushed to this member, who has never read.", resource="home")
        return pb.RebuildHomeResponse()

    async def TrimEntries(self, request: pb.TrimEntriesRequest, context: Context) -> pb.TrimEntriesResponse:
        """Drop what is old."""
        if not MIN_KEEP_DAYS <= request.keep_days <= MAX_KEEP_DAYS:
            raise InvalidField("keep_days", f"keep_days must be from {MIN_KEEP_DAYS} to {MAX_KEEP_DAYS}.")
        dropped, floor_id = await self._use.retention.trim(request.keep_days)
        return pb.TrimEntriesResponse(dropped_partitions=dropped, floor_id=floor_id)


def _member(account_id: int) -> int:
    if account_id <= 0:
        raise InvalidField("account_id", "A home timeline belongs to a member.")
    return account_id


def _to_proto(entry: Entry) -> timeline_pb2.TimelineEntry:
    return timeline_pb2.TimelineEntry(
        entry_id=entry.entry_id,
        author_id=entry.author_id,
        kind=timeline_pb2.EntryKind.ValueType(kind_of(entry.entry_id).value),
        status=_to_card(entry.entry_id, entry.card) if entry.card is not None else None,
    )


def _to_card(status_id: int, card: Card) -> status_pb2.StatusCard:
    return status_pb2.StatusCard(
        status_id=status_id,
        version=card.version,
        replies_count=card.replies_count,
        favourites_count=card.favourites_count,
        is_favourited=card.is_favourited,
        media_ids=card.media_ids,
    )


def _to_cards(entries: Sequence[Entry]) -> status_pb2.StatusCards:
    cards = [entry.card or NO_CARD for entry in entries]
    media_counts, media_ids = join([card.media_ids for card in cards])
    return status_pb2.StatusCards(
        status_ids=[entry.entry_id for entry in entries],
        versions=[card.version for card in cards],
        replies_counts=[card.replies_count for card in cards],
        favourites_counts=[card.favourites_count for card in cards],
        are_favourited=[card.is_favourited for card in cards],
        media_counts=media_counts if media_ids else [],
        media_ids=media_ids,
    )


def timeline_service(servicer: TimelineServicer) -> Service:
    """Return the service for a server, with who may call what."""
    operator = frozenset({caller.OPERATOR})
    return Service(
        name="kodama.timeline.v1.TimelineService",
        add=lambda server: timeline_service_pb2_grpc.add_TimelineServiceServicer_to_server(servicer, server),
        callers={
            "ListHomeEntries": frozenset({caller.GATEWAY}),
            "BatchListHomeEntries": frozenset({caller.GATEWAY}),
            "FilterHomeEntries": frozenset({caller.GATEWAY}),
            "ExplainHome": operator,
            "ListHomes": operator,
            "VerifyHome": operator,
            "RebuildHome": operator,
            "TrimEntries": operator,
        },
        methods=method_names(pb.DESCRIPTOR.services_by_name["TimelineService"]),
    )
