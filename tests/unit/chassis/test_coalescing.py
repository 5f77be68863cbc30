"""Many questions at once become few batches, and nobody notices but by the speed."""

import asyncio
import contextvars
from collections.abc import Sequence

import pytest

from chassis import coalescing
from chassis.coalescing import Coalescer, Loader
from chassis.errors import InvalidField, Unavailable

COMMITTED: contextvars.ContextVar[str] = contextvars.ContextVar("committed", default="nobody's")


class Database:
    """Answers what is committed when a batch begins, as slowly as it is told to."""

    def __init__(self) -> None:
        self.committed = 0
        self.batches: list[list[int]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def batch(self, keys: Sequence[int]) -> list[tuple[int, int]]:
        self.batches.append(list(keys))
        seen = self.committed
        await self.go_on.wait()
        return [(key, seen) for key in keys]


async def test_concurrent_questions_are_one_batch_and_each_has_its_own_answer() -> None:
    database = Database()
    coalescer = Coalescer(database.batch)
    answers = await asyncio.gather(*(coalescer.get(key) for key in (3, 1, 2, 1)))
    assert answers == [(3, 0), (1, 0), (2, 0), (1, 0)]
    assert database.batches == [[3, 1, 2, 1]]


async def test_one_question_is_asked_at_once() -> None:
    database = Database()
    assert await Coalescer(database.batch).get(7) == (7, 0)
    assert database.batches == [[7]]


async def test_who_asks_after_a_commit_sees_it_though_a_batch_with_the_same_key_is_under_way() -> None:
    database = Database()
    coalescer = Coalescer(database.batch, max_running=1)
    database.go_on.clear()
    before = asyncio.create_task(coalescer.get(1))
    await asyncio.sleep(0.01)
    assert database.batches == [[1]]
    database.committed = 1
    after = asyncio.create_task(coalescer.get(1))
    await asyncio.sleep(0.01)
    database.go_on.set()
    assert await before == (1, 0)
    assert await after == (1, 1)
    assert database.batches == [[1], [1]]


async def test_what_comes_while_batches_run_makes_the_next_one() -> None:
    database = Database()
    coalescer = Coalescer(database.batch, max_running=2)
    database.go_on.clear()
    tasks = []
    for key in range(6):
        tasks.append(asyncio.create_task(coalescer.get(key)))
        await asyncio.sleep(0.005)
    assert database.batches == [[0], [1]]
    database.go_on.set()
    assert [key for key, _ in await asyncio.gather(*tasks)] == list(range(6))
    assert database.batches == [[0], [1], [2, 3, 4, 5]]


async def test_a_batch_has_a_bound() -> None:
    database = Database()
    coalescer = Coalescer(database.batch, max_batch=4)
    await asyncio.gather(*(coalescer.get(key) for key in range(10)))
    assert [len(batch) for batch in database.batches] == [4, 4, 2]
    assert [key for batch in database.batches for key in batch] == list(range(10))


async def test_the_line_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "MAX_WAITING", 2)
    database = Database()
    coalescer = Coalescer(database.batch, max_running=1)
    database.go_on.clear()
    running = asyncio.create_task(coalescer.get(0))
    await asyncio.sleep(0.01)
    waiting = [asyncio.create_task(coalescer.get(key)) for key in (1, 2)]
    await asyncio.sleep(0.01)
    with pytest.raises(Unavailable):
        await coalescer.get(3)
    database.go_on.set()
    assert await asyncio.gather(running, *waiting) == [(0, 0), (1, 0), (2, 0)]


async def test_an_answer_that_is_an_error_fails_its_question_alone() -> None:
    async def batch(keys: Sequence[int]) -> list[int | Exception]:
        return [InvalidField("key", "odd") if key % 2 else key for key in keys]

    coalescer = Coalescer(batch)
    answers = await asyncio.gather(*(coalescer.get(key) for key in range(4)), return_exceptions=True)
    assert [answers[0], answers[2]] == [0, 2]
    assert [type(answers[1]), type(answers[3])] == [InvalidField, InvalidField]


async def test_a_question_that_breaks_its_batch_breaks_no_other() -> None:
    asked: list[list[int]] = []

    async def batch(keys: Sequence[int]) -> list[int]:
        asked.append(list(keys))
        if 13 in keys:
            raise ValueError("thirteen")
        return list(keys)

    coalescer = Coalescer(batch)
    answers = await asyncio.gather(*(coalescer.get(key) for key in (1, 13, 2)), return_exceptions=True)
    assert [answers[0], answers[2]] == [1, 2]
    assert isinstance(answers[1], ValueError)
    assert asked == [[1, 13, 2], [1], [13], [2]]


async def test_where_the_database_is_away_nothing_is_tried_again() -> None:
    asked = 0

    async def batch(keys: Sequence[int]) -> list[int]:
        nonlocal asked
        asked += 1
        raise Unavailable("away")

    coalescer = Coalescer(batch)
    answers = await asyncio.gather(*(coalescer.get(key) for key in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 3
    assert asked == 1


async def test_a_wrong_number_of_answers_is_a_defect_and_not_somebody_elses_answer() -> None:
    async def batch(keys: Sequence[int]) -> list[int]:
        return list(keys)[:-1]

    answers = await asyncio.gather(*(Coalescer(batch).get(key) for key in range(2)), return_exceptions=True)
    assert all(isinstance(answer, RuntimeError) for answer in answers)


async def test_whoever_is_cancelled_leaves_the_others_alone() -> None:
    database = Database()
    coalescer = Coalescer(database.batch, max_running=1)
    database.go_on.clear()
    tasks = [asyncio.create_task(coalescer.get(key)) for key in range(3)]
    await asyncio.sleep(0.01)
    late = [asyncio.create_task(coalescer.get(key)) for key in (8, 9)]
    await asyncio.sleep(0.01)
    tasks[0].cancel()
    late[0].cancel()
    await asyncio.sleep(0.01)
    database.go_on.set()
    assert await asyncio.gather(*tasks[1:], late[1]) == [(1, 0), (2, 0), (9, 0)]
    assert database.batches == [[0, 1, 2], [9]]  # nobody waited for 8 any more


async def test_a_batch_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "BATCH_SECONDS", 0.05)
    database = Database()
    database.go_on.clear()
    coalescer = Coalescer(database.batch, max_running=1)
    with pytest.raises(Unavailable):
        await coalescer.get(1)
    database.go_on.set()
    assert await coalescer.get(2) == (2, 0)


async def test_a_batch_runs_in_nobodys_context() -> None:
    async def batch(keys: Sequence[int]) -> list[str]:
        return [COMMITTED.get() for _ in keys]

    COMMITTED.set("the first caller's")
    assert await Coalescer(batch).get(1) == "nobody's"


async def test_a_loader_loads_what_several_ask_for_once_and_gives_each_their_own() -> None:
    loads: list[list[int]] = []

    async def load(ids: Sequence[int]) -> dict[int, str]:
        loads.append(list(ids))
        return {an_id: str(an_id) for an_id in ids if an_id != 4}

    loader = Loader(load, max_ids=3, max_running=1)
    answers: tuple[dict[int, str], ...] = await asyncio.gather(
        loader.get([1, 2, 1]), loader.get([2, 3, 4]), loader.get([]), loader.get([4])
    )
    assert list(answers) == [{1: "1", 2: "2"}, {2: "2", 3: "3"}, {}, {}]
    assert loads == [[1, 2, 3], [4]]


async def test_several_questions_of_one_asker_have_their_answers_in_order() -> None:
    async def batch(keys: Sequence[int]) -> list[int | Exception]:
        return [InvalidField("number", "Not three.") if key == 3 else key * 10 for key in keys]

    coalescer = Coalescer(batch, max_batch=2)
    alone = asyncio.create_task(coalescer.get(9))
    several = await coalescer.get_all([1, 2, 3, 1])
    assert [each if isinstance(each, int) else type(each) for each in several] == [10, 20, InvalidField, 10]
    assert await alone == 90
    assert await coalescer.get_all([]) == []


async def test_several_questions_of_who_is_cancelled_are_not_asked_any_more() -> None:
    database = Database()
    coalescer = Coalescer(database.batch, max_running=1)
    database.go_on.clear()
    first = asyncio.create_task(coalescer.get(1))
    await asyncio.sleep(0.01)
    leaving, staying = (asyncio.create_task(coalescer.get_all(keys)) for keys in ([2, 3], [4]))
    await asyncio.sleep(0.01)
    leaving.cancel()
    database.go_on.set()
    assert await staying == [(4, 0)]
    await first
    assert database.batches == [[1], [4]]


async def test_several_questions_do_not_fit_into_a_full_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "MAX_WAITING", 3)
    answers = await Coalescer(Database().batch).get_all([1, 2, 3, 4])
    assert [type(each) for each in answers] == [Unavailable] * 4


async def test_what_comes_within_a_moment_while_a_batch_runs_is_one_batch() -> None:
    database = Database()
    coalescer = Coalescer(database.batch, gathering_seconds=0.1)
    database.go_on.clear()
    asked = []
    for key in range(4):  # the first begins at once, as nothing runs
        asked.append(asyncio.create_task(coalescer.get(key)))
        await asyncio.sleep(0.005)
    assert database.batches == [[0]]
    database.go_on.set()
    await asyncio.sleep(0.005)
    asked.append(asyncio.create_task(coalescer.get(4)))  # who has just had an answer comes in time, too
    await asyncio.gather(*asked)
    assert database.batches == [[0], [1, 2, 3, 4]]


async def test_enough_questions_wait_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "ENOUGH", 3)
    database = Database()
    coalescer = Coalescer(database.batch, gathering_seconds=60)
    database.go_on.clear()
    asked = [asyncio.create_task(coalescer.get(0))]
    await asyncio.sleep(0.005)
    for key in (1, 2, 3):
        asked.append(asyncio.create_task(coalescer.get(key)))
        await asyncio.sleep(0.005)
    assert database.batches == [[0], [1, 2, 3]]
    database.go_on.set()
    await asyncio.gather(*asked)


async def test_what_has_gathered_waits_for_room() -> None:
    database = Database()
    coalescer = Coalescer(database.batch, max_running=2, gathering_seconds=0.01)
    database.go_on.clear()
    asked = []
    for key in range(4):
        asked.append(asyncio.create_task(coalescer.get(key)))
        await asyncio.sleep(0.03)
    assert database.batches == [[0], [1]]
    database.go_on.set()
    await asyncio.gather(*asked)
    assert database.batches == [[0], [1], [2, 3]]
