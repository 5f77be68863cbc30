"""The relay: everything due is published, nothing twice before its lease, nothing passed over."""

import psycopg
import pytest

from chassis import ledger, relay, topology
from chassis.database import Pool, connection
from chassis.publisher import PublishError
from chassis.relay import relay_due
from chassis.settings import Settings
from chassis.task_app import make_task_app
from tests.integration.chassis.conftest import PRODUCER, Ledger, Recorder

FAN_OUT_BATCH = topology.TASKS["timeline.fan_out"].batch_size


class Pass:
    """One pass of a relay over the ledger."""

    def __init__(self, settings: Settings, conn: psycopg.Connection) -> None:
        self.settings = settings.model_copy(update={"broker_url": "amqp://nobody@127.0.0.1:1/"})
        self.app = make_task_app(self.settings, "relay")
        self.conn = conn

    def __call__(self, publisher: Recorder, conn: psycopg.Connection | None = None) -> int:
        return relay_due(conn or self.conn, publisher, self.app, PRODUCER, self.settings)


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
        cursor = await conn.execute("SELECT extract(epoch FROM due_at - published_at)::int, attempts FROM ledger")
        assert await cursor.fetchall() == [(settings.relay_lease_seconds, 1)] * 2
        await conn.execute("UPDATE ledger SET due_at = now() WHERE payload = '{\"entry_id\": 2}'")
    assert relay_once(publisher) == 1
    assert publisher.batches() == [[1, 2], [2]]
    assert [row["attempts"] for row in await work.rows()] == [1, 2]


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
    assert [(row["is_due"], row["attempts"], row["published_at"]) for row in await work.rows()] == [(True, 0, None)] * 3
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


async def test_a_row_that_failed_twice_travels_alone(pool: Pool, work: Ledger, relay_once: Pass) -> None:
    await work.publish_statuses(4)
    async with connection(pool) as conn:
        await conn.execute("UPDATE ledger SET attempts = 2 WHERE payload = '{\"entry_id\": 3}'")
        await conn.execute("UPDATE ledger SET attempts = 1 WHERE payload = '{\"entry_id\": 2}'")
    publisher = Recorder()
    relay_once(publisher)
    assert sorted(publisher.batches()) == [[1, 2, 4], [3]]


async def test_a_shared_row_that_failed_twice_is_split(pool: Pool, work: Ledger, relay_once: Pass) -> None:
    await work.share(1, 2, 3)
    await work.share(4, 5)
    publisher = Recorder()
    relay_once(publisher)
    assert publisher.batches() == [[1, 2, 3, 4, 5]]
    async with connection(pool) as conn:
        await conn.execute(
            "UPDATE ledger SET due_at = now(), attempts = 2, last_error = 'planted' WHERE payload_count = 3"
        )
    before = (await work.rows())[0]
    publisher = Recorder()
    assert relay_once(publisher) == 3
    assert sorted(publisher.batches()) == [[1], [2], [3]]
    shared, *split = await work.rows()
    assert [change["entry_id"] for change in shared["payload"]] == [4, 5]
    assert [row["payload"] for row in split] == [{"entry_id": number} for number in (1, 2, 3)]
    assert {(row["created_at"], row["attempts"], row["last_error"]) for row in split} == {
        (before["created_at"], 3, "planted")
    }


async def test_a_row_dies_after_its_last_attempt_and_can_be_replayed(
    pool: Pool, work: Ledger, relay_once: Pass
) -> None:
    relay_once.settings = relay_once.settings.model_copy(update={"relay_max_attempts": 2})
    await work.publish_statuses(1)
    publisher = Recorder()
    for _ in range(2):
        assert relay_once(publisher) == 1
        await work.make_due()
    assert relay_once(publisher) == 0
    (row,) = await work.rows()
    assert row["dead_at"] is not None
    assert publisher.numbers() == [1, 1]
    async with connection(pool) as conn:
        assert [dead.id for dead in await ledger.list_dead(conn, 0, 10)] == [row["id"]]
        assert await ledger.replay(conn, [row["id"]]) == 1
    assert relay_once(publisher) == 1
    assert publisher.numbers() == [1, 1, 1]


async def test_a_row_on_its_last_lease_is_not_dead_yet(work: Ledger, relay_once: Pass) -> None:
    relay_once.settings = relay_once.settings.model_copy(update={"relay_max_attempts": 1})
    await work.publish_statuses(1)
    assert relay_once(Recorder()) == 1
    assert relay_once(Recorder()) == 0
    assert [row["dead_at"] for row in await work.rows()] == [None]


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
