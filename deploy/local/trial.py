"""A whole network as `make up` runs it, as the child of a test or a benchmark: in a folder of its own, gone at the end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from chassis.settings import Settings
from deploy.local import processes
from deploy.local.errors import NotReady
from deploy.local.network import find_network
from deploy.local.state import open_state
from deploy.local.up import clean

START_SECONDS = 3600
"""`up` ends by itself where there is no progress."""
STOP_SECONDS = 600
COMMAND = (sys.executable, "-m", "services.cli")


@dataclass(frozen=True)
class Trial:
    """A network that runs."""

    address: str
    settings: Settings
    environment: Mapping[str, str]
    pid: int

    def kodama(self, *arguments: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run the `kodama` command in another process, as an operator would."""
        return subprocess.run(  # noqa: S603 - our own command
            [*COMMAND, *arguments],
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def processes(self) -> list[psutil.Process]:
        """Return `up` itself and everything that it has started."""
        up = psutil.Process(self.pid)
        return [up, *up.children(recursive=True)]

    def find_processes(self, test: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
        """Return those of its processes of which `test` is true."""
        return processes.matching(test, self.processes())


@contextmanager
def trial_network(state: Path, **settings: str) -> Iterator[Trial]:
    """Start `kodama up` with an empty state folder, without demo members or rate limits, lend the network, and stop it with Ctrl-C.

    `settings` are variables for its environment, such as KODAMA_BROKER="pgmq". Raises NotReady, with all that `up` has said, where it does
    not start, does not end with code 0, or leaves a process behind.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KODAMA_")}
    environment = {
        **inherited,
        "KODAMA_STATE_DIR": str(state),
        "KODAMA_DEMO": "0",
        "KODAMA_RATE_LIMITS": "off",
        **settings,
    }
    clean(lambda _: None, environment)  # what a killed trial in a folder of the same name may have left elsewhere
    with subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, "up"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        output = _Output(process.stdout)
        try:
            address = output.wait_for_address()
            found = find_network(open_state(environment))
            if found is None:
                raise NotReady(f"the network has not said where it is:\n{output.text}")
            values = {name.removeprefix("KODAMA_").lower(): value for name, value in found.items()}
            yield Trial(address, Settings.model_validate(values), environment, process.pid)
        finally:
            left = _stop(process)
            subprocess.run([*COMMAND, "clean-data"], env=environment, check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - ours
    if process.returncode != 0 or left:
        raise NotReady(f"the network ended with code {process.returncode} and left {left}:\n{output.text}")


class _Output:
    """Reads what `up` says, so that it never has to wait for a reader."""

    def __init__(self, stream: IO[str]) -> None:
        self.text = ""
        self._address = ""
        self._known = threading.Event()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def wait_for_address(self) -> str:
        if not self._known.wait(START_SECONDS) or not self._address:
            raise NotReady(f"the network did not start:\n{self.text}")
        return self._address

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.text += line
            match = re.match(r"Kodama runs at (\S+)", line)
            if match:
                self._address = match[1]
                self._known.set()
        self._known.set()


def _stop(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Stop `up` as Ctrl-C does and return what is left of its processes."""
    if process.poll() is not None:
        return []
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    return [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
