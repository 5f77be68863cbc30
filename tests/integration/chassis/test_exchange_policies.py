"""An exchange gets nobody past a policy: each call in it is signed, admitted and bounded for itself."""

import time
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from kodama.page.v1.window_pb2 import Window
from kodama.rpc.v1 import exchange_service_pb2 as pb

from chassis import caller, exchange, exchange_service
from tests.integration.chassis.probe import KEY, NAME, Context, open_exchange, probing, signer

ASK = f"/{NAME}/Ask"
METHOD = exchange_service.METHOD


async def raw(port: int, calls: Sequence[pb.Call], *, metadata: Any = None) -> list[pb.Answer]:
    """Send these very calls in one message and return their answers by id."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = open_exchange(channel)
        stream = method(metadata=signer().metadata() if metadata is None else metadata, timeout=10)
        await stream.write(pb.ExchangeCallsRequest(calls=calls))
        await stream.done_writing()
        answers = [answer async for response in stream for answer in response.answers]
        return sorted(answers, key=lambda answer: answer.id)


def signed(role: str = caller.GATEWAY, key: str = KEY) -> str:
    ((_, signature),) = signer(role, key).metadata()
    return signature


def code_of(answer: pb.Answer) -> grpc.StatusCode:
    return exchange.CODES[answer.code]


async def test_an_exchange_lets_nothing_past_a_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now - 2 * caller.LIFETIME_SECONDS)
        expired = signed()
    cases = [
        (ASK, signed(), 1000, grpc.StatusCode.OK),
        (ASK, signed(caller.BLOG), 1000, grpc.StatusCode.PERMISSION_DENIED),
        (ASK, signed(key="the key of another network"), 1000, grpc.StatusCode.UNAUTHENTICATED),
        (ASK, signed().replace("gateway", "operator"), 1000, grpc.StatusCode.UNAUTHENTICATED),
        (ASK, "", 1000, grpc.StatusCode.UNAUTHENTICATED),
        (ASK, expired, 1000, grpc.StatusCode.UNAUTHENTICATED),
        (ASK, expired, 1000, grpc.StatusCode.UNAUTHENTICATED),
        (ASK, signed(), 0, grpc.StatusCode.INVALID_ARGUMENT),
        (ASK, signed(), -1, grpc.StatusCode.INVALID_ARGUMENT),
        (f"/{NAME}/Drop", signed(), 1000, grpc.StatusCode.UNIMPLEMENTED),
        (f"/{NAME}/Stream", signed(), 1000, grpc.StatusCode.UNIMPLEMENTED),
        (METHOD, signed(), 1000, grpc.StatusCode.UNIMPLEMENTED),
        (ASK, signed(), 1000, grpc.StatusCode.OK),
    ]
    reached = 0

    async def note(request: Window, context: Context) -> Window:
        nonlocal reached
        reached += 1
        assert caller.current_role.get() == caller.GATEWAY
        return request

    async with probing(note) as probe:
        answers = await raw(
            probe.server.port,
            [
                pb.Call(id=number, method=method, signature=signature, timeout_ms=timeout_ms)
                for number, (method, signature, timeout_ms, _) in enumerate(cases, start=1)
            ],
        )
    assert [code_of(answer) for answer in answers] == [expected for *_, expected in cases]
    assert reached == 2


async def test_a_signature_that_expires_while_its_stream_is_open_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    signature, now = signed(), time.time()

    async def later(request: Window, context: Context) -> Window:
        monkeypatch.setattr(time, "time", lambda: now + 2 * caller.LIFETIME_SECONDS)
        return request

    async with probing(later) as probe, grpc.aio.insecure_channel(f"127.0.0.1:{probe.server.port}") as channel:
        method = open_exchange(channel)
        stream = method(metadata=signer().metadata(), timeout=10)
        codes = []
        for number in (1, 2):
            one = pb.Call(id=number, method=ASK, signature=signature, timeout_ms=1000)
            await stream.write(pb.ExchangeCallsRequest(calls=[one]))
            codes += [code_of(answer) for answer in (await stream.read()).answers]
        stream.cancel()
    assert codes == [grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED]


@pytest.mark.parametrize("metadata", [(), ((caller.METADATA_KEY, signed(key="the key of another network")),)])
async def test_strangers_open_no_exchange(metadata: Any) -> None:
    async with probing() as probe:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await raw(probe.server.port, [], metadata=metadata)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
