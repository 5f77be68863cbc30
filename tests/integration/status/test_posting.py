"""Posting against the real schema."""

import pytest
from kodama.status.v1 import status_service_pb2 as pb
from kodama.status.v1 import status_service_pb2_grpc as pb_grpc

from chassis import caller
from chassis.errors import InvalidField, KodamaError, Unavailable
from chassis.rpc import call, open_channel
from chassis.settings import Settings
from tests.conftest import Running


async def test_post_a_status(settings: Settings, running: Running) -> None:
    async with running("status"):
        channel = open_channel(settings.address("status"), "kodama.status.v1.StatusService")
        stub = pb_grpc.StatusServiceStub(channel)
        signer = caller.Signer(caller.GATEWAY, settings.derive("rpc"))
        made = await call(
            stub.CreateStatus, pb.CreateStatusRequest(account_id=4, text=" おはよう "), signer, timeout_seconds=2
        )
        assert made.status.text == "おはよう"
        with pytest.raises(InvalidField, match="151"):
            await call(
                stub.CreateStatus, pb.CreateStatusRequest(account_id=4, text="a" * 151), signer, timeout_seconds=2
            )
        with pytest.raises(KodamaError):
            await call(
                stub.CreateStatus,
                pb.CreateStatusRequest(account_id=4, text="a"),
                caller.Signer(caller.WORKER, settings.derive("rpc")),
                timeout_seconds=2,
            )
        await channel.close()


async def test_a_mention_needs_somebody_who_knows_the_members(settings: Settings, running: Running) -> None:
    """Without its mentions a status would tell nobody, and a direct one would be seen by nobody: it is refused instead."""
    async with running("status"):
        channel = open_channel(settings.address("status"), "kodama.status.v1.StatusService")
        stub = pb_grpc.StatusServiceStub(channel)
        signer = caller.Signer(caller.GATEWAY, settings.derive("rpc"))
        for text in ("hello @somebody", "https://example.com/@somebody"):
            request = pb.CreateStatusRequest(account_id=4, text=text)
            if text.startswith("hello"):
                with pytest.raises(Unavailable):
                    await call(stub.CreateStatus, request, signer, timeout_seconds=3)
            else:
                await call(stub.CreateStatus, request, signer, timeout_seconds=3)
        await channel.close()
