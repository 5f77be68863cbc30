"""The kernel is compiled before a worker takes its first task."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from celery import signals

from chassis.settings import Settings
from services.social_graph.worker import compile_ahead, make_app

MISSES = """
import json
from numba.core.registry import CPUDispatcher
import numpy as np
from services.social_graph.suggestions import CsrGraph, Model, prepare, suggest_around, warm_up
from services.social_graph.suggestions import ahead, around, features, filling, hiding, kernel, ranking, selecting, tables
warm_up()
modules = (ahead, around, features, filling, hiding, kernel, ranking, selecting, tables)
compiled = [each for module in modules for each in vars(module).values() if isinstance(each, CPUDispatcher)]
print(json.dumps([sum(sum(each.stats.cache_hits.values()) for each in compiled),
                  sum(sum(each.stats.cache_misses.values()) for each in compiled)]))
"""


@pytest.mark.timeout(3600)  # a minute of processor time
def test_what_tasks_need_is_compiled_when_the_worker_begins(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "services.social_graph.suggestions"]
    both = [subprocess.Popen(command, env=environment) for _ in range(2)]  # two workers that begin at once
    assert [each.wait() for each in both] == [0, 0]
    [folder] = tmp_path.iterdir()
    assert len(list(folder.glob("compiled-*"))) == 1
    counted = subprocess.run(
        [sys.executable, "-c", MISSES], env=environment, capture_output=True, text=True, check=True
    )
    hits, misses = json.loads(counted.stdout)
    assert hits > 10
    assert misses == 0


def test_a_worker_begins_with_it(settings: Settings) -> None:
    make_app(settings.model_copy(update={"broker_url": "amqp://127.0.0.1:1/"}))
    assert compile_ahead in [receiver for _, receiver in signals.worker_init.receivers]
