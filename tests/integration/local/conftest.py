"""Parts that several of these tests share; all of them are the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local.errors import MissingSoftware
from deploy.local.postgres import Postgres
from deploy.local.postgres import temporary as temporary_postgres
from deploy.local.rabbitmq_software import RabbitMQSoftware
from deploy.local.rabbitmq_software import find_software as find_rabbitmq


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running private server, shared by the tests that do not stop it."""
    with temporary_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_software() -> RabbitMQSoftware:
    """RabbitMQ's programs, fetched at the first run."""
    try:
        return find_rabbitmq(print)
    except MissingSoftware as missing:
        pytest.skip(str(missing))


@pytest.fixture
def no_leftovers(tmp_path: Path) -> Iterator[None]:
    """Fails a test that leaves a process behind which has the test's folder in its command line or environment."""
    yield
    left = [each for each in psutil.process_iter() if str(tmp_path) in _description(each)]
    assert left == []


def _description(process: psutil.Process) -> str:
    try:
        return f"{process.cmdline()} {process.environ()}" if process.pid != psutil.Process().pid else ""
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return ""
