"""The relay's micro-batches and the messages made of them."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from chassis import topology
from chassis.ledger import MAX_SHARING
from chassis.relay import to_message
from chassis.relay_plan import Batch, ClaimedRow, cut, make_batches
from chassis.settings import Settings
from chassis.task_app import make_task_app

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = st.lists(st.sampled_from(sorted(topology.TASKS)), max_size=500)
SHARED = st.lists(st.integers(1, MAX_SHARING), max_size=30)


def numbered(tasks: list[str]) -> list[ClaimedRow]:
    return [ClaimedRow(number, task, {"entry_id": number}, NOW) for number, task in enumerate(tasks, 1)]


@given(ROWS)
def test_every_row_travels_once_in_order_with_its_kind(drawn: list[str]) -> None:
    rows = numbered(drawn)
    batches = make_batches(rows)
    assert sorted(row_id for batch in batches for row_id in batch.row_ids) == [row.id for row in rows]
    assert len({batch.message_id for batch in batches}) == len(batches)
    for batch in batches:
        assert {row.task for row in batch.rows} == {batch.task}
        assert 1 <= len(batch.rows) <= topology.TASKS[batch.task].batch_size
        assert batch.row_ids == sorted(batch.row_ids)


@given(st.lists(st.integers(1, 10), max_size=20))
def test_who_was_in_one_message_stays_together_and_apart_from_others(sizes: list[int]) -> None:
    rows = iter(numbered(["timeline.purge"] * sum(sizes)))
    companies = [[next(rows) for _ in range(size)] for size in sizes]
    fresh = numbered(["timeline.purge"] * 3)
    assert [list(batch.rows) for batch in make_batches(fresh, companies)] == [fresh, *companies]


@given(st.integers(1, 400), st.integers(1, 16))
def test_a_company_is_cut_into_parts_of_about_the_same_size(size: int, parts: int) -> None:
    rows = numbered(["timeline.fan_out"] * size)
    cut_rows = cut(rows, min(size, parts))
    assert [row for part in cut_rows for row in part] == rows
    assert len(cut_rows) == min(size, parts)
    lengths = {len(part) for part in cut_rows}
    assert max(lengths) - min(lengths) <= 1


def test_batches_are_as_large_as_their_task_allows() -> None:
    large, small = (topology.TASKS[task].batch_size for task in ("timeline.fan_out", "timeline.retract"))
    assert large > small
    rows = numbered(["timeline.fan_out", "timeline.retract"] * (2 * large + 1))
    sizes: dict[str, list[int]] = {}
    for batch in make_batches(rows):
        sizes.setdefault(batch.task, []).append(len(batch.rows))
    whole, rest = divmod(2 * large + 1, small)
    assert sizes == {"timeline.fan_out": [large, large, 1], "timeline.retract": [small] * whole + [rest]}


@given(SHARED)
def test_rows_that_changes_share_fill_a_batch_with_what_they_stand_for(drawn: list[int]) -> None:
    size = topology.TASKS["timeline.fan_out"].batch_size
    rows = [ClaimedRow(n, "timeline.fan_out", [{"entry_id": n}] * changes, NOW) for n, changes in enumerate(drawn)]
    batches = make_batches(rows)
    assert [row for batch in batches for row in batch.rows] == rows
    sums = [sum(row.changes for row in batch.rows) for batch in batches]
    assert all(batch_sum <= size for batch_sum in sums)
    for batch_sum, following in zip(sums, batches[1:], strict=False):
        assert batch_sum + following.rows[0].changes > size


def test_a_message_says_whose_rows_it_carries_and_nothing_more_in_its_headers() -> None:
    settings = Settings(secret="s" * 32, broker_url="amqp://nobody@127.0.0.1:1/")
    app = make_task_app(settings, "relay")
    rows = [ClaimedRow(number, "timeline.purge", {"account_id": 4704 + number}, NOW) for number in (7, 8)]
    message = to_message(app, "social_graph", Batch(rows, UUID(int=4)))
    assert message.queue == "housekeeping"
    assert message.body[:2] == (
        (),
        {"source": "social_graph", "row_ids": [7, 8], "payloads": [{"account_id": 4711}, {"account_id": 4712}]},
    )
    assert (message.headers["task"], message.headers["ledger"]) == ("timeline.purge", "social_graph")
    assert message.headers["id"] == str(UUID(int=4))
    assert "471" not in f"{message.headers['argsrepr']} {message.headers['kwargsrepr']}"
