"""What can never be, and what a page token is."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidField
from services.social_graph.domain import (
    Pair,
    check_friendships,
    check_pair,
    limit_of,
    page_size_of,
    read_page_token,
    write_page_token,
)

ids = st.integers(0, 2**63 - 1)


@given(st.lists(ids, min_size=1, max_size=3))
def test_a_token_reads_as_it_was_written(key: list[int]) -> None:
    assert read_page_token(write_page_token(*key), parts=len(key)) == tuple(key)
    with pytest.raises(InvalidField):
        read_page_token(write_page_token(*key), parts=len(key) + 1)


@given(st.text(max_size=120), st.integers(1, 2))
def test_any_text_is_a_key_or_refused(token: str, parts: int) -> None:
    with suppress(InvalidField):
        key = read_page_token(token, parts)
        assert key is None or len(key) == parts


@pytest.mark.parametrize("token", ["?", "MQ!", "YWJj", "LTE", "MS4y", "99" * 100, "w6k", "MTAwMDAwMDAwMDAwMDAwMDAwMDA"])
def test_bad_tokens(token: str) -> None:
    with pytest.raises(InvalidField):
        read_page_token(token, parts=1)


def test_no_token_is_the_first_page() -> None:
    assert read_page_token("", parts=2) is None


def test_pairs() -> None:
    assert check_pair(9, 2, "target_id") == Pair(2, 9)
    assert check_friendships([(4, 3), (1, 2), (3, 4)]) == [Pair(1, 2), Pair(3, 4)]
    for account_id, other_id, field in ((1, 1, "target_id"), (1, 0, "target_id"), (-1, 2, "account_id")):
        with pytest.raises(InvalidField) as refused:
            check_pair(account_id, other_id, "target_id")
        assert refused.value.metadata["field"] == field


@pytest.mark.parametrize(("asked", "given"), [(0, 40), (1, 1), (1000, 1000), (1001, 1000)])
def test_page_sizes(asked: int, given: int) -> None:
    assert page_size_of(asked) == given


@pytest.mark.parametrize(("asked", "given"), [(0, 40), (50, 50), (51, 50)])
def test_limits(asked: int, given: int) -> None:
    assert limit_of(asked) == given


def test_negative_sizes() -> None:
    for check in (page_size_of, limit_of):
        with pytest.raises(InvalidField):
            check(-1)
