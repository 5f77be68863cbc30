"""Use case of the workers: compute a generation, in steps that each can be done twice, late, or again after a kill.

    take_snapshot   all friendships into files, as of one moment
    tune            choose the model, prepare what all blocks share, cut the blocks
    compute         one block's rows into the generation's table; whoever finishes the last block lets the generation be read

What a step finds decides whether it does anything: a generation that has ended, a snapshot that has been replaced or a block that is
computed is left alone. A snapshot that is gone or damaged makes the generation begin anew.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import numpy as np
import structlog

from chassis import ledger
from chassis.database import Connection, Pool, connection, transaction
from services.social_graph import generation_store as store
from services.social_graph.array_folders import FolderDamaged
from services.social_graph.generation_store import Block
from services.social_graph.rows import to_copy
from services.social_graph.snapshots import Reading, Snapshots, save_graph, save_prepared
from services.social_graph.suggestions import (
    Model,
    Prepared,
    Rows,
    cut_blocks,
    give_back,
    suggest_rows,
    tune,
    warm_up,
)

log = structlog.get_logger(__name__)

SEED = 1
"""One for all generations: the same friendships give the same suggestions."""
MAX_SNAPSHOTS = 10
"""A generation whose snapshots get lost time and again is given up."""
SLICE_ROWS = 2048
"""So many members at a time are computed and written: about 5 MB of results."""
ENOUGH_SUGGESTIONS = 10
MAX_POPULAR = 200


class Batch:
    """Computes generations from snapshots in one folder, which all workers of the queue see."""

    def __init__(self, pool: Pool, folder: Path, block_wedges: int) -> None:
        self._pool = pool
        self._snapshots = Snapshots(folder)
        self._block_wedges = block_wedges

    async def take_snapshot(self, generation: int) -> None:
        """Read all friendships into files."""
        async with self._noting_errors(generation), transaction(self._pool) as conn:
            number = await store.begin_snapshot(conn, generation)
        if not number:
            return
        if number > MAX_SNAPSHOTS:
            async with connection(self._pool) as conn:
                await store.fail(conn, generation, f"Its snapshot was lost {MAX_SNAPSHOTS} times.")
            return
        async with self._noting_errors(generation):
            await self._remove_old()
            saved = await save_graph(self._snapshots.graph_folder(generation, number), self._reading_friendships())
            async with transaction(self._pool) as conn:
                if await store.finish_snapshot(
                    conn, generation, number, saved.read_at, saved.members, saved.friendships
                ):
                    payload = {"generation": generation, "snapshot": number}
                    await ledger.append(conn, "suggestions.snapshotted", [payload])
        log.info(
            "snapshot taken",
            generation=generation,
            number=number,
            members=saved.members,
            friendships=saved.friendships,
        )

    @asynccontextmanager
    async def _reading_friendships(self) -> AsyncIterator[Reading]:
        async with transaction(self._pool) as conn, store.reading_friendships(conn) as reading:
            yield reading

    async def tune(self, generation: int, number: int) -> None:
        """Choose the model and cut the blocks."""
        async with connection(self._pool) as conn:
            if not await store.is_tuning(conn, generation, number):
                return
            current = await store.find_current(conn)
        previous = msgspec.json.decode(current.model_json, type=Model) if current and current.model_json else None
        async with self._noting_errors(generation), self._restarting(generation, number):
            graph = await asyncio.to_thread(self._snapshots.graph, generation, number)
            await asyncio.to_thread(warm_up)  # before there is much else in memory
            tuning = await asyncio.to_thread(tune, graph, seed=SEED, previous=previous)
            give_back()
            with suppress(FileExistsError):  # another try has done it before
                folder = self._snapshots.prepared_folder(generation, number)
                await asyncio.to_thread(save_prepared, folder, graph, tuning.model)
            give_back()
            prepared = await asyncio.to_thread(self._snapshots.prepared, generation, number, tuning.model)
            ranges = await asyncio.to_thread(cut_blocks, prepared, self._block_wedges)
            most = np.argsort(-graph.degrees, kind="stable")[:MAX_POPULAR]
            popular_ids = graph.account_ids[most].tolist()
            blocks = [Block(place, start, stop) for place, (start, stop) in enumerate(ranges)]
            self._snapshots.forget()  # what is computed later is from files that are whole then
            async with transaction(self._pool) as conn:
                if await store.begin_computing(
                    conn,
                    generation,
                    number,
                    model_json=msgspec.json.encode(tuning.model),
                    tuning_json=msgspec.json.encode(tuning),
                    popular_ids=popular_ids,
                    blocks=blocks,
                ):
                    payload = {"generation": generation, "snapshot": number}
                    await ledger.append(
                        conn, "suggestions.tuned", [payload | {"block": block.number} for block in blocks]
                    )
            if not blocks:
                await self._swap(generation)

    async def compute(self, generation: int, number: int, block: int) -> None:
        """Compute a block, and let the generation be read where it was the last one."""
        async with self._noting_errors(generation), self._restarting(generation, number):
            async with connection(self._pool) as conn:
                model_json = await store.find_computing(conn, generation, number)
            if model_json is None:
                return
            model = msgspec.json.decode(model_json, type=Model)
            prepared = await asyncio.to_thread(self._snapshots.prepared, generation, number, model)
            async with transaction(self._pool) as conn:
                taken = await store.lock_block(conn, generation, block)
                # Again, now that the block is ours: the generation may have begun anew meanwhile, with blocks of the same numbers.
                if taken is not None and await store.find_computing(conn, generation, number):
                    covered = await self._write_rows(conn, generation, prepared, taken)
                    await store.finish_block(conn, generation, block, covered)
            await self._swap(generation)

    async def _write_rows(self, conn: Connection, generation: int, prepared: Prepared, block: Block) -> int:
        """Compute a block slice by slice, each while the one before is written; return how many members have enough suggestions."""
        covered = 0
        await asyncio.to_thread(_load_code, prepared)
        async with store.writing_rows(conn, generation) as copy:
            for start in range(block.start_row, block.stop_row, SLICE_ROWS):
                rows, wire = await asyncio.to_thread(
                    _compute_slice, generation, prepared, start, min(start + SLICE_ROWS, block.stop_row)
                )
                covered += int((rows.counts >= ENOUGH_SUGGESTIONS).sum())
                await copy.write(wire)
        self._snapshots.let_go()
        return covered

    async def _swap(self, generation: int) -> None:
        async with transaction(self._pool) as conn:
            if not await store.swap(conn, generation):
                return
        log.info("suggestions of everybody are new", generation=generation)

    async def _remove_old(self) -> None:
        """Remove all snapshots but that of the generation that is read."""
        async with connection(self._pool) as conn:
            current = await store.find_current(conn)
        kept = (current.id, current.snapshot_number) if current else (0, 0)
        await asyncio.to_thread(self._snapshots.remove_all_but, *kept)

    @asynccontextmanager
    async def _restarting(self, generation: int, number: int) -> AsyncIterator[None]:
        """Let the generation begin anew where its snapshot turns out to be gone or damaged."""
        try:
            yield
        except FolderDamaged as damage:
            log.warning("the snapshot is damaged; the generation begins anew", generation=generation, error=str(damage))
            async with transaction(self._pool) as conn:
                if await store.restart(conn, generation, number, f"A new snapshot was needed: {damage}"):
                    await ledger.append(conn, "suggestions.requested", [{"generation": generation}])

    @asynccontextmanager
    async def _noting_errors(self, generation: int) -> AsyncIterator[None]:
        """Keep what goes wrong where the operator looks for it. The ledger has the step tried again, and in the end gives it up."""
        try:
            yield
        except Exception as error:
            async with connection(self._pool) as conn:
                await store.note_error(conn, generation, f"{type(error).__name__}: {error}")
            raise


def _load_code(prepared: Prepared) -> None:
    """Load the compiled code, before the snapshot is in memory, and let go of what has loaded it."""
    suggest_rows(prepared, 0, 1, samples=0)
    give_back()


def _compute_slice(generation: int, prepared: Prepared, start: int, stop: int) -> tuple[Rows, bytes]:
    rows = suggest_rows(prepared, start, stop, samples=0)
    wire = to_copy(generation, rows.account_ids, rows.counts, rows.suggested, rows.scores, rows.sources)
    return rows, wire
