"""The life of a service's process: what is opened is closed, refusals are sentences, the end is orderly."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.database import Pool
from chassis.process import open_server
from chassis.rpc import Service, open_channel, wait_until_serving
from chassis.settings import Settings
from deploy.local.ports import is_free
from tests.integration.chassis.conftest import PRODUCER
from tests.integration.chassis.probe import NAME, probe_service


class Building:
    """A service's `build` that notes what is still open when its stack closes."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.pool: Pool | None = None
        self.pool_was_open_at_the_end = False

    async def __call__(self, settings: Settings, pool: Pool, stack: AsyncExitStack) -> Sequence[Service]:
        self.pool = pool
        stack.callback(self._note)
        if self.error is not None:
            raise self.error
        return [probe_service()]

    def _note(self) -> None:
        assert self.pool is not None
        self.pool_was_open_at_the_end = not self.pool.closed


async def is_serving(address: str) -> bool:
    channel = open_channel(address, NAME)
    try:
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
    except grpc.aio.AioRpcError:
        return False
    finally:
        await channel.close()


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


async def test_a_server_serves_for_the_length_of_its_block(settings: Settings) -> None:
    building = Building()
    async with open_server(PRODUCER, settings, building) as server:
        assert server.port == port_of(settings.address(PRODUCER))
        assert await is_serving(settings.address(PRODUCER))
    assert not await is_serving(settings.address(PRODUCER))
    assert is_free(port_of(settings.address(PRODUCER)))
    assert building.pool is not None
    assert building.pool.closed
    assert building.pool_was_open_at_the_end


async def test_a_server_can_have_another_address(settings: Settings) -> None:
    async with open_server(PRODUCER, settings, Building(), address="127.0.0.1:0") as server:
        assert await is_serving(f"127.0.0.1:{server.port}")
        assert not await is_serving(settings.address(PRODUCER))


async def test_what_was_opened_is_closed_when_the_wiring_fails(settings: Settings) -> None:
    building = Building(RuntimeError("planted"))
    with pytest.raises(RuntimeError, match="planted"):
        async with open_server(PRODUCER, settings, building):
            raise AssertionError
    assert building.pool is not None
    assert building.pool.closed
    assert building.pool_was_open_at_the_end


async def test_a_server_starts_while_its_database_is_away(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:1/none"})
    async with open_server(PRODUCER, away, Building()):
        assert not is_free(port_of(settings.address(PRODUCER)))
        assert not await is_serving(settings.address(PRODUCER))


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment that a process reads these settings from."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KODAMA_")}
    return inherited | {f"KODAMA_{name.upper()}": str(value) for name, value in settings.model_dump().items()}


async def start(settings: Settings) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"services.{PRODUCER}", env=environment_of(settings), stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_process_serves_until_it_is_told_to_stop(settings: Settings, number: signal.Signals) -> None:
    process = await start(settings)
    channel = open_channel(settings.address(PRODUCER), NAME)
    await wait_until_serving(channel, timeout_seconds=30)
    await channel.close()
    process.send_signal(number)
    _, logged = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, logged.decode()
    assert [line for line in logged.decode().splitlines() if '"serving"' in line or '"stopped"' in line]
    assert settings.secret not in logged.decode()
    assert settings.derive(f"database/{PRODUCER}") not in logged.decode()


async def test_a_process_without_a_database_refuses_with_a_sentence(settings: Settings) -> None:
    process = await start(settings.model_copy(update={"database_url": ""}))
    _, logged = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert logged.decode() == "kodama: set KODAMA_DATABASE_URL, or KODAMA_STATUS_DATABASE_URL\n"
