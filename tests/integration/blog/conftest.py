"""A running blog service, and a social graph that says what a test wants."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import psycopg
import pytest
from kodama.blog.v1 import blog_service_pb2_grpc, comment_service_pb2_grpc, draft_service_pb2_grpc
from kodama.social_graph.v1 import social_graph_pb2, social_graph_service_pb2_grpc
from kodama.social_graph.v1 import social_graph_service_pb2 as graph_pb

from chassis import caller
from chassis.rpc import Server, Service, call, method_names, open_channel
from chassis.settings import Settings
from tests.conftest import Running


@dataclass
class SocialGraph(social_graph_service_pb2_grpc.SocialGraphServiceServicer):
    """Answers Relate, to the blog service only, and remembers what it was asked."""

    friends: set[frozenset[int]] = field(default_factory=set)
    blocks: set[tuple[int, int]] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    """Accounts that the answer leaves out."""
    asked: list[graph_pb.RelateRequest] = field(default_factory=list)
    before_answer: Callable[[], Awaitable[Any]] | None = None
    """What happens once while the next answer is on its way."""

    def befriend(self, *pairs: tuple[int, int]) -> None:
        self.friends |= {frozenset(pair) for pair in pairs}

    def _friends_of(self, account_id: int) -> set[int]:
        return {other for pair in self.friends if account_id in pair for other in pair - {account_id}}

    async def Relate(
        self, request: graph_pb.RelateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> graph_pb.RelateResponse:
        self.asked.append(request)
        meanwhile, self.before_answer = self.before_answer, None
        if meanwhile is not None:
            await meanwhile()
        mine = self._friends_of(request.viewer_id)
        return graph_pb.RelateResponse(
            relationships=[
                social_graph_pb2.Relationship(
                    account_id=other,
                    is_friend=other in mine,
                    is_blocking=(request.viewer_id, other) in self.blocks,
                    is_blocked_by=(other, request.viewer_id) in self.blocks,
                    is_friend_of_friend=request.with_friends_of_friends and bool(mine & self._friends_of(other)),
                )
                for other in set(request.account_ids) - self.unknown
            ]
        )

    def service(self) -> Service:
        methods = method_names(graph_pb.DESCRIPTOR.services_by_name["SocialGraphService"])
        policy = dict.fromkeys(methods, frozenset[str]()) | {"Relate": frozenset({caller.BLOG})}
        return Service(
            name="kodama.social_graph.v1.SocialGraphService",
            add=lambda server: social_graph_service_pb2_grpc.add_SocialGraphServiceServicer_to_server(self, server),
            callers=policy,
            methods=methods,
        )


@dataclass
class Blog:
    """The blog service as its callers see it."""

    settings: Settings
    stub: "blog_service_pb2_grpc.BlogServiceAsyncStub"
    drafts: "draft_service_pb2_grpc.DraftServiceAsyncStub"
    comments: "comment_service_pb2_grpc.CommentServiceAsyncStub"

    async def ask(self, method: Callable[..., Awaitable[Any]], request: Any, role: str = caller.GATEWAY) -> Any:
        signer = caller.Signer(role, self.settings.derive("rpc"))
        return await call(method, request, signer, timeout_seconds=10)

    def work(self) -> list[tuple[str, dict[str, int]]]:
        """Return task and payload of what the ledger holds, in order."""
        return [tuple(row) for row in self.query("SELECT task, payload FROM ledger ORDER BY id")]

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.settings.service_database_url("blog"), autocommit=True) as conn:
            cursor = conn.execute(sql.encode(), parameters)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
async def blog(settings: Settings, running: Running) -> AsyncIterator[Blog]:
    """The service alone: nobody answers for social_graph."""
    async with running("blog"):
        channel = open_channel(settings.address("blog"), "kodama.blog.v1.BlogService")
        yield Blog(
            settings,
            blog_service_pb2_grpc.BlogServiceStub(channel),
            draft_service_pb2_grpc.DraftServiceStub(channel),
            comment_service_pb2_grpc.CommentServiceStub(channel),
        )
        await channel.close()


@pytest.fixture
async def social_graph(settings: Settings) -> AsyncIterator[SocialGraph]:
    """A real server in social_graph's place."""
    graph = SocialGraph()  # type: ignore[abstract]  # only Relate may be called
    server = Server(settings.address("social_graph"), settings.derive("rpc"), [graph.service()])
    await server.start()
    yield graph
    await server.stop(1)
