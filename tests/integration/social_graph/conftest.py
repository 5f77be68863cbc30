"""A running social_graph beside an account service that knows whom the test says."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from google.protobuf.message import Message
from kodama.account.v1 import account_pb2, account_service_pb2, account_service_pb2_grpc
from kodama.social_graph.v1 import social_graph_pb2 as graph_pb
from kodama.social_graph.v1 import social_graph_service_pb2 as pb
from kodama.social_graph.v1 import social_graph_service_pb2_grpc as pb_grpc
from kodama.social_graph.v1 import suggestion_service_pb2 as suggestion_pb
from kodama.social_graph.v1 import suggestion_service_pb2_grpc as suggestion_pb_grpc
from psycopg.rows import TupleRow

from chassis import caller
from chassis.database import Pool, make_pool
from chassis.errors import Unavailable
from chassis.rpc import Server, Service, call, call_stream, method_names, open_channel
from chassis.settings import Settings
from services.social_graph.batch import Batch
from services.social_graph.refreshing import Refreshing
from services.social_graph.tasks import HANDLERS, Computing
from tests.conftest import Running

SECONDS = 20
Answer = TypeVar("Answer", bound=Message)


class KnownAccounts(account_service_pb2_grpc.AccountServiceServicer):
    """An account service of one RPC."""

    def __init__(self) -> None:
        self.known = set(range(1, 2001))
        self.hiding: set[int] = set()
        self.opted_out: set[int] = set()
        self.is_away = False

    async def BatchGetAccounts(
        self, request: account_service_pb2.BatchGetAccountsRequest, context: Any
    ) -> account_service_pb2.BatchGetAccountsResponse:
        assert len(request.account_ids) <= 1000
        if self.is_away:
            raise Unavailable("account is away")
        accounts = [
            account_pb2.Account(
                id=an_id, hides_friends=an_id in self.hiding, is_discoverable=an_id not in self.opted_out
            )
            for an_id in request.account_ids
            if an_id in self.known
        ]
        return account_service_pb2.BatchGetAccountsResponse(accounts=accounts)


@pytest.fixture
async def accounts(settings: Settings) -> AsyncIterator[KnownAccounts]:
    """Knows the members 1 to 2,000; a test may change `known`."""
    servicer = KnownAccounts()  # type: ignore[abstract]  # the other RPCs are not called
    methods = method_names(account_service_pb2.DESCRIPTOR.services_by_name["AccountService"])
    service = Service(
        name="kodama.account.v1.AccountService",
        add=lambda server: account_service_pb2_grpc.add_AccountServiceServicer_to_server(servicer, server),
        callers={name: frozenset({caller.SOCIAL_GRAPH}) for name in methods},
        methods=methods,
    )
    server = Server(settings.address("account"), settings.derive("rpc"), [service])
    await server.start()
    yield servicer
    await server.stop(0)


@dataclass(frozen=True)
class Graph:
    """Calls social_graph as the gateway does, or as another role."""

    settings: Settings
    stub: "pb_grpc.SocialGraphServiceAsyncStub"
    suggestions: "suggestion_pb_grpc.SuggestionServiceAsyncStub"

    def signer(self, role: str) -> caller.Signer:
        return caller.Signer(role, self.settings.derive("rpc"))

    async def ask(self, account_id: int, target_id: int) -> graph_pb.Relationship:
        request = pb.RequestFriendshipRequest(account_id=account_id, target_id=target_id)
        return (await self._call(self.stub.RequestFriendship, request)).relationship

    async def accept(self, account_id: int, requester_id: int) -> graph_pb.Relationship:
        request = pb.AcceptFriendRequestRequest(account_id=account_id, requester_id=requester_id)
        return (await self._call(self.stub.AcceptFriendRequest, request)).relationship

    async def reject(self, account_id: int, requester_id: int) -> graph_pb.Relationship:
        request = pb.RejectFriendRequestRequest(account_id=account_id, requester_id=requester_id)
        return (await self._call(self.stub.RejectFriendRequest, request)).relationship

    async def end(self, account_id: int, target_id: int) -> graph_pb.Relationship:
        request = pb.EndFriendshipRequest(account_id=account_id, target_id=target_id)
        return (await self._call(self.stub.EndFriendship, request)).relationship

    async def block(self, account_id: int, target_id: int) -> graph_pb.Relationship:
        request = pb.BlockRequest(account_id=account_id, target_id=target_id)
        return (await self._call(self.stub.Block, request)).relationship

    async def unblock(self, account_id: int, target_id: int) -> graph_pb.Relationship:
        request = pb.UnblockRequest(account_id=account_id, target_id=target_id)
        return (await self._call(self.stub.Unblock, request)).relationship

    async def mute(
        self, account_id: int, target_id: int, seconds: int = 0, *, notifications: bool = True
    ) -> graph_pb.Relationship:
        request = pb.MuteRequest(
            account_id=account_id, target_id=target_id, duration_seconds=seconds, hides_notifications=notifications
        )
        return (await self._call(self.stub.Mute, request)).relationship

    async def unmute(self, account_id: int, target_id: int) -> graph_pb.Relationship:
        request = pb.UnmuteRequest(account_id=account_id, target_id=target_id)
        return (await self._call(self.stub.Unmute, request)).relationship

    async def requests(self, account_id: int, *, outgoing: bool = False) -> list[graph_pb.FriendRequest]:
        request = pb.ListFriendRequestsRequest(account_id=account_id, outgoing=outgoing)
        return list((await self._call(self.stub.ListFriendRequests, request)).friend_requests)

    async def mutes(self, account_id: int, page_size: int = 0, page_token: str = "") -> pb.ListMutesResponse:
        request = pb.ListMutesRequest(account_id=account_id, page_size=page_size, page_token=page_token)
        return await self._call(self.stub.ListMutes, request)

    async def blocks(self, account_id: int, page_size: int = 0, page_token: str = "") -> pb.ListBlocksResponse:
        request = pb.ListBlocksRequest(account_id=account_id, page_size=page_size, page_token=page_token)
        return await self._call(self.stub.ListBlocks, request)

    async def mutual(self, viewer_id: int, account_ids: Iterable[int], limit: int = 0) -> dict[int, list[int]]:
        request = pb.BatchListMutualFriendsRequest(viewer_id=viewer_id, account_ids=account_ids, limit=limit)
        response = await self._call(self.stub.BatchListMutualFriends, request)
        return {mutual.account_id: list(mutual.friend_ids) for mutual in response.mutual_friends}

    async def befriend(self, account_id: int, friend_id: int) -> None:
        await self.ask(account_id, friend_id)
        await self.accept(friend_id, account_id)

    async def relate(
        self, viewer_id: int, account_ids: Iterable[int], *, with_friends_of_friends: bool = False
    ) -> dict[int, graph_pb.Relationship]:
        request = pb.RelateRequest(
            viewer_id=viewer_id, account_ids=account_ids, with_friends_of_friends=with_friends_of_friends
        )
        response = await self._call(self.stub.Relate, request)
        assert len(response.relationships) == len(set(request.account_ids))
        return {relationship.account_id: relationship for relationship in response.relationships}

    async def friend_ids(self, account_ids: Iterable[int]) -> dict[int, list[int]]:
        request = pb.StreamFriendIdsRequest(account_ids=account_ids)
        stream = call_stream(self.stub.StreamFriendIds, request, self.signer(caller.TIMELINE), timeout_seconds=SECONDS)
        parts = [part async for part in stream]
        assert len(parts) == len({part.account_id for part in parts})
        return {part.account_id: list(part.friend_ids) for part in parts}

    async def grouped_friend_ids(self, account_ids: Iterable[int]) -> list[dict[int, list[int]]]:
        """All friends of accounts, element by element."""
        request = pb.StreamFriendIdsRequest(account_ids=account_ids, is_grouped=True)
        stream = call_stream(self.stub.StreamFriendIds, request, self.signer(caller.TIMELINE), timeout_seconds=SECONDS)
        return [{group.account_id: list(group.friend_ids) for group in part.groups} async for part in stream]

    async def counts(self, account_ids: Iterable[int]) -> dict[int, int]:
        request = pb.BatchCountFriendsRequest(account_ids=account_ids)
        return dict((await self._call(self.stub.BatchCountFriends, request)).counts)

    async def form(self, pairs: Iterable[tuple[int, int]]) -> int:
        request = pb.BatchImportFriendshipsRequest(
            friendships=[graph_pb.Friendship(account_id=a, friend_id=b) for a, b in pairs]
        )
        response = await call(
            self.stub.BatchImportFriendships, request, self.signer(caller.OPERATOR), timeout_seconds=SECONDS
        )
        return response.formed

    async def suggested(self, account_id: int, limit: int = 50) -> list[graph_pb.Suggestion]:
        request = suggestion_pb.ListSuggestionsRequest(account_id=account_id, limit=limit)
        return list((await self._call(self.suggestions.ListSuggestions, request)).suggestions)

    async def dismiss(self, account_id: int, target_id: int) -> None:
        request = suggestion_pb.DismissSuggestionRequest(account_id=account_id, target_id=target_id)
        await self._call(self.suggestions.DismissSuggestion, request)

    async def restore(self, account_id: int, target_id: int) -> None:
        request = suggestion_pb.RestoreSuggestionRequest(account_id=account_id, target_id=target_id)
        await self._call(self.suggestions.RestoreSuggestion, request)

    async def dismissed(
        self, account_id: int, page_size: int = 0, page_token: str = ""
    ) -> suggestion_pb.ListDismissedSuggestionsResponse:
        request = suggestion_pb.ListDismissedSuggestionsRequest(
            account_id=account_id, page_size=page_size, page_token=page_token
        )
        return await self._call(self.suggestions.ListDismissedSuggestions, request)

    async def explain(self, account_id: int, target_id: int) -> suggestion_pb.ExplainSuggestionResponse:
        request = suggestion_pb.ExplainSuggestionRequest(account_id=account_id, target_id=target_id)
        return await self._call(self.suggestions.ExplainSuggestion, request)

    async def request_all(self) -> suggestion_pb.RefreshSuggestionsResponse:
        return await self._operate(self.suggestions.RefreshSuggestions, suggestion_pb.RefreshSuggestionsRequest())

    async def cancel_all(self) -> int:
        answer = await self._operate(self.suggestions.CancelSuggestions, suggestion_pb.CancelSuggestionsRequest())
        return answer.generation_id

    async def exported(self) -> dict[int, list[int]]:
        stream = call_stream(
            self.suggestions.ExportSuggestions,
            suggestion_pb.ExportSuggestionsRequest(),
            self.signer(caller.OPERATOR),
            timeout_seconds=SECONDS,
        )
        return {member.account_id: list(member.suggested_ids) async for part in stream for member in part.members}

    async def progress(self) -> suggestion_pb.GetSuggestionProgressResponse:
        return await self._operate(self.suggestions.GetSuggestionProgress, suggestion_pb.GetSuggestionProgressRequest())

    async def _operate(self, method: Callable[..., Awaitable[Answer]], request: Message) -> Answer:
        return await call(method, request, self.signer(caller.OPERATOR), timeout_seconds=SECONDS)

    async def _call(self, method: Callable[..., Awaitable[Answer]], request: Message) -> Answer:
        return await call(method, request, self.signer(caller.GATEWAY), timeout_seconds=SECONDS)


@pytest.fixture
async def graph(settings: Settings, running: Running, accounts: KnownAccounts) -> AsyncIterator[Graph]:
    """The service, running."""
    async with running("social_graph"):
        channel = open_channel(settings.address("social_graph"), "kodama.social_graph.v1.SocialGraphService")
        yield Graph(
            settings, pb_grpc.SocialGraphServiceStub(channel), suggestion_pb_grpc.SuggestionServiceStub(channel)
        )
        await channel.close()


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    """The service's own connections, for what runs in its workers."""
    async with make_pool(settings.service_database_url("social_graph"), size=2, application="tests") as opened:
        yield opened


class Sql:
    """Looks at the tables as the service's role."""

    def __init__(self, conn: psycopg.Connection[TupleRow]) -> None:
        self._conn = conn

    def rows(self, query: Any, *parameters: Any) -> list[TupleRow]:
        return self._conn.execute(query, parameters).fetchall()

    def run(self, statement: Any, *parameters: Any) -> None:
        self._conn.execute(statement, parameters)

    def stored(self, generation: int) -> dict[int, list[int]]:
        """What a generation has for each member."""
        return dict(
            self.rows("SELECT account_id, suggested_ids FROM suggestions WHERE generation = %s ORDER BY 1", generation)
        )

    def edges(self) -> set[tuple[int, int]]:
        return set(self.rows("SELECT account_id, friend_id FROM friendships"))

    def requests(self) -> set[tuple[int, int]]:
        return set(self.rows("SELECT requester_id, target_id FROM friend_requests"))

    def work(self, task: str) -> list[dict[str, int]]:
        return [payload for (payload,) in self.rows("SELECT payload FROM ledger WHERE task = %s ORDER BY id", task)]

    def check_counts(self) -> None:
        """The counters are what the friendships add up to, and the friendships are symmetric."""
        wrong = self.rows(
            "SELECT account_id, friends_count FROM members WHERE friends_count <>"
            " (SELECT count(*) FROM friendships WHERE friendships.account_id = members.account_id)"
        )
        assert wrong == []
        edges = self.edges()
        assert {(b, a) for a, b in edges} == edges
        assert {a for a, _ in edges} <= {row[0] for row in self.rows("SELECT account_id FROM members")}


@pytest.fixture
def sql(settings: Settings) -> Iterator[Sql]:
    with psycopg.connect(settings.service_database_url("social_graph"), autocommit=True) as conn:
        yield Sql(conn)


class Work:
    """Does what the ledger says, as relay and workers do, one row at a time."""

    def __init__(self, settings: Settings, pool: Pool, sql: Sql) -> None:
        folder = Path(settings.suggestions_folder)
        self.computing = Computing(Batch(pool, folder, settings.suggestions_block_wedges), Refreshing(pool, folder))
        self._sql = sql

    def open(self, *tasks: str) -> list[tuple[int, str, dict[str, int]]]:
        """The open rows, of these tasks or of all that are about suggestions: (id, task, payload)."""
        return self._sql.rows(
            "SELECT id, task, payload FROM ledger WHERE task = ANY(%s) OR %s AND task LIKE 'suggestions.%%' ORDER BY id",
            list(tasks),
            not tasks,
        )

    async def do(self, row: tuple[int, str, dict[str, int]]) -> None:
        """Do the work of a row; it goes when that is done."""
        await HANDLERS[row[1]](self.computing, [row[2]])
        self._sql.run("DELETE FROM ledger WHERE id = %s", row[0])

    async def drain(self, *tasks: str) -> int:
        """Do everything, and what that causes; return how many rows it were."""
        done = 0
        while rows := self.open(*tasks):
            for row in rows:
                await self.do(row)
                done += 1
        return done


@pytest.fixture
def work(settings: Settings, pool: Pool, sql: Sql) -> Work:
    return Work(settings, pool, sql)
