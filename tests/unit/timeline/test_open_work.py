"""The list of open work, without ledgers."""

from collections.abc import Sequence
from typing import cast

from chassis.ids import MAX_ID
from chassis.paging import Page
from services.timeline.clients import Ledgers, OpenRows
from services.timeline.domain import NEVER_PUSHED, Entry, OpenWork
from services.timeline.open_work import CUT_SECONDS, FAN_OUT, OpenWorkList

FIRST_PAGE = Page(below=MAX_ID, above=0, limit=20, upwards=False)


def test_a_reader_finds_their_friends_posts_on_the_page_among_thousands() -> None:
    work = OpenWork({number: number % 1000 for number in range(1, 5001)})
    found = work.of_authors([7, 8, 5000], FIRST_PAGE)
    assert sorted(found) == sorted(Entry(number, number % 1000) for number in range(1, 5001) if number % 1000 in (7, 8))
    page = Page(below=4007, above=1007, limit=20, upwards=False)
    assert work.of_authors([7], page) == [Entry(2007, 7), Entry(3007, 7)]
    assert work.of_authors([], FIRST_PAGE) == []


class Looks:
    """Counts how often the ledgers are looked at."""

    def __init__(self) -> None:
        self.count = 0
        self.has_more = True

    async def open_rows(self, tasks: Sequence[str]) -> list[OpenRows]:
        self.count += 1
        assert FAN_OUT in tasks
        return [OpenRows([(FAN_OUT, {"entry_id": 1, "author_id": 2})], self.has_more)]


async def test_a_list_that_is_cut_is_not_fetched_again_and_again() -> None:
    now, looks = 0.0, Looks()
    work = OpenWorkList(cast(Ledgers, looks), 50, clock=lambda: now)
    for _ in range(10):
        now += CUT_SECONDS / 10 - 0.001
        assert (await work.current()).pushed_from(3, None) == NEVER_PUSHED
    assert looks.count == 1
    await work.current(is_fresh=True)
    assert looks.count == 2
    looks.has_more = False
    now += CUT_SECONDS + 0.1
    assert not (await work.current()).is_cut
    now += 0.06
    await work.current()
    assert looks.count == 4, "one that is whole is relied on, and as old as it is said to be"
