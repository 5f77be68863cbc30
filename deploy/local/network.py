"""The addresses and secrets that the processes of one network share, as environment variables."""

from __future__ import annotations

from collections.abc import Mapping

from chassis.settings import SERVICES
from deploy.local.errors import LocalError
from deploy.local.ports import LOOPBACK, choose_ports
from deploy.local.rabbitmq import RabbitMQPorts
from deploy.local.state import State, write_private

GATEWAY_PORT = 8420
NODE_PORTS = ("amqp", "distribution", "epmd")
MEASURED = (*SERVICES, "gateway")
"""Who serves metrics."""
PORT_NAMES = ("gateway", *SERVICES, "postgres", *NODE_PORTS, *(f"{name}_metrics" for name in MEASURED))


def choose_network_ports(state: State) -> dict[str, int]:
    """A free port for each of PORT_NAMES: those of last time where they are free; 8420 for a new gateway."""
    remembered = state.recall("ports")
    preferred = {"gateway": GATEWAY_PORT}
    if isinstance(remembered, dict):
        preferred |= {name: port for name, port in remembered.items() if isinstance(port, int)}
    ports = choose_ports(PORT_NAMES, preferred)
    state.remember("ports", ports)
    return ports


def node_ports(ports: Mapping[str, int]) -> RabbitMQPorts:
    """The ports of the private RabbitMQ node among those of the network."""
    return RabbitMQPorts(**{name: ports[name] for name in NODE_PORTS})


def network_environment(
    ports: Mapping[str, int], *, database_url: str, broker_url: str, secret: str, suggestions_folder: str
) -> dict[str, str]:
    """What every process of the network is told. Holds secrets."""
    services = {f"KODAMA_{name.upper()}_ADDRESS": f"{LOOPBACK}:{ports[name]}" for name in (*SERVICES, "gateway")}
    metrics = {f"KODAMA_{name.upper()}_METRICS_ADDRESS": f"{LOOPBACK}:{ports[f'{name}_metrics']}" for name in MEASURED}
    return {
        "KODAMA_DATABASE_URL": database_url,
        "KODAMA_BROKER_URL": broker_url,
        "KODAMA_SECRET": secret,
        "KODAMA_SUGGESTIONS_FOLDER": suggestions_folder,
        **services,
        **metrics,
    }


def publish(state: State, environment: Mapping[str, str]) -> None:
    """Let other commands of this checkout find the running network; see `find_network`."""
    text = "".join(f"{name}={value}\n" for name, value in environment.items())
    if len(text.splitlines()) != len(environment):
        raise LocalError("An address in the environment contains a line break.")
    write_private(state.network_file, text)


def withdraw(state: State) -> None:
    """The network no longer runs."""
    state.network_file.unlink(missing_ok=True)


def find_network(state: State) -> dict[str, str] | None:
    """The environment of the network that runs from this state folder, or None."""
    try:
        text = state.network_file.read_text()
    except FileNotFoundError:
        return None
    return dict(line.split("=", 1) for line in text.splitlines())
