"""Hashing of passwords: strong, off the event loop, bounded."""

import asyncio
import threading

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from chassis.errors import Unavailable
from services.account.passwords import Passwords


class Gate(PasswordHasher):
    """Hashes once it is opened; remembers on which threads."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = threading.Event()
        self.threads: set[int] = set()

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.threads.add(threading.get_ident())
        assert self.opened.wait(10)
        return "hash"


async def test_hashes_are_argon2id_with_at_least_owasps_cost() -> None:
    passwords = Passwords()
    hashed, again = await asyncio.gather(passwords.hash(b"correct horse"), passwords.hash(b"correct horse"))
    passwords.close()
    parameters = extract_parameters(hashed)
    assert (parameters.type, parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (
        Type.ID,
        19456,
        2,
        1,
    )
    assert hashed != again
    assert PasswordHasher().verify(hashed, b"correct horse")


async def test_the_event_loop_goes_on_and_the_queue_is_bounded() -> None:
    gate = Gate()
    passwords = Passwords(gate, threads=2, waiting=3)
    running = [asyncio.create_task(passwords.hash(b"password")) for _ in range(5)]
    await asyncio.sleep(0)  # all have begun: the event loop is free although nothing can be hashed yet
    with pytest.raises(Unavailable):
        await passwords.hash(b"password")
    gate.opened.set()
    assert await asyncio.gather(*running) == ["hash"] * 5
    assert await passwords.hash(b"password") == "hash"  # there is room again
    assert threading.get_ident() not in gate.threads
    assert len(gate.threads) <= 2
    passwords.close()


async def test_who_gives_up_makes_room() -> None:
    gate = Gate()
    passwords = Passwords(gate, threads=1, waiting=1)
    running = [asyncio.create_task(passwords.hash(b"password")) for _ in range(2)]
    await asyncio.sleep(0)
    running[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await running[1]
    third = asyncio.create_task(passwords.hash(b"password"))
    await asyncio.sleep(0)
    gate.opened.set()
    assert await third == "hash"
    await running[0]
    passwords.close()


class Counting(PasswordHasher):
    """Remembers what was compared with what."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified: list[str | bytes] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]  # the one of argon2 says that it is always True
        self.verified.append(hash)
        return super().verify(hash, password)


async def test_a_password_is_verified_however_a_keyboard_composes_it() -> None:
    passwords = Passwords(Counting())
    hashed = await passwords.hash("pässword".encode())
    assert await passwords.verify(hashed, "pässword")
    assert await passwords.verify(hashed, "pa\u0308ssword")
    for wrong in ("passwort", "", "pässword ", "x" * 129, "日" * 50):
        assert not await passwords.verify(hashed, wrong)
    assert not await passwords.verify("$argon2id$broken", "pässword")
    passwords.close()


async def test_where_there_is_no_hash_the_work_is_the_same_and_nothing_is_right() -> None:
    hasher = Counting()
    passwords = Passwords(hasher)
    hashed = await passwords.hash(b"password")
    assert not await passwords.verify(None, "password")
    assert not await passwords.verify(hashed, "wrong")
    decoy, real = hasher.verified
    assert extract_parameters(str(decoy)) == extract_parameters(str(real))
    passwords.close()
