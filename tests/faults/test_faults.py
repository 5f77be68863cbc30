"""The network keeps what it has promised while a little of everything breaks; `make faults-planted` shows that the harness would notice."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.planted import DEFECTS

SMOKE_SECONDS = 2400
"""On quiet cores it takes three minutes."""


def run(folder: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run the harness in a process of its own; return its exit code, its report, and what it said."""
    report = folder / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", *arguments, "--json", str(report), "--folder", str(folder / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SMOKE_SECONDS,
        check=False,
    )
    return done.returncode, json.loads(report.read_text()) if report.exists() else {}, done.stdout


@pytest.mark.timeout(SMOKE_SECONDS + 60)
def test_nothing_is_lost_doubled_missing_or_forbidden_whatever_breaks(tmp_path: Path) -> None:
    code, report, said = run(tmp_path, "--seed", "1", "--minutes", "0")
    assert (code, report.get("faults"), report.get("shortfalls")) == (0, [], []), said


def test_there_are_a_dozen_planted_defects() -> None:
    assert len(DEFECTS) >= 12
    assert all(defect.sql or defect.patch for defect in DEFECTS.values())
