"""Idempotency keys: a write that is asked for again under the same key is done once, and answered alike.

The request of every write RPC has a `request_id`, the client's Idempotency-Key (draft-ietf-httpapi-idempotency-key-header); empty
means none. An RPC that is written with `once` does its changes in the transaction of a `Write`. When its answer is there, key and
answer are stored in that transaction, and only then it is committed: there is no effect without its key, no key without its effect.

Within a day, the same member's same key with the same request gets the stored answer; with another request IdempotencyKeyReused;
while the first is still running Conflict. What failed has stored nothing, and can be asked for again under the same key.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from chassis.database import Connection, Pool, connection, transaction
from chassis.errors import Conflict, IdempotencyKeyReused
from chassis.keys import check_key
from chassis.ledger import Bell

EXPIRED_STEP = 1000

Context = grpc.aio.ServicerContext[Any, Any]
Request = TypeVar("Request", bound=Message, contravariant=True)
Answer = TypeVar("Answer", bound=Message)
Servicer = TypeVar("Servicer", bound="WritingServicer")


@dataclass(frozen=True)
class Claim:
    """Whose key it is, and what it stands for."""

    account_id: int
    request_id: str
    fingerprint: bytes


class WritingServicer(Protocol):
    """A servicer with write RPCs."""

    @property
    def writes(self) -> "Writes":
        """What its write RPCs go through."""


class _Answered(Exception):
    """The key has been answered; not an error of anybody."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer


class Write:
    """One write: its transaction, and what is to be done when it is committed."""

    def __init__(self, pool: Pool, claim: Claim | None, stack: AsyncExitStack) -> None:
        self._pool = pool
        self._claim = claim
        self._stack = stack
        self._conn: Connection | None = None
        self._bells: list[Bell] = []

    async def begin(self) -> Connection:
        """Begin the transaction and return its connection. It is committed when the RPC has its answer; an exception rolls it back.

        What takes time and changes nothing, such as asking other services, is done before. Ends the RPC with the stored answer where
        the key has one; raises IdempotencyKeyReused, and Conflict while another write under the same key is running.
        """
        if self._conn is not None:
            return self._conn
        self._conn = await self._stack.enter_async_context(transaction(self._pool))
        if self._claim is not None:
            await _take(self._conn, self._claim)
        return self._conn

    def ring(self, bell: Bell) -> None:
        """Ring a bell once the transaction is committed."""
        self._bells.append(bell)

    async def keep(self, answer: Message) -> None:
        """Store the answer under the key, in the transaction."""
        if self._conn is None:
            raise RuntimeError("a write RPC has to do its changes in the transaction that Write.begin returns")
        if self._claim is not None:
            await _insert(self._conn, self._claim, answer.SerializeToString())

    def rings(self) -> None:
        """Ring what is to be rung."""
        for bell in self._bells:
            bell.ring()


class Writes:
    """Runs the write RPCs of one service."""

    def __init__(self, pool: Pool, key: str) -> None:
        """`key` keeps fingerprints from telling what was in a request to who has only the database."""
        self._pool = pool
        self._key = key.encode()

    async def run(
        self, request: Message, owner_id: int, answer_type: type[Answer], do: Callable[[Write], Awaitable[Answer]]
    ) -> Answer:
        """Do a write and return its answer, or return the one that is stored under its key."""
        claim = self._claim(request, owner_id)
        if claim is not None:
            async with connection(self._pool) as conn:
                stored = await _find(conn, claim)
            if stored is not None:
                return answer_type.FromString(stored)
        try:
            async with AsyncExitStack() as stack:
                write = Write(self._pool, claim, stack)
                answer = await do(write)
                await write.keep(answer)
        except _Answered as answered:
            return answer_type.FromString(answered.answer)
        write.rings()
        return answer

    def _claim(self, request: Any, owner_id: int) -> Claim | None:
        if (
            not check_key(request.request_id) or not owner_id
        ):  # whoever has no name has no keys that others could not guess
            return None
        bare = type(request)()
        bare.CopyFrom(request)
        bare.ClearField("request_id")
        text = f"{bare.DESCRIPTOR.full_name}\0".encode() + bare.SerializeToString(deterministic=True)
        return Claim(owner_id, request.request_id, hmac.digest(self._key, text, hashlib.sha256))


def by_account(request: Any) -> int:
    """Return whose key a request carries: the member's who calls."""
    return int(request.account_id)


def once(
    answer_type: type[Answer], *, owner: Callable[[Any], int] = by_account
) -> Callable[
    [Callable[[Servicer, Request, Write], Awaitable[Answer]]],
    Callable[[Servicer, Request, Context], Awaitable[Answer]],
]:
    """Make an RPC of a method of a servicer that does one write; it answers with `answer_type`.

    `owner` tells whose key a request carries; by default its account_id's. Without an owner there is no key.
    """

    def decorate(
        method: Callable[[Servicer, Request, Write], Awaitable[Answer]],
    ) -> Callable[[Servicer, Request, Context], Awaitable[Answer]]:
        async def answer(self: Servicer, request: Request, context: Context) -> Answer:  # noqa: ARG001 - gRPC hands it
            return await self.writes.run(
                request, owner(request), answer_type, lambda write: method(self, request, write)
            )

        answer.__name__, answer.__qualname__, answer.__doc__ = method.__name__, method.__qualname__, method.__doc__
        return answer

    return decorate


async def delete_expired(conn: Connection) -> int:
    """Delete up to 1,000 keys that are older than a day; return how many."""
    cursor = await conn.execute(
        "DELETE FROM claims WHERE (account_id, request_id) IN ("
        " SELECT account_id, request_id FROM claims WHERE created_at < now() - interval '1 day'"
        " ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED)",
        (EXPIRED_STEP,),
    )
    return cursor.rowcount


async def _take(conn: Connection, claim: Claim) -> None:
    cursor = await conn.execute("SELECT try_claim(%s, %s)", (claim.account_id, claim.request_id))
    if await cursor.fetchone() != (True,):
        raise Conflict("The same request is still running; please ask again in a moment.")
    # A statement of its own, so that it sees what was committed until the key was free.
    stored = await _find(conn, claim)
    if stored is not None:
        raise _Answered(stored)


async def _find(conn: Connection, claim: Claim) -> bytes | None:
    cursor = await conn.execute(
        "SELECT fingerprint, answer FROM claims"
        " WHERE account_id = %s AND request_id = %s AND created_at >= now() - interval '1 day'",
        (claim.account_id, claim.request_id),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    fingerprint, answer = row
    if answer is None or not hmac.compare_digest(fingerprint, claim.fingerprint):
        raise IdempotencyKeyReused("This idempotency key has been used for another request.")
    return bytes(answer)


async def _insert(conn: Connection, claim: Claim, answer: bytes) -> None:
    """Store an answer in the place of one that has expired, if there is one."""
    await conn.execute(
        "INSERT INTO claims (account_id, request_id, fingerprint, answer) VALUES (%(account_id)s, %(request_id)s,"
        " %(fingerprint)s, %(answer)s) ON CONFLICT (account_id, request_id) DO UPDATE SET"
        " fingerprint = excluded.fingerprint, answer = excluded.answer, made_id = NULL, created_at = now()",
        {
            "account_id": claim.account_id,
            "request_id": claim.request_id,
            "fingerprint": claim.fingerprint,
            "answer": answer,
        },
    )
