"""A change whose task runs into PostgreSQL's statement timeout, among others that do not."""

import asyncio

import psycopg

from tests.integration.chassis.conftest import eventually
from tests.integration.chassis.test_worker import Network, a_worker, network

__all__ = ["network"]  # the fixture

SECONDS = 180
INNOCENT = 20


def let_time_pass(admin: psycopg.Connection, seconds: int) -> None:
    """Have what has failed be due again, and have failed for so much longer."""
    admin.execute(
        "UPDATE status.ledger SET due_at = now(), failing_since = failing_since - %s * interval '1 second'"
        " WHERE published_at IS NULL AND failing_since IS NOT NULL",
        (seconds,),
    )


async def test_it_is_taken_apart_from_the_others_and_dies_of_its_age_alone(
    network: Network, admin: psycopg.Connection
) -> None:
    work = network.work
    await work.publish_statuses(INNOCENT)
    await work.append("status.published", {"entry_id": 501, "slow": 1})
    async with a_worker(network.settings):

        async def it_is_left_and_has_failed() -> bool:
            rows = await work.rows()
            if len(rows) == 1 and rows[0]["failing_since"] and rows[0]["published_at"] is None:
                return True
            let_time_pass(admin, 20)
            await asyncio.to_thread(network.relay)
            return False

        await eventually(it_is_left_and_has_failed, SECONDS)
    (row,) = await work.rows()
    assert (row["payload"], row["failures"], row["dead_at"]) == ({"entry_id": 501, "slow": 1}, 0, None)
    assert row["last_error"].startswith("Unavailable: The database is busy")
    assert set(network.effects()) == set(range(1, INNOCENT + 1))

    let_time_pass(admin, network.settings.relay_max_failing_hours * 3600)
    assert await asyncio.to_thread(network.relay) == 0
    (row,) = await work.rows()
    assert row["dead_at"] is not None
    assert row["last_error"].startswith("given up after 0 failures in ")
