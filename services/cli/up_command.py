"""`kodama up`: a whole network on this machine."""

import os
import sys
from collections.abc import Mapping, Sequence

import psycopg
import typer

from chassis import topology
from chassis.errors import KodamaError
from chassis.migrate import MigrationError, migrate
from chassis.settings import SERVICES, Settings
from deploy.local.command import Command
from deploy.local.errors import LocalError
from deploy.local.up import clean, run
from services.cli.demo_command import seed_demo
from services.cli.terminal import console

TOGETHER = ("account", "social_graph", "status", "blog", "timeline")
"""Served in one process: what every page needs. On one machine a call between processes costs more than what most are asked."""
SERVICE_PRIORITY, WORKER_PRIORITY, GATEWAY_PRIORITY = 300, 400, 500


def up() -> None:
    """Run a whole network on this machine until Ctrl-C: PostgreSQL, broker, services, relay, workers, gateway.

    The first time it makes a demo network of some 300 members. KODAMA_DATABASE_URL and KODAMA_BROKER_URL use servers of yours instead of
    private ones; KODAMA_STATE_DIR is where data is kept (.kodama by default).
    """

    def say(line: str) -> None:
        console.print(line, markup=False)
        if line.startswith("Kodama runs at "):
            say_what_to_try(line.split()[3])

    raise typer.Exit(
        run(
            app_commands,
            migrate=lambda environment: _migrate(environment),
            seed=None if os.environ.get("KODAMA_DEMO", "1") == "0" else _seed,
            say=say,
        )
    )


def clean_data() -> None:
    """Delete everything that `kodama up` has kept here: databases, queues, logs, secrets."""
    raise typer.Exit(clean(lambda line: console.print(line, markup=False)))


def app_commands(environment: Mapping[str, str]) -> Sequence[Command]:
    """Return the processes of a network, for the supervisor."""
    kodama = [sys.executable, "-m", "services.cli"]

    def command(name: str, *arguments: str, priority: int, group: str, stop_seconds: int = 15) -> Command:
        return Command(
            name=name,
            argv=[*kodama, *arguments],
            env=environment,
            stop_seconds=stop_seconds,
            priority=priority,
            group=group,
        )

    return [
        command("services", "serve", *TOGETHER, priority=SERVICE_PRIORITY, group="services"),
        *(
            command(name, "serve", name, priority=SERVICE_PRIORITY, group="services")
            for name in SERVICES
            if name not in TOGETHER
        ),
        command("relay", "relay", priority=WORKER_PRIORITY, group="workers"),
        *(
            command(
                f"worker-{queue.replace('.', '-')}",
                "worker",
                queue,
                priority=WORKER_PRIORITY,
                group="workers",
                stop_seconds=75,
            )
            for queue in topology.QUEUES
        ),
        command("gateway", "serve", "gateway", priority=GATEWAY_PRIORITY, group="gateway"),
    ]


def _seed(environment: Mapping[str, str]) -> None:
    try:
        seed_demo(environment)
    except KodamaError as error:
        raise LocalError(
            f"The demo network is not whole: {error.message} `{_kodama()} demo` goes on with it, or the next start."
        ) from error


def _migrate(environment: Mapping[str, str]) -> None:
    settings = Settings.model_validate(
        {name.removeprefix("KODAMA_").lower(): value for name, value in environment.items()}
    )
    try:
        migrate(settings, tell=lambda line: console.print(line, markup=False))
    except (MigrationError, psycopg.Error) as error:
        raise LocalError(f"The database could not be prepared: {str(error).strip()}") from error


def _kodama() -> str:
    return f"{os.path.relpath(sys.prefix)}/bin/kodama"


def say_what_to_try(address: str) -> None:
    """Print a few commands for a newcomer."""
    kodama = _kodama()
    console.print(f"\nOpen {address} in a browser, or try in another terminal:", markup=False)
    for line in (
        f"{kodama} password sakura    # a password to sign in with on the pages, as @sakura",
        f"TOKEN=$({kodama} token sakura)                                     # sign in as a demo member",
        f'curl -H "Authorization: Bearer $TOKEN" {address}/api/v1/timelines/home    # what her friends write',
        f'curl -H "Authorization: Bearer $TOKEN" -d status="こんにちは" {address}/api/v1/statuses    # say hello',
    ):
        console.print(f"  {line}", markup=False)
