"""pgmq as the broker of a real Celery application, and the choice between brokers."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import kombu
import psycopg
import pytest

from deploy.local.broker import PGMQ_TRANSPORT_OPTIONS, Broker, BrokerKind, BrokerPlan, choose
from deploy.local.command import Child, Command, running
from deploy.local.postgres import Postgres
from deploy.local.rabbitmq import choose_node_ports
from deploy.local.rabbitmq_software import RabbitMQSoftware
from deploy.local.state import CHECKOUT

HERE = Path(__file__).parent
VISIBILITY_SECONDS = 2  # as in pgmq_app


@pytest.fixture
def plan(postgres: Postgres, tmp_path: Path) -> BrokerPlan:
    return BrokerPlan(tmp_path / "rabbitmq", choose_node_ports(), postgres.url, "a1b2c3", "d4e5f6")


@pytest.fixture
def broker(postgres: Postgres, plan: BrokerPlan) -> Broker:
    broker = choose({"KODAMA_BROKER": "pgmq"}, plan, lambda _: None)
    broker.install(postgres.url)
    broker.install(postgres.url)  # every start does it again
    return broker


@pytest.fixture
def queued(broker: Broker) -> Callable[[], int]:
    """How many messages the queue holds, whether visible or being worked on."""

    def count() -> int:
        with psycopg.connect(broker.url.replace("pgmq://", "postgresql://")) as connection:
            row = connection.execute("SELECT count(*) FROM pgmq.q_work_live").fetchone()
            assert row is not None
            return int(row[0])

    return count


class Tasks:
    """Sends tasks to a worker and reads what they have noted."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self.trace = folder / "trace"
        self.environment = {
            "KODAMA_BROKER_URL": broker.url,
            "TRACE": str(self.trace),
            "PYTHONPATH": f"{CHECKOUT}:{HERE}",
        }
        self.worker = Command(
            name="worker",
            argv=[
                *(sys.executable, "-m", "celery", "-A", "pgmq_app", "worker", "--pool=threads", "--concurrency=2"),
                *("--queues=work.live", "--without-gossip", "--without-mingle"),
            ],
            env=self.environment,
            cwd=HERE,
        )
        self.broker = broker

    def send(self, *arguments: object) -> None:
        queue = kombu.Queue("work.live", kombu.Exchange("work"), routing_key="work.live")
        with kombu.Connection(self.broker.url, transport_options=dict(PGMQ_TRANSPORT_OPTIONS)) as connection:
            kombu.Producer(connection.channel(), exchange=queue.exchange).publish(
                [list(arguments), {}, {}],
                routing_key="work.live",
                declare=[queue],  # without, pgmq drops it silently: bindings live in each process
                headers={"task": "work.note", "id": f"id-{time.time_ns()}"},
            )

    def wait_for(self, note: str, seconds: float = 20, times: int = 1) -> None:
        deadline = time.monotonic() + seconds
        while not self.trace.exists() or self.trace.read_text().splitlines().count(note) < times:
            assert time.monotonic() < deadline, f"no note {note!r}"
            time.sleep(0.02)


@pytest.fixture
def tasks(broker: Broker, tmp_path: Path) -> Tasks:
    return Tasks(broker, tmp_path)


@pytest.fixture
def worker(tasks: Tasks, tmp_path: Path) -> Iterator[Child]:
    with running(tasks.worker, tmp_path / "worker.log") as worker:
        yield worker
        worker.kill()  # its warm shutdown takes seconds and is not what these tests are about


def wait_until_empty(queued: Callable[[], int]) -> None:
    deadline = time.monotonic() + 5
    while queued():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_celery_runs_and_acknowledges_a_task_on_pgmq(tasks: Tasks, worker: Child, queued: Callable[[], int]) -> None:
    tasks.send("hello")
    tasks.wait_for("ended hello")
    wait_until_empty(queued)
    # A task that fails is rejected; without dead letters it is gone here, and the ledger's lease brings it back.
    tasks.send("broken")
    tasks.wait_for("began broken")
    wait_until_empty(queued)
    assert worker.is_alive()


def test_a_task_of_a_killed_worker_comes_back_after_the_visibility_timeout(
    tasks: Tasks, tmp_path: Path, queued: Callable[[], int]
) -> None:
    with running(tasks.worker, tmp_path / "first.log") as first:
        tasks.send("survivor", 1)
        tasks.wait_for("began survivor")
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    assert queued() == 1
    with running(tasks.worker, tmp_path / "second.log"):
        tasks.wait_for("ended survivor")
        wait_until_empty(queued)
    assert tasks.trace.read_text().splitlines().count("began survivor") == 2


def test_a_task_longer_than_the_visibility_timeout_is_delivered_a_second_time(
    tasks: Tasks, worker: Child, queued: Callable[[], int]
) -> None:
    # Not wanted, but so it is wherever a slot is free: time limits must stay below the visibility timeout.
    tasks.send("slow", VISIBILITY_SECONDS + 1.5)
    tasks.wait_for("ended slow", times=2)
    wait_until_empty(queued)
    assert worker.is_alive()


def test_a_message_without_a_declared_queue_is_dropped_silently(broker: Broker) -> None:
    with kombu.Connection(broker.url, transport_options=dict(PGMQ_TRANSPORT_OPTIONS)) as connection:
        kombu.Producer(connection.channel()).publish("lost", exchange="nobody", routing_key="nowhere", mandatory=True)


def test_workers_may_touch_nothing_but_messages(broker: Broker) -> None:
    with psycopg.connect(broker.url.replace("pgmq://", "postgresql://")) as connection:
        assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE SCHEMA mine")


def test_a_private_rabbitmq_is_the_first_choice(plan: BrokerPlan, rabbitmq_software: RabbitMQSoftware) -> None:
    broker = choose({}, plan, lambda _: None)
    assert broker.kind is BrokerKind.RABBITMQ
    assert [each.name for each in broker.commands] == ["epmd", "rabbitmq"]
    assert urlsplit(broker.url).port == plan.ports.amqp
