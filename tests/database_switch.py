"""A PostgreSQL of a test's own that can be switched off and on again."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deploy.local.ports import free_port
from deploy.local.postgres import Postgres, prepare, serving, temporary_home


class Switch:
    """The switch of a server, whose data and address stay the same."""

    def __init__(self, server: Postgres, log: Path) -> None:
        self.server = server
        self._log = log
        self._stack = ExitStack()

    def on(self) -> None:
        """Start the server, and wait until it answers."""
        self._stack.enter_context(serving(self.server, self._log))

    def off(self) -> None:
        """Stop it the fast way: whoever is connected is cut off."""
        self._stack.close()


@contextmanager
def open_switch(folder: Path) -> Iterator[Switch]:
    """Make a server with its data at or near a folder, lend it switched on, and leave nothing of it."""
    with temporary_home(folder / "postgres") as home:
        made = Switch(prepare(home, port=free_port(), password=secrets.token_hex(16), durable=False), folder / "log")
        made.on()
        try:
            yield made
        finally:
            made.off()
