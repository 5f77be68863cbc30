"""Deadlines travel inwards and never grow; health, reflection and the end of a server."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from kodama.page.v1.window_pb2 import Window

from chassis.errors import Unavailable
from chassis.rpc import MAX_DEADLINE_SECONDS, call, call_stream
from tests.integration.chassis.probe import NAME, Context, Probe, probing, signer

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def deadline_of(context: Context) -> float:
    remaining = context.time_remaining()
    assert remaining is not None
    return time.monotonic() + float(remaining)


class Inner:
    """Notes the deadlines that its calls arrive with."""

    def __init__(self) -> None:
        self.deadlines: list[float] = []

    async def ask(self, request: Window, context: Context) -> Window:
        self.deadlines.append(deadline_of(context))
        return request

    async def stream(self, request: Window, context: Context) -> AsyncIterator[Window]:
        self.deadlines.append(deadline_of(context))
        yield request


class Outer:
    """Calls the inner service with far more time than it has itself."""

    def __init__(self, inner: Probe) -> None:
        self._inner = inner
        self.deadlines: list[float] = []

    async def _call_inner(self, request: Window) -> None:
        await call(self._inner.ask, request, signer(), timeout_seconds=3600)
        async for _ in call_stream(self._inner.stream, request, signer(), timeout_seconds=3600):
            pass

    async def ask(self, request: Window, context: Context) -> Window:
        self.deadlines.append(deadline_of(context))
        await self._call_inner(request)
        return request

    async def stream(self, request: Window, context: Context) -> AsyncIterator[Window]:
        self.deadlines.append(deadline_of(context))
        await self._call_inner(request)
        yield request


@pytest.mark.parametrize("timeout_seconds", [20, 10 * MAX_DEADLINE_SECONDS])
async def test_an_inner_call_never_has_more_time_than_the_call_that_is_served(timeout_seconds: float) -> None:
    inner = Inner()
    async with probing(inner.ask, inner.stream) as inner_probe:
        outer = Outer(inner_probe)
        async with probing(outer.ask, outer.stream) as outer_probe:
            begun = time.monotonic()
            await call(outer_probe.ask, Window(), signer(), timeout_seconds=timeout_seconds)
            async for _ in call_stream(outer_probe.stream, Window(), signer(), timeout_seconds=timeout_seconds):
                pass
            ended = time.monotonic()
    assert len(inner.deadlines) == 4
    latest = [outer.deadlines[0]] * 2 + [outer.deadlines[1]] * 2
    assert all(mine < theirs for mine, theirs in zip(inner.deadlines, latest, strict=True))
    assert max(inner.deadlines) < ended + MAX_DEADLINE_SECONDS
    assert min(inner.deadlines) > begun + min(timeout_seconds, MAX_DEADLINE_SECONDS) / 2


async def test_work_that_outlives_its_call_has_no_time_left_for_others() -> None:
    inner, abandoned, outcome = Inner(), asyncio.Event(), asyncio.get_running_loop().create_future()

    async def late(inner_probe: Probe) -> None:
        await abandoned.wait()
        await asyncio.sleep(0.25)  # the deadline counts from when the call arrived, later than its caller began to wait
        try:
            await call(inner_probe.ask, Window(), signer(), timeout_seconds=30)
        except Unavailable as error:
            outcome.set_result(error)

    async with probing(inner.ask, inner.stream) as inner_probe:
        tasks: list[asyncio.Task[None]] = []

        async def leave_behind(request: Window, context: Context) -> Window:
            tasks.append(asyncio.create_task(late(inner_probe)))
            await asyncio.Event().wait()
            return request

        async with probing(leave_behind) as outer_probe:
            while not tasks:  # on a busy machine a call can be over before the server has begun with it
                with pytest.raises(Unavailable):
                    await call(outer_probe.ask, Window(), signer(), timeout_seconds=0.2)
            abandoned.set()
            assert isinstance(await asyncio.wait_for(outcome, 60), Unavailable)
            await asyncio.gather(*tasks)


async def test_a_call_outside_of_any_rpc_has_the_time_it_asks_for() -> None:
    inner = Inner()
    async with probing(inner.ask, inner.stream) as probe:
        begun = time.monotonic()
        await call(probe.ask, Window(), signer(), timeout_seconds=500)
    assert begun + 490 < inner.deadlines[0] < time.monotonic() + 510


async def test_health_needs_no_signature() -> None:
    async with probing() as probe:
        health: Any = health_pb2_grpc.HealthStub(probe.channel)
        for name in ("", NAME):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
            assert answer.status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await health.Check(health_pb2.HealthCheckRequest(service="kodama.other"), timeout=5)
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_what_is_served() -> None:
    async with probing() as probe:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(probe.channel)
        asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
        names = [
            service.name
            async for answer in stub.ServerReflectionInfo(iter(asked), timeout=5)
            for service in answer.list_services_response.service
        ]
    assert set(names) >= {NAME, "grpc.health.v1.Health"}


class Held:
    """An RPC that ends when it is told to."""

    def __init__(self) -> None:
        self.entered, self.release = asyncio.Event(), asyncio.Event()

    async def ask(self, request: Window, context: Context) -> Window:
        self.entered.set()
        await self.release.wait()
        return request


async def test_a_graceful_stop_turns_new_calls_away_and_lets_running_ones_end() -> None:
    held = Held()
    async with probing(held.ask) as probe:
        health: Any = health_pb2_grpc.HealthStub(probe.channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=NAME), timeout=20)
        assert (await watch.read()).status == SERVING
        running = asyncio.create_task(call(probe.ask, Window(limit=7), signer(), timeout_seconds=20))
        await held.entered.wait()
        stopping = asyncio.create_task(probe.server.stop(20))
        assert (await watch.read()).status == NOT_SERVING
        watch.cancel()
        with pytest.raises(Unavailable):
            await call(probe.ask, Window(), signer(), timeout_seconds=2)
        assert not running.done()
        assert not stopping.done()
        held.release.set()
        assert await running == Window(limit=7)
        await stopping


async def test_a_stop_does_not_wait_for_ever() -> None:
    held = Held()
    async with probing(held.ask) as probe:
        running = asyncio.create_task(call(probe.ask, Window(), signer(), timeout_seconds=50))
        await held.entered.wait()
        await asyncio.wait_for(probe.server.stop(0.05), 10)
        with pytest.raises(Unavailable):
            await running
