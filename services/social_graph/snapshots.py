"""Snapshots of all friendships, which generations are computed from: arrays in files, which the workers of a machine map."""

import asyncio
import re
import shutil
from array import array
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from services.social_graph.array_folders import (
    FolderDamaged,
    is_abandoned_draft,
    load_arrays,
    map_into,
    save_into,
    writing,
)
from services.social_graph.suggestions import CsrGraph, Model, Prepared, let_go, prepare

MAP_ROWS = 1 << 20
"""So many friends at a time are looked up, which bounds what is in memory."""

Reading = tuple[datetime, AsyncIterator[tuple[int, bytes]]]


class Snapshots:
    """The snapshots in a folder. What was looked at last stays mapped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._graph: tuple[Path, CsrGraph] | None = None
        self._prepared: tuple[Path, Prepared] | None = None

    def graph_folder(self, generation: int, number: int) -> Path:
        """Return where the friendships of a snapshot are."""
        return self._folder / f"{generation}.{number}.graph"

    def prepared_folder(self, generation: int, number: int) -> Path:
        """Return where that is what was prepared from a snapshot."""
        return self._folder / f"{generation}.{number}.prepared"

    def let_go(self) -> None:
        """Let what is mapped out of this process's memory until it is looked at again."""
        if self._graph:
            self._graph[1].let_go()
        if self._prepared:
            let_go(*self._prepared[1].arrays.values())

    def forget(self) -> None:
        """Map what is asked for next anew, and look first whether it is whole."""
        self._graph = self._prepared = None

    def remove_all_but(self, generation: int, number: int) -> None:
        """Remove all snapshots but one, and what processes that are gone have left. Who has them mapped can go on reading them."""
        kept = (self.graph_folder(generation, number), self.prepared_folder(generation, number))
        for path in self._folder.iterdir() if self._folder.exists() else ():
            is_ours = re.fullmatch(r"[0-9]+\.[0-9]+\.(graph|prepared)", path.name) or is_abandoned_draft(path)
            if is_ours and path not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def graph(self, generation: int, number: int) -> CsrGraph:
        """Map the friendships of a snapshot. Raises FolderDamaged where they are not there whole."""
        folder = self.graph_folder(generation, number)
        if self._graph is None or self._graph[0] != folder:
            self._graph = self._prepared = (
                None  # the files of another snapshot, which may be gone, do not stay in memory
            )
            arrays = load_arrays(folder)
            try:
                graph = CsrGraph.of(*(arrays[name] for name in ("account_ids", "indptr", "indices", "degrees")))
            except (KeyError, ValueError) as error:
                raise FolderDamaged(f"{folder.name} is no graph: {error}") from error
            self._graph = (folder, graph)
        return self._graph[1]

    def prepared(self, generation: int, number: int, model: Model) -> Prepared:
        """Map the friendships of a snapshot and what was prepared from them. Raises FolderDamaged."""
        folder = self.prepared_folder(generation, number)
        if self._prepared is None or self._prepared[0] != folder:
            graph = self.graph(generation, number)
            self._prepared = (folder, Prepared(graph, model, load_arrays(folder)))
        return self._prepared[1]


@dataclass(frozen=True)
class Saved:
    """What a snapshot of all friendships has."""

    read_at: datetime
    """As of when."""
    members: int
    friendships: int


async def save_graph(folder: Path, reading: AbstractAsyncContextManager[Reading]) -> Saved:
    """Write friendships as compressed sparse rows (see CsrGraph).

    `reading` lends the moment that they are read as of, and the rows: (account, its friends' ids as eight bytes each in network order),
    both ascending, each friendship with both ends. It is left before anything is computed. Raises FileExistsError where the folder is
    there already, OSError where the disk does not take it, ValueError for what is not symmetric.
    """
    with writing(folder) as draft:
        raw = draft / "friends.raw"
        account_ids, counts = array("q"), array("i")
        with raw.open("wb", buffering=MAP_ROWS) as file:
            async with reading as (read_at, rows):
                async for account_id, friends in rows:
                    account_ids.append(account_id)
                    counts.append(len(friends) // 8)
                    file.write(friends)
        await asyncio.to_thread(_save_graph, draft, account_ids, counts, raw)
        raw.unlink()
    return Saved(read_at, len(account_ids), sum(counts) // 2)


def _save_graph(draft: Path, members: "array[int]", counts: "array[int]", raw: Path) -> None:
    account_ids, degrees = np.array(members, dtype=np.int64), np.array(counts, dtype=np.int32)
    indptr = np.zeros(len(members) + 1, dtype=np.int64)
    np.cumsum(degrees, out=indptr[1:])
    save_into(draft, {"account_ids": account_ids, "indptr": indptr, "degrees": degrees})
    indices = map_into(draft, "indices", int(indptr[-1]))
    with raw.open("rb") as file:
        for start in range(0, len(indices), MAP_ROWS):
            some = np.fromfile(file, dtype=">i8", count=MAP_ROWS).astype(np.int64)
            rows = np.minimum(np.searchsorted(account_ids, some), len(account_ids) - 1)
            if not np.array_equal(account_ids[rows], some):
                raise ValueError("There is a friendship of which one end is missing.")
            indices[start : start + len(some)] = rows
            let_go(indices)


def save_prepared(folder: Path, graph: CsrGraph, model: Model) -> None:
    """Prepare a snapshot's friendships and write that: the large part to where it will stand, without having it in memory.

    Raises FileExistsError where the folder is there already, OSError where the disk does not take it.
    """
    with writing(folder) as draft:
        indices = map_into(draft, "indices", len(graph.indices))
        arrays = prepare(graph, model, indices).arrays
        save_into(draft, {name: values for name, values in arrays.items() if values is not indices})
