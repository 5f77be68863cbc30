"""The ledger's RPCs: workers report, operators put right, everything bounded."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from kodama.ledger.v1 import ledger_service_pb2 as pb
from kodama.ledger.v1 import ledger_service_pb2_grpc as pb_grpc

from chassis import caller
from chassis.database import Pool, connection
from chassis.errors import InvalidField
from chassis.ledger_service import MAX_ROWS, ledger_service
from chassis.process import open_server
from chassis.rpc import Service, call, open_channel
from chassis.settings import Settings
from tests.integration.chassis.conftest import PRODUCER, Ledger


async def build(settings: Settings, pool: Pool, stack: AsyncExitStack) -> Sequence[Service]:
    return [ledger_service(pool)]


@dataclass
class Remote:
    """The ledger of the status service as workers and operators see it."""

    stub: "pb_grpc.LedgerServiceAsyncStub"
    settings: Settings

    async def ask(self, method: str, request: Any, role: str) -> Any:
        signer = caller.Signer(role, self.settings.derive("rpc"))
        return await call(getattr(self.stub, method), request, signer, timeout_seconds=10)


@pytest.fixture
async def remote(settings: Settings) -> AsyncIterator[Remote]:
    async with open_server(PRODUCER, settings, build):
        channel = open_channel(settings.address(PRODUCER), "kodama.ledger.v1.LedgerService")
        yield Remote(pb_grpc.LedgerServiceStub(channel), settings)
        await channel.close()


async def test_workers_complete_and_report_failures(remote: Remote, work: Ledger) -> None:
    await work.publish_statuses(3)
    first, second, third = [row["id"] for row in await work.rows()]
    done = await remote.ask("CompleteWork", pb.CompleteWorkRequest(row_ids=[first, second, 999_999]), caller.WORKER)
    assert done.completed == 2
    await remote.ask("RecordFailure", pb.RecordFailureRequest(row_ids=[third], error="planted"), caller.WORKER)
    (row,) = await work.rows()
    assert (row["id"], row["last_error"], row["is_due"]) == (third, "planted", False)


async def test_how_long_rows_took_is_told_when_they_have_gone(remote: Remote, work: Ledger) -> None:
    await work.publish_statuses(3)
    first, second, _ = [row["id"] for row in await work.rows()]
    before = await remote.ask("GetLag", pb.GetLagRequest(), caller.OPERATOR)
    assert list(before.paces) == []
    await remote.ask("CompleteWork", pb.CompleteWorkRequest(row_ids=[first, second]), caller.WORKER)
    [pace] = (await remote.ask("GetLag", pb.GetLagRequest(), caller.OPERATOR)).paces
    assert (pace.task, pace.queue, pace.samples) == ("timeline.fan_out", "timeline.live", 2)
    assert 0 <= pace.delivered_p50_ms <= pace.delivered_p99_ms < 60_000
    assert pace.relayed_p99_ms == 0, "no relay has published them"


async def test_open_work_is_listed_with_a_sign_that_there_is_more(remote: Remote, work: Ledger) -> None:
    await work.publish_statuses(3)
    await work.append("status.deleted", {"entry_id": 9})
    for limit, expected, has_more in ((2, [1, 2], True), (3, [1, 2, 3], False), (0, [1, 2, 3], False)):
        answer = await remote.ask(
            "ListOpenWork", pb.ListOpenWorkRequest(tasks=["timeline.fan_out"], limit=limit), caller.TIMELINE
        )
        assert [row.payload_json for row in answer.rows] == [f'{{"entry_id":{number}}}' for number in expected]
        assert answer.has_more is has_more
    assert {row.task for row in answer.rows} == {"timeline.fan_out"}
    assert [row.created_at_ms for row in answer.rows] == [
        int(row["created_at"].timestamp() * 1000) for row in (await work.rows())[:3]
    ]


async def test_a_shared_row_counts_for_each_of_its_changes(remote: Remote, work: Ledger) -> None:
    await work.share(1, 2, 3)
    await work.publish_statuses(1, first=4)
    for limit, rows in ((2, 0), (3, 1), (4, 2)):
        request = pb.ListOpenWorkRequest(tasks=["timeline.fan_out"], limit=limit)
        answer = await remote.ask("ListOpenWork", request, caller.TIMELINE)
        assert (len(answer.rows), answer.has_more) == (rows, limit < 4)
    await remote.ask("CompleteWork", pb.CompleteWorkRequest(row_ids=[answer.rows[0].id]), caller.WORKER)
    [pace] = (await remote.ask("GetLag", pb.GetLagRequest(), caller.OPERATOR)).paces
    assert pace.samples == 3


async def test_operators_see_dead_work_replay_and_discard_it(remote: Remote, work: Ledger, pool: Pool) -> None:
    await work.publish_statuses(3)
    async with connection(pool) as conn:
        await conn.execute("UPDATE ledger SET dead_at = now(), failures = 8, last_error = 'planted'")
    dead = await remote.ask("ListDeadWork", pb.ListDeadWorkRequest(page_size=2), caller.OPERATOR)
    assert [(row.attempts, row.failures, row.state, row.last_error) for row in dead.rows] == [
        (8, 8, pb.WORK_STATE_DEAD, "planted")
    ] * 2
    rest = await remote.ask("ListDeadWork", pb.ListDeadWorkRequest(after_id=dead.rows[-1].id), caller.OPERATOR)
    ids = [row.id for row in (*dead.rows, *rest.rows)]
    replayed = await remote.ask("ReplayDeadWork", pb.ReplayDeadWorkRequest(row_ids=ids[:1]), caller.OPERATOR)
    discarded = await remote.ask("DiscardDeadWork", pb.DiscardDeadWorkRequest(row_ids=ids), caller.OPERATOR)
    assert (replayed.replayed, discarded.discarded) == (1, 2)
    (lag,) = (await remote.ask("GetLag", pb.GetLagRequest(), caller.OPERATOR)).tasks
    assert (lag.task, lag.open_rows, lag.dead_rows) == ("timeline.fan_out", 1, 0)


OUT_OF_BOUNDS: list[tuple[str, Any, str, str]] = [
    ("CompleteWork", pb.CompleteWorkRequest(row_ids=range(MAX_ROWS + 1)), caller.WORKER, "row_ids"),
    ("RecordFailure", pb.RecordFailureRequest(row_ids=range(MAX_ROWS + 1)), caller.WORKER, "row_ids"),
    ("ReplayDeadWork", pb.ReplayDeadWorkRequest(row_ids=range(MAX_ROWS + 1)), caller.OPERATOR, "row_ids"),
    ("DiscardDeadWork", pb.DiscardDeadWorkRequest(row_ids=range(MAX_ROWS + 1)), caller.OPERATOR, "row_ids"),
    ("ListOpenWork", pb.ListOpenWorkRequest(limit=-2), caller.TIMELINE, "limit"),
    ("ListOpenWork", pb.ListOpenWorkRequest(limit=-1), caller.TIMELINE, "limit"),
    ("ListDeadWork", pb.ListDeadWorkRequest(page_size=-1), caller.OPERATOR, "page_size"),
]


async def test_what_is_out_of_bounds_is_refused_by_name(remote: Remote) -> None:
    for method, request, role, field in OUT_OF_BOUNDS:
        with pytest.raises(InvalidField) as refused:
            await remote.ask(method, request, role)
        assert refused.value.metadata["field"] == field


async def test_the_largest_batch_is_taken(remote: Remote) -> None:
    done = await remote.ask("CompleteWork", pb.CompleteWorkRequest(row_ids=range(MAX_ROWS)), caller.WORKER)
    assert done.completed == 0
