"""Hashing of passwords: argon2id, off the event loop, with a bound on how many wait."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.low_level import Type

from chassis.errors import Unavailable

THREADS = 2
MAX_WAITING = 64


class Passwords:
    """Hashes passwords in a few threads; each hash takes 19 MiB and some tens of milliseconds, which is its purpose."""

    def __init__(
        self, hasher: PasswordHasher | None = None, *, threads: int = THREADS, waiting: int = MAX_WAITING
    ) -> None:
        # OWASP's least for argon2id: 19 MiB, two passes, one lane.
        self._hasher = hasher or PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._free = threads + waiting

    async def hash(self, password: bytes) -> str:
        """Return the encoded hash of a checked password. Raises Unavailable where too many wait already."""
        if self._free <= 0:
            raise Unavailable("Too many people are signing up at once; please try again in a moment.")
        self._free -= 1
        future = self._executor.submit(self._hasher.hash, password)
        try:
            return await asyncio.wrap_future(future)
        finally:
            # A cancelled wait leaves the hash to run on, but never for longer than one hash takes.
            self._free += 1

    def close(self) -> None:
        """Take no more work and drop what has not begun."""
        self._executor.shutdown(wait=False, cancel_futures=True)
