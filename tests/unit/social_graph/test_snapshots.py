"""Friendships in files, and what is prepared from them, without ever having all of them in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from services.social_graph import snapshots
from services.social_graph.array_folders import FolderDamaged, save_into, writing
from services.social_graph.snapshots import Reading, Snapshots, save_graph, save_prepared
from services.social_graph.suggestions import CsrGraph, Model, layout, let_go, prepare

NETWORK = CsrGraph.from_networkx(nx.powerlaw_cluster_graph(300, 4, 0.5, seed=1))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def reading(graph: CsrGraph) -> AsyncIterator[Reading]:
    async def rows() -> AsyncIterator[tuple[int, bytes]]:
        for row, account_id in enumerate(graph.account_ids.tolist()):
            friends = graph.indices[graph.indptr[row] : graph.indptr[row + 1]]
            yield account_id, graph.account_ids[friends].astype(">i8").tobytes()

    yield NOW, rows()


@pytest.mark.parametrize("graph", [NETWORK, CsrGraph.from_edges([], [])], ids=["friends", "nobody"])
async def test_what_is_mapped_is_what_was_read_and_what_is_prepared_in_memory(
    tmp_path: Path, graph: CsrGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "MAP_ROWS", 100)
    monkeypatch.setattr(layout, "STEP_ROWS", 7)
    kept = Snapshots(tmp_path)
    saved = await save_graph(kept.graph_folder(1, 1), reading(graph))
    assert (saved.read_at, saved.members, saved.friendships) == (NOW, len(graph), graph.edge_count)
    mapped = kept.graph(1, 1)
    for name in ("account_ids", "indptr", "indices", "degrees"):
        assert np.array_equal(getattr(mapped, name), getattr(graph, name)), name
        assert getattr(mapped, name).dtype == getattr(graph, name).dtype
    model = Model(0.5, 0.1)
    save_prepared(kept.prepared_folder(1, 1), mapped, model)
    there, here = kept.prepared(1, 1, model).arrays, prepare(graph, model).arrays
    assert sorted(there) == sorted(here)
    for name, array in here.items():
        assert there[name].dtype == array.dtype, name
        assert np.array_equal(there[name], array), name


async def test_a_friendship_of_which_one_end_is_missing_is_refused(tmp_path: Path) -> None:
    @asynccontextmanager
    async def strangers() -> AsyncIterator[Reading]:
        async def rows() -> AsyncIterator[tuple[int, bytes]]:
            yield 1, np.array([3], dtype=">i8").tobytes()

        yield NOW, rows()

    with pytest.raises(ValueError, match="one end is missing"):
        await save_graph(tmp_path / "1.1.graph", strangers())
    assert _names(tmp_path) == []


async def test_a_snapshot_of_an_older_version_is_taken_anew(tmp_path: Path) -> None:
    kept = Snapshots(tmp_path)
    with writing(kept.graph_folder(1, 1)) as draft:
        save_into(draft, {name: getattr(NETWORK, name) for name in ("account_ids", "indptr", "indices")})
    with pytest.raises(FolderDamaged, match="degrees"):
        kept.graph(1, 1)


def test_what_was_let_go_is_there_again_and_what_was_written_is_kept(tmp_path: Path) -> None:
    written = np.lib.format.open_memmap(tmp_path / "a.npy", mode="w+", dtype=np.int32, shape=(100_000,))
    written[:] = np.arange(len(written))
    plain = np.arange(5)
    let_go(written[10:].view(np.ndarray), plain)
    assert np.array_equal(written, np.arange(100_000))
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.arange(100_000))
    assert plain.tolist() == [0, 1, 2, 3, 4]
    assert _resident(tmp_path / "a.npy") >= 390
    let_go(written)
    assert _resident(tmp_path / "a.npy") == 0


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _resident(path: Path) -> int:
    """How many KB of a mapped file this process has in memory."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    for line in lines:
        if line.endswith(str(path)):
            return next(int(each.split()[1]) for each in lines if each.startswith("Rss:"))
    raise AssertionError("not mapped")
