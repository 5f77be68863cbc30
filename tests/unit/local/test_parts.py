"""Small parts: apt's answers, the environment of children, the choice of a broker, socket paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.apt import new_packages, private_apt
from deploy.local.broker import BrokerKind, BrokerPlan, choose
from deploy.local.command import Command, inherited_environment, log_tail
from deploy.local.errors import LocalError, MissingSoftware
from deploy.local.network import PORT_NAMES, find_network, network_environment, publish
from deploy.local.rabbitmq import RabbitMQPorts
from deploy.local.state import State
from deploy.local.supervisor import SOCKET_BYTES, socket_path

SIMULATION = """\
NOTE: This is only a simulation!
Inst libc6 [2.36-9] (2.36-10 Debian:12.1/stable [amd64])
Inst erlang-base (1:25.2.3 Debian:12.1/stable [amd64]) []
Inst rabbitmq-server (3.10.8-1 Debian:12.1/stable [all])
Conf erlang-base (1:25.2.3 Debian:12.1/stable [amd64])
"""


def plan(url: str = "postgresql://admin:x@127.0.0.1:5555/kodama") -> BrokerPlan:
    return BrokerPlan(Path("/nowhere"), RabbitMQPorts(1, 2, 3), url, "pass", "cookie")


def test_apt_adds_what_is_new_and_leaves_what_is_installed() -> None:
    assert new_packages(SIMULATION) == ["erlang-base", "rabbitmq-server"]


def test_apt_hooks_of_the_system_are_cleared_and_its_state_is_elsewhere(tmp_path: Path) -> None:
    apt = private_apt(tmp_path, have=lambda name: f"/usr/bin/{name}")
    text = (apt.folder / "apt.conf").read_text()
    assert "#clear APT::Update::Post-Invoke-Success;" in text
    assert f'Dir::State::lists "{tmp_path}/lists"' in text
    assert "://" not in text


def test_without_apt_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(MissingSoftware, match="no apt-get"):
        private_apt(tmp_path, have=lambda _: None)


def test_children_do_not_inherit_what_steers_servers_elsewhere() -> None:
    environ = {"PATH": "p", "PGPORT": "1", "RABBITMQ_NODENAME": "x", "DATABASE_URL": "d", "KODAMA_TITLE": "t"}
    assert inherited_environment(environ) == {"PATH": "p", "KODAMA_TITLE": "t"}


def test_a_command_shows_no_secret_of_its_environment() -> None:
    assert "hidden" not in repr(Command(name="a", argv=["a"], env={"KODAMA_SECRET": "hidden"}))


def test_the_end_of_a_log_is_quoted_even_if_there_is_none(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert log_tail(log) == "(no log was written)"
    log.write_text("\n".join(map(str, range(100))))
    assert log_tail(log, 2) == "98\n99"


def test_the_user_s_broker_is_taken_as_it_is() -> None:
    broker = choose({"KODAMA_BROKER_URL": "amqps://u:p@h/v", "KODAMA_BROKER": "pgmq"}, plan(), lambda _: None)
    assert (broker.kind, broker.url, list(broker.commands)) == (BrokerKind.EXTERNAL, "amqps://u:p@h/v", [])
    assert "p@h" not in repr(broker)


def test_pgmq_logs_in_as_a_role_of_its_own() -> None:
    broker = choose({"KODAMA_BROKER": "pgmq"}, plan("postgresql://admin:x@db:5555/kodama?sslmode=off"), lambda _: None)
    assert broker.url == "pgmq://kodama_broker:pass@db:5555/kodama"
    assert broker.transport_options["init_extension"] is False


def test_an_unknown_broker_is_refused_with_the_choices() -> None:
    with pytest.raises(LocalError, match="'auto', 'rabbitmq' or 'pgmq'"):
        choose({"KODAMA_BROKER": "kafka"}, plan(), lambda _: None)


def test_other_commands_find_the_network(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.run.mkdir()
    assert find_network(state) is None
    ports = dict.fromkeys(PORT_NAMES, 7)
    environment = network_environment(
        ports, database_url="postgresql://a=b", broker_url="amqp://", secret="s" * 64, suggestions_folder="/f"
    )
    publish(state, environment)
    assert find_network(state) == environment
    assert state.network_file.stat().st_mode & 0o777 == 0o600
    assert environment["KODAMA_SOCIAL_GRAPH_ADDRESS"] == "127.0.0.1:7"


def test_a_long_state_path_gets_a_short_socket_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    long = State(tmp_path / ("x" * 120))
    assert socket_path(State(Path("/short"))) == Path("/short/run/supervisor.sock")
    path = socket_path(long)
    assert path.parent.parent == tmp_path
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert len(str(path)) <= SOCKET_BYTES + len(str(tmp_path))
