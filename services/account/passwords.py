"""Hashing of passwords: argon2id, off the event loop, with a bound on how many wait."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from chassis.errors import Unavailable
from services.account.domain import MAX_PASSWORD_BYTES

THREADS = 2
MAX_WAITING = 64

Result = TypeVar("Result")


class Passwords:
    """Hashes passwords in a few threads; each hash takes 19 MiB and some tens of milliseconds, which is its purpose."""

    def __init__(
        self, hasher: PasswordHasher | None = None, *, threads: int = THREADS, waiting: int = MAX_WAITING
    ) -> None:
        # OWASP's least for argon2id: 19 MiB, two passes, one lane.
        self._hasher = hasher or PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._free = threads + waiting
        # What is compared with where there is no hash, so that it takes as long as where there is one.
        self._decoy = self._executor.submit(self._hasher.hash, secrets.token_bytes())

    async def hash(self, password: bytes) -> str:
        """Return the encoded hash of a checked password. Raises Unavailable where too many wait already."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Tell whether a password is the hashed one; the work is the same where there is no hash, and it is never right.

        Raises Unavailable where too many wait already.
        """
        if len(password.encode()) > MAX_PASSWORD_BYTES:  # nobody has such a password
            return False
        composed = unicodedata.normalize("NFC", password).encode()
        return await self._run(lambda: self._matches(password_hash, composed))

    def _matches(self, password_hash: str | None, password: bytes) -> bool:
        try:
            self._hasher.verify(password_hash or self._decoy.result(), password)
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._free <= 0:
            raise Unavailable("Too many people are signing up or in at once; please try again in a moment.")
        self._free -= 1
        future = self._executor.submit(work)
        try:
            return await asyncio.wrap_future(future)
        finally:
            # A cancelled wait leaves the hash to run on, but never for longer than one hash takes.
            self._free += 1

    def close(self) -> None:
        """Take no more work and drop what has not begun."""
        self._executor.shutdown(wait=False, cancel_futures=True)
