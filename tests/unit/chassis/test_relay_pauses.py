"""How long the relay lets rows come together."""

import pytest

from chassis.relay import GATHER_SECONDS, pause_after

PASS_SECONDS = 0.005
"""What a pass takes by itself."""


def changes_per_pass(per_second: float) -> float:
    """Return how many changes a pass publishes in the long run where so many come in a second."""
    changes = 1.0
    for _ in range(200):
        changes = max(1.0, per_second * (PASS_SECONDS + pause_after(round(changes))))
    return changes


@pytest.mark.parametrize(
    ("per_second", "at_least", "at_most"), [(10, 1, 1), (200, 1, 2), (500, 3, 8), (3000, 250, 400)]
)
def test_batches_grow_with_the_load_only(per_second: float, at_least: float, at_most: float) -> None:
    assert at_least <= changes_per_pass(per_second) <= at_most


def test_nothing_waits_longer_than_the_bound() -> None:
    assert pause_after(1_000_000) == GATHER_SECONDS
