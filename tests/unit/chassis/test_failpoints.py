"""Failpoints: what is refused, that they happen once, and that without them nothing does."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from chassis import failpoints
from chassis.failpoints import FOLDER, PLAN, Failpoint, Reached, arm_from, hit, hit_async
from chassis.watched_connections import connection_class

POINT = Failpoint.RELAY_AFTER_PUBLISH


@pytest.fixture(autouse=True)
def nothing_armed() -> object:
    yield
    failpoints.arm(None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("relay.after_publsh:kill", "there is no 'relay.after_publsh'; there are database.before_exchange"),
        ("relay.after_publish", "is not like"),
        ("relay.after_publish:explode", "is not like"),
        ("relay.after_publish:kill@0", "is not like"),
        ("relay.after_publish:kill,", "'' is not like"),
        ("relay.after_publish:delay", "is not like"),
    ],
)
def test_what_is_misspelt_is_refused_with_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=PLAN) as refused:
        arm_from({PLAN: text, FOLDER: str(tmp_path)})
    assert sentence in str(refused.value)


@pytest.mark.parametrize("folder", ["", "/nowhere/at/all"])
def test_no_process_starts_with_failpoints_by_accident(folder: str) -> None:
    started = subprocess.run(
        [sys.executable, "-c", "from chassis.settings import load_settings; load_settings()"],
        env={**os.environ, PLAN: "relay.after_publish:kill", FOLDER: folder, "KODAMA_SECRET": "s" * 32},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert started.returncode == 2
    assert f"kodama: {PLAN} is for tests only: it needs {FOLDER}" in started.stderr


def test_without_failpoints_nothing_is_watched() -> None:
    assert arm_from({}) == ""
    assert connection_class("test") is psycopg.AsyncConnection
    hit(POINT)


async def test_one_raises_at_its_time_and_never_again(tmp_path: Path) -> None:
    plan = {PLAN: "relay.after_publish/status:raise@3", FOLDER: str(tmp_path)}
    arm_from(plan)
    hit(POINT, "status")
    hit(POINT, "blog")
    hit(Failpoint.RELAY_AFTER_CLAIM, "status")
    await hit_async(POINT, "status")
    with pytest.raises(Reached, match="raise@3"):
        await hit_async(POINT, "status")
    arm_from(plan)  # another process
    for _ in range(5):
        hit(POINT, "status")
    assert list(map(str, tmp_path.glob("*"))) == [f"{tmp_path}/0-relay.after_publish_status:raise@3"]  # noqa: ASYNC240


def test_one_waits(tmp_path: Path) -> None:
    arm_from({PLAN: "relay.after_publish:delay=600", FOLDER: str(tmp_path)})
    waiting = threading.Thread(target=hit, args=(POINT,), daemon=True)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    assert [path.name for path in tmp_path.iterdir()] == ["0-relay.after_publish:delay=600"]


def test_one_kills_its_process_once(tmp_path: Path) -> None:
    program = (
        "from chassis.settings import load_settings; from chassis.failpoints import *; load_settings();"
        "[hit(Failpoint.RELAY_AFTER_PUBLISH) or print(number, flush=True) for number in range(3)]"
    )
    environment = {
        **os.environ,
        PLAN: "relay.after_publish:kill@2",
        FOLDER: str(tmp_path),
        "KODAMA_SECRET": "s" * 32,
    }
    runs = [
        subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
        for _ in range(2)
    ]
    assert [(run.returncode, run.stdout.split()) for run in runs] == [(-9, ["0"]), (0, ["0", "1", "2"])]
