"""`kodama serve`, `relay`, `worker`, `migrate`: the processes of a network, one command each.

What a process runs is imported when it runs: a service does not carry the libraries of all others.
"""

import importlib
import os
import signal
import threading
from typing import Annotated

import psycopg
import typer

from chassis import topology
from chassis.logs import configure_logging
from chassis.migrate import MigrationError
from chassis.migrate import migrate as apply_migrations
from chassis.process import run_services
from chassis.settings import SERVICES, Settings, load_settings, refuse
from services.cli.terminal import console, fail

SERVED = (*SERVICES, "gateway")


def _services() -> list[str]:
    return list(SERVED)


def serve(
    services: Annotated[list[str], typer.Argument(help=f"Of {', '.join(SERVED)}.", autocompletion=_services)],
) -> None:
    """Serve a service, or several in one process, which then call each other without a wire, until SIGTERM or Ctrl-C.

    The gateway is served alone.
    """
    for service in services:
        if service not in SERVED:
            fail(f"there is no service {service!r}; there are {', '.join(SERVED)}")
    modules = {service: importlib.import_module(f"services.{service}.__main__") for service in services}
    if len(modules) == 1:
        modules[services[0]].main()
    elif "gateway" in modules:
        fail("the gateway speaks HTTP, and is served in a process of its own")
    else:
        run_services({service: module.build for service, module in modules.items()}, load_settings())


def relay(
    producers: Annotated[
        list[str] | None, typer.Argument(help=f"Whose ledgers; all of {', '.join(topology.PRODUCERS)} by default.")
    ] = None,
) -> None:
    """Relay the ledgers' due work to the broker until SIGTERM or Ctrl-C. Any number may run side by side."""
    chosen = producers or list(topology.PRODUCERS)
    unknown = set(chosen) - set(topology.PRODUCERS)
    if unknown:
        fail(f"{', '.join(sorted(unknown))}: no such ledger; there are {', '.join(topology.PRODUCERS)}")
    from chassis.relay import run_relays

    settings = load_settings()
    _require_broker(settings)
    configure_logging(settings, "relay")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_relays(settings, chosen, stop)


def worker(
    queue: Annotated[
        str, typer.Argument(help=f"One of {', '.join(topology.QUEUES)}.", autocompletion=lambda: list(topology.QUEUES))
    ],
    concurrency: Annotated[int, typer.Option(min=0, max=64, help="Tasks at a time; 0: the queue's own.")] = 0,
) -> None:
    """Work on one queue until SIGTERM (finishes its tasks) or SIGQUIT."""
    if queue not in topology.QUEUES:
        fail(f"there is no queue {queue!r}; there are {', '.join(topology.QUEUES)}")
    settings = load_settings()
    _require_broker(settings)
    configure_logging(settings, f"worker {queue}")
    chosen = topology.QUEUES[queue]
    make_app = importlib.import_module(f"services.{chosen.service}.worker").make_app
    make_app(settings).worker_main(
        [
            "worker",
            f"--queues={queue}",
            f"--pool={chosen.pool}",
            f"--concurrency={concurrency or chosen.concurrency}",
            f"--hostname={queue}.{os.getpid()}@%h",
            f"--loglevel={settings.log_level}",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",  # Celery's own, an event that nobody listens to; the connection's stays
        ]
    )


def migrate() -> None:
    """Bring the database schemas of all services up to date."""
    settings = load_settings()
    try:
        applied = apply_migrations(
            settings,
            say=lambda line: console.print(line, markup=False),
            tell=lambda line: console.print(line, markup=False),
        )
    except (MigrationError, psycopg.Error) as error:
        fail(str(error).strip())
    console.print(f"{applied} migrations applied." if applied else "Nothing to do: all schemas are up to date.")


def _require_broker(settings: Settings) -> None:
    try:
        settings.require_broker_url()
    except ValueError as error:
        refuse(str(error))
