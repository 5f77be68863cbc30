"""`Command`: one long-running process, described once and run either by the supervisor or by a test."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Variables that would steer a private server or client to somebody else's: PostgreSQL's programs obey
# PGPORT and PGDATA, RabbitMQ's obey RABBITMQ_* and ERL_*, and the pgmq package lets DATABASE_URL and
# PG_HOST override its arguments.
STEERING_PREFIXES = ("PG", "RABBITMQ_", "ERL_", "SUPERVISOR_")
STEERING_NAMES = frozenset({"DATABASE_URL"})


@dataclass(frozen=True, kw_only=True)
class Command:
    """One long-running process.

    `env` is added to the inherited environment (see `inherited_environment`). `user` names the account to
    run as and only has an effect for root. `stop_signal` asks it to end; after `stop_seconds` it is killed.
    Processes of a lower `priority` start earlier and stop later; `group` is what the supervisor starts and
    stops as one.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # holds secrets, so never in a repr
    cwd: Path = Path("/")
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: int = 10
    group: str = "services"
    priority: int = 500


def inherited_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`environ` without what would steer a private server to another one's data."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(STEERING_PREFIXES) and name not in STEERING_NAMES
    }


def run_as(user: str | None) -> dict[str, Any]:
    """The arguments of `subprocess.Popen` that run a child as `user`; none unless we are root."""
    if user is None or os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(user)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def call(
    argv: Sequence[str],
    *,
    seconds: float,
    user: str | None = None,
    cwd: Path = Path("/"),
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a short command to its end and capture what it says.

    Raises OSError when it cannot be started and subprocess.TimeoutExpired after `seconds`.
    """
    return subprocess.run(  # noqa: S603 - no shell; programs are found by this package
        list(argv),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
        cwd=cwd,
        env={**inherited_environment(), **(env or {})},
        **run_as(user),
    )


def log_tail(path: Path, lines: int = 20) -> str:
    """The last `lines` lines of a log, or a note that there is none; reads at most 64 KiB."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 65536))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return "(no log was written)"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


@dataclass
class Child:
    """A running `Command` that this process started itself."""

    command: Command
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The process id of the command itself, not of what it started."""
        return self.process.pid

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def stop(self) -> int:
        """End it by its stop signal; kill its whole session after its bound. Returns the exit code."""
        if self.is_alive():
            self.process.send_signal(self.command.stop_signal)
        return self._reap(self.command.stop_seconds)

    def kill(self) -> int:
        """End it and what it started at once, as a power cut would. Returns the exit code."""
        return self._reap(0)

    def _reap(self, seconds: float) -> int:
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            # It leads a session of its own (start_new_session) and is not reaped yet, so the group is
            # certainly ours.
            os.killpg(self.process.pid, signal.SIGKILL)
            return self.process.wait()


@contextmanager
def running(command: Command, log: Path) -> Iterator[Child]:
    """Run `command` for the length of a `with` block, its output appended to `log`; then stop it.

    Raises OSError when the program cannot be started.
    """
    with log.open("ab") as output:
        process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - no shell; commands come from this package's callers
            list(command.argv),
            cwd=command.cwd,
            env={**inherited_environment(), **command.env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **run_as(command.user),
        )
    child = Child(command=command, log=log, process=process)
    try:
        yield child
    finally:
        child.stop()
