"""A private PostgreSQL server: loopback only, a generated password, its own data folder."""

from __future__ import annotations

import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from deploy.local import processes
from deploy.local.command import Command, call, log_tail, running
from deploy.local.errors import LocalError, NotReady, WrongPassword
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres_software import find_software
from deploy.local.state import Home, reachable_home, remove_home
from deploy.local.waiting import Say, Waiting

ADMIN = "kodama_admin"
DATABASE = "kodama"
STOP_SECONDS = 60
INITDB_SECONDS = 900.0  # takes a second; what ends it sooner is the machine
STATUS_LINE = 7  # of postmaster.pid, counted from 0

SETTINGS = {
    "listen_addresses": LOOPBACK,
    # No socket at all: the path of one is limited to 107 bytes, and the state folder's may be longer.
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_buffers": "64MB",
    "jit": "off",  # our queries are short; compiling them costs more than it saves
    "lc_messages": "C",  # `wait_ready` reads one of them
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
    "logging_collector": "off",  # standard error goes to the supervisor, which rotates
}
# For tests only: a crash of the machine may lose or tear data, a crash of the server's processes may too.
VOLATILE_SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
# What a server of ours must promise, whatever a postgresql.conf says.
DURABLE_SETTINGS = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


@dataclass(frozen=True)
class Postgres:
    """A prepared private server. Make it with `prepare`."""

    bin: Path
    data: Path
    port: int
    user: str | None
    password: str = field(repr=False)
    durable: bool = True

    @property
    def url(self) -> str:
        """The address of the database `kodama` for the superuser."""
        return self._url(DATABASE)

    @property
    def command(self) -> Command:
        """The server process. SIGINT is its fast stop: SIGTERM would wait for every client to leave."""
        chosen = {
            **SETTINGS,
            **(DURABLE_SETTINGS if self.durable else VOLATILE_SETTINGS),
            "port": str(self.port),
        }
        options = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
        return Command(
            name="postgres",
            argv=[str(self.bin / "postgres"), "-D", str(self.data), *options],
            user=self.user,
            stop_signal=signal.SIGINT,
            stop_seconds=STOP_SECONDS,
            group="postgres",
            priority=100,
        )

    def recover(self) -> None:
        """Make a start possible after a run that was killed; see `stop_left`."""
        stop_left(self.data)

    def wait_ready(self, log: Path, *, is_alive: Callable[[], bool] = lambda: True, say: Say = lambda _: None) -> None:
        """Wait until the server answers, then make the database where it is missing.

        Raises NotReady, with the end of `log`, when there is no progress or as soon as `is_alive` says no; WrongPassword as
        soon as the server is there and refuses ours.
        """
        waiting = Waiting("PostgreSQL", self._pids, logs=[log], say=say)
        while True:
            try:
                with psycopg.connect(self._url("postgres"), connect_timeout=10, autocommit=True) as connection:
                    _ensure_database(connection)
                return
            except psycopg.OperationalError as refusal:
                if "password authentication failed" in str(refusal) and self._takes_connections():
                    raise WrongPassword(
                        f"The database in {self.data} was made with another password than that of this network; "
                        f"nothing in it was changed. Put the file 'secrets' back that belongs to it; or move "
                        f"{self.data.parent} away, and a new database is made at the next start; or remove it, with "
                        f"all else that this network has kept, with 'make clean-data'."
                    ) from refusal
                if not is_alive() or waiting.is_over():
                    raise NotReady(
                        f"PostgreSQL did not start ({waiting.why()}): {refusal}\nThe end of {log}:\n{log_tail(log)}"
                    ) from refusal
            time.sleep(0.05)

    def _pids(self) -> list[int]:
        return [each.pid for each in processes.in_folder("postgres", self.data)]

    def _takes_connections(self) -> bool:
        """Whether it is our server that answers at our port, and not another one that was faster to take it."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > STATUS_LINE and lines[STATUS_LINE].strip() == "ready"

    def _url(self, database: str) -> str:
        return f"postgresql://{ADMIN}:{self.password}@{LOOPBACK}:{self.port}/{database}"


def data_folder(home: Path) -> Path:
    """Where a server whose home is this folder keeps its data."""
    return home / "data"


def stop_left(data: Path) -> None:
    """Stop what an earlier killed run left of the server of this data folder, and remove its stale lock file.

    A `postmaster.pid` whose pid now belongs to another process would else block the start.
    """
    left = processes.in_folder("postgres", data)
    processes.end(processes.without_children(left), signal.SIGINT, STOP_SECONDS)
    processes.end(left, signal.SIGQUIT, 10)
    (data / "postmaster.pid").unlink(missing_ok=True)


def prepare(home: Home, *, port: int, password: str, durable: bool = True) -> Postgres:
    """A server in `home` that will listen on `port`; its data folder is made at the first call.

    `password` must be the same for the life of the data and consist of letters and digits. Raises
    MissingSoftware, or LocalError when the data folder cannot be made or read.
    """
    data = data_folder(home.path)
    software = find_software(home, data_major=_data_major(data))
    if not data.exists():
        _init_data(software.bin, software.major, data, home, password)
    return Postgres(software.bin, data, port, home.user, password, durable)


@contextmanager
def serving(server: Postgres, log: Path) -> Iterator[Postgres]:
    """Run `server` for the length of a `with` block, ready for connections. Raises NotReady."""
    server.recover()
    with running(server.command, log) as child:
        server.wait_ready(log, is_alive=child.is_alive)
        yield server


@contextmanager
def temporary(folder: Path, *, durable: bool = False) -> Iterator[Postgres]:
    """A new, running server for tests, with its data at or near `folder`, which is removed at the end.

    Its log stays in `folder` as `postgres.log`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with temporary_home(folder / "postgres") as home:
        server = prepare(home, port=free_port(), password=secrets.token_hex(16), durable=durable)
        with serving(server, folder / "postgres.log"):
            yield server


@contextmanager
def temporary_home(wanted: Path) -> Iterator[Home]:
    """An empty `reachable_home` for the data of a test, removed at the end.

    A test that is killed leaves its own, for root in a place that outlives the folders of tests; the next one in a
    folder of the same name removes that, with the server that may still run there.
    """
    left = reachable_home(wanted)
    stop_left(data_folder(left.path))
    remove_home(left)
    try:
        yield reachable_home(wanted)
    finally:
        remove_home(left)


def _data_major(data: Path) -> int | None:
    try:
        return int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None


def _init_data(programs: Path, major: int, data: Path, home: Home, password: str) -> None:
    """Run initdb; into another folder that is then renamed, so that a kill leaves no half-made data."""
    partial, password_file = home.path / "data.partial", home.path / "password"
    shutil.rmtree(partial, ignore_errors=True)
    # The builtin provider needs no locale of the system and sorts the same everywhere.
    locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= 17 else []
    password_file.touch(mode=0o600)
    try:
        password_file.write_text(password)
        if home.user is not None:
            shutil.chown(password_file, home.user)
        arguments = [
            *(
                str(programs / "initdb"),
                "-D",
                str(partial),
                "-U",
                ADMIN,
                "--encoding=UTF8",
                "--locale=C",
                *locale,
            ),
            *("--auth=scram-sha-256", f"--pwfile={password_file}", "--no-instructions"),
        ]
        done = call(arguments, seconds=INITDB_SECONDS, user=home.user)
    finally:
        password_file.unlink()
    if done.returncode != 0:
        raise LocalError(f"initdb could not make {data}:\n{done.stdout}{done.stderr}")
    partial.rename(data)


def _ensure_database(connection: psycopg.Connection) -> None:
    if connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount == 0:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
