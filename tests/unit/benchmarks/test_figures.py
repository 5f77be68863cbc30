import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Figure, Latency, latency_of, percentile


def test_percentiles_are_nearest_rank() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert (percentile(ordered, 0), percentile(ordered, 0.5), percentile(ordered, 0.99)) == (1, 50, 99)
    assert percentile(ordered, 1) == 100
    assert percentile([3.0], 0.99) == 3


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_percentile_has_its_share_of_the_sample_below_or_at_it(sample: list[float], share: float) -> None:
    found = percentile(sorted(sample), share)
    assert sum(value <= found for value in sample) >= share * len(sample) - 1e-6


def test_latency_of_a_sample_in_any_order() -> None:
    assert latency_of([3.0, 1.0, 2.0]) == Latency(2, 3, 3)
    assert latency_of([]) is None


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_the_ratio_is_of_the_baseline() -> None:
    assert Figure("f", "u", 30, None, "b", 60, None).ratio == 0.5
