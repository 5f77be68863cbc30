"""Everybody's suggestions, from a request to what is read: step by step, twice, late, over damage, and beside a generation that is read."""

import asyncio
from pathlib import Path

import msgspec
import networkx as nx
import pytest

from chassis.database import Pool, connection, transaction
from chassis.settings import Settings
from services.social_graph import generation_store
from services.social_graph.generations import Generations
from services.social_graph.suggestions import CsrGraph, Model, prepare, suggest_rows
from tests.integration.social_graph.conftest import Graph, Sql, Work

NETWORK = nx.relabel_nodes(
    nx.convert_node_labels_to_integers(nx.les_miserables_graph()), lambda node: int(node) + 1, copy=True
)
FEW_WEDGES = 1000


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Several blocks even for a small network."""
    return settings.model_copy(update={"suggestions_block_wedges": FEW_WEDGES})


@pytest.fixture(autouse=True)
def one_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes a second is to choose the model; how it is chosen is tested elsewhere."""
    monkeypatch.setattr("services.social_graph.suggestions.tuning.MAX_TRIALS", 1)


def by_model(network: "nx.Graph[int]", model_json: str) -> dict[int, list[int]]:
    """What the algorithms say without database, files and blocks."""
    graph = CsrGraph.from_networkx(network)
    rows = suggest_rows(prepare(graph, msgspec.json.decode(model_json, type=Model)), 0, len(graph))
    return {
        int(member): rows.suggested[place, : rows.counts[place]].tolist()
        for place, member in enumerate(rows.account_ids)
    }


async def move_in(graph: Graph, sql: Sql, network: "nx.Graph[int]" = NETWORK) -> None:
    await graph.form(network.edges)
    sql.run("DELETE FROM ledger")


async def test_a_generation_goes_from_a_request_to_what_is_read(graph: Graph, work: Work, sql: Sql) -> None:
    await move_in(graph, sql)
    first, second = await asyncio.gather(graph.request_all(), graph.request_all())
    assert sorted([first.is_new, second.is_new]) == [False, True]
    assert first.generation_id == second.generation_id
    generation = first.generation_id
    states = []
    for task in ("suggestions.snapshot", "suggestions.tune"):
        [row] = work.open()
        assert row[1] == task
        await work.do(row)
        states.append((await graph.progress()).latest.state)
    assert states == ["tuning", "computing"]
    blocks = work.open("suggestions.compute")
    assert len(blocks) > 4
    for number, row in enumerate(blocks):
        progress = await graph.progress()
        assert (progress.latest.blocks_done, progress.latest.blocks) == (number, len(blocks))
        assert not progress.HasField("current")
        await work.do(row)
    done = (await graph.progress()).current
    assert (done.id, done.state, done.members) == (generation, "done", len(NETWORK))
    assert done.friendships == NETWORK.number_of_edges()
    stored = sql.stored(generation)
    assert stored == by_model(NETWORK, done.model_json)
    assert done.covered_members == sum(len(suggested) >= 10 for suggested in stored.values())
    assert await graph.exported() == stored
    shown = await graph.suggested(1)
    assert [one.account_id for one in shown][:40] == stored[1][:40]


async def test_every_step_can_be_done_again(graph: Graph, work: Work, sql: Sql) -> None:
    await move_in(graph, sql)
    generation = (await graph.request_all()).generation_id
    done = []
    while rows := work.open():
        for row in rows:
            await work.do(row)
            await work.do(row)
            done.append(row)
    stored = sql.stored(generation)
    for row in done:
        await work.do(row)
    assert sql.stored(generation) == stored == by_model(NETWORK, (await graph.progress()).current.model_json)
    assert work.open() == []


async def test_blocks_at_the_same_time_make_one_whole(graph: Graph, work: Work, sql: Sql) -> None:
    await move_in(graph, sql)
    generation = (await graph.request_all()).generation_id
    await work.drain("suggestions.snapshot", "suggestions.tune")
    rows = work.open("suggestions.compute")
    await asyncio.gather(*(work.do(row) for row in (*rows, *reversed(rows))))
    assert sql.stored(generation) == by_model(NETWORK, (await graph.progress()).current.model_json)


@pytest.mark.parametrize("harm", ["cut", "changed", "gone", "without manifest"])
@pytest.mark.parametrize("part", ["graph", "prepared"])
async def test_a_damaged_snapshot_is_made_anew(
    graph: Graph, work: Work, sql: Sql, settings: Settings, harm: str, part: str
) -> None:
    await move_in(graph, sql)
    generation = (await graph.request_all()).generation_id
    await work.drain("suggestions.snapshot")
    if part == "prepared":
        await work.drain("suggestions.tune")
    folder = Path(settings.suggestions_folder) / f"{generation}.1.{part}"
    victim = max((path for path in folder.glob("*.npy")), key=lambda path: path.stat().st_size)
    if harm == "cut":
        victim.write_bytes(victim.read_bytes()[:-8])
    elif harm == "changed":
        victim.write_bytes(victim.read_bytes()[:-8] + b"\xff" * 8)
    elif harm == "gone":
        victim.unlink()
    else:
        (folder / "manifest.json").unlink()
    [row, *_] = work.open()
    await work.do(row)
    latest = (await graph.progress()).latest
    assert latest.state == "requested"
    assert f"{generation}.1.{part}" in latest.error
    await work.drain()
    done = (await graph.progress()).current
    assert (done.id, done.error) == (generation, "")
    assert sql.stored(generation) == by_model(NETWORK, done.model_json)
    assert folders(settings) == [f"{generation}.2.graph", f"{generation}.2.prepared"]


async def test_the_old_generation_is_read_until_the_new_one_is_whole(graph: Graph, work: Work, sql: Sql) -> None:
    await move_in(graph, sql)
    old = (await graph.request_all()).generation_id
    await work.drain()
    before = await graph.exported()
    lonely = [member for member in NETWORK if NETWORK.degree(member) == 1]
    await graph.form([(lonely[0], lonely[1])])
    sql.run("DELETE FROM ledger")
    new = (await graph.request_all()).generation_id
    await work.drain("suggestions.snapshot", "suggestions.tune")
    rows = work.open("suggestions.compute")
    await graph.form([(lonely[2], lonely[3])])  # the graph changes under the run
    for row in rows[:-1]:
        await work.do(row)
        assert await graph.exported() == before
    await work.do(rows[-1])
    grown = nx.Graph(NETWORK)
    grown.add_edge(lonely[0], lonely[1])
    current = (await graph.progress()).current
    assert (current.id, sql.stored(new)) == (new, by_model(grown, current.model_json))
    assert current.friendships == grown.number_of_edges()
    assert await graph.exported() == sql.stored(new)
    assert sql.stored(old) == before


async def test_a_cancelled_generation_leaves_the_old_one(graph: Graph, work: Work, sql: Sql, pool: Pool) -> None:
    await move_in(graph, sql)
    assert await graph.cancel_all() == 0
    old = (await graph.request_all()).generation_id
    await work.drain()
    new = (await graph.request_all()).generation_id
    await work.drain("suggestions.snapshot", "suggestions.tune")
    [first, *others] = work.open("suggestions.compute")
    await work.do(first)
    assert await graph.cancel_all() == new
    for row in others:
        await work.do(row)
    progress = await graph.progress()
    assert (progress.current.id, progress.latest.id, progress.latest.state) == (old, new, "cancelled")
    assert await graph.exported() == sql.stored(old)
    assert tables(sql) == {f"suggestions_{old}", f"suggestions_{new}"}
    await clear(pool)
    assert tables(sql) == {f"suggestions_{old}"}
    assert (await graph.request_all()).is_new


async def test_what_has_been_replaced_is_dropped(graph: Graph, work: Work, sql: Sql, pool: Pool) -> None:
    await move_in(graph, sql)
    for _ in range(2):
        await graph.request_all()
        await work.drain()
        await work.computing.refreshing.refresh([1, 2])
    assert (await graph.progress()).refreshed_members == 2
    new = (await graph.request_all()).generation_id
    await work.drain()
    assert (await graph.progress()).refreshed_members == 0
    assert sql.rows("SELECT count(*) FROM refreshed_suggestions") == [(2,)]
    await clear(pool)
    assert tables(sql) == {f"suggestions_{new}"}
    assert sql.rows("SELECT count(*) FROM refreshed_suggestions") == [(0,)]
    assert await graph.exported() == sql.stored(new)


def folders(settings: Settings) -> list[str]:
    return sorted(path.name for path in Path(settings.suggestions_folder).iterdir())


def tables(sql: Sql) -> set[str]:
    found = sql.rows("SELECT relname FROM pg_class WHERE relname ~ '^suggestions_[0-9]+$' AND relkind = 'r'")
    return {name for (name,) in found}


async def clear(pool: Pool) -> None:
    generations = Generations(pool, None, hours=0)  # type: ignore[arg-type]  # nothing is rung
    async with connection(pool) as conn:
        while await generations.clear_step(conn):
            pass


async def test_a_generation_that_nobody_works_on_has_failed(graph: Graph, work: Work, sql: Sql, pool: Pool) -> None:
    await move_in(graph, sql)
    await graph.request_all()
    async with connection(pool) as conn:
        assert await generation_store.fail_abandoned(conn) == 0
        sql.run("UPDATE ledger SET dead_at = now()")
        assert await generation_store.fail_abandoned(conn) == 1
    latest = (await graph.progress()).latest
    assert latest.state == "failed"
    assert "kodama ops dead" in latest.error
    await work.drain()
    assert not (await graph.progress()).HasField("current")
    assert (await graph.request_all()).is_new


async def test_what_goes_wrong_is_noted_and_tried_again(
    graph: Graph, work: Work, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    await move_in(graph, sql)
    await graph.request_all()
    [row] = work.open()
    with monkeypatch.context() as patched:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        patched.setattr("services.social_graph.snapshots._save_graph", full)
        with pytest.raises(OSError, match="No space left"):
            await work.do(row)
    latest = (await graph.progress()).latest
    assert latest.state == "snapshotting"
    assert latest.error == "OSError: [Errno 28] No space left on device"
    await work.drain()
    assert (await graph.progress()).current.error == ""


async def test_a_generation_is_requested_when_the_last_is_old(graph: Graph, work: Work, sql: Sql, pool: Pool) -> None:
    async with connection(pool) as conn:
        assert not await generation_store.is_due(conn, 24), "there are no friends"
        await move_in(graph, sql)
        assert await generation_store.is_due(conn, 24)
        await graph.request_all()
        assert not await generation_store.is_due(conn, 24)
        await work.drain()
        assert not await generation_store.is_due(conn, 24)
        sql.run("UPDATE generations SET requested_at = now() - interval '25 hours'")
        assert await generation_store.is_due(conn, 24)
        await asyncio.gather(graph.request_all(), graph.request_all())
        assert len(work.open("suggestions.snapshot")) == 1
        sql.run("UPDATE generations SET state = 'failed', requested_at = now() - interval '61 minutes'")
        assert await generation_store.is_due(conn, 24)


async def test_nothing_to_compute(graph: Graph, work: Work, sql: Sql) -> None:
    generation = (await graph.request_all()).generation_id
    await work.drain()
    current = (await graph.progress()).current
    assert (current.id, current.state, current.blocks) == (generation, "done", 0)
    assert sql.stored(generation) == {}
    assert await graph.suggested(5) == []


async def test_who_may_not_change_tables_makes_no_table(graph: Graph, pool: Pool) -> None:
    """The functions that change tables do so for generations in the right state only."""
    await graph.request_all()
    for statement in ("SELECT make_generation_table(1)", "SELECT attach_generation_table(1)"):
        with pytest.raises(Exception, match=r"not being tuned|does not exist"):
            async with transaction(pool) as conn:
                await conn.execute(statement)
