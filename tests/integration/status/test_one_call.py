"""What is posted at the same moment is one call, in which nobody's mistake is anybody else's."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from google.rpc import status_pb2 as rpc_status_pb2
from kodama.status.v1 import status_pb2
from kodama.status.v1 import status_service_pb2 as pb

from chassis.caller import GATEWAY, Signer
from chassis.errors import IdempotencyKeyReused, InvalidField, KodamaError, NotFound, Unavailable, from_rpc_status
from services.gateway.status_calls import Posted, StatusCalls
from services.status.domain import NewStatus
from services.status.domain import Posted as DomainPosted
from services.status.posting import Posting
from services.status.servicer import StatusServicer
from tests.integration.status.conftest import DIRECT, FRIENDS, PUBLIC, Wall

NOBODYS = 1 << 60


def error_of(result: pb.CreateStatusResult) -> KodamaError:
    found = from_rpc_status(rpc_status_pb2.Status.FromString(result.error))
    assert found is not None
    return found


async def test_each_has_an_outcome_of_its_own_in_the_order_of_the_requests(wall: Wall) -> None:
    ann, bob = await wall.friends(2)
    first = await wall.post(ann, "old", key="taken")
    requests = [
        pb.CreateStatusRequest(account_id=ann, text="one"),
        pb.CreateStatusRequest(account_id=bob, text="b" * 151),
        pb.CreateStatusRequest(account_id=ann, text="an answer to nothing", in_reply_to_id=NOBODYS),
        pb.CreateStatusRequest(account_id=ann, text="old", request_id="taken"),
        pb.CreateStatusRequest(account_id=ann, text="other", request_id="taken"),
        pb.CreateStatusRequest(account_id=bob, text="twice", request_id="k"),
        pb.CreateStatusRequest(account_id=bob, text="twice", request_id="k"),
        pb.CreateStatusRequest(account_id=bob, text="an answer", in_reply_to_id=first.id),
        pb.CreateStatusRequest(account_id=bob, text="two"),
    ]
    answer = await wall.ask(wall.world.statuses.BatchCreateStatuses, pb.BatchCreateStatusesRequest(requests=requests))
    one, long, lost, again, reused, twice, same, reply, two = answer.results
    assert [result.status.text for result in (one, again, twice, same, reply, two)] == [
        *("one", "old", "twice", "twice", "an answer", "two")
    ]
    assert again.status.id == first.id
    assert twice.status.id == same.status.id
    assert reply.status.in_reply_to_account_id == ann
    too_long = error_of(long)
    assert isinstance(too_long, InvalidField)
    assert too_long.metadata["field"] == "text"
    assert isinstance(error_of(lost), NotFound)
    assert isinstance(error_of(reused), IdempotencyKeyReused)
    stored = wall.world.query("SELECT text FROM status.statuses WHERE account_id = ANY(%s)", [ann, bob])
    assert sorted(str(text) for (text,) in stored) == ["an answer", "old", "one", "twice", "two"]


async def test_authors_can_leave_the_visibility_to_their_settings(wall: Wall) -> None:
    ann, bob = await wall.world.members(2)
    wall.world.query("UPDATE account.accounts SET default_visibility = %s WHERE id = %s RETURNING id", FRIENDS, ann)
    requests = [
        pb.CreateStatusRequest(account_id=author, text="x", visibility=visibility)
        for author, visibility in (
            (ann, status_pb2.VISIBILITY_AUTHOR_DEFAULT),
            (bob, status_pb2.VISIBILITY_AUTHOR_DEFAULT),
            (NOBODYS, status_pb2.VISIBILITY_AUTHOR_DEFAULT),
            (ann, status_pb2.VISIBILITY_DIRECT),
            (ann, status_pb2.VISIBILITY_UNSPECIFIED),
        )
    ]
    answer = await wall.ask(wall.world.statuses.BatchCreateStatuses, pb.BatchCreateStatusesRequest(requests=requests))
    assert [result.status.visibility for result in answer.results] == [FRIENDS, PUBLIC, 0, DIRECT, PUBLIC]
    assert isinstance(error_of(answer.results[2]), NotFound)
    assert (await wall.post(ann, visibility=status_pb2.VISIBILITY_AUTHOR_DEFAULT)).visibility == FRIENDS


async def test_nothing_is_posted_whose_visibility_cannot_be_found_out() -> None:
    class AccountIsAway(Posting):
        def __init__(self) -> None:
            self.posted: list[str] = []

        async def default_visibilities(self, author_ids: Collection[int]) -> dict[int, int]:
            raise Unavailable("The service does not answer.")

        async def post_all(self, posts: Sequence[NewStatus]) -> list[DomainPosted | Exception]:
            self.posted += [new.text for new in posts]
            return [NotFound("nothing is stored here", resource="status") for _ in posts]

    posting = AccountIsAway()
    nothing: Any = None  # what no other RPC is asked for
    servicer = StatusServicer(nothing, posting, *[nothing] * 5)
    requests = [
        pb.CreateStatusRequest(
            account_id=1, text="as my settings say", visibility=status_pb2.VISIBILITY_AUTHOR_DEFAULT
        ),
        pb.CreateStatusRequest(account_id=1, text="for friends", visibility=status_pb2.VISIBILITY_FRIENDS),
    ]
    answer = await servicer.BatchCreateStatuses(pb.BatchCreateStatusesRequest(requests=requests), nothing)
    assert [type(error_of(result)) for result in answer.results] == [Unavailable, NotFound]
    assert posting.posted == ["for friends"]


async def test_the_gateway_posts_what_comes_together_in_one_call_each_with_its_own_error(wall: Wall) -> None:
    [ann] = await wall.world.members(1)
    sizes: list[int] = []

    class Counting(StatusCalls):
        async def _create_statuses(self, requests: Sequence[pb.CreateStatusRequest]) -> list[Posted | Exception]:
            sizes.append(len(requests))
            return await super()._create_statuses(requests)

    calls = Counting(Signer(GATEWAY, wall.world.settings.derive("rpc")))
    calls._status = wall.world.statuses
    outcomes = await asyncio.gather(
        *(
            calls.create_status(account_id=ann, text=text, visibility=status_pb2.VISIBILITY_PUBLIC)
            for text in ("a", "b" * 151, "c")
        ),
        return_exceptions=True,
    )
    assert sizes == [3]
    assert [type(outcome).__name__ for outcome in outcomes] == ["Posted", "InvalidField", "Posted"]
