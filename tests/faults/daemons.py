"""The processes of a network under test: started directly, known by pid, and started again when they die."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.local.command import Command, inherited_environment, run_as

WATCH_SECONDS = 0.05
FIRST_PAUSE, MAX_PAUSE = 0.1, 2.0
STEADY_SECONDS = 10.0
"""A process that has lived so long is started again at once when it dies."""


async def nothing() -> None:
    """Nothing has to be done before a start."""


@dataclass
class Daemon:
    """One process that is to run: what starts it, and the one that runs now."""

    command: Command
    log: Path
    before_start: Callable[[], Awaitable[None]] = nothing
    """What has to be cleared away when the one before was killed."""
    process: "subprocess.Popen[bytes] | None" = None
    is_held: bool = False
    """It stays down when it ends."""
    starts: int = 0
    pause: float = FIRST_PAUSE
    started_at: float = 0.0
    due_at: float = 0.0
    starting: "asyncio.Task[None] | None" = None
    environment: dict[str, str] = field(default_factory=dict)
    """Further variables of its next start."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.command.name

    @property
    def pid(self) -> int:
        """The pid of the process that runs now, 0 without one."""
        return self.process.pid if self.process is not None and self.process.poll() is None else 0

    def start(self) -> None:
        """Start the process."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                list(self.command.argv),
                cwd=self.command.cwd,
                env={**inherited_environment(), **self.command.env, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **run_as(self.command.user),
            )
        self.starts += 1
        self.started_at = time.monotonic()

    def send(self, number: signal.Signals) -> bool:
        """Signal the process itself; tell whether there was one."""
        if not self.pid:
            return False
        os.kill(self.pid, number)
        return True

    def send_all(self, number: signal.Signals) -> bool:
        """Signal the process and its whole session."""
        if not self.pid:
            return False
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)
        return True

    def children(self) -> list[psutil.Process]:
        """Return the processes below it."""
        try:
            return psutil.Process(self.pid).children(recursive=True) if self.pid else []
        except psutil.NoSuchProcess:
            return []


class Daemons:
    """All processes of a network, watched: whoever dies is started again, unless held."""

    def __init__(self) -> None:
        self.by_name: dict[str, Daemon] = {}
        self.deaths: list[tuple[float, str, int]] = []
        """When (monotonic), who, exit code: every end that nobody asked for, and those that a nemesis made."""
        self.troubles: list[str] = []
        self._watching: asyncio.Task[None] | None = None

    def add(self, daemon: Daemon) -> Daemon:
        """Take a process in and start it."""
        self.by_name[daemon.name] = daemon
        daemon.start()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        return daemon

    def named(self, prefix: str) -> list[Daemon]:
        """Return those whose names begin so."""
        return [daemon for name, daemon in self.by_name.items() if name.startswith(prefix)]

    async def restart(self, name: str, environment: Mapping[str, str]) -> None:
        """End a process in order and start it with other further variables."""
        daemon = self.by_name[name]
        daemon.environment = dict(environment)
        await self.stop(name)
        self.release(name)

    async def stop(self, name: str) -> None:
        """End a process in order, and keep it down."""
        daemon = self.by_name[name]
        daemon.is_held = True
        if daemon.starting is not None:
            await asyncio.wait([daemon.starting])
        if not daemon.send(daemon.command.stop_signal):
            return
        daemon.send(signal.SIGCONT)
        deadline = time.monotonic() + daemon.command.stop_seconds
        while daemon.pid and time.monotonic() < deadline:
            await asyncio.sleep(WATCH_SECONDS)
        daemon.send_all(signal.SIGKILL)
        while daemon.pid:
            await asyncio.sleep(WATCH_SECONDS)

    def release(self, name: str) -> None:
        """Let a process that was held down run again."""
        daemon = self.by_name[name]
        daemon.is_held = False
        daemon.due_at = 0.0

    async def close(self) -> None:
        """End all at once, as a power cut would: nothing here is used again."""
        if self._watching is not None:
            self._watching.cancel()
        for daemon in self.by_name.values():
            daemon.is_held = True
            if daemon.starting is not None:
                await asyncio.wait([daemon.starting])
            daemon.send_all(signal.SIGKILL)
        while any(daemon.pid for daemon in self.by_name.values()):
            await asyncio.sleep(WATCH_SECONDS)

    async def _watch(self) -> None:
        while True:
            for daemon in list(self.by_name.values()):
                self._look_at(daemon)
            await asyncio.sleep(WATCH_SECONDS)

    def _look_at(self, daemon: Daemon) -> None:
        if daemon.starting is not None or daemon.pid:
            return
        if daemon.process is not None:
            self.deaths.append((time.monotonic(), daemon.name, daemon.process.returncode))
            lived = time.monotonic() - daemon.started_at
            daemon.pause = FIRST_PAUSE if lived > STEADY_SECONDS else min(daemon.pause * 2, MAX_PAUSE)
            daemon.due_at = time.monotonic() + daemon.pause
            daemon.process = None
        if not daemon.is_held and time.monotonic() >= daemon.due_at:
            daemon.starting = asyncio.create_task(self._start(daemon))

    async def _start(self, daemon: Daemon) -> None:
        try:
            await daemon.before_start()
            if not daemon.is_held:
                daemon.start()
        except OSError as error:
            self.troubles.append(f"{daemon.name} could not be started: {error}")
            daemon.due_at = time.monotonic() + MAX_PAUSE
        finally:
            daemon.starting = None
