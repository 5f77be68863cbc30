"""`make up` with stand-ins, for tests: `python up_with_standins.py TRACE NAME…`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg

from deploy.local import network
from deploy.local.command import Command
from deploy.local.errors import LocalError
from deploy.local.up import run

STANDIN = Path(__file__).with_name("standin.py")
trace, *names = sys.argv[1:]


def commands(environment: Mapping[str, str]) -> Sequence[Command]:
    port = environment["KODAMA_GATEWAY_ADDRESS"].rpartition(":")[2]
    return [
        Command(
            name=name,
            argv=[sys.executable, str(STANDIN), name, *([port] if name == "gateway" else [])],
            env={**environment, "TRACE": trace},
            group=name,
            priority=900 if name == "gateway" else 500,
            stop_seconds=20,
        )
        for name in names
    ]


def migrate(environment: Mapping[str, str]) -> None:
    with psycopg.connect(environment["KODAMA_DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (run integer GENERATED ALWAYS AS IDENTITY)")
        connection.execute("INSERT INTO kept DEFAULT VALUES")


class Forgetful:
    """What is raised while it goes is printed and forgotten."""

    def __del__(self) -> None:
        say("forgetting")
        signal.pause()


def seed(environment: Mapping[str, str]) -> None:
    if os.environ.get("SEEDING") == "fails":
        raise LocalError("The demo network is not whole: it is made to fail; kodama demo goes on with it.")
    if os.environ.get("SEEDING") == "forgets":
        Forgetful()
    with psycopg.connect(environment["KODAMA_DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE seeded ()")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    network.GATEWAY_PORT = 0  # any: tests that run at the same time do not take 8420 from each other
    sys.exit(run(commands, migrate=migrate, seed=seed, say=say))
