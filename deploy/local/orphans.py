"""Networks that outlived their terminal: what a killed one left is stopped, one that still lives is named."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import psutil

from deploy.local import postgres, processes, rabbitmq
from deploy.local.errors import AlreadyRunning
from deploy.local.network import withdraw
from deploy.local.state import State
from deploy.local.supervisor import config_path

ORPHAN_SECONDS = 15


def refuse_living_predecessor(state: State) -> None:
    """Raise AlreadyRunning while a network lives on whose state folder was at this path and has been deleted.

    The lock of that folder is gone with it, and the servers' data may be where ours will be. Only its supervisord
    counts: what has none is left over, see `stop_orphans`.
    """
    config = str(config_path(state))
    supervisors = processes.matching(lambda each: _is_supervisord(each) and config in each.cmdline())
    strangers = [each for each in supervisors if processes.marks([each]) - {state.instance()}]
    if strangers:
        pids = " ".join(str(each.pid) for each in strangers)
        raise AlreadyRunning(
            f"A network still runs whose state folder was {state.root} too and has been deleted. Stop it with Ctrl-C "
            f"in its terminal, or with 'kill {pids}', and start again."
        )


def stop_orphans(state: State, say: Callable[[str], None]) -> None:
    """Stop what a killed `up` or a killed supervisord left: workers and services, then broker, then PostgreSQL."""
    home, node_home = state.found_home("postgres"), state.root / "rabbitmq"
    # The servers in our folders tell the mark of a network whose state folder, and secrets with it, are gone.
    ours = processes.marks([*_servers(home), *rabbitmq.left_in(node_home)]) | {state.instance() or ""} - {""}
    left = processes.marked(*ours)
    if left:
        say(f"Stopping {len(left)} processes that an earlier run left behind …")
    # A living supervisord would start again what we stop, and it stops its processes in the right order
    # itself.
    processes.end([each for each in left if _is_supervisord(each)], signal.SIGTERM, ORPHAN_SECONDS * 4)
    servers = {each.pid for each in _servers(home)}
    applications = [each for each in processes.marked(*ours) if each.pid not in servers and not _belongs_to_node(each)]
    processes.end(applications, signal.SIGTERM, ORPHAN_SECONDS)
    rabbitmq.stop_left(node_home)
    if home:
        postgres.stop_left(postgres.data_folder(home))
    processes.end(processes.marked(*ours), signal.SIGTERM, ORPHAN_SECONDS)
    withdraw(state)


def _servers(home: Path | None) -> list[psutil.Process]:
    return processes.in_folder("postgres", postgres.data_folder(home)) if home else []


def _is_supervisord(process: psutil.Process) -> bool:
    try:
        return "supervisor.supervisord" in process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _belongs_to_node(process: psutil.Process) -> bool:
    try:
        return "RABBITMQ_PID_FILE" in process.environ()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
