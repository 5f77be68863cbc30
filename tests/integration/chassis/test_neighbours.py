"""Services that share a process call each other without a wire, and every call is what it is over one."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from kodama.page.v1.window_pb2 import Window

from chassis import caller, neighbours
from chassis.errors import KodamaError, NotFound, Unavailable
from chassis.rpc import Server, call, open_channel
from deploy.local.ports import free_port
from tests.integration.chassis.probe import KEY, NAME, Ask, Context, echo, probe_service, signer


class Neighbour:
    """A service and a channel to it, made in one process that shares, and what has passed its wire."""

    def __init__(self, ask: Ask) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.server = Server(self.address, KEY, [probe_service(ask)])
        self.channel = open_channel(self.address, NAME, retryable=["Ask"])
        self.ask = self.channel.unary_unary(f"/{NAME}/Ask", Window.SerializeToString, Window.FromString)
        self.exchange = self.channel._exchange  # type: ignore[attr-defined]  # our class behind the stub's type  # what the wire has seen is nobody's else

    @property
    def has_used_the_wire(self) -> bool:
        return self.exchange._stream is not None


def make_neighbour(ask: Ask) -> Neighbour:
    """Make one as `kodama serve A B` does: after sharing has begun, in a context of its own."""

    def make() -> Neighbour:
        neighbours.share()
        return Neighbour(ask)

    return contextvars.copy_context().run(make)


@asynccontextmanager
async def living(ask: Ask = echo) -> AsyncIterator[Neighbour]:
    neighbour = make_neighbour(ask)
    await neighbour.server.start()
    try:
        yield neighbour
    finally:
        await neighbour.channel.close()
        await neighbour.server.stop(0)


async def test_calls_take_no_wire_and_say_the_same() -> None:
    async with living() as here:
        assert await call(here.ask, Window(limit=7), signer(), timeout_seconds=5) == Window(limit=7)
        assert not here.has_used_the_wire


async def test_whoever_does_not_share_takes_the_wire() -> None:
    async with living() as here:
        stranger = open_channel(here.address, NAME)
        ask = stranger.unary_unary(f"/{NAME}/Ask", Window.SerializeToString, Window.FromString)
        assert await call(ask, Window(limit=7), signer(), timeout_seconds=5) == Window(limit=7)
        assert stranger._exchange._stream is not None  # type: ignore[attr-defined]  # our class behind the stub's type
        await stranger.close()


@pytest.mark.parametrize(
    ("who", "refusal"),
    [
        (signer(key="another network's"), "UNAUTHENTICATED"),
        (signer(caller.WORKER), "PERMISSION_DENIED"),
    ],
)
async def test_signature_and_policy_hold(who: caller.Signer, refusal: str) -> None:
    async with living() as here:
        with pytest.raises(KodamaError, match=refusal):
            await call(here.ask, Window(), who, timeout_seconds=5)


async def test_errors_come_back_as_they_were_raised() -> None:
    async def ask(request: Window, context: Context) -> Window:
        raise NotFound("There is no such thing.", resource="thing")

    async with living(ask) as here:
        with pytest.raises(NotFound, match="There is no such thing") as caught:
            await call(here.ask, Window(), signer(), timeout_seconds=5)
        assert caught.value.metadata["resource"] == "thing"


async def test_what_is_called_has_its_own_role_and_deadline_and_nothing_of_the_callers() -> None:
    seen: list[tuple[str, float, str]] = []
    secret: contextvars.ContextVar[str] = contextvars.ContextVar("secret", default="")

    async def ask(request: Window, context: Context) -> Window:
        seen.append((caller.current_role.get(), context.time_remaining() or 0, secret.get()))
        request.limit = 99  # the caller's own request is another
        return request

    async with living(ask) as here:
        secret.set("the caller's")
        request = Window(limit=1)
        assert (await call(here.ask, request, signer(), timeout_seconds=2)).limit == 99
    [(role, seconds, others)] = seen
    assert (role, others, request.limit) == (caller.GATEWAY, "", 1)
    assert 1 < seconds <= 2


async def test_deadlines_end_calls_and_cancelled_callers_cancel_them() -> None:
    ended: list[str] = []

    async def ask(request: Window, context: Context) -> Window:
        try:
            await asyncio.sleep(30)
        finally:
            ended.append("ended")
        return request

    async with living(ask) as here:
        with pytest.raises(Unavailable):
            await call(here.ask, Window(), signer(), timeout_seconds=0.05)
        assert ended == ["ended"]
        calling = asyncio.create_task(call(here.ask, Window(), signer(), timeout_seconds=30))
        await asyncio.sleep(0.05)
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await asyncio.sleep(0)
        assert ended == ["ended", "ended"]


async def test_a_server_that_stops_answers_what_it_has_begun_and_then_nobody_finds_it() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def ask(request: Window, context: Context) -> Window:
        begun.set()
        await may_end.wait()
        return request

    here = make_neighbour(ask)
    await here.server.start()
    calling = asyncio.create_task(call(here.ask, Window(limit=3), signer(), timeout_seconds=10))
    await begun.wait()
    stopping = asyncio.create_task(here.server.stop(5))
    await asyncio.sleep(0.05)
    assert not stopping.done()
    may_end.set()
    assert await calling == Window(limit=3)
    await stopping
    with pytest.raises(Unavailable):
        await call(here.ask, Window(), signer(), timeout_seconds=1)
    await here.channel.close()
