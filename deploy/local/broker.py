"""Which message broker a local network uses: the user's own, a private RabbitMQ, or tables in PostgreSQL (pgmq)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pgmq.install
import psycopg
from psycopg import sql

from deploy.local import rabbitmq
from deploy.local.command import Command
from deploy.local.errors import LocalError, MissingSoftware
from deploy.local.rabbitmq import RabbitMQ, RabbitMQPorts
from deploy.local.rabbitmq_software import find_software
from deploy.local.waiting import Say

PGMQ_ROLE = "kodama_broker"
# For `broker_transport_options` (and kombu's `transport_options`) of a pgmq:// broker; a URL cannot carry
# them.
PGMQ_TRANSPORT_OPTIONS: Mapping[str, object] = {
    "init_extension": False,  # its SQL is installed by `Broker.install`; the extension is in no wheel
    "visibility_timeout": 60,  # seconds until a message whose worker died is delivered again
    "wait_time_seconds": 0,  # long polling would hold a pooled connection per queue
    "use_notify": True,
    "notify_throttle_interval_ms": 0,
    "polling_interval": 1.0,  # only a missed notification waits this long
}
INSTALL_LOCK = 5_020_240_417  # any number, the same in every process that might install at the same time


class BrokerKind(StrEnum):
    """Where messages go."""

    EXTERNAL = "external"
    RABBITMQ = "rabbitmq"
    PGMQ = "pgmq"


@dataclass(frozen=True)
class Broker:
    """The chosen broker: its address, the processes to run for it, and one line to tell the user."""

    kind: BrokerKind
    url: str = field(repr=False)
    summary: str
    node: RabbitMQ | None = None

    @property
    def commands(self) -> Sequence[Command]:
        """What the supervisor runs for it; nothing for a broker that is not ours or lives in PostgreSQL."""
        return self.node.commands if self.node else ()

    @property
    def transport_options(self) -> Mapping[str, object]:
        """What clients of this broker must set beside its URL."""
        return PGMQ_TRANSPORT_OPTIONS if urlsplit(self.url).scheme == "pgmq" else {}

    def recover(self) -> None:
        """Stop what an earlier killed run left of it."""
        if self.node:
            self.node.recover()

    def wait_ready(self, log: Path, is_alive: Callable[[], bool] = lambda: True, say: Say = lambda _: None) -> None:
        """Wait until it takes messages. Raises NotReady. A broker that is not ours is not waited for: clients do."""
        if self.node:
            self.node.wait_ready(log, is_alive=is_alive, say=say)

    def install(self, database_url: str) -> None:
        """Make pgmq's schema and role in a running database, once; does nothing for the other kinds.

        `database_url` must belong to a role that may create roles and schemas. Raises psycopg.Error.
        """
        if self.kind is BrokerKind.PGMQ:
            _install_pgmq(database_url, unquote(urlsplit(self.url).password or ""))


@dataclass(frozen=True)
class BrokerPlan:
    """What `choose` needs to know of the network. `password` and `cookie` must consist of letters and digits."""

    home: Path
    ports: RabbitMQPorts
    database_url: str = field(repr=False)
    password: str = field(repr=False)
    cookie: str = field(repr=False)


def choose(environ: Mapping[str, str], plan: BrokerPlan, say: Callable[[str], None]) -> Broker:
    """The broker of this network.

    KODAMA_BROKER_URL wins; else KODAMA_BROKER says `rabbitmq`, `pgmq` or `auto` (the default: RabbitMQ
    where it can be had, else pgmq). Raises LocalError for another value, MissingSoftware when `rabbitmq` is
    demanded in vain.
    """
    url = environ.get("KODAMA_BROKER_URL", "")
    if url:
        return Broker(BrokerKind.EXTERNAL, url, "Broker: the one that KODAMA_BROKER_URL names.")
    wanted = environ.get("KODAMA_BROKER", "") or "auto"
    if wanted not in ("auto", BrokerKind.RABBITMQ, BrokerKind.PGMQ):
        raise LocalError(f"KODAMA_BROKER is '{wanted}'; it can be 'auto', 'rabbitmq' or 'pgmq'.")
    if wanted == BrokerKind.PGMQ:
        return _pgmq(plan, "as KODAMA_BROKER asks")
    try:
        software = find_software(say)
    except MissingSoftware as missing:
        if wanted == BrokerKind.RABBITMQ:
            raise
        say(str(missing))
        return _pgmq(plan, "because RabbitMQ is not to be had here")
    node = rabbitmq.prepare(plan.home, ports=plan.ports, password=plan.password, cookie=plan.cookie, software=software)
    origin = "fetched without installing it" if software.fetched else "the one on this machine"
    return Broker(BrokerKind.RABBITMQ, node.url, f"Broker: a private RabbitMQ ({origin}).", node)


def _pgmq(plan: BrokerPlan, why: str) -> Broker:
    parts = urlsplit(plan.database_url)
    place = f"{parts.hostname or '127.0.0.1'}:{parts.port or 5432}{parts.path or '/postgres'}"
    return Broker(
        BrokerKind.PGMQ,
        f"pgmq://{PGMQ_ROLE}:{quote(plan.password, safe='')}@{place}",
        f"Broker: pgmq, tables in PostgreSQL, {why}. Nothing is lost with it, but it is slower, knows no quorum "
        f"queues, delivery limits or dead letters, repeats a dead worker's task only after a minute, and streams "
        f"look for news every second instead of being told.",
    )


def _install_pgmq(database_url: str, password: str) -> None:
    """Everything of pgmq belongs to a role that may touch nothing else, since every worker logs in with it."""
    role = sql.Identifier(PGMQ_ROLE)
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [INSTALL_LOCK])
        known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [PGMQ_ROLE]).rowcount
        statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}" if known else "CREATE ROLE {} LOGIN PASSWORD {}")
        connection.execute(statement.format(role, sql.Literal(password)))
        if connection.execute("SELECT FROM pg_namespace WHERE nspname = 'pgmq'").rowcount == 0:
            # A superuser could skip this; the owner of a managed database could not.
            connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
            connection.execute(sql.SQL("CREATE SCHEMA pgmq AUTHORIZATION {}").format(role))
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(role))
            pgmq.install.install_pgmq_sql(_without_schema(pgmq.install.get_embedded_install_sql()), conn=connection)


def _without_schema(script: str) -> str:
    """The script without its CREATE SCHEMA: even IF NOT EXISTS needs the right to create one in the database."""
    return script.replace("CREATE SCHEMA IF NOT EXISTS pgmq;", "NULL;", 1)
