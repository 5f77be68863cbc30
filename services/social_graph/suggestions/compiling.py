"""How functions are compiled: without the interpreter's lock, once per machine where there is a place to keep the result."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def can_keep() -> bool:
    """Tell whether numba finds a folder for what it compiles: NUMBA_CACHE_DIR, beside the source, or the user's own.

    Without one, as in a container that can write nowhere, it would refuse to compile anything that should be kept; so that is then
    compiled by every process, about 20 s of its time.
    """
    here, own = Path(__file__).parent, Path.home() / ".cache"
    beside = here / "__pycache__"
    places = (beside if beside.exists() else here, own if own.exists() else own.parent)
    return bool(os.environ.get("NUMBA_CACHE_DIR")) or any(os.access(place, os.W_OK | os.X_OK) for place in places)


KEEP = can_keep()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function when it is first called."""
    return cast("Callable[P, R]", njit(cache=KEEP, nogil=True)(function))


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function into those that call it."""
    return cast("Callable[P, R]", njit(cache=KEEP, nogil=True, inline="always")(function))
