"""The relay: everything due is published, nothing twice before its lease, nothing passed over."""

import dataclasses
import re

import psycopg
import pytest

from chassis import ledger, relay, relay_plan, relay_store, topology
from chassis.database import Pool, connection
from chassis.publisher import FULL, PublishError
from chassis.relay import relay_due
from chassis.settings import Settings
from chassis.task_app import make_task_app
from tests.integration.chassis.conftest import PRODUCER, QUEUE, Ledger, Recorder

FAN_OUT_BATCH = topology.TASKS["timeline.fan_out"].batch_size


class Pass:
    """One pass of a relay over the ledger."""

    def __init__(self, settings: Settings, conn: psycopg.Connection) -> None:
        self.settings = settings.model_copy(update={"broker_url": "amqp://nobody@127.0.0.1:1/"})
        self.app = make_task_app(self.settings, "relay")
        self.conn = conn

    def __call__(
        self, publisher: Recorder, conn: psycopg.Connection | None = None, memory: relay.Memory | None = None
    ) -> int:
        return relay_due(conn or self.conn, publisher, self.app, PRODUCER, self.settings, memory).changes


@pytest.fixture
def relay_once(settings: Settings, relay_conn: psycopg.Connection) -> Pass:
    return Pass(settings, relay_conn)


async def test_due_rows_travel_in_micro_batches_of_one_task(work: Ledger, relay_once: Pass) -> None:
    await work.publish_statuses(FAN_OUT_BATCH + 3)
    await work.append("status.deleted", {"entry_id": 901}, {"entry_id": 902})
    publisher = Recorder()
    assert relay_once(publisher) == FAN_OUT_BATCH + 5
    assert [(message.headers["task"], len(message.body[1]["payloads"])) for message in publisher.sent] == [
        ("timeline.fan_out", FAN_OUT_BATCH),
        ("timeline.fan_out", 3),
        ("timeline.retract", 2),
    ]
    ids = [row["id"] for row in await work.rows()]
    assert [row_id for message in publisher.sent for row_id in message.body[1]["row_ids"]] == ids


async def test_a_published_row_waits_for_its_lease(
    pool: Pool, work: Ledger, relay_once: Pass, settings: Settings
) -> None:
    await work.publish_statuses(2)
    publisher = Recorder()
    assert relay_once(publisher) == 2
    assert relay_once(publisher) == 0
    async with connection(pool) as conn:
        cursor = await conn.execute("SELECT extract(epoch FROM due_at - published_at)::int, publications FROM ledger")
        assert await cursor.fetchall() == [(settings.relay_lease_seconds, 1)] * 2
        await conn.execute("UPDATE ledger SET due_at = now() WHERE payload = '{\"entry_id\": 2}'")
    assert relay_once(publisher) == 1
    assert publisher.batches() == [[1, 2], [2]]
    assert [row["publications"] for row in await work.rows()] == [1, 2]


async def test_a_row_that_commits_late_is_not_passed_over(pool: Pool, work: Ledger, relay_once: Pass) -> None:
    publisher = Recorder()
    async with connection(pool) as slow:
        async with slow.transaction():
            await ledger.append(slow, "status.published", [{"entry_id": 1}])
            await work.publish_statuses(1, first=2)
            assert relay_once(publisher) == 1
        assert relay_once(publisher) == 1
    first, second = await work.rows()
    assert (first["payload"], second["payload"]) == ({"entry_id": 1}, {"entry_id": 2})
    assert publisher.numbers() == [2, 1]


async def test_two_relays_share_the_work_and_publish_no_row_twice(
    work: Ledger, relay_once: Pass, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "CLAIM_LIMIT", 30)
    await work.publish_statuses(50)
    other = Recorder()
    with psycopg.connect(settings.service_database_url(PRODUCER), autocommit=True) as other_conn:

        def relay_beside() -> None:
            assert relay_once(other, other_conn) == 20
            assert relay_once(other, other_conn) == 0

        publisher = Recorder(before=relay_beside)
        assert relay_once(publisher) == 30
        assert relay_once(publisher, other_conn) == 0
    assert sorted(publisher.numbers() + other.numbers()) == list(range(1, 51))


async def test_a_failing_publisher_leaves_rows_due(work: Ledger, relay_once: Pass) -> None:
    await work.publish_statuses(3)
    with pytest.raises(PublishError, match="gone"):
        relay_once(Recorder(error=PublishError("gone")))
    assert [(row["is_due"], row["publications"], row["published_at"]) for row in await work.rows()] == [
        (True, 0, None)
    ] * 3
    publisher = Recorder()
    assert relay_once(publisher) == 3
    assert publisher.batches() == [[1, 2, 3]]


async def test_a_relay_that_dies_after_publishing_publishes_again(work: Ledger, relay_once: Pass) -> None:
    await work.publish_statuses(1)

    def die() -> None:
        relay_once.conn.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(psycopg.OperationalError):
        relay_once(Recorder(before=die))
    with psycopg.connect(relay_once.settings.service_database_url(PRODUCER), autocommit=True) as conn:
        publisher = Recorder()
        assert relay_once(publisher, conn) == 1
    assert publisher.numbers() == [1]


async def test_publishing_is_no_attempt(work: Ledger, relay_once: Pass) -> None:
    """Nobody works for twenty leases, and the broker loses every message: rows travel together still, and none is given up."""
    await work.publish_statuses(30)
    await work.share(31, 32, 33)
    publisher = Recorder()
    for _ in range(20):
        assert relay_once(publisher) == 33
        await work.make_due()
    assert publisher.batches() == [list(range(1, 34))] * 20
    assert {(row["publications"], row["failures"], row["dead_at"]) for row in await work.rows()} == {(20, 0, None)}


async def test_a_lease_is_renewed_while_the_broker_holds_the_message(work: Ledger, relay_once: Pass) -> None:
    publisher = Recorder()
    for first in (1, 11, 21):
        await work.publish_statuses(10, first=first)
        relay_once(publisher)
    publisher.waiting[QUEUE] = 3
    for _ in range(20):
        await work.make_due()
        assert relay_once(publisher) == 0
    publisher.waiting[QUEUE] = 2  # a queue hands out the oldest first
    await work.make_due()
    assert relay_once(publisher) == 10
    assert publisher.batches()[3:] == [list(range(1, 11))]
    assert {row["publications"] for row in await work.rows()} == {1, 2}


async def test_what_a_wiped_broker_held_is_published_in_the_batches_that_it_was_in(
    work: Ledger, relay_once: Pass
) -> None:
    publisher = Recorder()
    for first in (1, 11, 21):
        await work.publish_statuses(10, first=first)
        relay_once(publisher)
    await work.make_due()
    assert relay_once(publisher) == 30
    assert publisher.batches()[3:] == publisher.batches()[:3]


async def test_no_belief_that_the_broker_holds_a_message_lasts_for_ever(
    pool: Pool, work: Ledger, relay_once: Pass, settings: Settings
) -> None:
    await work.publish_statuses(3)
    publisher = Recorder(waiting={QUEUE: 1000})
    relay_once(publisher)

    async def relay_later(leases: int) -> int:
        async with connection(pool) as conn:
            await conn.execute(
                "UPDATE ledger SET due_at = now(), published_at = now() - %s * interval '1 second'",
                (leases * settings.relay_lease_seconds,),
            )
        return relay_once(publisher)

    assert [await relay_later(leases) for leases in (31, 32, 33, 1023, 1024)] == [0, 3, 0, 0, 3]


async def test_a_batch_that_the_limit_would_tear_is_left_whole(
    work: Ledger, relay_once: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = Recorder()
    for first in (1, 11):
        await work.publish_statuses(10, first=first)
        relay_once(publisher)
    await work.make_due()
    monkeypatch.setattr(relay, "CLAIM_LIMIT", 15)
    assert [relay_once(publisher), relay_once(publisher)] == [10, 10]
    assert sorted(publisher.batches()[2:]) == publisher.batches()[:2]


class Guilty:
    """A worker that one change makes fail, whatever it travels with."""

    def __init__(self, work: Ledger, relay_once: Pass, number: int, *, is_transient: bool) -> None:
        self._work, self._relay_once, self._number, self._is_transient = work, relay_once, number, is_transient
        self.messages = 0

    async def round(self, seconds_ago: int) -> None:
        """Publish, do what can be done, and have the others fail, since so many seconds."""
        publisher = Recorder()
        self._relay_once(publisher)
        self.messages += len(publisher.sent)
        for message, numbers in zip(publisher.sent, publisher.batches(), strict=True):
            if self._number not in numbers:
                async with connection(self._work.pool) as conn:
                    await ledger.complete(conn, message.body[1]["row_ids"])
        await self._work.fail(is_transient=self._is_transient, seconds_ago=seconds_ago)


@pytest.mark.parametrize("is_transient", [False, True])
async def test_innocent_changes_leave_the_guilty_one_behind_and_it_dies_alone(
    work: Ledger, relay_once: Pass, *, is_transient: bool
) -> None:
    await work.publish_statuses(300)
    await work.share(*range(301, 401))
    guilty = Guilty(work, relay_once, 342, is_transient=is_transient)
    for _ in range(7):
        await guilty.round(seconds_ago=20)
    (row,) = await work.rows()
    assert (row["payload"], row["dead_at"]) == ({"entry_id": 342}, None)
    assert row["failures"] == (0 if is_transient else 7)
    assert guilty.messages <= 7 + 3 * 15
    await guilty.round(seconds_ago=0 if not is_transient else 24 * 3600)
    assert relay_once(Recorder()) == 0
    (row,) = await work.rows()
    assert row["dead_at"] is not None
    assert "RuntimeError: planted" in row["last_error"]


@pytest.mark.parametrize("is_transient", [False, True])
async def test_what_all_fail_of_takes_few_apart_and_kills_few(
    work: Ledger, relay_once: Pass, monkeypatch: pytest.MonkeyPatch, *, is_transient: bool
) -> None:
    """A service that all need is away, or the version that was just installed fails at everything."""
    monkeypatch.setattr(relay, "CLAIM_LIMIT", 5000)
    await work.publish_statuses(4 * FAN_OUT_BATCH)
    for _ in range(30):
        publisher = Recorder()
        relay_once(publisher)
        assert len(publisher.sent) <= 4 + relay_plan.MAX_PARTS
        await work.fail(is_transient=is_transient, seconds_ago=20)
    assert sum(row["dead_at"] is not None for row in await work.rows()) <= relay_plan.MAX_PARTS
    publisher = Recorder()
    relay_once(publisher)
    assert len(publisher.sent) <= 4 + relay_plan.MAX_PARTS, "what is well again comes back in batches"


async def test_a_row_that_has_failed_too_often_alone_is_dead_and_can_be_replayed(
    pool: Pool, work: Ledger, relay_once: Pass
) -> None:
    relay_once.settings = relay_once.settings.model_copy(update={"relay_max_attempts": 2})
    await work.publish_statuses(1)
    publisher = Recorder()
    for _ in range(2):
        assert relay_once(publisher) == 1
        await work.fail()
    assert relay_once(publisher) == 0
    (row,) = await work.rows()
    assert row["dead_at"] is not None
    assert row["last_error"] == "given up after 2 failures in 0 minutes: RuntimeError: planted"
    async with connection(pool) as conn:
        assert [dead.id for dead in await ledger.list_dead(conn, 0, 10)] == [row["id"]]
        assert await ledger.replay(conn, [row["id"]]) == 1
    assert relay_once(publisher) == 1
    assert publisher.numbers() == [1, 1, 1]


async def test_a_full_queue_holds_up_its_own_rows_only(work: Ledger, relay_once: Pass) -> None:
    await work.publish_statuses(2)
    await work.append("status.deleted", {"entry_id": 9})
    publisher = Recorder(full={QUEUE})
    memory = relay.Memory()
    assert relay_once(publisher, memory=memory) == 1
    assert publisher.numbers() == [9]
    rows = await work.rows()
    assert [(row["publications"], row["is_due"]) for row in rows] == [(0, False), (0, False), (1, False)]
    assert "full" in rows[0]["last_error"]
    await work.publish_statuses(1, first=3)
    await work.append("status.deleted", {"entry_id": 10})
    assert relay_once(publisher, memory=memory) == 1, "the full queue is left alone for a while"
    publisher.full.clear()
    memory.refused.clear()
    await work.make_due()
    publisher.waiting["housekeeping"] = 2
    assert relay_once(publisher, memory=memory) == 3
    assert publisher.numbers() == [9, 10, 1, 2, 3]


def test_a_queue_that_stays_full_is_left_alone_for_longer_and_longer() -> None:
    memory = relay.Memory()
    pauses = []
    for _ in range(10):
        memory.note_refused(QUEUE, FULL)
        pauses.append(memory.refused[QUEUE].pause_seconds)
    assert pauses == sorted(pauses)
    assert pauses[-1] == relay.MAX_REFUSED_SECONDS
    assert 0 < memory.seconds_refused(QUEUE) <= relay.MAX_REFUSED_SECONDS
    memory.note_taken(QUEUE)
    assert memory.seconds_refused(QUEUE) == 0


async def test_a_row_whose_task_is_unknown_is_parked_and_taken_up_by_a_relay_that_knows_it(
    pool: Pool, work: Ledger, relay_once: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    await work.publish_statuses(1)
    async with connection(pool) as conn:
        await conn.execute(
            "INSERT INTO ledger (task, queue, payload) VALUES ('timeline.novelty', 'timeline.live', '{\"entry_id\": 2}')"
        )
    publisher = Recorder()
    assert relay_once(publisher) == 1
    async with connection(pool) as conn:
        published, parked = await ledger.list_open(conn, ["timeline.fan_out", "timeline.novelty"], 10)
        assert (published.state, parked.state) == (ledger.WorkState.PUBLISHED, ledger.WorkState.PARKED)
        assert "does not know the task timeline.novelty" in parked.last_error
        assert {lag.task: (lag.open_rows, lag.parked_rows, lag.dead_rows) for lag in await ledger.lag(conn)} == {
            "timeline.fan_out": (1, 0, 0),
            "timeline.novelty": (1, 1, 0),
        }
    assert relay_store.take_up_parked(relay_once.conn) == 0
    novelty = dataclasses.replace(topology.TASKS["timeline.fan_out"], name="timeline.novelty")
    monkeypatch.setitem(topology.TASKS, novelty.name, novelty)
    assert relay_store.take_up_parked(relay_once.conn) == 1
    assert relay_once(publisher) == 1
    assert publisher.numbers() == [1, 2]
    assert [row["parked_at"] for row in await work.rows()] == [None, None]


def test_the_view_has_the_states_of_the_enum(relay_conn: psycopg.Connection) -> None:
    ((view,),) = relay_conn.execute("SELECT pg_get_viewdef('ledger_work'::regclass)").fetchall()
    assert set(re.findall(r"'(\w+)'::text", view)) == set(ledger.WorkState)


async def test_one_pass_takes_a_bounded_number_the_longest_due_first(
    pool: Pool, work: Ledger, relay_once: Pass, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "CLAIM_LIMIT", 2)
    await work.publish_statuses(3)
    async with connection(pool) as conn:
        await conn.execute("UPDATE ledger SET due_at = now() - interval '1 hour' WHERE payload = '{\"entry_id\": 3}'")
    publisher = Recorder()
    assert [relay_once(publisher) for _ in range(3)] == [2, 1, 0]
    assert sorted(publisher.batches()[0]) == [1, 3]
