"""supervisord as a child of ours: it starts the network's processes, restarts what dies, and rotates their logs."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import Faults, SupervisorTransport

from deploy.local.command import Child, Command, log_tail, running
from deploy.local.errors import LocalError, NotReady
from deploy.local.processes import MARKER
from deploy.local.state import State, write_private
from deploy.local.supervisor_config import configuration, grouped, log_file
from deploy.local.waiting import Waiting

SOCKET_BYTES = 92  # of 107: supervisord binds a temporary name with its pid first
SHUTDOWN_SECONDS = 120
HARMLESS = (Faults.ALREADY_STARTED, Faults.NOT_RUNNING, Faults.SPAWN_ERROR, Faults.ABNORMAL_TERMINATION)


@dataclass(frozen=True)
class ProcessState:
    """What supervisord knows of one process. `started_at` is in seconds of the epoch, 0 before the first start."""

    name: str
    group: str
    state: str
    pid: int
    started_at: int
    exit_code: int

    @property
    def is_running(self) -> bool:
        """Whether it has run for longer than a failed start would."""
        return self.state == "RUNNING"

    @property
    def has_ended(self) -> bool:
        """Whether it is down and stays so."""
        return self.state in ("STOPPED", "EXITED", "FATAL")


@dataclass(frozen=True)
class Supervisor:
    """A running supervisord. Make it with `supervising`."""

    child: Child
    socket: Path
    log: Path
    commands: Sequence[Command]

    def is_alive(self) -> bool:
        """Whether supervisord itself runs."""
        return self.child.is_alive()

    def states(self) -> dict[str, ProcessState]:
        """All processes by name."""
        return {
            each["name"]: ProcessState(
                each["name"], each["group"], each["statename"], each["pid"], each["start"], each["exitstatus"]
            )
            for each in self._call("getAllProcessInfo")
        }

    def start(self, groups: Iterable[str]) -> None:
        """Start the processes of these groups, without waiting for them."""
        for group in groups:
            self._call("startProcessGroup", group, False)

    def start_process(self, process: ProcessState) -> None:
        """Start one process that was given up."""
        self._call("startProcess", f"{process.group}:{process.name}", False)

    def stop(self, groups: Sequence[str], *, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stop the processes of these groups and wait for them; kill them once `hurry` says so."""
        for group in groups:
            self._call("stopProcessGroup", group, False)
        killed = False
        while self.is_alive() and not all(each.has_ended for each in self.states().values() if each.group in groups):
            if hurry() and not killed:
                killed = True
                for group in groups:
                    self._call("signalProcessGroup", group, "KILL")
            time.sleep(0.05)

    def is_starting(self, name: str) -> bool:
        """Whether a process is on its way or up, and has not failed since it was started."""
        return self.is_alive() and self.states()[name].state in ("STARTING", "RUNNING")

    def log_of(self, name: str) -> Path:
        """The log of a process."""
        return log_file(self.log, name)

    def groups(self) -> list[str]:
        """All groups in the order of their start."""
        return list(grouped(self.commands))

    def _call(self, method: str, *arguments: Any) -> Any:
        with rpc(self.socket) as supervisord:
            try:
                return getattr(supervisord, method)(*arguments)
            except xmlrpc.client.Fault as fault:
                # What another state of the process explains is for the caller to see in `states`.
                if fault.faultCode not in HARMLESS:
                    raise LocalError(f"supervisord refused {method} {arguments}: {fault.faultString}") from fault
                return None


@contextmanager
def rpc(socket: Path) -> Iterator[Any]:
    """supervisord's XML-RPC methods. Raises OSError when nobody listens."""
    transport = SupervisorTransport(None, None, f"unix://{socket}")
    try:
        yield xmlrpc.client.ServerProxy("http://localhost", transport=cast("Any", transport)).supervisor
    finally:
        transport.close()


@contextmanager
def supervising(state: State, commands: Sequence[Command]) -> Iterator[Supervisor]:
    """Run supervisord over `commands`, none of them started, for the length of a `with` block.

    At its end whatever still runs is stopped in the reverse order of priority. Raises NotReady.
    """
    socket = socket_path(state)
    instance = state.secrets().instance
    config = config_path(state)
    write_private(config, configuration(commands, socket=socket, run=state.run, log=state.log, instance=instance))
    command = Command(
        name="supervisord",
        argv=[sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
        env={MARKER: instance},
        stop_signal=signal.SIGTERM,
        stop_seconds=SHUTDOWN_SECONDS,
    )
    output = state.log / "supervisord.out"
    try:
        # In a session of its own: Ctrl-C in the terminal is for `up`, which then stops all in order.
        with running(command, output) as child:
            _wait_for_socket(child, socket, output)
            yield Supervisor(child, socket, state.log, commands)
    finally:
        config.unlink(missing_ok=True)
        if socket.parent != state.run:
            shutil.rmtree(socket.parent, ignore_errors=True)  # ours alone, see socket_path


def _wait_for_socket(child: Child, socket: Path, output: Path) -> None:
    waiting = Waiting("supervisord", lambda: [child.pid], logs=[output])
    while True:
        try:
            with rpc(socket) as supervisord:
                if supervisord.getPID() == child.pid:
                    return
        except OSError as refusal:
            if not child.is_alive() or waiting.is_over():
                raise NotReady(f"supervisord did not start: {refusal}\n{log_tail(output)}") from refusal
        time.sleep(0.05)


def config_path(state: State) -> Path:
    """Where supervisord's configuration is while it runs; in its command line, so a supervisord is known by it."""
    return state.run / "supervisord.conf"


def socket_path(state: State) -> Path:
    """A path for the socket that is short enough: in the state folder, else in a private folder under /tmp."""
    near = state.run / "supervisor.sock"
    if len(os.fsencode(near)) <= SOCKET_BYTES:
        return near
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")  # noqa: S108 - owner and mode are checked below
    fingerprint = hashlib.sha256(str(state.root).encode()).hexdigest()[:12]
    folder = base / f"kodama-{os.geteuid()}-{fingerprint}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise LocalError(f"{folder} is not ours although it has our name; remove it and start again.")
    return folder / "s"
