"""Lists of lists come back as they were, and what does not fit is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidField
from chassis.ragged import join, split


@given(st.lists(st.lists(st.integers())))
def test_parts_come_back(parts: list[list[int]]) -> None:
    counts, elements = join(parts)
    assert split(range(len(parts)), counts, elements) == list(enumerate(parts))


@pytest.mark.parametrize(
    ("owners", "counts", "elements"),
    [
        ([1], [], []),
        ([], [0], []),
        ([1], [2], [1]),
        ([1], [0], [1]),
        ([1, 2], [3, -1], [1, 2]),
    ],
)
def test_counts_that_do_not_fit_are_refused(owners: list[int], counts: list[int], elements: list[int]) -> None:
    with pytest.raises(InvalidField):
        split(owners, counts, elements)
