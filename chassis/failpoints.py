"""Failpoints: places at which a test has a process die, fail or wait at the n-th time that it gets there.

KODAMA_FAILPOINTS says what is to happen, as in `relay.after_publish:kill@3,worker.after_effect/fan_out:raise,rpc.after_answer:delay=5@2`:
a place, perhaps a detail of it, and what is done the first time, or the n-th, that a process gets there. Each happens once, however often
processes are started anew: the folder that KODAMA_FAILPOINTS_FOLDER names then holds a file for it. Without that folder, which nobody has
by accident, a process with failpoints does not start. Without KODAMA_FAILPOINTS nothing here does anything.
"""

import asyncio
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from chassis.errors import Unavailable

PLAN, FOLDER = "KODAMA_FAILPOINTS", "KODAMA_FAILPOINTS_FOLDER"
SPEC = re.compile(r"([a-z_.]+)(?:/([\w.-]+))?:(kill|raise|delay=[0-9]{1,3}(?:\.[0-9]+)?)(?:@([1-9][0-9]{0,5}))?")


class Failpoint(Enum):
    """All places: what they are called, and what has been done there and what not."""

    DATABASE_BEFORE = "database.before_exchange"
    """A pool's connection is about to send a statement, a BEGIN or a COMMIT. Detail: the pool's application."""
    DATABASE_AFTER = "database.after_exchange"
    """PostgreSQL has answered it, and nobody has looked at the answer. Detail: the pool's application."""
    RELAY_AFTER_CLAIM = "relay.after_claim"
    """Due rows are locked, and nothing is published. Detail: whose ledger."""
    RELAY_AFTER_PUBLISH = "relay.after_publish"
    """The broker has confirmed, and no row is marked as published. Detail: whose ledger."""
    RELAY_AFTER_MARK = "relay.after_mark"
    """Rows are marked as published, and that is not committed. Detail: whose ledger."""
    WORKER_BEFORE_EFFECT = "worker.before_effect"
    """A message is taken, and nothing is done. Detail: the name of its handler."""
    WORKER_AFTER_EFFECT = "worker.after_effect"
    """A task's effect is committed, and its rows are still in the ledger. Detail: the name of its handler."""
    WORKER_AFTER_RECEIPT = "worker.after_receipt"
    """The rows are gone, and the message is not acknowledged. Detail: the name of its handler."""
    RPC_AFTER_ANSWER = "rpc.after_answer"
    """Another service has answered a call, and whoever made it does not know. Detail: the role of the caller."""


class Reached(Unavailable):
    """What a failpoint raises."""


Plan = Callable[[Failpoint, str], float]
"""Is told of a place and its detail whenever it is reached; ends the process, raises, or returns for how many seconds to wait there."""

_plan: Plan | None = None


def arm(plan: Plan | None) -> None:
    """Have a plan told of all that is reached in this process from now on; None: nobody. Pools have to be made after it."""
    global _plan
    _plan = plan


def arm_from(environment: Mapping[str, str]) -> str:
    """Do what the environment says; return it, empty where it says nothing. Raises ValueError with a sentence where it makes no sense."""
    text = environment.get(PLAN, "").strip()
    if not text:
        return ""
    folder = environment.get(FOLDER, "")
    if not folder or not Path(folder).is_dir():
        raise ValueError(f"{PLAN} is for tests only: it needs {FOLDER}, a folder that is there; unset it")
    arm(_Written([_Rule.parse(part.strip()) for part in text.split(",")], Path(folder)))
    return text


def is_armed() -> bool:
    """Tell whether there is a plan."""
    return _plan is not None


def hit(point: Failpoint, detail: str = "") -> None:
    """Say that a thread has got to a place."""
    if _plan is not None:
        time.sleep(_plan(point, detail))


async def hit_async(point: Failpoint, detail: str = "") -> None:
    """Say that a coroutine has got to a place."""
    if _plan is not None:
        await asyncio.sleep(_plan(point, detail))


@dataclass(frozen=True)
class _Rule:
    """What happens where, and at which time of getting there."""

    text: str
    point: Failpoint
    detail: str
    action: str
    at: int

    @classmethod
    def parse(cls, text: str) -> "_Rule":
        found = SPEC.fullmatch(text)
        if found is None:
            raise ValueError(f"{PLAN}: {text!r} is not like relay.after_publish/status:kill@3, …:raise or …:delay=5@2")
        name, detail, action, at = found.groups()
        if name not in (point.value for point in Failpoint):
            raise ValueError(f"{PLAN}: there is no {name!r}; there are {', '.join(p.value for p in Failpoint)}")
        return cls(text, Failpoint(name), detail or "", action, int(at or 1))


class _Written:
    """A plan from the environment."""

    def __init__(self, rules: list[_Rule], folder: Path) -> None:
        self._rules = rules
        self._folder = folder
        self._times = [0] * len(rules)
        self._lock = threading.Lock()

    def __call__(self, point: Failpoint, detail: str) -> float:
        wait = 0.0
        for number, rule in enumerate(self._rules):
            if rule.point is point and rule.detail in ("", detail):
                with self._lock:
                    self._times[number] += 1
                    is_due = self._times[number] == rule.at
                if is_due and self._is_first(number, rule):
                    wait += self._act(rule)
        return wait

    def _is_first(self, number: int, rule: _Rule) -> bool:
        """Tell whether it has not happened in another process yet, and say that now it has."""
        try:
            with (self._folder / f"{number}-{rule.text.replace('/', '_')}").open("x") as file:
                file.write(f"{os.getpid()}\n")
        except FileExistsError:
            return False
        return True

    def _act(self, rule: _Rule) -> float:
        if rule.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if rule.action == "raise":
            raise Reached(f"failpoint {rule.text}")
        return float(rule.action.partition("=")[2])
