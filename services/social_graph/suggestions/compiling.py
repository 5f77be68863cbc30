"""How functions are compiled: without the interpreter's lock, once per machine and version where there is a place to keep the result."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba import njit
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")
Array = NDArray[Any]
Whole = Any
"""A whole number: Python's, numpy's, or a compiled one."""


def source_digest(package: Path) -> str:
    """Return what tells one version of a package's source from another."""
    digest = hashlib.sha256()
    for path in sorted(package.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def find_folder(package: Path) -> Path | None:
    """Return a folder for what is compiled from this version: in NUMBA_CACHE_DIR, beside the source, or in the user's own cache.

    numba looks at the file of each function only, and would go on using what was compiled for another layout of another file's
    arrays: so every version has a folder of its own. None where nothing can be written, as in some containers: then every process
    compiles, which takes about 20 s.
    """
    given = os.environ.get("NUMBA_CACHE_DIR")
    places = [Path(given)] if given else [package / "__pycache__", Path("~/.cache/kodama").expanduser()]
    for place in places:
        folder = place / f"suggestions-{source_digest(package)}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    return None


FOLDER = find_folder(Path(__file__).parent)
if FOLDER is not None:
    numba.config.CACHE_DIR = str(FOLDER)  # type: ignore[attr-defined]  # made when it is imported


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function when it is first called."""
    return cast("Callable[P, R]", njit(cache=FOLDER is not None, nogil=True)(function))


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function into those that call it."""
    return cast("Callable[P, R]", njit(cache=FOLDER is not None, nogil=True, inline="always")(function))
