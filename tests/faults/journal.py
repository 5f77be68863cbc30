"""What clients asked for and were told: an append-only file of JSON lines, from which the oracle computes what has to be true."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, Any


class Result(StrEnum):
    """What is known of an operation."""

    PENDING = "pending"
    """It was begun."""
    OK = "ok"
    """The network said yes: from here on it must be true."""
    REFUSED = "refused"
    """The network said no: it must not have happened."""
    UNKNOWN = "unknown"
    """Nobody ever said: it may have happened, once."""


class Verb(StrEnum):
    """What a member can do."""

    POST = "post"
    WRITE_ENTRY = "write_entry"
    DELETE = "delete"
    FAVOUR = "favour"
    UNFAVOUR = "unfavour"
    ASK = "ask"
    ACCEPT = "accept"
    END = "end"
    BLOCK = "block"
    UNBLOCK = "unblock"
    MUTE = "mute"
    UNMUTE = "unmute"


@dataclass(frozen=True)
class Operation:
    """One thing that a member did, under one idempotency key, however often it had to be asked for."""

    number: int
    verb: Verb
    key: str
    actor: int
    """Account id."""
    other: int = 0
    """The other member, of what is between two."""
    post: str = ""
    """The key of the post that it is about; of a post or entry its own."""
    visibility: str = ""
    mentioned: int = 0
    """The member whom a post mentions."""
    result: Result = Result.PENDING
    made_id: int = 0
    """The id of what was made."""
    started: float = 0.0
    ended: float = 0.0
    """Monotonic seconds."""
    attempts: int = 0
    code: int = 0
    """The last HTTP status; 0: no answer."""

    def ends(self, result: Result, *, code: int, attempts: int, made_id: int = 0) -> "Operation":
        """Return it with what became of it."""
        return replace(
            self, result=result, code=code, attempts=attempts, made_id=made_id, ended=round(time.monotonic(), 4)
        )


class Journal:
    """Writes operations: one line when they begin, one when they end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] = path.open("a", encoding="utf-8")
        self._number = 0

    def begin(self, verb: Verb, actor: int, **fields: str | int) -> Operation:
        """Note that a member is about to do something; return it with its number and key."""
        self._number += 1
        number = self._number
        named: dict[str, Any] = {"post": f"k{number}x"} if verb in (Verb.POST, Verb.WRITE_ENTRY) else {}
        operation = replace(
            Operation(number, verb, f"faults-{os.getpid()}-{number}", actor, started=round(time.monotonic(), 4)),
            **named | fields,
        )
        self._write(operation)
        return operation

    def end(self, operation: Operation) -> None:
        """Note what became of it."""
        self._write(operation)

    def close(self) -> None:
        """Write everything out."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _write(self, operation: Operation) -> None:
        self._file.write(json.dumps(asdict(operation)) + "\n")
        self._file.flush()


def read_journal(path: Path) -> Iterator[Operation]:
    """Return what a journal says, in its order."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            fields = json.loads(line)
            yield Operation(**fields | {"verb": Verb(fields["verb"]), "result": Result(fields["result"])})
