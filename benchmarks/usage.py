"""What each part of a network uses: CPU time and memory."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

from benchmarks.network import Bench
from deploy.local import processes

MIB = 1024 * 1024
HELPERS = ("from billiard.", "from multiprocessing.")
"""How the programs begin that they give to the processes they spawn: the processes of a pool, and those that keep count of semaphores."""


@dataclass(frozen=True)
class Usage:
    """What the processes of one part use together."""

    processes: int = 0
    cpu_seconds: float = 0.0
    memory_mib: float = 0.0
    """Proportional set size: memory that processes share counts once."""


@dataclass
class Phase:
    """What the parts used during one measurement; filled when it ends."""

    parts: dict[str, Usage] = field(default_factory=dict)


def part_of(command: list[str]) -> str:
    """Return the part of the network that a command line belongs to."""
    if "services.cli" in command:
        rest = command[command.index("services.cli") + 1 :]
        if rest[:1] in (["serve"], ["worker"]) and len(rest) > 1:
            return "services" if len(rest) > 2 else rest[1] if rest[0] == "serve" else f"worker {rest[1]}"
        return rest[0] if rest[:1] == ["relay"] else "supervisor"
    joined = " ".join(command)
    if "rabbitmq" in joined or "erl" in joined or "epmd" in joined:
        return "rabbitmq"
    return "postgresql" if "postgres" in joined else "supervisor"


def measure_usage(bench: Bench) -> dict[str, Usage]:
    """Return what each part has used until now, with what its ended children used."""
    # Ours, that of the network under test and further workers: all descend from this process.
    found = [*bench.trial.processes(), *psutil.Process().children(recursive=True)]
    return usage_of([*found, *processes.in_folder("postgres", bench.server.data)])


def usage_of(found: Iterable[psutil.Process]) -> dict[str, Usage]:
    """Return what the parts that these processes belong to have used until now, with what their ended children used.

    A process of Celery's or multiprocessing's says in its command line only that it is one; it belongs to the part of its parent.
    """
    together = {process.pid: process for process in found}
    parts: dict[str, Usage] = defaultdict(Usage)
    for process in together.values():
        try:
            with process.oneshot():
                part, times = part_of(_owner(process, together).cmdline()), process.cpu_times()
            memory = _memory(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        cpu_seconds = times.user + times.system + times.children_user + times.children_system
        before = parts[part]
        parts[part] = Usage(before.processes + 1, before.cpu_seconds + cpu_seconds, before.memory_mib + memory)
    return dict(parts)


def _owner(process: psutil.Process, together: Mapping[int, psutil.Process]) -> psutil.Process:
    """Return the process itself, or the nearest ancestor among `together` that is more than a helper of another one."""
    while is_helper(process.cmdline()) and (parent := together.get(process.ppid())):
        process = parent
    return process


def is_helper(command: list[str]) -> bool:
    """Tell whether a command line is that of a process which billiard or multiprocessing has spawned."""
    return any(each.startswith(HELPERS) for each in command)


def _memory(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss) / MIB
    except psutil.AccessDenied:
        return float(process.memory_info().rss) / MIB


def difference(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> dict[str, Usage]:
    """Return the CPU time used between two looks, with the memory of the second, the busiest part first."""
    used = {
        part: Usage(
            usage.processes, max(0.0, usage.cpu_seconds - before.get(part, Usage()).cpu_seconds), usage.memory_mib
        )
        for part, usage in after.items()
    }
    return dict(sorted(used.items(), key=lambda item: -item[1].cpu_seconds))


@contextmanager
def phase(bench: Bench) -> Iterator[Phase]:
    """Look at the parts before and after a block."""
    seen = Phase()
    before = measure_usage(bench)
    yield seen
    seen.parts = difference(before, measure_usage(bench))
