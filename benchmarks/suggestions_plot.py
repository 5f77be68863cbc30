"""The plot of benchmarks.suggestions_speed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from benchmarks.suggestions_speed import Point

SIZE_INCHES = (10, 4)


def draw(points: Sequence["Point"], path: Path) -> None:
    """Write the plot: members per second as networks grow, and what a wedge costs; the format is that of the path's ending."""
    mpl.rcParams["svg.hashsalt"] = "kodama"  # the same figures make the same file
    mpl.rcParams["svg.fonttype"] = "none"  # text stays text
    friends = min(point.friends for point in points)
    shown = sorted((point for point in points if point.friends == friends), key=lambda point: point.members)
    at = [point.members for point in shown]
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes: Any = figure.subplots(1, 2)
    for name, values in (
        ("kernel, 2 threads", [point.kernel_per_second for point in shown]),
        ("sparse_dot_topn, 2 threads", [point.sparse_per_second for point in shown]),
        ("networkx loop", [point.loop_per_second for point in shown]),
    ):
        axes[0].plot(at, values, marker="o", label=name)
    axes[0].set_yscale("log")
    axes[0].set_ylabel("members per second")
    axes[1].plot(at, [point.nanoseconds_per_wedge for point in shown], marker="o", label="kernel, a core")
    axes[1].set_ylim(bottom=0)
    axes[1].set_ylabel("nanoseconds per wedge")
    for axis in axes:
        axis.set_xscale("log")
        axis.set_xlabel(f"members, {friends} friends each")
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
