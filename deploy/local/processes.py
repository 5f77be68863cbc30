"""Finding our own processes again, and ending them by pid.

A killed supervisor leaves its children behind. Each carries KODAMA_INSTANCE in its environment, a random id
kept in the state folder, so nothing that is not ours can be taken for one of them.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

MARKER = "KODAMA_INSTANCE"
KILL_SECONDS = 5.0


def matching(
    test: Callable[[psutil.Process], bool], among: Iterable[psutil.Process] | None = None
) -> list[psutil.Process]:
    """The living processes but this one of which `test` is true, without those we may not look at.

    `among` are those in question, by default all; each of them may end at any moment.
    """
    found: list[psutil.Process] = []
    for process in psutil.process_iter() if among is None else among:
        try:
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE and test(process):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def marked(*instances: str) -> list[psutil.Process]:
    """The processes of the networks with these instance ids."""
    return matching(lambda process: process.environ().get(MARKER) in instances)


def marks(processes: Iterable[psutil.Process]) -> set[str]:
    """The instance ids of the networks that these processes belong to."""
    found = set[str]()
    for process in processes:
        try:
            found.add(process.environ().get(MARKER, ""))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found - {""}


def in_folder(name: str, folder: Path) -> list[psutil.Process]:
    """The processes called `name` that work in `folder`; PostgreSQL's all sit in their data folder."""
    return matching(lambda process: process.name() == name and process.cwd() == str(folder.resolve()))


def end(processes: Iterable[psutil.Process], stop_signal: signal.Signals, seconds: float) -> None:
    """Ask each process to end and wait for all; kill what is left after `seconds`."""
    asked = list(processes)
    # psutil compares the start time before it signals, so a pid that meanwhile went to somebody else is safe.
    _signal(asked, stop_signal)
    alive = _wait(asked, seconds)
    _signal(alive, signal.SIGKILL)
    _wait(alive, KILL_SECONDS)


def without_children(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those of `processes` whose parent is not one of them."""
    together = list(processes)
    pids = {each.pid for each in together}
    leaders: list[psutil.Process] = []
    for each in together:
        try:
            if each.ppid() not in pids:
                leaders.append(each)
        except psutil.NoSuchProcess:
            continue
    return leaders


def _wait(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until all have ended; gives those that have not. An orphan that init has not reaped yet has ended."""
    deadline = time.monotonic() + seconds
    alive = [each for each in processes if _is_alive(each)]
    while alive and time.monotonic() < deadline:
        time.sleep(0.02)
        alive = [each for each in alive if _is_alive(each)]
    return alive


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def listening_addresses(ports: Iterable[int]) -> set[str]:
    """The addresses on which somebody listens at any of these TCP ports."""
    wanted = set(ports)
    return {
        each.laddr.ip
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port in wanted
    }


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
