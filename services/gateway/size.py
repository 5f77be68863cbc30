"""How large the network is: decoration that is remembered for a minute, and shown as last known where a service is away."""

import time

from chassis.errors import KodamaError
from services.gateway.clients import Clients

REMEMBERED_SECONDS = 60.0


class NetworkSize:
    """Numbers of members and statuses."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._known = (0, 0)
        self._known_until = float("-inf")

    async def get(self) -> tuple[int, int]:
        """Return how many members and statuses there are, at most a minute old unless a service is away."""
        if time.monotonic() > self._known_until:
            try:
                self._known = await self._clients.size()
                self._known_until = time.monotonic() + REMEMBERED_SECONDS
            except KodamaError:
                pass  # a page without fresh numbers is better than none
        return self._known
