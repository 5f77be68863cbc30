"""Shards of members: as many in each, however their ids came about."""

from collections import Counter

import pytest

from chassis.ids import first_id_at
from chassis.live import SHARDS, shard_of

COUNT = 1000
NOW_MS = 1_796_000_000_000


@pytest.mark.parametrize(
    "account_ids",
    [
        pytest.param([first_id_at(NOW_MS) | number << 2 for number in range(COUNT)], id="imported in a moment"),
        # A lone id is the first one of its millisecond.
        pytest.param([first_id_at(NOW_MS + 977 * number) for number in range(COUNT)], id="one by one"),
    ],
)
def test_members_are_evenly_spread(account_ids: list[int]) -> None:
    assert set(Counter(map(shard_of, account_ids)).values()) == {COUNT // SHARDS}
