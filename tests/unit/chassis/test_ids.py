"""Ids: what is in their bits."""

from hypothesis import given
from hypothesis import strategies as st

from chassis import ids

MILLISECONDS = st.integers(0, 2**47 - 1)


def made(unix_ms: int, sequence: int, kind: int) -> int:
    """An id as next_id makes it."""
    return unix_ms << 16 | sequence << 2 | kind


@given(MILLISECONDS, st.integers(0, 2**14 - 1), st.sampled_from(ids.Kind))
def test_kind_and_time_can_be_read_back(unix_ms: int, sequence: int, kind: ids.Kind) -> None:
    an_id = made(unix_ms, sequence, kind)
    assert ids.kind_of(an_id) is kind
    assert ids.created_at_ms(an_id) == unix_ms
    assert 0 <= an_id <= ids.MAX_ID


@given(MILLISECONDS, st.integers(0, 2**14 - 1), st.sampled_from(ids.Kind))
def test_the_first_id_of_a_millisecond_parts_it_from_the_one_before(
    unix_ms: int, sequence: int, kind: ids.Kind
) -> None:
    first = ids.first_id_at(unix_ms)
    assert first <= made(unix_ms, sequence, kind) < ids.first_id_at(unix_ms + 1)


@given(st.integers(0, ids.MAX_ID))
def test_every_number_has_a_kind(an_id: int) -> None:
    assert ids.kind_of(an_id) in ids.Kind
