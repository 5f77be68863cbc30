"""Pages: windows are bounded, and walking them in either direction finds everything once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kodama.page.v1.window_pb2 import Window

from chassis.errors import InvalidField
from chassis.ids import MAX_ID
from chassis.paging import Page, page_of, take_page

IDS = st.lists(st.integers(1, 60), max_size=40)
LIMIT = st.integers(1, 7)


@pytest.mark.parametrize(
    ("window", "page"),
    [
        (Window(), Page(below=MAX_ID, above=0, limit=20, upwards=False)),
        (Window(max_id=9), Page(below=9, above=0, limit=20, upwards=False)),
        (Window(since_id=3), Page(below=MAX_ID, above=3, limit=20, upwards=False)),
        (Window(min_id=3), Page(below=MAX_ID, above=3, limit=20, upwards=True)),
        (Window(min_id=3, since_id=5), Page(below=MAX_ID, above=3, limit=20, upwards=True)),
        (Window(max_id=9, min_id=3, limit=2), Page(below=9, above=3, limit=2, upwards=True)),
        (Window(limit=40), Page(below=MAX_ID, above=0, limit=40, upwards=False)),
        (Window(limit=41), Page(below=MAX_ID, above=0, limit=40, upwards=False)),
        (Window(limit=2**31 - 1), Page(below=MAX_ID, above=0, limit=40, upwards=False)),
        (Window(max_id=MAX_ID), Page(below=MAX_ID, above=0, limit=20, upwards=False)),
    ],
)
def test_a_window_becomes_a_bounded_page(window: Window, page: Page) -> None:
    assert page_of(window, default=20, maximum=40) == page


@pytest.mark.parametrize("field", ["max_id", "since_id", "min_id", "limit"])
def test_negative_values_are_refused_by_name(field: str) -> None:
    with pytest.raises(InvalidField, match=f"{field} cannot be negative") as refused:
        page_of(Window(**{field: -1}), default=20, maximum=40)
    assert refused.value.metadata == {"field": field}


def test_a_page_gives_its_queries_parameters() -> None:
    page = Page(below=9, above=3, limit=2, upwards=True)
    assert page.parameters() == {"below": 9, "above": 3, "limit": 2}


@given(IDS, st.integers(0, 62), st.integers(0, 62), LIMIT, st.booleans())
def test_a_page_is_the_near_end_of_its_range_newest_first(
    ids: list[int], below: int, above: int, limit: int, upwards: bool
) -> None:
    taken = take_page(ids, Page(below, above, limit, upwards))
    fitting = {an_id for an_id in ids if above < an_id < below}
    assert taken == sorted(set(taken), reverse=True)
    assert set(taken) <= fitting
    assert len(taken) == min(limit, len(fitting))
    left_out = fitting - set(taken)
    assert all((other > max(taken)) if upwards else (other < min(taken)) for other in left_out)


@given(IDS, LIMIT)
def test_walking_downwards_finds_everything_once(ids: list[int], limit: int) -> None:
    walked: list[int] = []
    while page := take_page(ids, page_of(Window(max_id=min(walked, default=0), limit=limit), default=1, maximum=40)):
        walked.extend(page)
    assert walked == sorted(set(ids), reverse=True)


@given(IDS, LIMIT)
def test_walking_upwards_finds_everything_once(ids: list[int], limit: int) -> None:
    walked: list[int] = []
    newest = 0
    while page := take_page(ids, Page(MAX_ID, newest, limit, upwards=True)):
        walked[:0] = page
        newest = page[0]
    assert walked == sorted(set(ids), reverse=True)
