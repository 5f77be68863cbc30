"""Failpoints on real connections: what is committed where a process dies between two exchanges, and what is not."""

from collections.abc import Iterator

import pytest

from chassis import failpoints
from chassis.database import make_pool, transaction
from chassis.failpoints import Failpoint
from chassis.settings import Settings
from tests.integration.chassis.conftest import PRODUCER, Ledger

EXCHANGES = ["BEGIN", "the first row", "the second row", "COMMIT"]


class Died(BaseException):
    """The process that did this is gone."""


@pytest.fixture(autouse=True)
def nothing_armed() -> Iterator[None]:
    yield
    failpoints.arm(None)


@pytest.mark.parametrize("last", range(len(EXCHANGES) + 1))
async def test_whoever_dies_between_two_exchanges_leaves_what_is_committed(
    settings: Settings, work: Ledger, last: int
) -> None:
    exchanged: list[str] = []

    def plan(point: Failpoint, application: str) -> float:
        if application == "mortal" and point is Failpoint.DATABASE_AFTER:
            exchanged.append(application)
            if len(exchanged) == last + 1:
                raise Died
        return 0

    failpoints.arm(plan)
    async with make_pool(settings.service_database_url(PRODUCER), size=1, application="mortal") as pool:
        await pool.wait()
        exchanged.clear()
        try:
            async with transaction(pool) as conn:
                for number in (1, 2):
                    await conn.execute(
                        "INSERT INTO ledger (task, queue, payload) VALUES (%s, '', '{}')", (str(number),)
                    )
        except Died:
            pass
        assert len(exchanged) == min(last + 1, len(EXCHANGES))
        assert await work.count() == (2 if last >= len(EXCHANGES) - 1 else 0)
        failpoints.arm(None)
        async with transaction(pool) as conn:  # and the pool replaces the connection
            await conn.execute("SELECT")
