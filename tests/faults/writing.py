"""How a client writes: under one idempotency key, asked for again until it is known what became of it."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tests.faults.http_client import Answer, Http, Unanswered
from tests.faults.journal import Journal, Operation, Result, Verb
from tests.faults.world import World

REQUEST_SECONDS = 15.0
FIRST_PAUSE, MAX_PAUSE = 0.1, 2.0
AGAIN = (408, 409, 425, 429)
"""Besides 5xx: the network asks to be asked again."""


@dataclass(frozen=True)
class Failure:
    """An answer that was none: a 5xx, or silence (0)."""

    at: float
    code: int
    path: str
    phase: str
    says_when: bool
    """With a Retry-After."""


class Telephone:
    """What all clients of a run ask through; counts what is answered."""

    def __init__(self, http: Http) -> None:
        self.http = http
        self.phase = ""
        """What is being done to the network now."""
        self.codes: dict[str, Counter[int]] = {}
        self.failures: list[Failure] = []

    async def ask(
        self, method: str, path: str, token: str, fields: Mapping[str, str] | None = None, *, key: str = ""
    ) -> Answer | None:
        """Send a request and count its answer; None without one."""
        phase = self.phase
        try:
            answer = await self.http.send(method, path, token, fields, key=key, seconds=REQUEST_SECONDS)
        except Unanswered:
            answer = None
        code = answer.code if answer else 0
        self.codes.setdefault(phase, Counter())[code] += 1
        if code == 0 or code >= 500:
            says_when = answer is not None and "retry-after" in answer.headers
            self.failures.append(Failure(time.monotonic(), code, path.partition("?")[0], phase, says_when))
        return answer


class Writer:
    """Does operations and writes them into the journal and the model."""

    def __init__(
        self, telephone: Telephone, journal: Journal, world: World, chance: random.Random, *, patience_seconds: float
    ) -> None:
        """An operation that is not answered is asked for again for `patience_seconds`."""
        self._telephone = telephone
        self._journal = journal
        self._world = world
        self._chance = chance
        self._patience_seconds = patience_seconds
        self.acknowledged: Counter[str] = Counter()
        self.attempts = 0
        self.unknown = 0

    def begin(self, verb: Verb, actor: int, **fields: str | int) -> Operation:
        """Note that something is about to be asked for."""
        operation = self._journal.begin(verb, actor, **fields)
        self._world.apply(operation)
        return operation

    async def finish(
        self,
        operation: Operation,
        token: str,
        method: str,
        path: str,
        fields: Mapping[str, str] | None = None,
    ) -> Operation:
        """Ask for it until it is known what became of it, or patience ends; return it with that."""
        deadline = operation.started + self._patience_seconds
        pause, attempts = FIRST_PAUSE, 0
        while True:
            attempts += 1
            answer = await self._telephone.ask(method, path, token, fields, key=operation.key)
            code = answer.code if answer else 0
            if answer is not None and code < 500 and code not in AGAIN:
                break
            if time.monotonic() > deadline:
                return self._end(operation.ends(Result.UNKNOWN, code=code, attempts=attempts))
            asked_to_wait = float(answer.headers.get("retry-after", "0")) if answer else 0.0
            await asyncio.sleep(max(pause, asked_to_wait) * (0.5 + self._chance.random()))
            pause = min(pause * 2, MAX_PAUSE)
        is_ok = code < 300
        made_id = int(answer.json().get("id", 0)) if is_ok else 0
        result = Result.OK if is_ok else Result.REFUSED
        return self._end(operation.ends(result, code=code, attempts=attempts, made_id=made_id))

    def _end(self, operation: Operation) -> Operation:
        self.attempts += operation.attempts
        self._journal.end(operation)
        self._world.apply(operation)
        if operation.result is Result.OK:
            self.acknowledged[operation.verb] += 1
        self.unknown += operation.result is Result.UNKNOWN
        return operation
