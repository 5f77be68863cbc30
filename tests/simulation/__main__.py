"""`make simulate`: many schedules on all cores. `python -m tests.simulation SEED` tells one of them step by step.

KODAMA_SIMULATE_SCHEDULES says how many; KODAMA_SIMULATE_SEED with which seed they begin, by default one that was never tried before.
"""

import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator

from tests.simulation.network import in_memory
from tests.simulation.running import Failure, floors_missed, moves_of, run, run_seeds, shrink, tell

CHUNK = 500
REPORT_SECONDS = 30


def main() -> int:
    """Return 0 where no promise was broken and everything was tried often enough."""
    if len(sys.argv) > 1:
        return _replay(int(sys.argv[1]))
    count = int(os.environ.get("KODAMA_SIMULATE_SCHEDULES", "1000000"))
    first = int(os.environ.get("KODAMA_SIMULATE_SEED", "0")) or random.randrange(1, 10**9) * 1000
    print(f"{count:,} schedules, seeds from {first}, on {os.cpu_count()} cores")
    tried: Counter[str] = Counter()
    started = said = time.monotonic()
    with multiprocessing.Pool() as pool:
        for found, failure in pool.imap_unordered(_chunk, _chunks(first, count)):
            tried += found
            if failure is not None:
                pool.terminate()
                return _say(failure)
            if time.monotonic() - said > REPORT_SECONDS:
                said = time.monotonic()
                print(
                    f"  {tried['schedules']:,} schedules, {tried['schedules'] / (said - started):,.0f} a second",
                    flush=True,
                )
    return _sum_up(tried, first, count, time.monotonic() - started)


def _chunks(first: int, count: int) -> Iterator[tuple[int, int]]:
    for done in range(0, count, CHUNK):
        yield first + done, min(CHUNK, count - done)


def _chunk(seeds: tuple[int, int]) -> tuple[Counter[str], Failure | None]:
    with in_memory():
        return run_seeds(*seeds)


def _sum_up(tried: Counter[str], first: int, count: int, seconds: float) -> int:
    print(
        f"seeds {first} to {first + count - 1}: {tried['schedules']:,} schedules in {seconds:,.0f} s, {count / seconds:,.0f} a second"
    )
    print("in how many of them it was tried:")
    for name, times in tried.most_common():
        print(f"  {name.replace('_', ' '):24}{times:>12,}")
    missed = floors_missed(tried)
    print(f"too seldom to mean anything: {missed}" if missed else "no promise was broken")
    return 1 if missed else 0


def _replay(seed: int) -> int:
    with in_memory():
        _, failure = run(seed, moves_of(seed))
    if failure is None:
        print(f"seed {seed} breaks no promise")
        return 0
    return _say(failure)


def _say(failure: Failure) -> int:
    with in_memory():
        short = shrink(failure)
        story = tell(short)
    print(f"seed {failure.seed} breaks a promise: {failure.error}")
    print(
        f"shrunk from {failure.moves} moves and {len(failure.choices)} choices to {short.moves} and {len(short.choices)}: {short.error}"
    )
    for line in story:
        print(f"  {line}")
    print(f"again: python -m tests.simulation {failure.seed}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
