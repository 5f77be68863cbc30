"""Runs schedules by their seeds, shrinks those that fail, and counts what was tried."""

import contextlib
import gc
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.simulation.choices import Choices
from tests.simulation.schedule import Schedule
from tests.simulation.watching import Wrong

MIN_MOVES, MAX_MOVES = 8, 30
GARBAGE_EVERY = 200
FLOORS = {
    "pages compared": 0.9,
    "entries compared": 0.8,
    "relay": 0.8,
    "work": 0.2,
    "kill_a_worker": 0.03,
    "kill_a_client": 0.1,
    "relay_and_die": 0.2,
    "relay_without_confirms": 0.2,
    "lose_a_message": 0.03,
    "lose_the_broker": 0.03,
    "repeat_a_message": 0.05,
    "cut_the_wire": 0.2,
    "let_time_pass": 0.4,
    "left without workers": 0.05,
}
"""In what part of all schedules each of these is at least: a simulation in which nothing happens proves nothing."""


@dataclass(frozen=True)
class Failure:
    """A schedule that broke a promise."""

    seed: int
    moves: int
    choices: list[int]
    error: str


def moves_of(seed: int) -> int:
    """Return how long a seed's schedule is."""
    return MIN_MOVES + seed * 7919 % (MAX_MOVES - MIN_MOVES + 1)


def floors_missed(tried: Counter[str]) -> list[str]:
    """Return what was tried too seldom."""
    return [name for name, part in FLOORS.items() if tried[name] < part * tried["schedules"]]


def tell(failure: Failure) -> list[str]:
    """Return what happens in a schedule, move by move."""
    schedule = Schedule(Choices(failure.seed, failure.choices))
    schedule.story = []
    with contextlib.suppress(Wrong):
        schedule.run(failure.moves)
    schedule.close()
    return schedule.story


def run(seed: int, moves: int, given: Sequence[int] | None = None) -> tuple[Counter[str], Failure | None]:
    """Run one schedule; return what was tried in it, and how it failed."""
    choices = Choices(seed, given)
    schedule = Schedule(choices)
    try:
        schedule.run(moves)
    except Wrong as error:
        return schedule.seen, Failure(seed, moves, choices.made, str(error))
    finally:
        schedule.close()
    return schedule.seen, None


def run_seeds(first: int, count: int) -> tuple[Counter[str], Failure | None]:
    """Run so many schedules; return in how many each thing was tried, and the first failure, after which it stops."""
    tried: Counter[str] = Counter()
    gc.disable()
    try:
        for seed in range(first, first + count):
            seen, failure = run(seed, moves_of(seed))
            tried["schedules"] += 1
            tried.update(dict.fromkeys((name for name, times in seen.items() if times), 1))
            if failure is not None:
                return tried, failure
            if seed % GARBAGE_EVERY == 0:
                gc.collect()
    finally:
        gc.enable()
    return tried, None


def shrink(failure: Failure, tries: int = 2000) -> Failure:
    """Return a shorter schedule that still fails: with fewer moves, with fewer and with smaller choices."""
    best = failure
    size = max(1, len(best.choices) // 2)
    while size and tries > 0:
        place = 0
        while place < len(best.choices) and tries > 0:
            cut = best.choices[:place] + best.choices[place + size :]
            zeroed = best.choices[:place] + [0] * size + best.choices[place + size :]
            for given in (cut, zeroed):
                tries -= 1
                if given != best.choices and (found := _again(best, given)) is not None:
                    best = found
                    break
            else:
                place += size
        size //= 2
    return best


def _again(failure: Failure, given: list[int]) -> Failure | None:
    for moves in (failure.moves - 1, failure.moves):
        with contextlib.suppress(IndexError):
            _, found = run(failure.seed, moves, given)
            if found is not None:
                kept = [*found.choices]
                while kept and kept[-1] == 0:
                    kept.pop()
                return (
                    Failure(failure.seed, moves, kept, found.error)
                    if len(kept) < len(failure.choices) or moves < failure.moves
                    else None
                )
    return None
