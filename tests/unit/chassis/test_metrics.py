"""How long things took, in figures that an operator reads."""

import pytest
from prometheus_client import REGISTRY

from chassis.metrics import RECENT, Delivery, Freshness
from services.cli.lag_command import streamed_of


def deliveries(*seconds: float, task: str = "timeline.fan_out") -> list[Delivery]:
    return [Delivery(task, "timeline.live", one / 2, one) for one in seconds]


def test_a_pace_is_the_median_and_the_99th_percentile() -> None:
    freshness = Freshness()
    freshness.note(deliveries(*(number / 100 for number in range(1, 101))))
    [pace] = freshness.paces()
    assert (pace.task, pace.queue, pace.samples) == ("timeline.fan_out", "timeline.live", 100)
    assert (pace.delivered_p50_ms, pace.delivered_p99_ms) == (500, 990)
    assert (pace.relayed_p50_ms, pace.relayed_p99_ms) == (250, 495)


def test_only_the_last_thousand_count() -> None:
    freshness = Freshness()
    freshness.note(deliveries(*[100.0] * RECENT))
    freshness.note(deliveries(*[1.0] * RECENT))
    [pace] = freshness.paces()
    assert (pace.samples, pace.delivered_p99_ms) == (RECENT, 1000)


def test_a_row_that_changes_share_counts_for_each() -> None:
    freshness = Freshness()
    freshness.note([Delivery("timeline.fan_out", "timeline.live", 0.5, 1.0, changes=3), *deliveries(9.0)])
    [pace] = freshness.paces()
    assert (pace.samples, pace.delivered_p50_ms, pace.delivered_p99_ms) == (4, 1000, 9000)


def test_what_was_never_published_counts_as_delivered_only() -> None:
    freshness = Freshness()
    freshness.note([Delivery("timeline.fill", "timeline.bulk", None, 2.0)])
    [pace] = freshness.paces()
    assert (pace.relayed_p50_ms, pace.delivered_p50_ms) == (0, 2000)


def test_prometheus_is_told_of_every_row() -> None:
    labels = {"queue": "timeline.live", "task": "told.of"}
    Freshness().note(deliveries(0.02, 0.2, task="told.of"))
    assert REGISTRY.get_sample_value("kodama_task_delivered_seconds_count", labels) == 2
    bucket = REGISTRY.get_sample_value("kodama_ledger_relayed_seconds_bucket", labels | {"le": "0.01"})
    assert bucket == 1


@pytest.mark.parametrize(
    ("text", "expected"), [("", None), ('kodama_stream_delivered_seconds_bucket{le="1.0"} 0.0\n', None)]
)
def test_nothing_streamed_is_nothing_shown(text: str, expected: None) -> None:
    assert streamed_of(text) is expected


def test_what_was_streamed_is_shown_by_its_buckets() -> None:
    lines = [
        "# TYPE kodama_stream_delivered_seconds histogram",
        *(
            f'kodama_stream_delivered_seconds_bucket{{queue="timeline.live",le="{bound}"}} {count}'
            for bound, count in (("0.05", 60.0), ("0.1", 98.0), ("0.25", 99.0), ("+Inf", 100.0))
        ),
    ]
    streamed = streamed_of("\n".join(lines) + "\n")
    assert streamed is not None
    assert (streamed.p50, streamed.p99) == ("≤ 50 ms", "≤ 250 ms")
