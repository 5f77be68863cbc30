"""Free loopback ports."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

LOOPBACK = "127.0.0.1"
LOWEST = 10_240
"""Below are the ports of many well-known servers."""
DEFAULT_FIRST_OUTGOING = 32_768
ATTEMPTS = 100

SHARE = "LOCAL_PORTS_SHARE"
"""The variable of the environment that says which of how many equal shares of the ports a process and its children draw from: "0/2" is
the first of two. Processes that choose at the same time, each from a share of its own, never choose the same port; else one that has
been chosen and is not listened on yet looks free to the others."""


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
                # All sockets stay open until the end, so that the kernel hands out none of their ports.
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
    """Return a socket that holds a free port until it is closed.

    Ports that the kernel hands to outgoing connections are the last resort: between choosing one and listening on it, any connection of
    this machine could take it.
    """
    for _ in range(ATTEMPTS):
        port = random.randrange(*_drawn_from())  # noqa: S311 - not a secret
        if port not in avoid and is_free(port):
            with suppress(OSError):  # somebody was faster
                return _bind(port)
    while (probe := _bind(0)).getsockname()[1] in avoid:
        probe.close()
    return probe


def _drawn_from() -> tuple[int, int]:
    """The lowest port of this process's share, and the one after its highest."""
    number, shares = (int(part) for part in os.environ.get(SHARE, "0/1").split("/"))
    width = max((_first_outgoing() - LOWEST) // shares, 1)
    return LOWEST + number * width, LOWEST + (number + 1) * width


def _bind(port: int) -> socket.socket:
    probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind((LOOPBACK, port))
    return probe


def _first_outgoing() -> int:
    """The lowest port that the kernel gives to outgoing connections; Linux's default where it does not say."""
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        first = DEFAULT_FIRST_OUTGOING
    return max(first, LOWEST + 1)
