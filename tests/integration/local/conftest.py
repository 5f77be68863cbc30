"""Parts that several of these tests share; all of them are the real ones."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from deploy.local import processes
from deploy.local.errors import MissingSoftware
from deploy.local.network import find_network
from deploy.local.postgres import Postgres
from deploy.local.postgres import temporary as temporary_postgres
from deploy.local.rabbitmq_software import RabbitMQSoftware
from deploy.local.rabbitmq_software import find_software as find_rabbitmq
from deploy.local.state import CHECKOUT, State, open_state
from deploy.local.up import clean

SCRIPT = Path(__file__).with_name("up_with_standins.py")
PATIENCE_SECONDS = 600
"""For what takes seconds where nothing else runs."""
READY = "Kodama runs at (http://[0-9.:]+)"


@dataclass
class Up:
    """One run of `make up` in a process of its own, without a terminal."""

    process: subprocess.Popen[bytes]
    output: Path
    state: State

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait as long as it runs: it ends by itself where there is no progress."""
        while not (found := re.search(pattern, self.output.read_text())):
            assert self.process.poll() is None, self.output.read_text()
            time.sleep(0.02)
        return found

    def end(self, *signals: signal.Signals, seconds: float = PATIENCE_SECONDS) -> int:
        for each in signals:
            self.process.send_signal(each)
            time.sleep(0.2)
        return self.process.wait(timeout=seconds)

    def database(self) -> str:
        network = find_network(self.state)
        assert network is not None
        return network["KODAMA_DATABASE_URL"]

    def running(self) -> list[psutil.Process]:
        return processes.marked(self.state.secrets().instance)

    def pids(self, part: str) -> list[int]:
        return [each.pid for each in self.running() if part in " ".join(each.cmdline())]


Begin = Callable[..., Up]


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


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A state folder, gone at the end with all that a network keeps elsewhere."""
    environ = {"KODAMA_STATE_DIR": str(tmp_path / "state")}
    clean(lambda _: None, environ)  # what a killed run of the same name may have left elsewhere
    shutil.rmtree(tmp_path / "state")
    yield tmp_path / "state"
    assert clean(lambda _: None, environ) == 0


@pytest.fixture
def begin(folder: Path, tmp_path: Path) -> Iterator[Begin]:
    """Starts `up` with stand-ins, as often as a test likes."""
    begun: list[Up] = []

    def begin(*names: str, broker: str = "pgmq", **environ: str) -> Up:
        output = tmp_path / f"output-{len(begun)}"
        environment = {**os.environ, "KODAMA_STATE_DIR": str(folder), "KODAMA_BROKER": broker, **environ}
        environment |= {"PYTHONPATH": str(CHECKOUT), "CI": "true"}
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, str(SCRIPT), str(tmp_path / "trace"), *(names or ("status", "gateway"))],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        begun.append(Up(process, output, open_state({"KODAMA_STATE_DIR": str(folder)})))
        return begun[-1]

    yield begin
    for each in begun:
        if each.process.poll() is None:
            each.end(signal.SIGTERM)


def assert_nothing_is_left(up: Up) -> None:
    assert up.running() == []
    assert processes.listening_addresses(up.state.recall("ports").values()) == set()
    assert find_network(up.state) is None
