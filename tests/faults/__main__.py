"""`python -m tests.faults`: a network is broken in every way there is, and then has to show everything that it has acknowledged."""

import asyncio
import signal
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from tests.faults.campaign import run_campaign
from tests.faults.plans import full, smoke
from tests.faults.planted import DEFECTS
from tests.faults.trial import run_trials


def main(
    seed: Annotated[int, typer.Option(help="Chooses who does what when, and what breaks.")] = 1,
    minutes: Annotated[float, typer.Option(min=0.0, help="Of faults; 0 is the smoke of three minutes.")] = 30.0,
    planted: Annotated[
        list[str] | None,
        typer.Option(help="Look for this planted defect instead, and any number of others, or for all."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Where the report is written to.")] = None,
    folder: Annotated[Path | None, typer.Option(help="For logs and the journal; a new one by default.")] = None,
) -> None:
    """Run the campaign, print its report, and end with 1 where anything was lost, missing, doubled or forbidden.

    With planted defects, end with 1 where one was not found, or something was found without one.
    """
    chosen = folder or Path(tempfile.mkdtemp(prefix="kodama-faults-"))
    _tell(f"Logs and journal are in {chosen}")
    if planted:
        names = list(DEFECTS) if planted == ["all"] else planted
        outcome = _run(run_trials(names, seed, chosen, _tell))
    else:
        command = f"python -m tests.faults --seed {seed} --minutes {minutes:g}"
        campaign = full(seed, minutes, command) if minutes else smoke(seed, command)
        outcome = _run(run_campaign(campaign, chosen, _tell))
    _tell(outcome.text())
    if json is not None:
        outcome.write(json)
    raise typer.Exit(0 if outcome.passed else 1)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_until_told(work))


async def _until_told(work: Coroutine[Any, Any, Any]) -> Any:
    """Do the work; SIGTERM and Ctrl-C end it in order, so that no process is left."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await work


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
