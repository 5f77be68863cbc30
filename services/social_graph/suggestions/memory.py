"""Keeping a process small: what it does not have in memory, and what it gives back. What is computed does not depend on any of it."""

import ctypes
import importlib
import re
import sys
from mmap import MADV_DONTNEED, mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LLVM = "libllvmlite"
MMAP_THRESHOLD = -3
"""mallopt(3)'s M_MMAP_THRESHOLD."""
LARGE_BYTES = 2 << 20
"""What is as large is a mapping of its own, which goes back to the system when it is freed. glibc's own limit rises to 32 MB."""
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r-[x-]p ")
"""A mapping that cannot be written to, in smaps, see proc(5)."""


def leave_out_blas() -> None:
    """Have numba do without scipy's linear algebra, of which no compiled code here makes use. Call it before anything is compiled.

    numba loads it, where it is installed, only to see whether it is: 17 MB in each process.
    """
    name = "scipy.linalg"
    if name in sys.modules:
        return
    sys.modules[name] = None  # type: ignore[assignment]  # importing it fails, as where it is not installed
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        del sys.modules[name]


def free_at_once() -> None:
    """Have large arrays go back to the system when they are freed. Does nothing where the system is another than Linux with glibc."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(MMAP_THRESHOLD, LARGE_BYTES)


def let_go(*arrays: NDArray[Any]) -> None:
    """Let arrays of mapped files out of this process's memory; what is looked at again is mapped again. Others are left alone.

    What was written to them is in their files.
    """
    for array in arrays:
        owner: object = array
        while isinstance(owner, np.ndarray):
            owner = owner.base
        if isinstance(owner, mmap):
            owner.madvise(MADV_DONTNEED)


def give_back() -> None:
    """Give back what was freed, and LLVM's own code, 65 MB that only compiling and loading need: it is read from its file again then.

    Does nothing where the system is another than Linux with glibc.
    """
    smaps = Path("/proc/self/smaps")
    library = ctypes.CDLL(None)
    if not smaps.exists() or not hasattr(library, "malloc_trim"):
        return
    library.malloc_trim(ctypes.c_size_t(0))
    span: tuple[int, int] | None = None
    for line in smaps.read_text().splitlines():
        if LLVM in line:
            found = _MAPPING.match(line)
            span = (int(found[1], 16), int(found[2], 16)) if found else None
        elif span and line.startswith("Anonymous:"):
            start, stop = span
            if line.split()[1] == "0":  # nothing in it has ever been written: it is what the file has
                library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(stop - start), MADV_DONTNEED)
            span = None
