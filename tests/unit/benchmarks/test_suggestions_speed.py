"""The parts of the speed benchmark: made networks, graphs in files, sizes."""

from pathlib import Path

import numpy as np
import pytest
import typer

from benchmarks.suggestion_networks import make_network
from benchmarks.suggestion_workers import load, peak_mb, save
from benchmarks.suggestions_plot import draw
from benchmarks.suggestions_speed import measure, read_size, wedges_of
from services.social_graph.suggestions import Model, prepare, suggest_rows


def test_a_network_is_as_large_and_as_uneven_as_it_should_be() -> None:
    graph = make_network(5_000, 20)
    assert len(graph) == pytest.approx(5_000, rel=0.02)
    assert graph.degrees.mean() == pytest.approx(20, rel=0.15)
    assert graph.degrees.max() > 5 * graph.degrees.mean()
    assert make_network(5_000, 20).indices.tolist() == graph.indices.tolist()
    u = int(graph.degrees.argmax())
    friends = graph.indices[graph.indptr[u] : graph.indptr[u + 1]]
    assert wedges_of(graph)[u] == graph.degrees[friends].sum()


def test_the_three_find_the_same_and_are_drawn(tmp_path: Path) -> None:
    _, point = measure(1_000, 10)
    assert min(point.kernel_per_second, point.sparse_per_second, point.loop_per_second) > 0
    draw([point], tmp_path / "plot.svg")
    assert "members per second" in (tmp_path / "plot.svg").read_text()


def test_a_graph_in_files_gives_what_the_one_in_memory_does(tmp_path: Path) -> None:
    prepared = prepare(make_network(1_000, 10), Model(0.5, 0.2))
    save(prepared, tmp_path)
    mapped = load(tmp_path, Model(0.5, 0.2))
    for one, other in zip(suggest_rows(prepared, 0, 300), suggest_rows(mapped, 0, 300), strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other))
    assert peak_mb() > 10


def test_sizes_are_read() -> None:
    assert read_size("10000/22") == (10_000, 22)
    for text in ("10000", "10/22", "10000/x", "2000000/22", "10000/900"):
        with pytest.raises(typer.BadParameter):
            read_size(text)
