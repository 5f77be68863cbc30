"""The relay's micro-batches and the messages made of them."""

from hypothesis import given
from hypothesis import strategies as st

from chassis import topology
from chassis.ledger import MAX_SHARING, ClaimedRow, payloads_of
from chassis.relay import FAILURES_BEFORE_ALONE, make_batches, to_message
from chassis.settings import Settings
from chassis.task_app import make_task_app

ROWS = st.lists(st.tuples(st.sampled_from(sorted(topology.TASKS)), st.integers(0, 9)), max_size=500)
SHARED = st.lists(st.integers(1, MAX_SHARING), max_size=30)


def numbered(rows: list[tuple[str, int]]) -> list[ClaimedRow]:
    return [(number, task, {"entry_id": number}, attempts) for number, (task, attempts) in enumerate(rows, 1)]


@given(ROWS)
def test_every_row_travels_once_in_order_with_its_kind(drawn: list[tuple[str, int]]) -> None:
    rows = numbered(drawn)
    batches = make_batches(rows)
    assert sorted(row for batch in batches for row in batch) == sorted(rows)
    for batch in batches:
        tasks = {row[1] for row in batch}
        assert len(tasks) == 1
        assert 1 <= len(batch) <= topology.TASKS[tasks.pop()].batch_size
        assert [row[0] for row in batch] == sorted(row[0] for row in batch)


@given(ROWS)
def test_a_row_that_failed_before_travels_alone(drawn: list[tuple[str, int]]) -> None:
    for batch in make_batches(numbered(drawn)):
        assert len(batch) == 1 or all(row[3] < FAILURES_BEFORE_ALONE for row in batch)


def test_batches_are_as_large_as_their_task_allows() -> None:
    large, small = (topology.TASKS[task].batch_size for task in ("timeline.fan_out", "timeline.retract"))
    assert large > small
    rows = numbered([("timeline.fan_out", 0), ("timeline.retract", 0)] * (2 * large + 1))
    sizes: dict[str, list[int]] = {}
    for batch in make_batches(rows):
        sizes.setdefault(batch[0][1], []).append(len(batch))
    whole, rest = divmod(2 * large + 1, small)
    assert sizes == {"timeline.fan_out": [large, large, 1], "timeline.retract": [small] * whole + [rest]}


@given(SHARED)
def test_rows_that_changes_share_fill_a_batch_with_what_they_stand_for(drawn: list[int]) -> None:
    size = topology.TASKS["timeline.fan_out"].batch_size
    rows: list[ClaimedRow] = [
        (n, "timeline.fan_out", [{"entry_id": n}] * changes, 0) for n, changes in enumerate(drawn)
    ]
    batches = make_batches(rows)
    assert [row for batch in batches for row in batch] == rows
    sums = [sum(len(payloads_of(row[2])) for row in batch) for batch in batches]
    assert all(batch_sum <= size for batch_sum in sums)
    for batch_sum, following in zip(sums, batches[1:], strict=False):
        assert batch_sum + len(payloads_of(following[0][2])) > size


def test_a_message_says_whose_rows_it_carries_and_nothing_more_in_its_headers() -> None:
    settings = Settings(secret="s" * 32, broker_url="amqp://nobody@127.0.0.1:1/")
    app = make_task_app(settings, "relay")
    rows: list[ClaimedRow] = [
        (7, "timeline.purge", {"account_id": 4711}, 0),
        (8, "timeline.purge", {"account_id": 4712}, 1),
    ]
    message = to_message(app, "social_graph", rows)
    assert message.queue == "housekeeping"
    assert message.body[:2] == (
        (),
        {"source": "social_graph", "row_ids": [7, 8], "payloads": [{"account_id": 4711}, {"account_id": 4712}]},
    )
    assert message.headers["task"] == "timeline.purge"
    assert "471" not in f"{message.headers['argsrepr']} {message.headers['kwargsrepr']}"
