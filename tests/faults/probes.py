"""How long the network takes to answer everything again: every kind of question, asked at every gateway until each has been answered."""

import asyncio
import random
import time
from collections.abc import Sequence

from tests.faults.http_client import Http, Unanswered
from tests.faults.members import Member

INTERVAL_SECONDS = 0.3
ANSWER_SECONDS = 5.0


class Probes:
    """Asks every kind of question at every gateway."""

    def __init__(self, gateways: Sequence[int], members: Sequence[Member], seed: int) -> None:
        self._gateways = gateways
        self._members = members
        self._chance = random.Random(seed)
        self._http = Http(gateways)

    async def wait_well(self, bound_seconds: float) -> float | None:
        """Ask until every question has been answered at every gateway; return how many seconds it took, None after a bound.

        Each is asked again until it is answered: what else goes wrong on a busy machine does not count against those that were.
        """
        began = time.monotonic()
        asking = [self._until_answered(port, path) for port in self._gateways for path in PATHS]
        try:
            async with asyncio.timeout(bound_seconds):
                await asyncio.gather(*asking)
        except TimeoutError:
            return None
        return time.monotonic() - began

    async def _until_answered(self, port: int, path: str) -> None:
        while True:
            member = self._chance.choice(self._members)
            try:
                answer = await self._http.send(
                    "GET", path.format(id=member.id), member.token, port=port, seconds=ANSWER_SECONDS
                )
            except Unanswered:
                pass
            else:
                if answer.code == 200:
                    return
            await asyncio.sleep(INTERVAL_SECONDS)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()


PATHS = (
    "/api/v1/timelines/home?limit=20",
    "/api/v1/accounts/{id}/statuses?limit=2",
    "/api/v1/accounts/{id}/blogs?limit=2",
    "/api/v1/accounts/{id}",
    "/api/v1/notifications?limit=10",
    "/api/v2/suggestions?limit=10",
    "/api/v1/follow_requests",
)
