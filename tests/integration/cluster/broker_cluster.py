"""A RabbitMQ of three nodes on this machine, each of which can be lost."""

import secrets
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local.command import Child, running
from deploy.local.ports import choose_ports
from deploy.local.processes import end, matching
from deploy.local.rabbitmq import RabbitMQ, RabbitMQPorts, left_in, prepare, stop_left
from tests.integration.chassis.conftest import rabbitmqctl

SIZE = 3


@dataclass
class Cluster:
    """Nodes that know each other; all speak to one port mapper."""

    nodes: list[RabbitMQ]
    folder: Path
    children: dict[str, Child] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """As an operator writes it: one login and all nodes."""
        first = urlsplit(self.nodes[0].url)
        login = first.netloc.rpartition("@")[0]
        return first._replace(
            netloc=f"{login}@" + ",".join(f"127.0.0.1:{node.ports.amqp}" for node in self.nodes)
        ).geturl()

    def start(self, stack: ExitStack) -> None:
        """Start the port mapper and all nodes at once, and wait until all take connections."""
        *mapper, _ = self.nodes[0].commands
        for one in mapper:
            stack.enter_context(running(one, self.folder / "epmd.log"))
        for node in self.nodes:
            self.children[node.name] = stack.enter_context(running(node.commands[-1], self._log(node)))
        for node in self.nodes:
            node.wait_ready(self._log(node), is_alive=self.children[node.name].is_alive)

    def members(self, queue: str) -> tuple[str, set[str]]:
        """Return the leader of a quorum queue, and on which nodes it has members."""
        for line in self._ask("list_queues", "name", "leader", "members").splitlines():
            name, leader, members = line.split("\t")
            if name == queue:
                return leader, set(members.strip("[]").replace(" ", "").split(","))
        raise KeyError(queue)

    def lose(self, name: str) -> None:
        """End a node as a power cut would."""
        self.children[name].kill()
        node = next(node for node in self.nodes if node.name == name)
        end(matching(lambda each: each.name() != "epmd", left_in(node.home)), signal.SIGKILL, 30)

    def _ask(self, *arguments: str) -> str:
        alive = next(node for node in self.nodes if self.children[node.name].is_alive())
        return rabbitmqctl(alive, "-n", alive.name, "--vhost", "kodama", *arguments)

    def _log(self, node: RabbitMQ) -> Path:
        return self.folder / f"{node.name}.log"


@contextmanager
def open_cluster(folder: Path) -> Iterator[Cluster]:
    """Make three nodes with their data in a folder, lend them running, and stop what is left of them."""
    names = [f"kodama{number}@localhost" for number in range(1, SIZE + 1)]
    chosen = choose_ports(["epmd", *(f"{kind}/{name}" for name in names for kind in ("amqp", "distribution"))])
    password, cookie = secrets.token_hex(16), secrets.token_hex(16)
    nodes = [
        prepare(
            folder / name,
            ports=RabbitMQPorts(chosen[f"amqp/{name}"], chosen[f"distribution/{name}"], chosen["epmd"]),
            password=password,
            cookie=cookie,
            name=name,
            cluster=names,
        )
        for name in names
    ]
    with ExitStack() as stack:
        for node in nodes:
            stack.callback(stop_left, node.home)
        cluster = Cluster(nodes, folder)
        cluster.start(stack)
        yield cluster
