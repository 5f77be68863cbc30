"""The topology is what the code does: every task has its handler, every event is caused somewhere, the docs say the same."""

import ast
import importlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis import topology
from chassis.settings import SERVICES, Settings
from deploy import docs

ROOT = Path(__file__).parents[2]
SETTINGS = Settings(
    secret="s" * 32, broker_url="amqp://nobody@127.0.0.1:1/", database_url="postgresql://127.0.0.1:1/none"
)


def registered_tasks() -> dict[str, list[str]]:
    """Task name → the services whose workers have a handler for it."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "services").glob("*/worker.py")):
        service = path.parent.name
        app = importlib.import_module(f"services.{service}.worker").make_app(SETTINGS)
        for name in app.tasks:
            if not name.startswith("celery."):
                found[name].append(service)
    return dict(found)


def test_every_task_has_one_handler_where_its_queue_is_consumed() -> None:
    expected = {task.name: [topology.QUEUES[task.queue].service] for task in topology.TASKS.values()}
    assert registered_tasks() == expected


def events_in(source: str) -> Iterator[str]:
    """The events that a module causes, by `tasks_of(event)` and `append(conn, event, …)`; others than literals are refused."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        position = {"tasks_of": 0, "append": 1}.get(name)
        if position is None or len(node.args) <= position:
            continue
        event = node.args[position]
        if not isinstance(event, ast.Constant) or not isinstance(event.value, str):
            raise TypeError(f"line {node.lineno}: the event of {name} is not a literal")
        yield event.value


def events_by_service() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "services").rglob("*.py")):
        for event in events_in(path.read_text("utf-8")):
            found[path.relative_to(ROOT / "services").parts[0]].add(event)
    return dict(found)


def test_every_event_is_caused_by_one_service_and_every_caused_event_exists() -> None:
    caused = [event for events in events_by_service().values() for event in events]
    assert sorted(caused) == sorted(topology.EVENTS)


def chores_in(source: str) -> Iterator[str]:
    """The chores that a module has repeated, by `repeat(name, …)` or `repeat_work`; others than literals are refused."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("repeat", "repeat_work"):
            name = node.args[0]
            if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
                raise TypeError(f"line {node.lineno}: the name of the chore is not a literal")
            yield name.value


def test_every_chore_is_done_by_whose_it_is_and_no_other_is() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for path in (*sorted((ROOT / "services").rglob("*.py")), ROOT / "chassis/process.py"):
        service = "" if path.parent.name == "chassis" else path.relative_to(ROOT / "services").parts[0]
        for name in chores_in(path.read_text("utf-8")):
            found[name].append(service)
    assert found == {chore.name: [chore.service] for chore in topology.CHORES.values()}
    assert {chore.service for chore in topology.CHORES.values()} <= {"", *SERVICES}


def test_exactly_the_producers_cause_events() -> None:
    assert set(events_by_service()) == set(topology.PRODUCERS)


@pytest.mark.parametrize(
    ("source", "events"),
    [
        ("topology.tasks_of('a.b')", ["a.b"]),
        ("await ledger.append(conn, 'a.b', [])", ["a.b"]),
        ("names.append('a.b')", []),
    ],
)
def test_events_are_found_in_source(source: str, events: list[str]) -> None:
    assert list(events_in(source)) == events


def test_an_event_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(TypeError, match="not a literal"):
        list(events_in("ledger.append(conn, event, [])"))


def test_the_documented_table_of_events_is_the_topology() -> None:
    text = docs.DOCUMENT.read_text("utf-8")
    assert docs.brought_up_to_date(text) == text, "run python -m deploy.docs --write"


def test_a_stale_table_is_noticed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "architecture.md"
    document.write_text("before\n<!-- topology:begin -->\n| old |\n<!-- topology:end -->\nafter\n", "utf-8")
    assert docs.main(["--check"], document) == 1
    assert docs.main(["--write"], document) == 0
    assert docs.main(["--check"], document) == 0
    text = document.read_text("utf-8")
    assert text.startswith("before\n<!-- topology:begin -->\n| Event |")
    assert all(f"`{name}`" in text for name in (*topology.EVENTS, *topology.TASKS, *topology.QUEUES))
    with pytest.raises(ValueError, match="once each"):
        docs.brought_up_to_date("no markers")
