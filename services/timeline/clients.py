"""What this service asks others: entries of status and blog alike, friends, relations, and open work."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec
import numpy as np
from kodama.blog.v1 import blog_service_pb2 as blog_pb
from kodama.blog.v1 import blog_service_pb2_grpc as blog_pb_grpc
from kodama.blog.v1 import comment_service_pb2 as comment_pb
from kodama.blog.v1 import comment_service_pb2_grpc as comment_pb_grpc
from kodama.ledger.v1 import ledger_service_pb2 as ledger_pb
from kodama.ledger.v1 import ledger_service_pb2_grpc as ledger_pb_grpc
from kodama.page.v1.window_pb2 import Window
from kodama.social_graph.v1 import social_graph_service_pb2 as graph_pb
from kodama.social_graph.v1 import social_graph_service_pb2_grpc as graph_pb_grpc
from kodama.status.v1 import status_service_pb2 as status_pb
from kodama.status.v1 import status_service_pb2_grpc as status_pb_grpc

from chassis.caller import Signer
from chassis.ids import MAX_ID, Kind, kind_of
from chassis.ledger import payloads_of
from chassis.paging import Page
from chassis.rpc import call, call_stream, open_channel
from chassis.settings import Settings
from services.timeline.domain import Card, Comment, Entry, Relation, lowest_complete
from services.timeline.rows import Ids

READ_SECONDS = 3
STREAM_SECONDS = 20
MAX_BATCH = 1000
MAX_OPEN_ROWS = 5000


class Source(Protocol):
    """One kind of entries and the service that owns it."""

    async def on_home(self, viewer_id: int, entry_ids: Sequence[int]) -> Mapping[int, Card | None]:
        """Return which of them may stand on the viewer's home timeline now, with what their owner says of them where it does."""

    async def pull(self, viewer_id: int, author_ids: Sequence[int], page: Page) -> list[Entry]:
        """Return a page of what these authors have published for the viewer."""

    async def published(self, entry_ids: Sequence[int]) -> list[Entry]:
        """Return those that exist and are for friends' home timelines."""


class Statuses:
    """The entries that StatusService owns."""

    def __init__(self, stub: "status_pb_grpc.StatusServiceAsyncStub", signer: Signer) -> None:
        self._stub = stub
        self._signer = signer

    async def on_home(self, viewer_id: int, entry_ids: Sequence[int]) -> Mapping[int, Card | None]:
        """Return which of them may stand on the viewer's home timeline now, with their cards."""
        request = status_pb.FilterHomeStatusesRequest(viewer_id=viewer_id, status_ids=entry_ids)
        response = await call(self._stub.FilterHomeStatuses, request, self._signer, timeout_seconds=READ_SECONDS)
        cards = {
            card.status_id: Card(
                card.version, card.replies_count, card.favourites_count, card.is_favourited, tuple(card.media_ids)
            )
            for card in response.cards
        }
        return {status_id: cards.get(status_id) for status_id in response.status_ids}

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

    async def on_home(self, viewer_id: int, entry_ids: Sequence[int]) -> Mapping[int, Card | None]:
        """Return which of them may stand on the viewer's home timeline now."""
        request = blog_pb.FilterHomeBlogEntriesRequest(viewer_id=viewer_id, blog_entry_ids=entry_ids)
        response = await call(self._stub.FilterHomeBlogEntries, request, self._signer, timeout_seconds=READ_SECONDS)
        return dict.fromkeys(response.blog_entry_ids)

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
        answers = await asyncio.gather(
            *(self._sources[kind].on_home(viewer_id, part) for kind, part in parts if kind in self._sources)
        )
        return {entry_id: card for answer in answers for entry_id, card in answer.items()}

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


class Friends:
    """Who is friends with whom, from committed state; never cached."""

    def __init__(self, stub: "graph_pb_grpc.SocialGraphServiceAsyncStub", signer: Signer) -> None:
        self._stub = stub
        self._signer = signer

    async def of(self, account_ids: Sequence[int]) -> dict[int, list[int]]:
        """Return all friends of each account, ascending; who has none is left out."""
        return {account_id: friends.tolist() for account_id, friends in (await self.arrays_of(account_ids)).items()}

    async def arrays_of(self, account_ids: Sequence[int]) -> dict[int, Ids]:
        """Return the same as arrays."""
        friends: dict[int, Ids] = {}
        request = graph_pb.StreamFriendIdsRequest(account_ids=sorted(set(account_ids)), is_grouped=True)
        async for part in call_stream(
            self._stub.StreamFriendIds, request, self._signer, timeout_seconds=STREAM_SECONDS
        ):
            for group in part.groups:
                if group.friend_ids:
                    friends[group.account_id] = np.array(group.friend_ids, dtype=np.int64)
        return friends

    async def are_friends(self, account_id: int, friend_id: int) -> bool:
        """Tell whether two accounts are friends."""
        return friend_id in (await self.of([account_id])).get(account_id, ())


class Readers:
    """What a reader may be told: how they stand to others and which statuses and comments they may see, from committed state; never
    cached.
    """

    def __init__(
        self,
        graph: "graph_pb_grpc.SocialGraphServiceAsyncStub",
        status: "status_pb_grpc.StatusServiceAsyncStub",
        comment: "comment_pb_grpc.CommentServiceAsyncStub",
        signer: Signer,
    ) -> None:
        self._graph = graph
        self._status = status
        self._comment = comment
        self._signer = signer

    async def relations(self, reader_id: int, account_ids: Collection[int]) -> dict[int, Relation]:
        """Return how a reader stands to others, by their ids."""
        if not account_ids:
            return {}
        request = graph_pb.RelateRequest(viewer_id=reader_id, account_ids=sorted(set(account_ids)))
        answer = await call(self._graph.Relate, request, self._signer, timeout_seconds=READ_SECONDS)
        return {
            one.account_id: Relation(
                one.is_friend,
                one.is_requested_by,
                is_silenced=one.is_blocking or one.is_blocked_by or one.is_muting_notifications,
            )
            for one in answer.relationships
        }

    async def status_authors(self, reader_id: int, status_ids: Collection[int]) -> dict[int, int]:
        """Return the authors of those statuses that exist and the reader may see, by the statuses' ids."""
        if not status_ids:
            return {}
        request = status_pb.BatchGetStatusesRequest(viewer_id=reader_id, status_ids=sorted(set(status_ids)))
        answer = await call(self._status.BatchGetStatuses, request, self._signer, timeout_seconds=READ_SECONDS)
        return {status.id: status.account_id for status in answer.statuses}

    async def comments(self, reader_id: int, comment_ids: Collection[int]) -> dict[int, Comment]:
        """Return those comments that exist and the reader may see, by their ids."""
        if not comment_ids:
            return {}
        request = comment_pb.BatchGetCommentsRequest(viewer_id=reader_id, comment_ids=sorted(set(comment_ids)))
        answer = await call(self._comment.BatchGetComments, request, self._signer, timeout_seconds=READ_SECONDS)
        return {comment.id: Comment(comment.author_id, comment.account_id) for comment in answer.comments}

    async def favoured(self, account_id: int, status_ids: Collection[int]) -> set[int]:
        """Return which of these statuses an account favours and may see."""
        request = status_pb.BatchGetStatusesRequest(viewer_id=account_id, status_ids=sorted(set(status_ids)))
        answer = await call(self._status.BatchGetStatuses, request, self._signer, timeout_seconds=READ_SECONDS)
        return {status.id for status in answer.statuses if status.is_favourited}


@dataclass(frozen=True)
class OpenRows:
    """The oldest open rows of one ledger."""

    rows: list[tuple[str, dict[str, int]]]
    """(task, payload) of each change that they stand for."""
    has_more: bool


class Ledgers:
    """The ledgers of those who publish or befriend."""

    def __init__(self, stubs: Sequence["ledger_pb_grpc.LedgerServiceAsyncStub"], signer: Signer) -> None:
        self._stubs = stubs
        self._signer = signer

    async def open_rows(self, tasks: Sequence[str]) -> list[OpenRows]:
        """Return what is open of these tasks, per ledger."""
        request = ledger_pb.ListOpenWorkRequest(tasks=tasks, limit=MAX_OPEN_ROWS)
        answers = await asyncio.gather(
            *(call(stub.ListOpenWork, request, self._signer, timeout_seconds=READ_SECONDS) for stub in self._stubs)
        )
        return [
            OpenRows(
                [
                    (row.task, payload)
                    for row in answer.rows
                    for payload in payloads_of(msgspec.json.decode(row.payload_json))
                ],
                answer.has_more,
            )
            for answer in answers
        ]


@dataclass(frozen=True)
class Clients:
    """Everything that is asked."""

    publications: Publications
    friends: Friends
    ledgers: Ledgers
    readers: Readers


@asynccontextmanager
async def open_clients(settings: Settings, role: str) -> AsyncIterator[Clients]:
    """Open channels to the other services, signing as `role`, until the block ends."""
    signer = Signer(role, settings.derive("rpc"))
    async with AsyncExitStack() as stack:
        channels = {}
        for name, service, reads in (
            ("social_graph", "social_graph.v1.SocialGraphService", ("StreamFriendIds", "Relate")),
            (
                "status",
                "status.v1.StatusService",
                ("FilterHomeStatuses", "PullStatuses", "BatchGetPublishedStatuses", "BatchGetStatuses"),
            ),
            (
                "blog",
                "blog.v1.BlogService",
                ("FilterHomeBlogEntries", "PullBlogEntries", "BatchGetPublishedBlogEntries"),
            ),
            ("comments", "blog.v1.CommentService", ("BatchGetComments",)),
        ):
            address = settings.address(service.partition(".")[0])
            channels[name] = open_channel(address, f"kodama.{service}", retryable=reads)
            stack.push_async_callback(channels[name].close)
        status = status_pb_grpc.StatusServiceStub(channels["status"])
        graph = graph_pb_grpc.SocialGraphServiceStub(channels["social_graph"])
        comment = comment_pb_grpc.CommentServiceStub(channels["comments"])
        yield Clients(
            Publications(
                {
                    Kind.STATUS: Statuses(status, signer),
                    Kind.BLOG_ENTRY: BlogEntries(blog_pb_grpc.BlogServiceStub(channels["blog"]), signer),
                }
            ),
            Friends(graph, signer),
            Ledgers(
                [
                    ledger_pb_grpc.LedgerServiceStub(channels[producer])
                    for producer in ("social_graph", "status", "blog")
                ],
                signer,
            ),
            Readers(graph, status, comment, signer),
        )


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
