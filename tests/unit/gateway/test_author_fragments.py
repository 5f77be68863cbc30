"""Authors on home timelines are at most a second old, and pages seldom wait for them."""

import asyncio
from collections.abc import Sequence

import pytest

from chassis.errors import Unavailable
from services.gateway import author_fragments
from services.gateway.author_fragments import AuthorFragments


class Owner:
    """Knows accounts 1 to 9 in a version that it counts up, and notes what it is asked."""

    def __init__(self) -> None:
        self.version = 1
        self.asked: list[list[int]] = []
        self.is_away = False

    async def load(self, account_ids: Sequence[int]) -> dict[int, bytes]:
        self.asked.append(sorted(account_ids))
        if self.is_away:
            raise Unavailable("away")
        answer = {an_id: b"%d/%d" % (an_id, self.version) for an_id in account_ids if an_id < 10}
        await asyncio.sleep(0.001)
        return answer


async def test_who_is_shown_again_at_once_is_not_asked_for_again() -> None:
    owner = Owner()
    authors = AuthorFragments(owner.load)
    assert await authors.get({1, 2}) == {1: b"1/1", 2: b"2/1"}
    owner.version = 2
    assert await authors.get({2, 3}) == {2: b"2/1", 3: b"3/2"}
    assert owner.asked == [[1, 2], [3]]


async def test_who_does_not_exist_is_asked_for_each_time() -> None:
    owner = Owner()
    authors = AuthorFragments(owner.load)
    assert [await authors.get({1, 99}) for _ in range(2)] == [{1: b"1/1"}] * 2
    assert owner.asked == [[1, 99], [99]]


async def test_who_has_changed_something_is_shown_as_they_are_now_even_where_an_older_answer_is_on_its_way() -> None:
    owner = Owner()
    authors = AuthorFragments(owner.load)
    older = asyncio.create_task(authors.get({1}))
    while not owner.asked:
        await asyncio.sleep(0)
    owner.version = 2
    authors.forget(1)
    assert await older == {1: b"1/1"}
    assert await authors.get({1}) == {1: b"1/2"}


async def test_those_who_are_shown_often_are_renewed_together_before_they_are_too_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(author_fragments, "AGING_SECONDS", 0.0)
    monkeypatch.setattr(author_fragments, "GATHERING_SECONDS", 0.01)
    owner = Owner()
    authors = AuthorFragments(owner.load)
    await authors.get({1, 2, 3})
    await asyncio.sleep(0.001)
    owner.version = 2
    for one in (1, 2):
        assert await authors.get({one}) == {one: b"%d/1" % one}  # without waiting
    async with asyncio.timeout(5):
        while await authors.get({1}) != {1: b"1/2"}:
            await asyncio.sleep(0.005)
    assert owner.asked[:2] == [[1, 2, 3], [1, 2]]


async def test_nobody_is_shown_who_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(author_fragments, "SECONDS", 0.02)
    monkeypatch.setattr(author_fragments, "AGING_SECONDS", 0.0)
    monkeypatch.setattr(author_fragments, "GATHERING_SECONDS", 0.005)
    owner = Owner()
    authors = AuthorFragments(owner.load)
    await authors.get({1})
    owner.is_away = True
    await asyncio.sleep(0.001)
    assert await authors.get({1}) == {1: b"1/1"}
    await asyncio.sleep(0.05)  # what was to renew them has failed
    with pytest.raises(Unavailable):
        await authors.get({1})
    owner.is_away, owner.version = False, 2
    assert await authors.get({1}) == {1: b"1/2"}
