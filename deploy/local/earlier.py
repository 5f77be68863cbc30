"""Data of an earlier network whose state folder is gone, and its password with it: set aside, never opened or removed.

As root the data of PostgreSQL is not in the state folder (`state.reachable_home`), so it outlives a clone that is
deleted, and a new clone at the same path comes upon it. See docs/decisions/0052-data-of-a-deleted-clone.md.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.postgres import data_folder
from deploy.local.state import State


def settle(state: State, say: Callable[[str], None]) -> None:
    """See to data that is there before this folder's first secrets are; call it before they are made.

    In a new state folder that is another network's, and is set aside. Raises LocalError where the folder is not new
    and has lost its secrets: the data may be wanted, and somebody may have them. Says where earlier data is kept.
    """
    if not state.secrets_file.exists():
        homes = (state.found_home("postgres"), state.root / "rabbitmq")
        kept = [data_folder(home) for home in homes if home and data_folder(home).exists()]
        if kept and not _is_new(state):
            raise LocalError(
                f"{state.secrets_file} is missing, and the data in {' and '.join(map(str, kept))} needs it. "
                f"Put it back, or start afresh with 'make clean-data', which removes that data."
            )
        if kept:
            aside = _set_aside(state)
            say(
                f"PostgreSQL's data of an earlier network was found, whose state folder {state.root} has been deleted "
                f"and its password with it. It is now in {aside}; this network begins with a new database."
            )
    remind(state, say)


def remind(state: State, say: Callable[[str], None]) -> None:
    """Say where data of earlier networks of this folder is kept, and how it is removed; nothing where there is none."""
    home = state.home_path("postgres")
    pattern = f"{_aside_name(home)}-*"
    count = len(list(home.parent.glob(pattern)))
    if count:
        say(f"Data of deleted networks is kept ({count}). When nobody wants it: rm -r {home.parent / pattern}")


def _set_aside(state: State) -> Path:
    """Move the server's folder, with the copy of its programs that is in it, to a dated name beside it."""
    home = state.server_home("postgres").path
    aside = home.with_name(f"{_aside_name(home)}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    home.rename(aside)
    return aside


def _aside_name(home: Path) -> str:
    """What the names of asides begin with; not with that of the folder itself, which `State.clean` removes."""
    return f"kodama-earlier-{home.name.removeprefix('kodama-')}"


def _is_new(state: State) -> bool:
    """Whether no network has run from this folder: the ports are remembered before any data is made."""
    return not any((state.root / name).exists() for name in ("memory.json", "postgres", "rabbitmq"))
