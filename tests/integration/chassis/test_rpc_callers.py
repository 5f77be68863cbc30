"""Who is let in: signed processes of the right role, with a deadline; for streams too."""

import time
from collections.abc import AsyncIterator

import grpc
import pytest
from kodama.page.v1.window_pb2 import Window

from chassis import caller
from chassis.rpc import Server, call, call_stream
from tests.integration.chassis.probe import KEY, METHODS, Context, probe_service, probing, signer

Metadata = tuple[tuple[str, str], ...]


class Reached:
    """Behaviour of both RPCs that notes the role of who got through."""

    def __init__(self) -> None:
        self.roles: list[str] = []

    async def ask(self, request: Window, context: Context) -> Window:
        self.roles.append(caller.current_role.get())
        return request

    async def stream(self, request: Window, context: Context) -> AsyncIterator[Window]:
        self.roles.append(caller.current_role.get())
        yield request


def expired(monkeypatch: pytest.MonkeyPatch) -> Metadata:
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now - 2 * caller.LIFETIME_SECONDS)
        return signer().metadata()


def forged() -> Metadata:
    return signer(key="the key of another network").metadata()


def promoted() -> Metadata:
    ((name, value),) = signer(caller.BLOG).metadata()
    return ((name, value.replace("blog", "gateway")),)


async def refusals(metadata: Metadata | None, *, timeout: float | None = 5) -> set[grpc.StatusCode]:
    """How both RPCs refuse this metadata; fails where one lets it in."""
    reached = Reached()
    codes = set()
    async with probing(reached.ask, reached.stream) as probe:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await probe.ask(Window(), timeout=timeout, metadata=metadata)
        codes.add(refused.value.code())
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await probe.stream(Window(), timeout=timeout, metadata=metadata).read()
        codes.add(refused.value.code())
    assert reached.roles == []
    return codes


async def test_a_signed_process_of_the_right_role_gets_through() -> None:
    reached = Reached()
    async with probing(reached.ask, reached.stream) as probe:
        assert await call(probe.ask, Window(limit=3), signer(), timeout_seconds=5) == Window(limit=3)
        streamed = [each async for each in call_stream(probe.stream, Window(limit=4), signer(), timeout_seconds=5)]
    assert streamed == [Window(limit=4)]
    assert reached.roles == [caller.GATEWAY, caller.GATEWAY]


async def test_an_unsigned_call_is_refused() -> None:
    assert await refusals(None) == {grpc.StatusCode.UNAUTHENTICATED}


@pytest.mark.parametrize("metadata", [forged(), promoted(), ((caller.METADATA_KEY, "gateway"),)])
async def test_a_forged_signature_is_refused(metadata: Metadata) -> None:
    assert await refusals(metadata) == {grpc.StatusCode.UNAUTHENTICATED}


async def test_an_expired_signature_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await refusals(expired(monkeypatch)) == {grpc.StatusCode.UNAUTHENTICATED}


@pytest.mark.parametrize("role", sorted(caller.ROLES - {caller.GATEWAY}))
async def test_another_role_is_refused(role: str) -> None:
    assert await refusals(signer(role).metadata()) == {grpc.StatusCode.PERMISSION_DENIED}


async def test_a_call_without_a_deadline_is_refused() -> None:
    assert await refusals(signer().metadata(), timeout=None) == {grpc.StatusCode.INVALID_ARGUMENT}


async def test_each_rpc_has_a_policy_of_its_own() -> None:
    policies = {"Ask": frozenset({caller.WORKER, caller.TIMELINE}), "Stream": frozenset[str]()}
    async with probing(callers=policies) as probe:
        for role in (caller.WORKER, caller.TIMELINE):
            await call(probe.ask, Window(), signer(role), timeout_seconds=5)
        for role in caller.ROLES:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await probe.stream(Window(), timeout=5, metadata=signer(role).metadata()).read()
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("listed", "named"), [((), "Ask, Stream"), (("Ask",), "Stream"), ((*METHODS, "Delete"), "Delete")]
)
async def test_a_server_refuses_to_start_when_policy_and_rpcs_differ(listed: tuple[str, ...], named: str) -> None:
    service = probe_service(callers=dict.fromkeys(listed, caller.ROLES))
    with pytest.raises(ValueError, match=rf"ProbeService: policy and RPCs differ in {named}$"):
        Server("127.0.0.1:0", KEY, [service])


async def test_an_unknown_rpc_is_unimplemented_for_everybody() -> None:
    async with probing() as probe:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await probe.channel.unary_unary("/kodama.probe.v1.ProbeService/Drop")(
                b"", timeout=5, metadata=signer().metadata()
            )
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
