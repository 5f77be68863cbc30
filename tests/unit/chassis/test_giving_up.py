"""When a row is given up that fails alone."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from chassis.relay_plan import ClaimedRow, Limits, is_suspect, sort_out

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIMITS = Limits(failures=8, hours=24)


def a_failing(since: timedelta, last: timedelta, failures: int = 0) -> ClaimedRow:
    """A row that has failed alone: the first time and the last so long ago."""
    return ClaimedRow(
        1,
        "timeline.fan_out",
        {"entry_id": 1},
        NOW,
        publications=1,
        failures=failures,
        message_id=UUID(int=1),
        failing_since=NOW - since,
        failed_at=NOW - last,
    )


@pytest.mark.parametrize("last", [timedelta(), HOUR, 30 * HOUR])
def test_a_row_is_given_up_that_has_failed_for_long_and_at_the_end_of_it(last: timedelta) -> None:
    row = a_failing(since=last + 24 * HOUR, last=last)
    assert sort_out([row], LIMITS).given_up == [row]


@pytest.mark.parametrize("stood_still", [25 * HOUR, 62 * HOUR])
def test_a_row_that_nobody_has_tried_since_is_tried_however_long_that_was(stood_still: timedelta) -> None:
    row = a_failing(since=stood_still + HOUR, last=stood_still)
    assert sort_out([row], LIMITS).again == [[row]]


def test_failures_that_count_end_a_row_whenever_they_were() -> None:
    row = a_failing(since=62 * HOUR, last=62 * HOUR, failures=LIMITS.failures)
    assert sort_out([row], LIMITS).given_up == [row]


def test_standing_still_makes_no_company_suspect() -> None:
    assert not is_suspect([a_failing(since=62 * HOUR, last=62 * HOUR)])
    assert is_suspect([a_failing(since=HOUR, last=timedelta())])
