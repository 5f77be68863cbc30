"""Unary calls travel together, and each is still a call of its own: its answer, error, deadline, cancellation and policy."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from kodama.page.v1.window_pb2 import Window
from kodama.rpc.v1 import exchange_service_pb2 as pb

from chassis import exchange, exchange_service
from chassis.errors import InvalidField, Unavailable
from chassis.exchange import Exchange
from chassis.rpc import MAX_MESSAGE_BYTES, Server, call, open_channel
from tests.integration.chassis.conftest import eventually
from tests.integration.chassis.probe import KEY, NAME, Context, echo, open_exchange, probe_service, probing, signer

ASK = f"/{NAME}/Ask"
METHOD = exchange_service.METHOD


class Gate:
    """An RPC that holds calls with an odd limit until it is told to let them go, and notes what reached it."""

    def __init__(self) -> None:
        self.entered: list[int] = []
        self.cancelled: list[int] = []
        self.open = asyncio.Event()

    async def ask(self, request: Window, context: Context) -> Window:
        self.entered.append(request.limit)
        try:
            if request.limit % 2:
                await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled.append(request.limit)
            raise
        return request

    async def have_entered(self, count: int) -> None:
        async def enough() -> bool:
            return len(self.entered) >= count

        await eventually(enough)


def asking(probe: Any, limit: int, seconds: float = 10) -> "asyncio.Task[Window]":
    return asyncio.create_task(call(probe.ask, Window(limit=limit), signer(), timeout_seconds=seconds))


class Counted:
    """A stream that notes how many calls each message took along."""

    def __init__(self, rpc: Any, sizes: list[int]) -> None:
        self._rpc = rpc
        self._sizes = sizes

    async def write(self, request: pb.ExchangeCallsRequest) -> None:
        self._sizes.append(len(request.calls))
        await self._rpc.write(request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rpc, name)


@asynccontextmanager
async def counted_exchange(port: int) -> AsyncIterator[tuple[Exchange, list[int]]]:
    sizes: list[int] = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = open_exchange(channel)
        calls = Exchange(lambda metadata: Counted(method(metadata=metadata), sizes))
        yield calls, sizes
        await calls.close()


def ask(calls: Exchange, limit: int) -> "asyncio.Task[bytes]":
    ((_, signature),) = signer().metadata()
    request = Window(limit=limit).SerializeToString()
    return asyncio.create_task(calls.ask(ASK, request, signature, time.monotonic() + 10))


async def test_what_is_asked_at_the_same_time_travels_together() -> None:
    async with probing() as probe, counted_exchange(probe.server.port) as (calls, sizes):
        for count in (1, 100, 600):
            sizes.clear()
            answers = await asyncio.gather(*(ask(calls, limit) for limit in range(count)))
            assert [Window.FromString(answer).limit for answer in answers] == list(range(count))
            assert sum(sizes) == count
            assert len(sizes) <= 1 + count // exchange_service.MAX_CALLS + 10
            assert max(sizes) <= exchange_service.MAX_CALLS


async def test_a_slow_call_delays_no_other() -> None:
    gate = Gate()
    async with probing(gate.ask) as probe:
        slow, quick = asking(probe, 1), asking(probe, 2)
        assert (await quick).limit == 2
        assert (await asking(probe, 4)).limit == 4
        assert not slow.done()
        gate.open.set()
        assert (await slow).limit == 1


async def test_one_fails_and_the_others_do_not() -> None:
    async def choosy(request: Window, context: Context) -> Window:
        if request.limit == 1:
            raise InvalidField("limit", "One is too few.")
        if request.limit == 2:
            raise RuntimeError("a defect")
        return request

    async with probing(choosy) as probe:
        outcomes = await asyncio.gather(*(asking(probe, limit) for limit in range(4)), return_exceptions=True)
    assert isinstance(outcomes[1], InvalidField)
    assert (outcomes[1].message, outcomes[1].metadata) == ("One is too few.", {"field": "limit"})
    assert isinstance(outcomes[2], Exception)
    assert "defect" not in str(outcomes[2])
    assert [outcomes[0], outcomes[3]] == [Window(limit=0), Window(limit=3)]


async def test_each_call_has_its_own_deadline_at_both_ends() -> None:
    gate = Gate()
    async with probing(gate.ask) as probe:
        short, long = asking(probe, 1, seconds=0.2), asking(probe, 3, seconds=10)
        with pytest.raises(Unavailable):
            await short

        async def was_told() -> bool:
            return gate.cancelled == [1]

        await eventually(was_told)
        gate.open.set()
        assert (await long).limit == 3


async def test_a_cancelled_call_is_cancelled_where_it_runs_and_no_other_is() -> None:
    gate = Gate()
    async with probing(gate.ask) as probe:
        calls = [asking(probe, limit) for limit in (1, 3, 5)]
        await gate.have_entered(3)
        calls[1].cancel()

        async def was_told() -> bool:
            return gate.cancelled == [3]

        await eventually(was_told)
        gate.open.set()
        assert [(await calls[0]).limit, (await calls[2]).limit] == [1, 5]
        assert calls[1].cancelled()


async def test_streams_are_replaced_and_no_call_is_lost_or_made_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_service, "STREAM_SECONDS", 0.02)
    seen: list[int] = []

    async def note(request: Window, context: Context) -> Window:
        seen.append(request.limit)
        await asyncio.sleep(request.limit % 7 / 500)
        return request

    async def ask_in_turn(probe: Any, first: int) -> None:
        for limit in range(first, first + 60):
            assert (await asking(probe, limit)).limit == limit

    async with probing(note) as probe:
        await asyncio.gather(*(ask_in_turn(probe, 60 * number) for number in range(20)))
    assert sorted(seen) == list(range(1200))


async def test_a_call_is_made_again_only_where_that_is_said_to_be_harmless() -> None:
    times = {"first": 0, "second": 0}

    def away(name: str) -> Any:
        async def answer(request: Window, context: Context) -> Window:
            times[name] += 1
            raise Unavailable("not now")

        return answer

    for name, retryable, expected in (("first", (), 1), ("second", ("Ask",), exchange.MAX_ATTEMPTS)):
        server = Server("127.0.0.1:0", KEY, [probe_service(away(name))])
        await server.start()
        async with open_channel(f"127.0.0.1:{server.port}", NAME, retryable=retryable) as channel:
            method: Any = channel.unary_unary(ASK, Window.SerializeToString, Window.FromString)
            with pytest.raises(Unavailable, match="not now"):
                await call(method, Window(), signer(), timeout_seconds=5)
        await server.stop(0)
        assert times[name] == expected


async def test_a_server_that_dies_takes_its_calls_along_and_the_next_one_is_found() -> None:
    gate = Gate()
    server = Server("127.0.0.1:0", KEY, [probe_service(gate.ask)])
    await server.start()
    async with open_channel(f"127.0.0.1:{server.port}", NAME) as channel:
        method: Any = channel.unary_unary(ASK, Window.SerializeToString, Window.FromString)
        running = asyncio.create_task(call(method, Window(limit=1), signer(), timeout_seconds=20))
        await gate.have_entered(1)
        await server.stop(0)
        with pytest.raises(Unavailable):
            await running
        again = Server(f"127.0.0.1:{server.port}", KEY, [probe_service(echo)])
        await again.start()

        async def answers() -> bool:
            try:
                return bool((await call(method, Window(limit=2), signer(), timeout_seconds=5)).limit == 2)
            except Unavailable:
                return False

        await eventually(answers)
        await again.stop(0)
    assert gate.entered == [1]


async def test_a_server_that_knows_no_exchanges_is_called_directly() -> None:
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(echo, Window.FromString, Window.SerializeToString)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(NAME, {"Ask": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with open_channel(f"127.0.0.1:{port}", NAME) as channel:
        method: Any = channel.unary_unary(ASK, Window.SerializeToString, Window.FromString)
        answers = await asyncio.gather(
            *(call(method, Window(limit=limit), signer(), timeout_seconds=5) for limit in range(20))
        )
    await server.stop(0)
    assert [answer.limit for answer in answers] == list(range(20))


async def test_the_calls_on_their_way_have_a_bound_and_the_others_wait_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "MAX_IN_FLIGHT", 2)
    monkeypatch.setattr(exchange, "MAX_WAITING", 5)
    gate = Gate()
    async with probing(gate.ask) as probe:
        first = [asking(probe, limit) for limit in (1, 3)]
        await gate.have_entered(2)
        waiting = [asking(probe, limit) for limit in (11, 13, 15, 17, 19)]
        await asyncio.sleep(0.05)
        with pytest.raises(Unavailable, match="busy"):
            await asking(probe, 21)
        assert gate.entered == [1, 3]
        waiting[1].cancel()
        gate.open.set()
        answered = [(await each).limit for each in (*first, *waiting[:1], *waiting[2:])]
    assert answered == [1, 3, 11, 15, 17, 19]
    assert gate.entered == answered


async def test_a_server_runs_so_many_calls_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_service, "MAX_RUNNING", 3)
    gate = Gate()
    async with probing(gate.ask) as probe:
        running = [asking(probe, limit) for limit in (1, 3, 5)]
        await gate.have_entered(3)
        with pytest.raises(Unavailable, match="busy"):
            await asking(probe, 7)
        gate.open.set()
        assert [(await each).limit for each in running] == [1, 3, 5]


async def test_large_messages_get_through_beside_small_ones() -> None:
    large = MAX_MESSAGE_BYTES - 1000

    async def grow(request: bytes, context: Context) -> bytes:
        return bytes(int(request)) if len(request) < 20 else str(len(request)).encode()

    service = probe_service()
    handlers = {"Ask": grpc.unary_unary_rpc_method_handler(grow, bytes, bytes)}
    grown = grpc.method_handlers_generic_handler(NAME, handlers)
    server = Server(
        "127.0.0.1:0",
        KEY,
        [
            type(service)(
                name=NAME,
                add=lambda server: server.add_generic_rpc_handlers([grown]),
                callers=service.callers,
                methods=service.methods,
            )
        ],
    )
    await server.start()
    async with open_channel(f"127.0.0.1:{server.port}", NAME) as channel:
        method: Any = channel.unary_unary(ASK)
        sizes = (10, large, 20, large, exchange.MAX_CALL_BYTES, 0)
        asked = [method(str(size).encode(), timeout=10, metadata=signer().metadata()) for size in sizes]
        asked += [method(bytes(large), timeout=10, metadata=signer().metadata())]
        answers = await asyncio.gather(*asked)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await method(str(MAX_MESSAGE_BYTES + 1).encode(), timeout=10, metadata=signer().metadata())
    await server.stop(0)
    assert [len(answer) for answer in answers[:-1]] == list(sizes)
    assert answers[-1] == str(large).encode()
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_channel_that_is_closed_leaves_nobody_waiting() -> None:
    gate = Gate()
    async with probing(gate.ask) as probe:
        running = asking(probe, 1)
        await gate.have_entered(1)
        await probe.channel.close()
        with pytest.raises(Unavailable):
            await running
