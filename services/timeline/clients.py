"""What this service asks others: friends, relations, open work; entries by way of publications.py."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import msgspec
import numpy as np
from kodama.blog.v1 import blog_service_pb2_grpc as blog_pb_grpc
from kodama.blog.v1 import comment_service_pb2 as comment_pb
from kodama.blog.v1 import comment_service_pb2_grpc as comment_pb_grpc
from kodama.ledger.v1 import ledger_service_pb2 as ledger_pb
from kodama.ledger.v1 import ledger_service_pb2_grpc as ledger_pb_grpc
from kodama.social_graph.v1 import social_graph_service_pb2 as graph_pb
from kodama.social_graph.v1 import social_graph_service_pb2_grpc as graph_pb_grpc
from kodama.status.v1 import status_service_pb2 as status_pb
from kodama.status.v1 import status_service_pb2_grpc as status_pb_grpc

from chassis.caller import Signer
from chassis.coalescing import Coalescer
from chassis.ids import Kind
from chassis.ledger import payloads_of
from chassis.rpc import call, call_stream, open_channel
from chassis.settings import Settings
from services.timeline.domain import Comment, Relation
from services.timeline.publications import MAX_CALLS, MAX_READERS, READ_SECONDS, BlogEntries, Publications, Statuses
from services.timeline.rows import Ids

STREAM_SECONDS = 20
MAX_OPEN_ROWS = 2000
"""Changes per ledger; with more, everything is pulled, which costs less than to fetch a longer list again and again."""


class Friends:
    """Who is friends with whom, from committed state; never cached."""

    def __init__(self, stub: "graph_pb_grpc.SocialGraphServiceAsyncStub", signer: Signer) -> None:
        self._stub = stub
        self._signer = signer
        self._readers = Coalescer(self._of_each, max_batch=MAX_READERS, max_running=MAX_CALLS)

    async def of_reader(self, account_id: int) -> list[int]:
        """Return all friends of a member who reads, ascending; those who read at the same time are one call."""
        return await self._readers.get(account_id)

    async def _of_each(self, account_ids: Sequence[int]) -> list[list[int]]:
        friends = await self.of(account_ids)
        return [friends.get(account_id, []) for account_id in account_ids]

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
                (
                    *("BatchFilterHomeStatuses", "BatchPullOwnStatuses", "PullStatuses"),
                    *("BatchGetPublishedStatuses", "BatchGetStatuses"),
                ),
            ),
            (
                "blog",
                "blog.v1.BlogService",
                (
                    *("FilterHomeBlogEntries", "BatchPullOwnBlogEntries", "PullBlogEntries"),
                    "BatchGetPublishedBlogEntries",
                ),
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
