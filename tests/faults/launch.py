"""`kodama`, with a defect planted where KODAMA_PLANTED names one: `python -m tests.faults.launch serve status`.

Outside of production code, so that no release can be told to be broken. Children that a process spawns run this module anew, and so have
the defect too.
"""

import ctypes
import os
import signal
from multiprocessing import current_process

from services.cli.__main__ import main
from tests.faults.planted import plant

PR_SET_PDEATHSIG = 1


def end_with_harness() -> None:
    """Have this process killed when the harness that has started it is, which then cannot do it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if name := os.environ.get("KODAMA_PLANTED"):
    plant(name)

if __name__ == "__main__" and current_process().name == "MainProcess":
    end_with_harness()
    main()
