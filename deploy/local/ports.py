"""Free loopback ports."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server can listen on this loopback port now.

    With SO_REUSEADDR, as servers set it: without, connections in TIME_WAIT make a port look taken for a
    minute.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose_ports(names: Iterable[str], preferred: Mapping[str, int] | None = None) -> dict[str, int]:
    """A different free loopback port for each name: the preferred one where free, else any."""
    chosen: dict[str, int] = {}
    held: list[socket.socket] = []
    try:
        for name in names:
            wanted = (preferred or {}).get(name, 0)
            if wanted in chosen.values() or not (1024 <= wanted <= 65535 and is_free(wanted)):
                # All sockets stay open until the end, so that the kernel hands out no port twice.
                held.append(_bound_socket(avoid=set(chosen.values())))
                wanted = held[-1].getsockname()[1]
            chosen[name] = wanted
    finally:
        for probe in held:
            probe.close()
    return chosen


def free_port() -> int:
    """One free loopback port."""
    return choose_ports(["only"])["only"]


def _bound_socket(avoid: set[int]) -> socket.socket:
    rejected: list[socket.socket] = []
    try:
        while True:
            probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((LOOPBACK, 0))
            if probe.getsockname()[1] not in avoid:
                return probe
            rejected.append(probe)
    finally:
        for each in rejected:
            each.close()
