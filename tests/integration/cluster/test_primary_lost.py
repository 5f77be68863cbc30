"""A PostgreSQL primary is lost under posts, its stand-by takes over, and what runs goes on with it: nothing acknowledged is lost."""

import asyncio
import dataclasses
import itertools
import secrets
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from chassis.errors import KodamaError
from chassis.migrate import migrate
from deploy.local import processes
from deploy.local.command import call
from deploy.local.ports import free_port
from deploy.local.postgres import Postgres, data_folder, prepare, serving, temporary_home
from tests.conftest import run_services, settings_for
from tests.integration.chassis.conftest import eventually
from tests.integration.chassis.test_relay_process import relaying
from tests.integration.status.conftest import Wall
from tests.world import open_world

SECONDS = 120.0


class Pair:
    """A primary, and a stand-by that has what the primary acknowledges."""

    def __init__(self, primary: Postgres, standby: Postgres) -> None:
        self.primary, self.standby = primary, standby

    @property
    def url(self) -> str:
        """As an operator writes it: one login and both hosts."""
        parts = urlsplit(self.primary.url)
        return parts._replace(netloc=f"{parts.netloc},127.0.0.1:{self.standby.port}").geturl()

    def lose_primary(self) -> None:
        """End it as a power cut would."""
        left = processes.in_folder("postgres", self.primary.data)
        assert left
        processes.end(left, signal.SIGKILL, 30)

    def promote(self) -> None:
        with psycopg.connect(self.standby.url, autocommit=True) as admin:
            admin.execute("SELECT pg_promote()")


def _copy(primary: Postgres, standby: Postgres) -> None:
    """Make a stand-by's data from its primary's, with where to stream from."""
    source = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", str(urlsplit(primary.url).username)]
    done = call(
        [str(primary.bin / "pg_basebackup"), *source, "-D", str(standby.data), "-R", "-c", "fast"],
        seconds=300,
        user=primary.user,
        env={"PGPASSWORD": primary.password},
    )
    assert done.returncode == 0, done.stderr


def _is_synchronous(url: str) -> bool:
    with psycopg.connect(url) as admin:
        return admin.execute("SELECT FROM pg_stat_replication WHERE sync_state = 'sync'").rowcount == 1


@contextmanager
def open_pair(folder: Path) -> Iterator[Pair]:
    """Make both servers, with the schemas of all services, and lend them running."""
    with ExitStack() as stack:
        homes = [stack.enter_context(temporary_home(folder / name)) for name in ("primary", "standby")]
        primary = prepare(homes[0], port=free_port(), password=secrets.token_hex(16))
        stack.enter_context(serving(primary, folder / "primary.log"))
        migrate(settings_for(primary.url))
        standby = dataclasses.replace(primary, data=data_folder(homes[1].path), port=free_port())
        _copy(primary, standby)
        stack.enter_context(serving(standby, folder / "standby.log"))
        with psycopg.connect(primary.url, autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            admin.execute("SELECT pg_reload_conf()")
        yield Pair(primary, standby)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with open_pair(tmp_path) as opened:
        yield opened


class Author:
    """Posts one status after the other, each under its key until it is acknowledged."""

    def __init__(self, wall: Wall, account_id: int) -> None:
        self.acknowledged: list[int] = []
        self._wall, self._account_id = wall, account_id

    async def write(self, stop: asyncio.Event) -> None:
        for number in itertools.count():
            posted = 0
            while not posted:
                if stop.is_set():
                    return
                try:
                    posted = (await self._wall.post(self._account_id, f"post {number}", key=f"key {number}")).id
                except KodamaError:
                    await asyncio.sleep(0.05)
            self.acknowledged.append(posted)

    async def goes_on(self, more: int = 20) -> None:
        """Wait until so many more are acknowledged."""
        enough = len(self.acknowledged) + more

        async def has_written() -> bool:
            return len(self.acknowledged) >= enough

        await eventually(has_written, SECONDS)


async def test_on_it_goes_with_the_stand_by(pair: Pair, broker_url: str) -> None:
    async def is_synchronous() -> bool:
        return await asyncio.to_thread(_is_synchronous, pair.primary.url)

    await eventually(is_synchronous, SECONDS)
    settings = settings_for(pair.url).model_copy(update={"broker_url": broker_url})
    stop = asyncio.Event()
    async with run_services(settings, "account", "social_graph", "status"), open_world(settings) as world:
        (ann,) = await world.members(1)
        author = Author(Wall(world), ann)
        async with relaying(settings), asyncio.TaskGroup() as group:
            group.create_task(author.write(stop))
            await author.goes_on()
            await asyncio.to_thread(pair.lose_primary)
            before = len(author.acknowledged)
            await asyncio.sleep(1)  # the services notice: a stand-by that only reads is all that there is
            assert len(author.acknowledged) <= before + 1
            await asyncio.to_thread(pair.promote)
            await author.goes_on()
            stop.set()
            with psycopg.connect(pair.standby.url, autocommit=True) as truth:

                async def is_published() -> bool:
                    return truth.execute("SELECT FROM status.ledger WHERE published_at IS NULL").rowcount == 0

                await eventually(is_published, SECONDS)
                kept = [row[0] for row in truth.execute("SELECT id FROM status.statuses ORDER BY id")]
                texts = truth.execute("SELECT count(*), count(DISTINCT text) FROM status.statuses").fetchone()
    assert author.acknowledged == sorted(author.acknowledged), "ids went back"
    assert set(author.acknowledged) <= set(kept), "an acknowledged post is lost"
    assert texts is not None
    assert texts[0] == texts[1], "a post was written twice"
