"""Reading: relations, pages, counts and streams."""

import asyncio

import networkx as nx
import pytest
from kodama.social_graph.v1 import social_graph_pb2 as graph_pb
from kodama.social_graph.v1 import social_graph_service_pb2 as pb

from chassis import caller
from chassis.errors import InvalidField, KodamaError
from chassis.rpc import call
from services.social_graph import servicer
from services.social_graph.domain import write_page_token
from tests.integration.social_graph.conftest import SECONDS, Graph, KnownAccounts

KARATE = [(a + 1, b + 1) for a, b in nx.karate_club_graph().edges]


async def list_friends(
    graph: Graph, account_id: int, page_size: int = 0, token: str = "", viewer_id: int = 0
) -> pb.ListFriendsResponse:
    request = pb.ListFriendsRequest(account_id=account_id, page_size=page_size, page_token=token, viewer_id=viewer_id)
    return await call(graph.stub.ListFriends, request, graph.signer(caller.GATEWAY), timeout_seconds=SECONDS)


async def list_requests(
    graph: Graph, account_id: int, page_size: int = 0, token: str = "", *, outgoing: bool = False
) -> pb.ListFriendRequestsResponse:
    request = pb.ListFriendRequestsRequest(
        account_id=account_id, page_size=page_size, page_token=token, outgoing=outgoing
    )
    return await call(graph.stub.ListFriendRequests, request, graph.signer(caller.GATEWAY), timeout_seconds=SECONDS)


async def test_relate_tells_every_kind(graph: Graph) -> None:
    await graph.befriend(1, 2)
    await graph.ask(1, 3)
    await graph.ask(4, 1)
    await graph.block(1, 5)
    await graph.block(6, 1)
    await graph.mute(1, 8, notifications=False)
    await graph.mute(9, 1)
    relations = await graph.relate(1, [2, 3, 4, 5, 6, 7, 1, 7, 8, 9, 999_999])
    assert relations == {
        1: graph_pb.Relationship(account_id=1),
        2: graph_pb.Relationship(account_id=2, is_friend=True),
        3: graph_pb.Relationship(account_id=3, is_requested=True),
        4: graph_pb.Relationship(account_id=4, is_requested_by=True),
        5: graph_pb.Relationship(account_id=5, is_blocking=True),
        6: graph_pb.Relationship(account_id=6, is_blocked_by=True),
        7: graph_pb.Relationship(account_id=7),
        8: graph_pb.Relationship(account_id=8, is_muting=True),
        9: graph_pb.Relationship(account_id=9),
        999_999: graph_pb.Relationship(account_id=999_999),
    }
    assert await graph.relate(1, []) == {}


async def relate_pairs(graph: Graph, *pairs: tuple[int, int]) -> list[int]:
    request = pb.BatchRelateRequest(viewer_ids=[one for one, _ in pairs], account_ids=[other for _, other in pairs])
    answer = await call(graph.stub.BatchRelate, request, graph.signer(caller.STATUS), timeout_seconds=SECONDS)
    return list(answer.relations)


async def test_many_pairs_are_told_in_their_order_what_relate_tells_of_one(graph: Graph) -> None:
    await graph.befriend(21, 22)
    await graph.befriend(21, 23)
    await graph.mute(21, 23)
    await graph.mute(24, 21)
    await graph.block(21, 25)
    await graph.block(26, 21)
    await graph.ask(27, 21)
    pairs = [(viewer, other) for viewer in (21, 22, 24) for other in (26, 21, 25, 22, 23, 27, 24, 22, 999_999)]
    told = await relate_pairs(graph, *pairs)
    for viewer in (21, 22, 24):
        related = await graph.relate(viewer, [21, 22, 23, 24, 25, 26, 27, 999_999])
        for (_, other), relation in [(pair, one) for pair, one in zip(pairs, told, strict=True) if pair[0] == viewer]:
            one = related[other]
            expected = one.is_friend + 2 * (one.is_blocking or one.is_blocked_by) + 4 * one.is_muting
            assert relation == expected, (viewer, other)
    assert {0, 1, 2, 4, 5} <= set(told)
    await graph.end(21, 22)
    assert await relate_pairs(graph, (21, 22), (22, 21)) == [0, 0], "from committed state, never from before"
    assert await relate_pairs(graph) == []


async def test_pairs_have_both_ends(graph: Graph) -> None:
    request = pb.BatchRelateRequest(viewer_ids=[1, 2], account_ids=[3])
    with pytest.raises(InvalidField):
        await call(graph.stub.BatchRelate, request, graph.signer(caller.STATUS), timeout_seconds=SECONDS)
    with pytest.raises(KodamaError, match="PERMISSION_DENIED"):
        await call(graph.stub.BatchRelate, request, graph.signer(caller.GATEWAY), timeout_seconds=SECONDS)


async def test_relate_tells_friends_of_friends_where_asked(graph: Graph) -> None:
    await graph.form(KARATE)
    club = nx.Graph(KARATE)
    members = [*sorted(club), 1000]
    answers = await asyncio.gather(
        *(graph.relate(viewer, members, with_friends_of_friends=True) for viewer in sorted(club))
    )
    for viewer, relations in zip(sorted(club), answers, strict=True):
        expected = {v for v in club if v != viewer and any(nx.common_neighbors(club, viewer, v))}
        assert {v for v, relation in relations.items() if relation.is_friend_of_friend} == expected
        assert {v for v, relation in relations.items() if relation.is_friend} == set(club[viewer])
    assert not any(relation.is_friend_of_friend for relation in (await graph.relate(1, members)).values())


async def test_pages_of_friends(graph: Graph) -> None:
    await graph.form([(1, friend) for friend in range(2, 93)])
    first = await list_friends(graph, 1)
    assert [friend.account_id for friend in first.friends] == list(range(2, 42))
    assert first.friends[0].since_ms > 1_600_000_000_000
    seen, token = [], ""
    while True:
        page = await list_friends(graph, 1, 13, token)
        seen += [friend.account_id for friend in page.friends]
        token = page.next_page_token
        if not token:
            break
        assert len(page.friends) == 13
    assert seen == list(range(2, 93))
    assert (await list_friends(graph, 1, 91)).next_page_token == ""
    assert len((await list_friends(graph, 1, 1_000_000)).friends) == 91
    assert (await list_friends(graph, 1999)) == pb.ListFriendsResponse()


async def test_hidden_friends_are_shown_to_their_owner_alone(graph: Graph, accounts: KnownAccounts) -> None:
    for friend in (2, 3):
        await graph.befriend(1, friend)
        await graph.befriend(4, friend)
    accounts.hiding = {1}
    for viewer, seen in ((0, []), (1, [2, 3]), (2, []), (4, [])):
        assert [friend.account_id for friend in (await list_friends(graph, 1, viewer_id=viewer)).friends] == seen
    assert await graph.mutual(4, [1]) == {1: []}
    assert await graph.mutual(1, [4]) == {4: [2, 3]}
    accounts.known = set()  # whoever is gone has no list, and nobody can tell the difference
    assert (await list_friends(graph, 4)).friends == []


async def test_who_may_see_whose_friends(graph: Graph) -> None:
    await graph.befriend(1, 2)
    await graph.block(1, 3)
    for viewer, seen in ((0, [2]), (1, [2]), (2, [2]), (3, []), (4, [2])):
        assert [friend.account_id for friend in (await list_friends(graph, 1, viewer_id=viewer)).friends] == seen
    await graph.befriend(3, 4)
    assert (await list_friends(graph, 3, viewer_id=1)).friends == []


async def test_mutual_friends(graph: Graph) -> None:
    await graph.form(KARATE)
    club = nx.Graph(KARATE)
    members = [*sorted(club), 1000]
    found = await graph.mutual(1, members)
    assert found == {1: [], 1000: []} | {v: sorted(nx.common_neighbors(club, 1, v)) for v in club if v != 1}
    assert (await graph.mutual(1, [34], limit=1))[34] == sorted(nx.common_neighbors(club, 1, 34))[:1]
    for blocker, blocked in ((1, 34), (33, 1)):
        await graph.block(blocker, blocked)
    assert await graph.mutual(1, [33, 34]) == {33: [], 34: []}
    assert await graph.mutual(1, []) == {}


async def test_pages_of_requests_are_newest_first(graph: Graph) -> None:
    for requester in (5, 3, 9, 2, 7):
        await graph.ask(requester, 1)
    for target in (6, 4, 8):
        await graph.ask(1, target)
    seen, token = [], ""
    for _ in range(3):
        page = await list_requests(graph, 1, 2, token)
        seen += [(waiting.requester_id, waiting.target_id) for waiting in page.friend_requests]
        token = page.next_page_token
    assert (seen, token) == ([(7, 1), (2, 1), (9, 1), (3, 1), (5, 1)], "")
    first = await list_requests(graph, 1, 2, outgoing=True)
    second = await list_requests(graph, 1, 2, first.next_page_token, outgoing=True)
    assert [waiting.target_id for page in (first, second) for waiting in page.friend_requests] == [8, 4, 6]
    assert second.next_page_token == ""
    times = [waiting.created_at_ms for waiting in (await list_requests(graph, 1)).friend_requests]
    assert times == sorted(times, reverse=True)
    assert times[0] > 1_600_000_000_000


async def test_bad_pages(graph: Graph) -> None:
    with pytest.raises(InvalidField) as size:
        await list_friends(graph, 1, -1)
    assert size.value.metadata["field"] == "page_size"
    with pytest.raises(InvalidField) as garbage:
        await list_friends(graph, 1, 0, "?")
    assert garbage.value.metadata["field"] == "page_token"
    with pytest.raises(InvalidField) as other_list:
        await list_requests(graph, 1, 0, write_page_token(5))
    assert other_list.value.metadata["field"] == "page_token"
    far = await list_requests(graph, 1, 0, write_page_token(2**63 - 1, 2**63 - 1))
    assert far == pb.ListFriendRequestsResponse()


async def test_streams_and_counts_tell_all_friends(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    await graph.form(KARATE)
    club = nx.Graph(KARATE)
    friends = await graph.friend_ids([*club, 1000, 1, 1])
    assert friends == {1000: []} | {member: sorted(club[member]) for member in club}
    assert await graph.counts([*club, 1000]) == dict(club.degree)
    assert await graph.friend_ids([]) == {}
    [group] = await graph.grouped_friend_ids([*club, 1000])
    assert group == friends
    monkeypatch.setattr(servicer, "MAX_GROUP", 40)
    groups = await graph.grouped_friend_ids([*club, 1000])
    assert len(groups) > 2
    assert {account_id: ids for part in groups for account_id, ids in part.items()} == friends
    assert await graph.grouped_friend_ids([]) == []
    assert await graph.counts([]) == {}


async def test_batches_are_bounded(graph: Graph) -> None:
    with pytest.raises(InvalidField, match="1000"):
        await graph.relate(1, range(1, 1002))
    with pytest.raises(InvalidField, match="1000"):
        await graph.counts(range(1, 1002))
    with pytest.raises(InvalidField, match="1000"):
        await graph.friend_ids(range(1, 1002))
    with pytest.raises(InvalidField, match="10000"):
        await graph.form([(1, 2)] * 10_001)
    with pytest.raises(InvalidField, match="40"):
        await graph.mutual(1, range(1, 42))


async def test_who_may_call_what(graph: Graph) -> None:
    async def calls(role: str, method: object, request: object) -> bool:
        try:
            await call(method, request, graph.signer(role), timeout_seconds=SECONDS)  # type: ignore[arg-type]  # RPCs of several types
        except KodamaError as error:
            return "PERMISSION_DENIED" not in error.message
        return True

    relate = [role for role in sorted(caller.ROLES) if await calls(role, graph.stub.Relate, pb.RelateRequest())]
    assert relate == ["blog", "gateway", "operator", "status", "timeline", "worker"]
    request = pb.BatchImportFriendshipsRequest()
    imports = [role for role in sorted(caller.ROLES) if await calls(role, graph.stub.BatchImportFriendships, request)]
    assert imports == ["operator"]
    asks = [
        role
        for role in sorted(caller.ROLES)
        if await calls(role, graph.stub.RequestFriendship, pb.RequestFriendshipRequest())
    ]
    assert asks == ["gateway"]
