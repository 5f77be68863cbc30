"""A private RabbitMQ node: loopback only, its own cookie, user, virtual host, epmd and data folder."""

from __future__ import annotations

import secrets as random
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import kombu
import psutil

from deploy.local import processes
from deploy.local.command import Child, Command, log_tail, running
from deploy.local.errors import NotReady, WrongPassword
from deploy.local.ports import LOOPBACK, choose_ports
from deploy.local.rabbitmq_software import RabbitMQSoftware, find_software
from deploy.local.state import write_private
from deploy.local.waiting import Say, Waiting

USER = "kodama"
VHOST = "kodama"
# The node's data is filed under its name, so it must stay the same for the life of the data, whatever the
# ports are. Two private nodes of one name do not meet: each asks an epmd of its own.
NODE = "kodama@localhost"
STOP_SECONDS = 30
ACCESS_REFUSED = 403  # AMQP's reply to a wrong password; 530 is what a missing virtual host gets

CONFIGURATION = """\
listeners.tcp.local = {loopback}:{port}
default_user = {user}
default_pass = {password}
default_vhost = {vhost}
disk_free_limit.absolute = 200MB
vm_memory_high_watermark.absolute = 512MiB
log.console.level = info
"""
CLUSTER_MEMBER = "cluster_formation.classic_config.nodes.{place} = {name}\n"


@dataclass(frozen=True)
class RabbitMQPorts:
    """Where a node listens: AMQP, Erlang's distribution, and the port mapper that finds the latter."""

    amqp: int
    distribution: int
    epmd: int


@dataclass(frozen=True)
class RabbitMQ:
    """A prepared private node. Make it with `prepare`."""

    software: RabbitMQSoftware
    home: Path
    ports: RabbitMQPorts
    password: str = field(repr=False)
    name: str = NODE

    @property
    def url(self) -> str:
        """The address for kombu and Celery."""
        return f"amqp://{USER}:{self.password}@{LOOPBACK}:{self.ports.amqp}/{VHOST}"

    @property
    def commands(self) -> list[Command]:
        """The port mapper and the node, in the order of their start.

        The node would start a port mapper itself when it finds none, but as a daemon that outlives it;
        hence one of our own that is stopped like everything else.
        """
        node = Command(
            name="rabbitmq",
            argv=[str(self.software.server)],
            env=self.environment,
            cwd=self.home,
            stop_seconds=STOP_SECONDS,
            group="rabbitmq",
            priority=110,
        )
        if self.software.epmd is None:
            return [node]
        epmd = Command(
            name="epmd",
            argv=[str(self.software.epmd), "-address", LOOPBACK, "-port", str(self.ports.epmd)],
            env=self.environment,
            cwd=self.home,
            stop_seconds=5,
            group="epmd",
            priority=105,
        )
        return [epmd, node]

    @property
    def environment(self) -> dict[str, str]:
        """What makes the node private. No secret is in it: the password is in the configuration file."""
        home = self.home
        return {
            "HOME": str(home),
            "PATH": self.software.path,
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
            "RABBITMQ_NODE_PORT": str(self.ports.amqp),
            "RABBITMQ_DIST_PORT": str(self.ports.distribution),
            "ERL_EPMD_PORT": str(self.ports.epmd),
            "ERL_EPMD_ADDRESS": LOOPBACK,
            "ERL_CRASH_DUMP_SECONDS": "0",
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(home / "none"),  # else the system's is read
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "none.config"),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_LOGS": "-",  # to standard output, which the supervisor rotates
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(home / "generated"),
            "RABBITMQ_PID_FILE": str(_pid_file(home)),
            # Erlang's schedulers spin before they sleep, which is for machines that do nothing else.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}"
            " +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def recover(self) -> None:
        """Make a start possible after a run that was killed; see `stop_left`."""
        stop_left(self.home)

    def wait_ready(self, log: Path, *, is_alive: Callable[[], bool] = lambda: True, say: Say = lambda _: None) -> None:
        """Wait until a client can log in and open a channel.

        Raises NotReady, with the end of `log`, when there is no progress or as soon as `is_alive` says no; WrongPassword as
        soon as the node is there and refuses ours.
        """
        waiting = Waiting("RabbitMQ", lambda: [each.pid for each in left_in(self.home)], logs=[log], say=say)
        while True:
            refusal = self._refusal()
            if refusal is None:
                return
            if getattr(refusal, "reply_code", None) == ACCESS_REFUSED and self._takes_connections():
                raise WrongPassword(
                    f"The queues in {self.home} were made with another password than that of this network; nothing in "
                    f"them was changed. Put the file 'secrets' back that belongs to them, or move that folder away: "
                    f"at the next start the queues are made anew, and work that is not done yet is sent again."
                ) from refusal
            if not is_alive() or waiting.is_over():
                raise NotReady(
                    f"RabbitMQ did not start ({waiting.why()}): {refusal}\nThe end of {log}:\n{log_tail(log)}"
                )
            time.sleep(0.2)

    def _takes_connections(self) -> bool:
        """Whether it is our node that answers at our port, and not another one that was faster to take it."""
        ours = {each.pid for each in left_in(self.home)}
        return any(
            each.pid in ours and each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == self.ports.amqp
            for each in psutil.net_connections("tcp")
        )

    def _refusal(self) -> Exception | None:
        """Why a client cannot work with the node, or None when one can."""
        timeouts = {"read_timeout": 10, "write_timeout": 10}
        with kombu.Connection(self.url, connect_timeout=10, transport_options=timeouts) as connection:
            expected: tuple[type[Exception], ...] = (*connection.connection_errors, *connection.channel_errors)
            try:
                connection.connect()
                connection.channel().close()
            except expected as refusal:
                return refusal
        return None


def stop_left(home: Path) -> None:
    """Stop what an earlier killed run left of the node in `home`: the node first, then its port mapper."""
    left = left_in(home)
    mappers = processes.matching(lambda each: each.name() == "epmd", left)
    processes.end([each for each in left if each not in mappers], signal.SIGTERM, STOP_SECONDS)
    processes.end(mappers, signal.SIGTERM, 5)


def left_in(home: Path) -> list[psutil.Process]:
    """The living processes of the node in `home` and of its port mapper."""
    return processes.matching(lambda each: each.environ().get("RABBITMQ_PID_FILE") == str(_pid_file(home)))


def _pid_file(home: Path) -> Path:
    return home / "rabbitmq.pid"


def prepare(
    home: Path,
    *,
    ports: RabbitMQPorts,
    password: str,
    cookie: str,
    software: RabbitMQSoftware | None = None,
    name: str = NODE,
    cluster: Sequence[str] = (),
) -> RabbitMQ:
    """A node whose configuration and data are in `home`; of a cluster, where the names of all its nodes are given.

    `password` and `cookie` must stay the same for the life of the data. As root it runs as root: RabbitMQ
    accepts that, it listens on loopback only, and its fetched programs may be in a checkout that no other
    account can read. Raises MissingSoftware.
    """
    node = RabbitMQ(software or find_software(lambda _: None), home, ports, password, name)
    home.mkdir(parents=True, mode=0o700, exist_ok=True)
    for folder in ("data", "log", "generated"):
        (home / folder).mkdir(mode=0o700, exist_ok=True)
    write_private(home / ".erlang.cookie", cookie)
    (home / ".erlang.cookie").chmod(0o400)
    write_private(home / "enabled_plugins", "[].\n")
    write_private(
        home / "rabbitmq.conf",
        CONFIGURATION.format(loopback=LOOPBACK, port=ports.amqp, user=USER, password=password, vhost=VHOST)
        + "".join(CLUSTER_MEMBER.format(place=place, name=each) for place, each in enumerate(cluster, 1)),
    )
    return node


def choose_node_ports() -> RabbitMQPorts:
    """Three free ports."""
    chosen = choose_ports(["amqp", "distribution", "epmd"])
    return RabbitMQPorts(**chosen)


@contextmanager
def serving(node: RabbitMQ, log: Path) -> Iterator[Child]:
    """Run `node` for the length of a `with` block, ready for connections. Raises NotReady."""
    node.recover()
    *mapper, main = node.commands
    try:
        if mapper:
            with running(mapper[0], log), running(main, log) as child:
                node.wait_ready(log, is_alive=child.is_alive)
                yield child
        else:
            with running(main, log) as child:
                node.wait_ready(log, is_alive=child.is_alive)
                yield child
    finally:
        node.recover()  # the port mapper that the node itself started, where we could not


@contextmanager
def temporary(folder: Path, *, software: RabbitMQSoftware | None = None) -> Iterator[RabbitMQ]:
    """A new, running node for tests, with its data in `folder`, removed at the end but for `rabbitmq.log`.

    What a killed test has left in the same folder is stopped and removed.
    """
    home = folder / "rabbitmq"
    stop_left(home)
    shutil.rmtree(home, ignore_errors=True)
    node = prepare(
        home,
        ports=choose_node_ports(),
        password=random.token_hex(16),
        cookie=random.token_hex(16),
        software=software,
    )
    try:
        with serving(node, folder / "rabbitmq.log"):
            yield node
    finally:
        shutil.rmtree(home)
