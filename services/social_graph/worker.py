"""Wiring of the workers: the Celery app with this service's tasks, and what they work with."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from celery import signals

from chassis.pool_health import open_watched_pool
from chassis.settings import Settings
from chassis.task_app import TaskApp, make_worker_app
from services.social_graph.batch import Batch
from services.social_graph.refreshing import Refreshing
from services.social_graph.suggestions import free_at_once, leave_out_blas
from services.social_graph.tasks import HANDLERS, Computing

log = structlog.get_logger(__name__)

POOL_SIZE = 4
COMPILE_SECONDS = 1800
"""It takes about a minute of processor time."""
MAX_CHILD_KIB = 800_000
"""A process with more is replaced after its task. The snapshot counts, though all processes of a machine share its pages."""


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[Computing]:
    """Open the pool of one worker process."""
    leave_out_blas()
    free_at_once()
    url = settings.service_database_url("social_graph")
    async with open_watched_pool(url, size=POOL_SIZE, application="kodama-social_graph-worker") as pool:
        folder = Path(settings.suggestions_folder)
        yield Computing(Batch(pool, folder, settings.suggestions_block_wedges), Refreshing(pool, folder))


def make_app(settings: Settings) -> TaskApp:
    """Return the app that `kodama worker` runs for the queues of this service."""
    app = make_worker_app(settings, __name__, open_context, HANDLERS)
    app.conf.worker_max_memory_per_child = MAX_CHILD_KIB
    signals.worker_init.connect(compile_ahead, weak=False)
    return app


def compile_ahead(**_: Any) -> None:
    """Have the kernel compiled before the first task is taken, whose time limit would count it: minutes, on a busy machine.

    In a process of its own, since LLVM's memory does not come back. Where it fails, tasks compile.
    """
    command = [sys.executable, "-m", "services.social_graph.suggestions"]
    try:
        subprocess.run(command, check=True, timeout=COMPILE_SECONDS)  # noqa: S603 - ours
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("kernel not compiled ahead", error=str(error))
