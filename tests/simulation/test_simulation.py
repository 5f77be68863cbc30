"""Thousands of schedules of ledgers, relays and home timelines break no promise, and the simulation would notice if they did."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.simulation.mutants import MUTANTS, no_open_work, planted
from tests.simulation.network import in_memory
from tests.simulation.running import floors_missed, moves_of, run, run_seeds, shrink, tell

SCHEDULES = int(os.environ.get("KODAMA_SIMULATE_SCHEDULES", "3000"))
ENOUGH_FOR_A_MUTANT = 4000


@pytest.fixture(autouse=True)
def memory() -> Iterator[None]:
    with in_memory():
        yield


def test_no_schedule_breaks_a_promise_and_all_of_them_try_something() -> None:
    tried, failure = run_seeds(0, SCHEDULES)
    assert failure is None, "\n".join([failure.error, *tell(shrink(failure))])
    assert floors_missed(tried) == []


def test_a_seed_is_the_same_schedule_every_time() -> None:
    tried, _ = run_seeds(77, 1)
    assert run_seeds(77, 1)[0] == tried
    assert run(77, moves_of(77))[0] == run(77, moves_of(77))[0]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_mutant_is_found(mutant: Callable[[], list[tuple[Any, str, Any]]]) -> None:
    with planted(mutant):
        _, failure = run_seeds(0, ENOUGH_FOR_A_MUTANT)
        assert failure is not None, f"nobody noticed: {mutant.__doc__}"


def test_what_fails_shrinks_to_something_that_still_fails() -> None:
    with planted(no_open_work):
        _, failure = run_seeds(0, ENOUGH_FOR_A_MUTANT)
        assert failure is not None
        short = shrink(failure, tries=300)
        assert len(short.choices) < len(failure.choices)
        assert run(short.seed, short.moves, short.choices)[1] is not None
    assert run(short.seed, short.moves, short.choices)[1] is None
    assert tell(short)
