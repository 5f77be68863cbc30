"""The real parts that tests run on: a private PostgreSQL per run, a fresh migrated database per test."""

import importlib
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import kombu
import psycopg
import pytest
from psycopg import sql

from chassis import broker, topology
from chassis.migrate import migrate
from chassis.process import open_server
from chassis.settings import SERVICES, Settings
from deploy.local import ports, postgres, rabbitmq
from deploy.local.ports import choose_ports
from tests.database_switch import Switch, open_switch

SECRET = "a secret that only the tests of this repository know"

Running = Callable[..., AbstractAsyncContextManager[None]]


FIRST = (
    *("tests/faults", "tests/fuzz", "tests/system", "tests/integration/timeline/test_machine.py"),
    *("tests/integration/cluster", "tests/clients"),
)
"""What takes longest begins first, so that no process is left alone with it at the end."""


def pytest_configure() -> None:
    """Let a run that is ended with SIGTERM stop the servers that it has started, as one that is ended with Ctrl-C does.

    Each of several processes that share the tests draws its ports, and those of the networks that it starts, from a share of its own.

    What a script starts in the background ignores SIGINT, and so would all that it starts, also those whom a test sends it.
    """
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        os.environ[ports.SHARE] = f"{worker.removeprefix('gw')}/{os.environ['PYTEST_XDIST_WORKER_COUNT']}"

    def end(*_: object) -> None:
        pytest.exit("ended by SIGTERM", returncode=143)

    signal.signal(signal.SIGTERM, end)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first; otherwise the order stays."""
    places = {path: place for place, path in enumerate(FIRST)}
    items.sort(
        key=lambda item: min(
            (place for path, place in places.items() if item.nodeid.startswith(path)), default=len(places)
        )
    )


def _database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Postgres]:
    """A private server for this run."""
    with postgres.temporary(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: postgres.Postgres) -> str:
    """The URL of the private server's administrator."""
    return postgres_server.url


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    """A server of the test's own that can be switched off and on again."""
    with open_switch(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> str:
    """The name of a database with all migrations applied, to be cloned."""
    name = "kodama_template"
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    migrate(Settings(database_url=_database(postgres_url, name), secret=SECRET))
    return name


@pytest.fixture(scope="session")
def rabbitmq_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rabbitmq.RabbitMQ]:
    """A private RabbitMQ node for this run, which is fetched where this machine has none."""
    with rabbitmq.temporary(tmp_path_factory.mktemp("rabbitmq")) as node:
        yield node


@pytest.fixture(scope="session")
def rabbitmq_url(rabbitmq_node: rabbitmq.RabbitMQ) -> str:
    """The URL of the private RabbitMQ node."""
    return rabbitmq_node.url


@pytest.fixture
def broker_url(rabbitmq_url: str) -> Iterator[str]:
    """The URL of a RabbitMQ with all queues declared and empty."""
    with kombu.Connection(rabbitmq_url) as connection:
        broker.declare(connection)
        yield rabbitmq_url
        with connection.channel() as channel:
            for name in (*topology.QUEUES, topology.DEAD_LETTER_QUEUE):
                channel.queue_delete(name)


def settings_for(database_url: str) -> Settings:
    """Return the settings of a network of its own on free ports, without a broker and without rate limits."""
    ports = choose_ports([*SERVICES, "gateway"])
    addresses = {f"{service}_address": f"127.0.0.1:{port}" for service, port in ports.items()}
    return Settings.model_validate(
        {
            "database_url": database_url,
            "secret": SECRET,
            "shutdown_grace_seconds": 1,
            "rate_limits": False,
            "suggestions_hours": 0,
            "suggestions_folder": f"{tempfile.gettempdir()}/kodama-{uuid.uuid4().hex[:12]}",
            **addresses,
        }
    )


@contextmanager
def fresh_settings(postgres_url: str, template_database: str) -> Iterator[Settings]:
    """Make a network of its own, with a fresh database and free ports, until the block ends."""
    name = f"kodama_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template_database))
        )
    fresh = settings_for(_database(postgres_url, name))
    yield fresh
    shutil.rmtree(fresh.suggestions_folder, ignore_errors=True)
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@asynccontextmanager
async def run_services(settings: Settings, *names: str) -> AsyncIterator[None]:
    """Run gRPC services in this event loop until the block ends."""
    async with AsyncExitStack() as stack:
        for name in names:
            build = importlib.import_module(f"services.{name}.__main__").build
            await stack.enter_async_context(open_server(name, settings, build))
        yield


@pytest.fixture
def settings(postgres_url: str, template_database: str) -> Iterator[Settings]:
    """Settings of a network of its own: a fresh database and free ports. No broker: tests that need one replace broker_url."""
    with fresh_settings(postgres_url, template_database) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def module_settings(postgres_url: str, template_database: str) -> Iterator[Settings]:
    """The same, shared by the tests of a module."""
    with fresh_settings(postgres_url, template_database) as fresh:
        yield fresh


@pytest.fixture
def running(settings: Settings) -> Running:
    """Run gRPC services in this event loop: `async with running("status", "social_graph"): ...`."""
    return partial(run_services, settings)
