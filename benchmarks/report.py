"""How figures are shown: a table for people, JSON for machines, and the machine that they are from."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import kombu
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Latency
from benchmarks.network import Bench
from benchmarks.usage import Usage

WIDTH = 150
console = Console(highlight=False, soft_wrap=True)
if not console.is_terminal:
    console.width = WIDTH  # a table in a log is better long than folded


def machine_facts(bench: Bench) -> dict[str, Any]:
    """Return what figures depend on."""
    with kombu.Connection(bench.trial.settings.require_broker_url()) as broker:
        broker.connect()
        broker_version = str(broker.connection.server_properties.get("version", "unknown"))
    return {
        **host_facts(),
        "postgresql": bench.query("SHOW server_version")[0][0],
        "rabbitmq": broker_version,
    }


def host_facts() -> dict[str, Any]:
    """Return what figures of this machine depend on, whatever runs on it."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gib": round(psutil.virtual_memory().total / 1024**3, 1),
        "load_average_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "kernel": platform.release(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def show_machine(facts: Mapping[str, Any]) -> None:
    """Print the machine."""
    console.print("  ".join(f"{name.replace('_', ' ')}: {value}" for name, value in facts.items()), markup=False)


def show_figures(title: str, figures: Sequence[Figure]) -> None:
    """Print figures beside their baselines."""
    table = Table(
        "figure", "per second", "p50 / p99 ms", "baseline", "per second", "p50 / p99 ms", "ratio", title=title
    )
    for figure in figures:
        table.add_row(
            f"{figure.name} ({figure.unit})",
            f"{figure.per_second:,.0f}",
            _latency(figure.latency),
            figure.baseline,
            f"{figure.baseline_per_second:,.0f}",
            _latency(figure.baseline_latency),
            f"{figure.ratio:.3f}",
        )
    console.print(table)


def _latency(latency: Latency | None) -> str:
    return "–" if latency is None else f"{latency.p50_ms:,.1f} / {latency.p99_ms:,.1f}"


def show_usage(phases: Mapping[str, Mapping[str, Usage]]) -> None:
    """Print what the parts used, a column of CPU seconds per phase, and their memory at the end of the last."""
    last = list(phases.values())[-1]
    table = Table(
        "part", "processes", *(f"CPU s, {name}" for name in phases), "memory MiB", title="What the parts used"
    )
    for part, usage in sorted(last.items()):
        seconds = [f"{parts[part].cpu_seconds:.1f}" if part in parts else "–" for parts in phases.values()]
        table.add_row(part, str(usage.processes), *seconds, f"{usage.memory_mib:,.0f}")
    console.print(table)


def as_json(figure: Figure) -> dict[str, Any]:
    """Return a figure as JSON has it."""
    return {**asdict(figure), "ratio": figure.ratio}


def write_json(path: Path | None, value: Mapping[str, Any]) -> None:
    """Write what was measured, where that is wanted."""
    if path is not None:
        path.write_text(json.dumps(value, indent=1, ensure_ascii=False, default=asdict) + "\n")
