"""`kodama suggest`, against services that run."""

import asyncio
import gzip
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psycopg
import pytest
from pyarrow import parquet
from typer.testing import CliRunner, Result

from chassis.settings import Settings
from services.cli.__main__ import app
from services.social_graph.tasks import HANDLERS
from services.social_graph.worker import open_context
from tests.conftest import Running
from tests.integration.chassis.test_process import environment_of

Kodama = Callable[..., Awaitable[Result]]
EDGES = "a b\nb c\nb d\nc e\nd e\n"


@pytest.fixture
async def kodama(settings: Settings, running: Running, tmp_path: Path) -> AsyncIterator[Kodama]:
    """Runs the command on a network that a few members have moved into."""
    runner = CliRunner(env=environment_of(settings))

    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(runner.invoke, app, arguments)

    edges = tmp_path / "edges.txt"
    edges.write_text(EDGES)
    async with running("account", "social_graph"):
        imported = await run("import", "friendships", str(edges), "--prefix", "m_")
        assert imported.exit_code == 0, imported.output
        yield run


async def work_off(settings: Settings) -> None:
    """Do what the workers of suggestions would."""
    with psycopg.connect(settings.service_database_url("social_graph"), autocommit=True) as conn:
        async with open_context(settings) as computing:
            while rows := conn.execute(
                "SELECT id, task, payload FROM ledger WHERE task LIKE 'suggestions.%'"
            ).fetchall():
                for row_id, task, payload in rows:
                    await HANDLERS[task](computing, [payload])
                    conn.execute("DELETE FROM ledger WHERE id = %s", (row_id,))


async def test_from_a_request_to_files(
    kodama: Kodama, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.social_graph.suggestions.tuning.MAX_TRIALS", 1)
    assert (
        "Nothing has been computed for all yet; 5 members have friends." in (await kodama("suggest", "--status")).output
    )
    assert (await kodama("suggest", "--all", "--no-wait")).output == "Generation 1 is requested.\n"
    assert (await kodama("suggest", "--all", "--no-wait")).output == "Generation 1 is at work already.\n"
    following: asyncio.Future[Result] = asyncio.ensure_future(kodama("suggest", "--all"))
    await work_off(settings)
    followed = await following
    assert followed.exit_code == 0
    assert "Coverage: 0 of 5 members" in followed.output
    status = (await kodama("suggest", "--status")).output
    assert "Generation 1: 5 members and 5 friendships" in status
    assert "Drift: not measured yet" in status
    shown = (await kodama("suggest", "m_a")).output.splitlines()
    assert shown[0] == " 1. m_c: friends of friends, 1 mutual friends (m_b), score 0.3333"
    assert [line.split()[1] for line in shown] == ["m_c:", "m_d:", "m_e:"]
    assert "no member 'nobody'" in (await kodama("suggest", "nobody")).output

    names = ("s.jsonl", "s.jsonl.gz", "s.parquet")
    for name in names:
        assert "5 members in" in (await kodama("suggest", "--export", str(tmp_path / name))).output
    lines, compressed, table = (tmp_path / name for name in names)
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [len(row["suggested_ids"]) for row in rows] == [3, 1, 2, 2, 2]
    assert all(row["account_id"] not in row["suggested_ids"] for row in rows)
    assert {source for row in rows for source in row["sources"]} <= {
        "friends of friends",
        "nearby",
        "community",
        "popular",
    }
    assert gzip.decompress(compressed.read_bytes()) == lines.read_bytes()
    assert [
        {**row, "scores": [round(score, 6) for score in row["scores"]]} for row in parquet.read_table(table).to_pylist()
    ] == [{**row, "scores": pytest.approx(row["scores"], rel=1e-5)} for row in rows]
    for refused in (lines, tmp_path / "s.csv"):
        assert (await kodama("suggest", "--export", str(refused))).exit_code == 1
    assert not (tmp_path / "s.csv").exists()


async def test_one_thing_at_a_time_is_asked_for(kodama: Kodama) -> None:
    for arguments in ((), ("--all", "--cancel"), ("--status", "m_a")):
        refused = await kodama("suggest", *arguments)
        assert refused.exit_code == 1
        assert "say one of --all" in refused.output
    assert (await kodama("suggest", "--cancel")).output == "Nothing is at work.\n"
    await kodama("suggest", "--all", "--no-wait")
    assert (await kodama("suggest", "--cancel")).output == "Generation 1 is cancelled.\n"
    assert "is cancelled" in (await kodama("suggest", "--status")).output


async def test_ctrl_c_leaves_it_running_and_says_so(kodama: Kodama, settings: Settings) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", "suggest", "--all"),
        env=environment_of(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"Generation 1 is requested.\n"
    await process.stdout.readline()  # it follows
    process.send_signal(signal.SIGINT)
    said, _ = await process.communicate()
    assert process.returncode == 130
    assert b"It goes on without being watched; kodama suggest --status shows how far it is.\n" in said
    assert "Generation 1, requested at" in (await kodama("suggest", "--status")).output


async def test_ctrl_c_ends_it_wherever_it_is(kodama: Kodama, settings: Settings) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.cli.interrupted", "1999", "suggest", "--all"),
        env=environment_of(settings),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    runs = [json.loads(line) for line in output.splitlines()]
    assert process.returncode == 0
    assert len(runs) > 5
    assert [(where, said) for _, where, code, said in runs if code != 130] == []
    _, _, _, watched = runs[0]  # until it does nothing new any more
    assert watched.splitlines()[-1] == "It goes on without being watched; kodama suggest --status shows how far it is."
