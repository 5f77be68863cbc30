"""A network for one benchmark: durable PostgreSQL that notes commit times, RabbitMQ, every process; gone at the end."""

import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, LiteralString

import psycopg

from deploy.local.network import find_network
from deploy.local.ports import free_port
from deploy.local.postgres import Postgres, prepare, serving
from deploy.local.state import open_state, reachable_home, remove_home
from deploy.local.trial import COMMAND, Trial, trial_network

STOP_SECONDS = 45
START_SECONDS = 30


@dataclass(frozen=True)
class Bench:
    """A network that runs, its database server, and a folder for what a benchmark writes."""

    trial: Trial
    server: Postgres
    folder: Path

    def environment(self) -> dict[str, str]:
        """Return the environment of a further process of the network."""
        found = find_network(open_state(self.trial.environment))
        if found is None:
            raise RuntimeError("the network is gone")
        return {**self.trial.environment, **found}

    def query(self, text: LiteralString, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Ask the database as its administrator."""
        with self.connect() as conn:
            return conn.execute(text, parameters).fetchall()

    def execute(self, text: LiteralString, parameters: Mapping[str, Any] | None = None) -> int:
        """Change something as the administrator; return how many rows it were."""
        with self.connect() as conn:
            return conn.execute(text, parameters).rowcount

    def connect(self) -> psycopg.Connection:
        """Open an autocommit connection as the administrator."""
        return psycopg.connect(self.server.url, autocommit=True)


@contextmanager
def bench_network(**variables: str) -> Iterator[Bench]:
    """Start a network in a temporary folder, lend it, and leave neither process nor file behind, also after SIGTERM.

    `variables` are further ones for its environment, such as KODAMA_TIMELINE_MAX_PUSHED_FRIENDS="100". Suggestions for everybody are not
    computed by themselves: that would be in the middle of a measurement.

    The server is a private, durable one of our own that notes the time of every commit (track_commit_timestamp), so that deliveries can be
    timed afterwards, from the rows themselves, instead of by asking while they happen.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="kodama-bench-") as name:
        folder = Path(name)
        home = reachable_home(folder / "postgres")
        try:
            server = prepare(home, port=free_port(), password=secrets.token_hex(16))
            log = folder / "postgres.log"
            with serving(server, log), psycopg.connect(server.url, autocommit=True) as conn:
                conn.execute("ALTER SYSTEM SET track_commit_timestamp = on")
            with (
                serving(server, log),
                trial_network(
                    folder / "network",
                    KODAMA_DATABASE_URL=server.url,
                    KODAMA_BROKER="rabbitmq",
                    KODAMA_RATE_LIMITS="0",
                    **{"KODAMA_SUGGESTIONS_HOURS": "0"} | variables,
                ) as trial,
            ):
                yield Bench(trial, server, folder)
        finally:
            remove_home(home)


@contextmanager
def further_workers(bench: Bench, queue: str, count: int) -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """Run more worker processes of a queue, beside the one that every network has."""
    workers: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(count):
            with (bench.folder / f"worker-{number}.log").open("wb") as log:
                workers.append(
                    subprocess.Popen(
                        [*COMMAND, "worker", queue],
                        env=bench.environment(),
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
        yield workers
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            try:
                worker.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


@contextmanager
def further_gateway(bench: Bench) -> Iterator[str]:
    """Run another gateway beside the network's, one that remembers nothing yet; lend its address when it answers."""
    address = f"127.0.0.1:{free_port()}"
    with (bench.folder / "gateway.log").open("wb") as log:
        gateway = subprocess.Popen(
            [*COMMAND, "serve", "gateway"],
            env={**bench.environment(), "KODAMA_GATEWAY_ADDRESS": address, "KODAMA_GATEWAY_METRICS_ADDRESS": ""},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        if not _opens(address):
            said = (bench.folder / "gateway.log").read_text()[-2000:]
            raise RuntimeError(f"the further gateway does not answer; exit code {gateway.poll()}: {said}")
        yield address
    finally:
        _stop(gateway)


def _opens(address: str) -> bool:
    """Tell whether somebody listens before it takes too long."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(number, frame)
