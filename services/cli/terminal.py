"""How commands talk: lines and progress bars on a terminal, plain lines elsewhere, errors as sentences with exit code 1."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, TypeVar

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from chassis.errors import KodamaError
from chassis.settings import Settings
from services.cli import interrupting
from services.cli.network import Network, find_settings, open_network

Result = TypeVar("Result")
console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def fail(sentence: str) -> NoReturn:
    """End the command with exit code 1 after a sentence."""
    errors.print(f"kodama: {sentence}", markup=False)
    raise typer.Exit(1)


def on_network(work: Callable[[Network, Settings], Awaitable[Result]], *, interrupted: str = "") -> Result:
    """Run a coroutine on the running network. An expected error ends the command with its sentence, Ctrl-C with `interrupted`."""

    async def run() -> Result:
        settings = find_settings()
        async with open_network(settings) as network:
            return await work(network, settings)

    try:
        return interrupting.run(run())
    except KodamaError as error:
        fail(error.message)
    except KeyboardInterrupt:
        if interrupted:
            console.print(interrupted, markup=False)
        raise typer.Exit(interrupting.EXIT_CODE) from None


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Lend a function (what, done, total) that shows progress: bars on a terminal, a line per tenth elsewhere."""
    if not console.is_terminal:
        yield _lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        bars: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=total)
            progress.update(bars[what], completed=done, total=total)

        yield show


def _lines() -> Callable[[str, int, int], None]:
    tenths: dict[str, int] = {}

    def show(what: str, done: int, total: int) -> None:
        tenth = 10 * done // max(total, 1)
        if tenth > tenths.get(what, -1):
            tenths[what] = tenth
            console.print(f"{what}: {done:,} of {total:,}", markup=False)

    return show
