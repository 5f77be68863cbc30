"""How RPCs fail: in our words, with nothing of the fault's own text."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from kodama.page.v1.window_pb2 import Window
from structlog.testing import capture_logs

from chassis import errors
from chassis.rpc import MAX_MESSAGE_BYTES, call, call_stream, open_channel, require_batch, wait_until_serving
from deploy.local.ports import free_port
from tests.integration.chassis.probe import NAME, Context, Probe, probing, signer

SECRET = "password=hunter2"
KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.KodamaError) and kind is not errors.InvalidField
]
ERRORS = [
    errors.InvalidField("text", "短すぎます。", minimum="1"),
    *(kind("それはできません。\nReally not.", what="friends", limit="1000") for kind in KINDS),
]


class Failing:
    """Both RPCs end with an error; the stream after one answer."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def ask(self, request: Window, context: Context) -> Window:
        raise self._error

    async def stream(self, request: Window, context: Context) -> AsyncIterator[Window]:
        yield Window(limit=1)
        raise self._error


async def read_all(probe: Probe, received: list[Window]) -> None:
    async for response in call_stream(probe.stream, Window(), signer(), timeout_seconds=5):
        received.append(response)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_every_kind_of_error_arrives_as_it_was_raised(error: errors.KodamaError) -> None:
    failing = Failing(error)
    received: list[Window] = []
    async with probing(failing.ask, failing.stream) as probe:
        with pytest.raises(errors.KodamaError) as asked:
            await call(probe.ask, Window(), signer(), timeout_seconds=5)
        with pytest.raises(errors.KodamaError) as streamed:
            await read_all(probe, received)
        with pytest.raises(grpc.aio.AioRpcError) as raw:
            await probe.ask(Window(), timeout=5, metadata=signer().metadata())
    for arrived in (asked.value, streamed.value):
        assert type(arrived) is type(error)
        assert (arrived.message, arrived.metadata) == (error.message, error.metadata)
    assert received == [Window(limit=1)]
    assert raw.value.code() is error.code


@pytest.mark.parametrize("error", [RuntimeError(SECRET), KeyError(SECRET), OSError(5, SECRET)])
async def test_an_unexpected_fault_is_logged_and_its_text_stays_here(error: Exception) -> None:
    failing = Failing(error)
    async with probing(failing.ask, failing.stream) as probe:
        with capture_logs() as logged, pytest.raises(grpc.aio.AioRpcError) as raw:
            await probe.ask(Window(), timeout=5, metadata=signer().metadata())
        with capture_logs() as logged_for_stream, pytest.raises(errors.KodamaError) as streamed:
            await read_all(probe, [])
    assert raw.value.code() is grpc.StatusCode.INTERNAL
    assert SECRET not in f"{raw.value!r} {raw.value.debug_error_string()} {raw.value.trailing_metadata()}"
    assert type(streamed.value) is errors.KodamaError
    assert SECRET not in streamed.value.message
    for (entry,), method in ((logged, "Ask"), (logged_for_stream, "Stream")):
        assert (entry["event"], entry["method"], entry["exc_info"]) == ("rpc failed", f"/{NAME}/{method}", error)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    channel = open_channel(f"127.0.0.1:{free_port()}", NAME)
    ask = channel.unary_unary(f"/{NAME}/Ask", Window.SerializeToString, Window.FromString)
    with pytest.raises(errors.Unavailable):
        await call(ask, Window(), signer(), timeout_seconds=5)
    with pytest.raises(errors.Unavailable, match="does not answer"):
        await wait_until_serving(channel, timeout_seconds=0.05)
    await channel.close()


async def test_what_grpc_itself_refuses_is_in_our_words_too() -> None:
    async def too_much(request: Window, context: Context) -> AsyncIterator[Window]:
        for _ in range(3):
            yield Window()
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")

    async def not_ours(request: Window, context: Context) -> Window:
        await context.abort(grpc.StatusCode.DATA_LOSS, "torn")
        raise AssertionError

    async with probing(not_ours, too_much) as probe:
        received: list[Window] = []
        with pytest.raises(errors.Unavailable, match="busy"):
            await read_all(probe, received)
        assert len(received) == 3
        with pytest.raises(errors.KodamaError, match="DATA_LOSS"):
            await call(probe.ask, Window(), signer(), timeout_seconds=5)
        large: Any = probe.channel.unary_unary(f"/{NAME}/Ask")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await large(b"\0" * (MAX_MESSAGE_BYTES + 1), timeout=5, metadata=signer().metadata())
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_batch_has_a_bound() -> None:
    require_batch("status_ids", [1, 2], 2)
    with pytest.raises(errors.InvalidField, match="status_ids has 3 elements; at most 2") as refused:
        require_batch("status_ids", [1, 2, 3], 2)
    assert refused.value.metadata == {"field": "status_ids"}
