"""The plot of benchmarks.growth."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from benchmarks.growth import Point

SIZE_INCHES = (10, 7.5)
LINES: tuple[tuple[str, tuple[tuple[str, Callable[["Point"], float]], ...]], ...] = (
    (
        "rows per second",
        (
            ("deliveries", lambda point: point.deliveries_per_second),
            ("COPY alone", lambda point: point.copy_per_second),
        ),
    ),
    (
        "bytes per delivery",
        (
            ("table", lambda point: point.table_bytes),
            ("index", lambda point: point.index_bytes),
            ("WAL", lambda point: point.wal_bytes),
        ),
    ),
    (
        "home read, ms",
        (("p50", lambda point: point.read.p50_ms), ("p99", lambda point: point.read.p99_ms)),
    ),
)


def draw(points: Sequence["Point"], path: Path) -> None:
    """Write the plot: a row for the growth of members, one for that of friends; the format is that of the path's ending."""
    mpl.rcParams["svg.hashsalt"] = "kodama"  # the same figures make the same file
    mpl.rcParams["svg.fonttype"] = "none"  # text stays text
    most = max(point.members for point in points)
    usual_friends = next(point.friends for point in points if point.members == most)
    by_members = [point for point in points if point.friends == usual_friends]
    usual_members = max({point.members for point in points}, key=lambda members: _count(points, members))
    by_friends = [point for point in points if point.members == usual_members]
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes: Any = figure.subplots(2, len(LINES))
    for column, (label, lines) in enumerate(LINES):
        _draw_one(axes[0][column], by_members, [point.members for point in by_members], label, lines)
        axes[0][column].set_xlabel(f"members, {usual_friends} friends each")
        _draw_one(axes[1][column], by_friends, [point.friends for point in by_friends], label, lines)
        axes[1][column].set_xlabel(f"friends, {usual_members:,} members")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _count(points: Sequence["Point"], members: int) -> int:
    return sum(point.members == members for point in points)


def _draw_one(
    axis: Any,
    points: Sequence["Point"],
    at: Sequence[int],
    label: str,
    lines: Sequence[tuple[str, Callable[["Point"], float]]],
) -> None:
    for name, value in lines:
        axis.plot(at, [value(point) for point in points], marker="o", label=name)
    axis.set_xscale("log")
    axis.set_ylim(bottom=0)
    axis.set_ylabel(label)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
