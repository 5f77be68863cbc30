"""The choice of loopback ports."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from deploy.local import ports
from deploy.local.ports import LOOPBACK, choose_ports, free_port, is_free


def test_prefers_the_port_of_last_time_while_it_is_free() -> None:
    port = free_port()
    assert choose_ports(["a", "b"], {"b": port})["b"] == port


def test_takes_another_where_somebody_listens() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        taken = server.getsockname()[1]
        assert not is_free(taken)
        assert choose_ports(["a"], {"a": taken})["a"] != taken


def test_never_gives_one_port_twice() -> None:
    port = free_port()
    chosen = choose_ports([str(number) for number in range(50)], {"1": port, "2": port})
    assert len(set(chosen.values())) == 50


def test_nonsense_remembered_is_ignored() -> None:
    assert choose_ports(["a", "b"], {"a": -1, "b": 99999})["a"] > 1023


def test_a_connection_in_time_wait_does_not_make_a_port_taken() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((LOOPBACK, port)):
            accepted, _ = server.accept()
            accepted.close()  # the side that closes first keeps the port in TIME_WAIT
    assert is_free(port)


def test_no_outgoing_connection_takes_a_port_before_its_server_listens() -> None:
    first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(port < first_outgoing for port in choose_ports([str(number) for number in range(50)]).values())


def test_processes_with_shares_of_their_own_never_choose_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []
    for number in range(3):
        monkeypatch.setenv(ports.SHARE, f"{number}/3")
        chosen.append(choose_ports([str(port) for port in range(100)]).values())
    lowest, middle, highest = chosen
    assert max(lowest) < min(middle) <= max(middle) < min(highest)
