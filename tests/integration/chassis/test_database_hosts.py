"""With several hosts in its URL a pool uses the one that takes changes, and after a fail-over the other, without a new process."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from chassis.database import Pool, connection, make_pool
from chassis.errors import Unavailable
from chassis.settings import Settings
from tests.conftest import SECRET
from tests.database_switch import open_switch
from tests.integration.chassis.conftest import eventually, lend_all


def _only_reads(url: str, *, is_so: bool) -> None:
    """Have a server be what a stand-by, or a primary that was replaced, is to who connects."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("SET default_transaction_read_only = off")
        admin.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if is_so else 'off'}".encode())
        admin.execute("SELECT pg_reload_conf()")


async def _port_written_to(pool: Pool) -> int:
    """Write, and return the port of the server that took it; 0 where none did."""
    try:
        async with connection(pool) as conn:
            await conn.execute("CREATE TABLE IF NOT EXISTS public.written (at timestamptz DEFAULT now())")
            await conn.execute("INSERT INTO public.written DEFAULT VALUES")
            return conn.info.port
    except Unavailable:
        return 0


async def test_a_pool_follows_the_host_that_takes_changes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with open_switch(tmp_path / "one") as one, open_switch(tmp_path / "two") as two:
        login = urlsplit(one.server.url).netloc.rpartition("@")[0]
        with psycopg.connect(two.server.url, autocommit=True) as admin:  # both know the same password
            admin.execute(f"ALTER ROLE CURRENT_USER PASSWORD '{urlsplit(one.server.url).password}'".encode())
        ports = [urlsplit(server.server.url).port for server in (one, two)]
        hosts = [f"{login}@127.0.0.1:{port}" for port in ports]
        first, second = (urlsplit(one.server.url)._replace(netloc=host).geturl() for host in hosts)
        url = urlsplit(first)._replace(netloc=f"{hosts[0]},127.0.0.1:{ports[1]}").geturl()
        _only_reads(first, is_so=True)
        async with make_pool(
            Settings(database_url=url, secret=SECRET).database_url, size=4, application="test"
        ) as pool:
            await lend_all(pool)
            assert await _port_written_to(pool) == ports[1]
            _only_reads(second, is_so=True)
            _only_reads(first, is_so=False)

            async def is_at(port: int | None) -> bool:
                return await _port_written_to(pool) == port

            await eventually(lambda: is_at(ports[0]))
            _only_reads(second, is_so=False)
            await asyncio.to_thread(one.off)
            await eventually(lambda: is_at(ports[1]))
            await lend_all(pool)
