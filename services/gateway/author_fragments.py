"""The authors on home timelines as JSON, remembered for a second and renewed together before it is over.

Every page shows some twenty of them, and nothing of them decides what may be seen: their names and counts may be a second old.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress

from chassis.coalescing import Loader
from chassis.errors import KodamaError
from services.gateway.remembering import Remembered

SECONDS = 1.0
"""How long an author is shown as they were."""
AGING_SECONDS = 0.4
"""Who is shown at that age is renewed, with all who have come to it until then, so that pages seldom wait for anybody."""
GATHERING_SECONDS = 0.2
MAX_AUTHORS = 10_000


class AuthorFragments:
    """Looks authors up. Belongs to the event loop that uses it.

    `load` returns the JSON of those that exist, by id.
    """

    def __init__(self, load: Callable[[Sequence[int]], Awaitable[Mapping[int, bytes]]]) -> None:
        self._loading = Loader(load)
        self._known = Remembered[int, tuple[bytes, float]](SECONDS, MAX_AUTHORS)
        self._aging: set[int] = set()
        self._renewing: asyncio.Task[None] | None = None

    async def get(self, account_ids: Collection[int]) -> dict[int, bytes]:
        """Return those that exist, by id. Raises what `load` raises."""
        now = self._known.now()
        found: dict[int, bytes] = {}
        missing: list[int] = []
        for an_id in account_ids:
            known = self._known.find(an_id, now)
            if known is None:
                missing.append(an_id)
                continue
            found[an_id] = known[0]
            if known[1] < now:
                self._aging.add(an_id)
        if self._aging and self._renewing is None:
            # A context of its own: it has nothing to do with whoever happened to come first.
            self._renewing = asyncio.create_task(self._renew(), context=contextvars.Context())
        return (found | await self._load(missing)) if missing else found

    def forget(self, account_id: int) -> None:
        """Have the next pages show an author as they are now."""
        self._known.forget(account_id)

    async def _load(self, account_ids: Collection[int]) -> dict[int, bytes]:
        asked_at = self._known.now()
        loaded = await self._loading.get(account_ids)
        for an_id, fragment in loaded.items():
            self._known.keep(an_id, (fragment, asked_at + AGING_SECONDS), asked_at)
        return loaded

    async def _renew(self) -> None:
        try:
            await asyncio.sleep(GATHERING_SECONDS)
            aging, self._aging = self._aging, set()
            with suppress(KodamaError):  # whoever needs them next asks for them, and hears of it
                await self._load(aging)
        finally:
            self._renewing = None
