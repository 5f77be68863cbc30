"""A whole network in real processes, each of which can be killed: PostgreSQL, RabbitMQ, services, relays, workers, gateways.

As `make up` runs it, but without a supervisor between the harness and the processes, with two gateways and two relays, and with a proxy on
every edge. PostgreSQL is durable.
"""

import asyncio
import os
import secrets
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
from psycopg import sql

from chassis import topology
from chassis.migrate import migrate
from chassis.settings import SERVICES, Settings
from deploy.local import postgres, processes, rabbitmq
from deploy.local.command import Command
from deploy.local.ports import LOOPBACK, choose_ports
from services.cli.up_command import TOGETHER
from tests.faults.clock import Clock, find_clock
from tests.faults.daemons import Daemon, Daemons
from tests.faults.edges import EDGES, Proxies
from tests.faults.http_client import Http, Unanswered

READY_SECONDS = 180.0
LAUNCHER = "tests.faults.launch"
CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Plan:
    """What a network is made of."""

    gateways: int = 2
    relays: int = 2
    variables: Mapping[str, str] = field(default_factory=dict)
    """Further settings of all processes."""
    with_clock: bool = False
    """PostgreSQL goes by a clock that can be set."""


@dataclass
class Network:
    """A network that runs. Make it with `running_network`."""

    folder: Path
    settings: Settings
    """As an operator's command outside of all proxies has them."""
    server: postgres.Postgres
    node: rabbitmq.RabbitMQ
    daemons: Daemons
    proxies: Proxies
    gateways: list[int]
    """Their ports."""
    clock: Clock | None = None
    """PostgreSQL's, where it can be set."""
    kills: Counter[str] = field(default_factory=Counter)
    """How many processes were killed (SIGKILL), by kind."""

    async def query(
        self, text: LiteralString | sql.Composed, parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """Ask the database as its administrator. Raises psycopg.Error."""
        async with await psycopg.AsyncConnection.connect(self.server.url, autocommit=True, connect_timeout=5) as conn:
            cursor = await conn.execute(text, parameters)
            return await cursor.fetchall() if cursor.description else []

    def kill(self, daemon: Daemon, *, whole: bool = False) -> bool:
        """Kill a process, or its whole session, as a power cut would; tell whether there was one."""
        killed = daemon.send_all(signal.SIGKILL) if whole else daemon.send(signal.SIGKILL)
        self.kills[kind_of(daemon.name)] += killed
        return killed

    async def wait_started(self, names: Sequence[str]) -> None:
        """Wait until these processes run. Raises TimeoutError."""
        async with asyncio.timeout(READY_SECONDS):
            while not all(self.daemons.by_name[name].pid for name in names):
                await asyncio.sleep(0.05)

    async def wait_healthy(self, seconds: float = READY_SECONDS) -> None:
        """Wait until every gateway says that all it needs serves. Raises TimeoutError with the state of the processes."""
        deadline = time.monotonic() + seconds
        http = Http(self.gateways)
        try:
            for port in self.gateways:
                while not await _is_healthy(http, port):
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"the network is not healthy; deaths: {self.daemons.deaths[-10:]}")
                    await asyncio.sleep(0.2)
        finally:
            http.close()


async def _is_healthy(http: Http, port: int) -> bool:
    try:
        return (await http.send("GET", "/health", port=port, seconds=5)).code == 200
    except Unanswered:
        return False


def kind_of(name: str) -> str:
    """Return the kind of a process: its name without the number that tells it from its like."""
    stem, _, number = name.rpartition("-")
    return stem if number.isdigit() else name


@asynccontextmanager
async def running_network(folder: Path, plan: Plan) -> AsyncIterator[Network]:
    """Start a network in a folder, lend it, and leave no process behind; its logs stay. Raises NotReady and TimeoutError."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    await asyncio.to_thread(_clear_node, folder / "rabbitmq")
    with postgres.temporary_home(folder / "postgres") as home:
        ports = _ports(plan)
        server = await asyncio.to_thread(
            postgres.prepare, home, port=ports["postgres"], password=secrets.token_hex(16), durable=True
        )
        node = await asyncio.to_thread(
            rabbitmq.prepare,
            folder / "rabbitmq",
            ports=rabbitmq.RabbitMQPorts(ports["amqp"], ports["distribution"], ports["epmd"]),
            password=secrets.token_hex(16),
            cookie=secrets.token_hex(16),
        )
        environment = _environment(plan, ports, server, node, folder)
        settings = Settings.model_validate(
            {name.removeprefix("KODAMA_").lower(): value for name, value in environment.items()}
        )
        daemons = Daemons()
        proxies = await _start_proxies(ports, node)
        gateways = [ports[f"gateway-{number}"] for number in range(1, plan.gateways + 1)]
        clock = await asyncio.to_thread(find_clock, home.path) if plan.with_clock else None
        network = Network(folder, settings, server, node, daemons, proxies, gateways, clock)
        try:
            await _start_servers(network)
            await asyncio.to_thread(migrate, settings)
            for command in _applications(plan, ports, environment):
                daemons.add(Daemon(command, folder / f"{command.name}.log"))
            await network.wait_healthy()
            yield network
        finally:
            await daemons.close()
            await proxies.close()
            await asyncio.to_thread(server.recover)
            await asyncio.to_thread(_clear_node, node.home)


def _clear_node(home: Path) -> None:
    """Stop and remove what a killed run left of its broker."""
    rabbitmq.stop_left(home)
    shutil.rmtree(home, ignore_errors=True)


async def _start_servers(network: Network) -> None:
    server, node, folder = network.server, network.node, network.folder
    log, node_log = folder / "postgres.log", folder / "rabbitmq.log"
    by_clock = network.clock.environment if network.clock else {}
    database = network.daemons.add(Daemon(server.command, log, _in_thread(server.recover), environment=by_clock))
    for command in node.commands:
        clear = _in_thread(lambda: end_left_of_node(node)) if command.name == "rabbitmq" else None
        daemon = Daemon(command, node_log) if clear is None else Daemon(command, node_log, clear)
        network.daemons.add(daemon)
    await asyncio.to_thread(server.wait_ready, log, is_alive=lambda: database.starts < 3)
    await asyncio.to_thread(node.wait_ready, node_log)


def end_left_of_node(node: rabbitmq.RabbitMQ) -> None:
    """Kill what a killed node has left, but for the port mapper, which is a process of its own."""
    left = processes.matching(lambda each: each.name() != "epmd", rabbitmq.left_in(node.home))
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    processes.end(left, signal.SIGKILL, 5)


def _in_thread(work: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        await asyncio.to_thread(work)

    return run


def _ports(plan: Plan) -> dict[str, int]:
    """Choose all ports at once: two that are chosen at different times may be the same."""
    names = [*SERVICES, "postgres", "amqp", "distribution", "epmd"]
    names += [f"gateway-{number}" for number in range(1, plan.gateways + 1)]
    names += [f"{edge}/{target}" for edge in EDGES for target in _led_to(edge)]
    return choose_ports(names)


def _led_to(edge: str) -> tuple[str, ...]:
    target = edge.partition("-")[2]
    return SERVICES if target == "services" else (target,)


async def _start_proxies(ports: Mapping[str, int], node: rabbitmq.RabbitMQ) -> Proxies:
    targets = {**{name: ports[name] for name in (*SERVICES, "postgres")}, "broker": node.ports.amqp}
    return await Proxies.start(
        {edge: {target: ports[f"{edge}/{target}"] for target in _led_to(edge)} for edge in EDGES}, targets
    )


def _environment(
    plan: Plan, ports: Mapping[str, int], server: postgres.Postgres, node: rabbitmq.RabbitMQ, folder: Path
) -> dict[str, str]:
    """Return what every process is told, before it is led through its proxies."""
    services = {f"KODAMA_{name.upper()}_ADDRESS": f"{LOOPBACK}:{ports[name]}" for name in SERVICES}
    return {
        "KODAMA_DATABASE_URL": server.url,
        "KODAMA_BROKER_URL": node.url,
        "KODAMA_SECRET": secrets.token_hex(32),
        "KODAMA_RATE_LIMITS": "off",
        "KODAMA_SUGGESTIONS_HOURS": "0",
        "KODAMA_SUGGESTIONS_FOLDER": str(folder / "suggestions"),
        "KODAMA_SHUTDOWN_GRACE_SECONDS": "2",
        **services,
        **plan.variables,
    }


def _at(url: str, port: int) -> str:
    """Return a URL that leads to another port of this machine."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@{LOOPBACK}:{port}"))


def _through(role: str, ports: Mapping[str, int], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a role ("gateways", "services", "relays", "workers"), whose edges lead through their proxies."""
    led = dict(environment)
    if f"{role}-postgres" in EDGES:
        led["KODAMA_DATABASE_URL"] = _at(environment["KODAMA_DATABASE_URL"], ports[f"{role}-postgres/postgres"])
    if f"{role}-broker" in EDGES:
        led["KODAMA_BROKER_URL"] = _at(environment["KODAMA_BROKER_URL"], ports[f"{role}-broker/broker"])
    if f"{role}-services" in EDGES:
        led |= {f"KODAMA_{name.upper()}_ADDRESS": f"{LOOPBACK}:{ports[f'{role}-services/{name}']}" for name in SERVICES}
    return led


def _applications(plan: Plan, ports: Mapping[str, int], environment: Mapping[str, str]) -> list[Command]:
    """Return the commands of all processes that are Kodama's own."""

    def command(name: str, role: str, *arguments: str, **variables: str) -> Command:
        return Command(
            name=name,
            argv=[sys.executable, "-m", LAUNCHER, *arguments],
            env={**_through(role, ports, environment), **variables, "PYTHONPATH": _python_path()},
            stop_seconds=20,
        )

    return [
        command("services", "services", "serve", *TOGETHER),
        *(command(name, "services", "serve", name) for name in SERVICES if name not in TOGETHER),
        *(command(f"relay-{number}", "relays", "relay") for number in range(1, plan.relays + 1)),
        *(command(f"worker-{queue}", "workers", "worker", queue) for queue in topology.QUEUES),
        *(
            command(
                f"gateway-{number}",
                "gateways",
                "serve",
                "gateway",
                KODAMA_GATEWAY_ADDRESS=f"{LOOPBACK}:{ports[f'gateway-{number}']}",
            )
            for number in range(1, plan.gateways + 1)
        ),
    ]


def _python_path() -> str:
    return os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH", "")]))
