"""The topology holds together."""

import pytest

from chassis import topology
from chassis.relay_plan import lease_of
from chassis.settings import SERVICES, Settings


def test_an_event_gives_its_tasks_and_at_the_same_places_their_queues() -> None:
    assert topology.tasks_of("friendship.formed") == {
        "tasks": ["timeline.backfill", "suggestions.refresh"],
        "queues": ["timeline.bulk", "suggestions.live"],
    }


def test_an_unknown_event_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"status\.liked"):
        topology.tasks_of("status.liked")


def test_everything_named_exists_and_is_used() -> None:
    assert {task for tasks in topology.EVENTS.values() for task in tasks} == topology.TASKS.keys()
    assert {task.queue for task in topology.TASKS.values()} == topology.QUEUES.keys()
    assert {queue.service for queue in topology.QUEUES.values()} <= set(SERVICES)
    assert set(topology.PRODUCERS) <= set(SERVICES)
    assert topology.DEAD_LETTER_QUEUE not in topology.QUEUES


def test_no_event_causes_a_task_twice() -> None:
    assert all(len(tasks) == len(set(tasks)) for tasks in topology.EVENTS.values())


def test_a_task_ends_before_the_relay_publishes_its_rows_again() -> None:
    configured = Settings.model_fields["relay_lease_seconds"].default
    for task in topology.TASKS.values():
        assert configured <= lease_of(task.name, configured) == max(configured, task.time_limit_seconds + 30), task


def test_queues_know_how_they_are_worked_on() -> None:
    assert {queue.pool for queue in topology.QUEUES.values()} <= {"threads", "prefork"}
    assert all(queue.concurrency >= 1 for queue in topology.QUEUES.values())
    assert all(task.batch_size >= 1 for task in topology.TASKS.values())
