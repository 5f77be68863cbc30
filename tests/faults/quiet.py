"""Waiting until a network has come to rest: ledgers and queues are empty, nothing is dead."""

import asyncio
import time
from dataclasses import dataclass

import psycopg

from tests.faults.network import Network

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class OpenWork:
    """What is not done."""

    open: int
    dead: int


async def open_work(network: Network) -> OpenWork:
    """Return how many rows all ledgers hold. Raises psycopg.Error.

    Without suggestions whose computing has not failed: who may not be suggested is decided at each read, so that nothing waits for it.
    """
    [(waiting, dead)] = await network.query(
        "SELECT count(*) FILTER (WHERE dead_at IS NULL), count(*) FILTER (WHERE dead_at IS NOT NULL) FROM ("
        " SELECT dead_at FROM status.ledger UNION ALL SELECT dead_at FROM blog.ledger"
        " UNION ALL SELECT dead_at FROM social_graph.ledger"
        " WHERE NOT (task LIKE 'suggestions.%' AND last_error = '' AND dead_at IS NULL)"
        " UNION ALL SELECT dead_at FROM timeline.ledger) AS work"
    )
    return OpenWork(waiting, dead)


async def wait_quiet(network: Network, *, patience_seconds: float) -> tuple[OpenWork, float]:
    """Wait until nothing is open any more, as long as it becomes less; return what is left, and how many seconds it took.

    It ends `patience_seconds` after the last time that it became less.
    """
    began = time.monotonic()
    least, at = None, began
    while True:
        try:
            now = await open_work(network)
        except psycopg.Error:
            await asyncio.sleep(POLL_SECONDS)
            if time.monotonic() - at > patience_seconds:
                raise
            continue
        if now.open == 0 or time.monotonic() - at > patience_seconds:
            return now, time.monotonic() - began
        if least is None or now.open < least:
            least, at = now.open, time.monotonic()
        await asyncio.sleep(POLL_SECONDS)
