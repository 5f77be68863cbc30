"""What a client of a stream has, as the id of an event."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.ids import MAX_ID, first_id_at
from services.gateway.streaming.resumption import MAX_ABOVE, OVERLAP_MS, Resumption, at_the_end_of

NEWEST = first_id_at(1_800_000_000_000)


@given(st.integers(0, MAX_ID - 1), st.sets(st.integers(1, MAX_ID), max_size=MAX_ABOVE))
def test_it_is_read_as_it_was_written(floor: int, above: set[int]) -> None:
    resumption = Resumption(floor, frozenset(an_id for an_id in above if an_id > floor))
    assert Resumption.read(str(resumption)) == resumption


def test_of_too_many_the_newest_are_named() -> None:
    ids = range(10, 10 + 2 * MAX_ABOVE)
    assert Resumption.read(str(Resumption(5, frozenset(ids)))) == Resumption(5, frozenset(ids[-MAX_ABOVE:]))


def test_a_number_is_everything_up_to_it() -> None:
    assert Resumption.read("12") == Resumption(12)


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "1-", "1-g", "1 -2", "1-2\n", str(2**63), f"{MAX_ID}-1", "1" + "-1" * 201]
)
def test_nothing_else_is_taken(text: str) -> None:
    with pytest.raises(ValueError, match="id"):
        Resumption.read(text)


def test_who_has_read_a_list_has_what_is_old_and_what_they_have_seen() -> None:
    old, new = NEWEST - first_id_at(OVERLAP_MS) - 1, NEWEST - 5
    whole = at_the_end_of([NEWEST, new, old], is_whole=True)
    assert whole == Resumption(NEWEST - first_id_at(OVERLAP_MS), frozenset({new, NEWEST}))
    assert at_the_end_of([NEWEST, new], is_whole=False) == Resumption(new, frozenset({NEWEST}))
    assert at_the_end_of([], is_whole=True) == Resumption(1)
