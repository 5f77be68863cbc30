"""What stands on home timelines, as its owners say it: statuses and blog entries alike, asked for all members who read at the same time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from kodama.blog.v1 import blog_service_pb2 as blog_pb
from kodama.blog.v1 import blog_service_pb2_grpc as blog_pb_grpc
from kodama.page.v1.window_pb2 import Window
from kodama.status.v1 import status_pb2
from kodama.status.v1 import status_service_pb2 as status_pb
from kodama.status.v1 import status_service_pb2_grpc as status_pb_grpc

from chassis.caller import Signer
from chassis.coalescing import Coalescer
from chassis.ids import MAX_ID, Kind, kind_of
from chassis.paging import Page
from chassis.ragged import join, split
from chassis.rpc import call
from services.timeline.domain import Card, Entry, lowest_complete

READ_SECONDS = 3
MAX_BATCH = 1000
MAX_READERS = 32
"""Whose pages are asked about in one call: so few that a call does not take long, so many that it costs each of them little."""
MAX_CALLS = 2


class Source(Protocol):
    """One kind of entries and the service that owns it."""

    async def on_home(self, viewer_id: int, entry_ids: Sequence[int]) -> Mapping[int, Card | None]:
        """Return which of them may stand on the viewer's home timeline now, with what their owner says of them where it does."""

    def own(self, account_id: int, page: Page) -> Awaitable[list[Entry]]:
        """Ask for the newest on a page downwards of what a member has published."""

    async def pull(self, viewer_id: int, author_ids: Sequence[int], page: Page) -> list[Entry]:
        """Return a page of what these authors have published for the viewer."""

    async def published(self, entry_ids: Sequence[int]) -> list[Entry]:
        """Return those that exist and are for friends' home timelines."""


class Statuses:
    """The entries that StatusService owns."""

    def __init__(self, stub: "status_pb_grpc.StatusServiceAsyncStub", signer: Signer) -> None:
        self._stub = stub
        self._signer = signer
        self._homes = Coalescer(self._on_homes, max_batch=MAX_READERS, max_running=MAX_CALLS)
        self._own = Coalescer(self._own_of_each, max_batch=MAX_READERS, max_running=MAX_CALLS)

    async def on_home(self, viewer_id: int, entry_ids: Sequence[int]) -> Mapping[int, Card | None]:
        """Return which of them may stand on the viewer's home timeline now, with their cards."""
        return await self._homes.get((viewer_id, entry_ids))

    async def _on_homes(self, questions: Sequence[tuple[int, Sequence[int]]]) -> list[Mapping[int, Card | None]]:
        counts, status_ids = join([entry_ids for _, entry_ids in questions])
        request = status_pb.BatchFilterHomeStatusesRequest(
            viewer_ids=[viewer_id for viewer_id, _ in questions], counts=counts, status_ids=status_ids
        )
        answer = await call(self._stub.BatchFilterHomeStatuses, request, self._signer, timeout_seconds=READ_SECONDS)
        cards = zip(answer.cards.status_ids, _cards(answer.cards), strict=True)
        return [dict(part) for _, part in split(questions, answer.counts, cards)]

    def own(self, account_id: int, page: Page) -> Awaitable[list[Entry]]:
        """Ask for the newest on a page downwards of what a member has posted."""
        return self._own.ask((account_id, page))

    async def _own_of_each(self, questions: Sequence[tuple[int, Page]]) -> list[list[Entry]]:
        request = status_pb.BatchPullOwnStatusesRequest(
            author_ids=[account_id for account_id, _ in questions],
            below_ids=[page.below for _, page in questions],
            above_ids=[page.above for _, page in questions],
            limits=[page.limit for _, page in questions],
        )
        answer = await call(self._stub.BatchPullOwnStatuses, request, self._signer, timeout_seconds=READ_SECONDS)
        return _own_entries(questions, answer.counts, answer.status_ids)

    async def pull(self, viewer_id: int, author_ids: Sequence[int], page: Page) -> list[Entry]:
        """Return a page of these authors' statuses."""
        request = status_pb.PullStatusesRequest(viewer_id=viewer_id, author_ids=author_ids, window=_window(page))
        response = await call(self._stub.PullStatuses, request, self._signer, timeout_seconds=READ_SECONDS)
        return [Entry(status.status_id, status.author_id) for status in response.statuses]

    async def published(self, entry_ids: Sequence[int]) -> list[Entry]:
        """Return those that exist."""
        request = status_pb.BatchGetPublishedStatusesRequest(status_ids=entry_ids)
        response = await call(self._stub.BatchGetPublishedStatuses, request, self._signer, timeout_seconds=READ_SECONDS)
        return [Entry(status.status_id, status.author_id) for status in response.statuses]


class BlogEntries:
    """The entries that BlogService owns."""

    def __init__(self, stub: "blog_pb_grpc.BlogServiceAsyncStub", signer: Signer) -> None:
        self._stub = stub
        self._signer = signer
        self._own = Coalescer(self._own_of_each, max_batch=MAX_READERS, max_running=MAX_CALLS)

    async def on_home(self, viewer_id: int, entry_ids: Sequence[int]) -> Mapping[int, Card | None]:
        """Return which of them may stand on the viewer's home timeline now."""
        request = blog_pb.FilterHomeBlogEntriesRequest(viewer_id=viewer_id, blog_entry_ids=entry_ids)
        response = await call(self._stub.FilterHomeBlogEntries, request, self._signer, timeout_seconds=READ_SECONDS)
        return dict.fromkeys(response.blog_entry_ids)

    def own(self, account_id: int, page: Page) -> Awaitable[list[Entry]]:
        """Ask for the newest on a page downwards of what a member has published."""
        return self._own.ask((account_id, page))

    async def _own_of_each(self, questions: Sequence[tuple[int, Page]]) -> list[list[Entry]]:
        request = blog_pb.BatchPullOwnBlogEntriesRequest(
            author_ids=[account_id for account_id, _ in questions],
            below_ids=[page.below for _, page in questions],
            above_ids=[page.above for _, page in questions],
            limits=[page.limit for _, page in questions],
        )
        answer = await call(self._stub.BatchPullOwnBlogEntries, request, self._signer, timeout_seconds=READ_SECONDS)
        return _own_entries(questions, answer.counts, answer.blog_entry_ids)

    async def pull(self, viewer_id: int, author_ids: Sequence[int], page: Page) -> list[Entry]:
        """Return a page of these authors' blog entries."""
        request = blog_pb.PullBlogEntriesRequest(viewer_id=viewer_id, author_ids=author_ids, window=_window(page))
        response = await call(self._stub.PullBlogEntries, request, self._signer, timeout_seconds=READ_SECONDS)
        return [Entry(entry.blog_entry_id, entry.author_id) for entry in response.blog_entries]

    async def published(self, entry_ids: Sequence[int]) -> list[Entry]:
        """Return those that exist and are not for their author alone."""
        request = blog_pb.BatchGetPublishedBlogEntriesRequest(blog_entry_ids=entry_ids)
        response = await call(
            self._stub.BatchGetPublishedBlogEntries, request, self._signer, timeout_seconds=READ_SECONDS
        )
        return [Entry(entry.blog_entry_id, entry.author_id) for entry in response.blog_entries]


class Publications:
    """All that can stand on a home timeline, whatever kind it is of: asks each owner for its own, concurrently."""

    def __init__(self, sources: Mapping[Kind, Source]) -> None:
        self._sources = sources

    async def on_home(self, viewer_id: int, entry_ids: Sequence[int]) -> dict[int, Card | None]:
        """Return which of them may stand on the viewer's home timeline now, with the cards of statuses.

        Raises what any owner raises: fails closed.
        """
        parts = _by_kind(entry_ids)
        if len(parts) == 1 and parts[0][0] in self._sources:
            return dict(await self._sources[parts[0][0]].on_home(viewer_id, parts[0][1]))
        answers = await asyncio.gather(
            *(self._sources[kind].on_home(viewer_id, part) for kind, part in parts if kind in self._sources)
        )
        return {entry_id: card for answer in answers for entry_id, card in answer.items()}

    async def own(self, account_id: int, page: Page) -> list[Entry]:
        """Return everything of a member's own that could be on a page; at most a page of each kind."""
        if page.upwards:
            return await self.pull(account_id, [account_id], page)
        answers = await asyncio.gather(*(source.own(account_id, page) for source in self._sources.values()))
        return [entry for answer in answers for entry in answer]

    async def pull(self, viewer_id: int, author_ids: Sequence[int], page: Page) -> list[Entry]:
        """Return everything of these authors that could be on a page; at most a page of each kind."""
        if not author_ids:
            return []
        answers = await asyncio.gather(*(source.pull(viewer_id, author_ids, page) for source in self._sources.values()))
        return [entry for answer in answers for entry in answer]

    async def pull_pages(self, viewer_id: int, author_ids: Sequence[int], *, above: int) -> AsyncIterator[list[Entry]]:
        """Return everything of these authors with ids above one, newest first, in pages that may overlap."""
        page = Page(below=MAX_ID, above=above, limit=MAX_BATCH, upwards=False)
        while entries := await self.pull(viewer_id, author_ids, page):
            yield entries
            page = replace(page, below=lowest_complete(entries, MAX_BATCH))

    async def published(self, entry_ids: Sequence[int]) -> list[Entry]:
        """Return those that exist and are for friends' home timelines."""
        answers = await asyncio.gather(
            *(self._sources[kind].published(part) for kind, part in _by_kind(entry_ids) if kind in self._sources)
        )
        return [entry for answer in answers for entry in answer]


def _cards(cards: status_pb2.StatusCards) -> list[Card]:
    """Return cards as the domain has them, in the order of the message."""
    media: list[tuple[int, ...]] = [()] * len(cards.status_ids)
    if cards.media_ids:
        media = [tuple(part) for _, part in split(cards.status_ids, cards.media_counts, cards.media_ids)]
    fields = (cards.versions, cards.replies_counts, cards.favourites_counts, cards.are_favourited, media)
    return list(map(Card._make, zip(*fields, strict=True)))


def _own_entries(
    questions: Sequence[tuple[int, Page]], counts: Sequence[int], entry_ids: Sequence[int]
) -> list[list[Entry]]:
    return [
        [Entry(entry_id, account_id) for entry_id in part]
        for (account_id, _), part in split(questions, counts, entry_ids)
    ]


def _window(page: Page) -> Window:
    return Window(
        max_id=page.below if page.below < MAX_ID else 0,
        since_id=0 if page.upwards else page.above,
        min_id=page.above if page.upwards else 0,
        limit=page.limit,
    )


def _by_kind(entry_ids: Sequence[int]) -> list[tuple[Kind, list[int]]]:
    parts: dict[Kind, list[int]] = {}
    for entry_id in entry_ids:
        parts.setdefault(kind_of(entry_id), []).append(entry_id)
    return list(parts.items())
