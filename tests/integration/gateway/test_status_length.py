"""The published vectors of docs/status_length_vectors.json, each through the RPC and over HTTP: every edge counts with one function."""

import json
from pathlib import Path
from typing import Any

import pytest
from kodama.status.v1 import status_service_pb2 as pb
from kodama.status.v1 import status_service_pb2_grpc as pb_grpc

from chassis import caller
from chassis.errors import InvalidField, KodamaError
from chassis.rpc import call, open_channel
from tests.integration.gateway.conftest import Member, Network

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "docs" / "status_length_vectors.json").read_text("ascii")
)
MAX_CHARACTERS = 150


def text_of(written: str | list[tuple[str, int]]) -> str:
    return written if isinstance(written, str) else "".join(part * times for part, times in written)


def cases() -> list[Any]:
    """Every vector as (text, what is stored or None where it is refused, what the reason says)."""
    found = []
    for kind, vectors in VECTORS.items():
        for vector in vectors if kind != "about" else ():
            text = text_of(vector["text"])
            stored: str | None = text_of(vector.get("clean", vector["text"]))
            because = vector.get("because", "")
            if kind in ("blank", "refused", "too_large") or vector.get("count") == 0:
                stored = None
            elif vector.get("count", 1) > MAX_CHARACTERS:
                stored, because = None, str(vector["count"])
            found.append(pytest.param(text, stored, because, id=f"{kind}: {vector['name']}"))
    return found


@pytest.fixture(scope="module")
async def member(shared_network: Network) -> Member:
    return await shared_network.newcomer()


@pytest.mark.parametrize(("text", "stored", "because"), cases())
async def test_over_http(member: Member, text: str, stored: str | None, because: str) -> None:
    body = json.dumps({"status": text}).encode("ascii")  # escaped: halves of surrogate pairs too
    answer = await member.http.post(
        "/api/v1/statuses", content=body, headers={"content-type": "application/json; charset=utf-8"}
    )
    if stored is None:
        assert answer.status_code in (400, 422), answer.text
        if answer.status_code == 422:
            assert answer.json()["field"] == "status"
        return
    assert answer.status_code == 200, answer.text
    source = await member.http.get(f"/api/v1/statuses/{answer.json()['id']}/source")
    assert source.json()["text"] == stored


@pytest.mark.parametrize(("text", "stored", "because"), cases())
async def test_through_the_rpc(
    shared_network: Network, member: Member, text: str, stored: str | None, because: str
) -> None:
    settings = shared_network.settings
    signer = caller.Signer(caller.GATEWAY, settings.derive("rpc"))
    channel = open_channel(settings.address("status"), "kodama.status.v1.StatusService")
    stub = pb_grpc.StatusServiceStub(channel)
    try:
        if any("\ud800" <= character <= "\udfff" for character in text):
            with pytest.raises(ValueError, match="surrogates"):  # no message can hold it
                pb.CreateStatusRequest(account_id=int(member.id), text=text).SerializeToString()
            return
        request = pb.CreateStatusRequest(account_id=int(member.id), text=text)
        if stored is None:
            with pytest.raises(InvalidField, match=because or None) as refused:
                await call(stub.CreateStatus, request, signer, timeout_seconds=20)
            assert refused.value.metadata["field"] == "text"
        else:
            made = await call(stub.CreateStatus, request, signer, timeout_seconds=20)
            assert made.status.text == stored
    finally:
        await channel.close()


async def test_half_a_pair_in_a_message_is_refused(shared_network: Network, member: Member) -> None:
    """Bytes that no honest client can write: a message whose text is not UTF-8."""
    settings = shared_network.settings
    signer = caller.Signer(caller.GATEWAY, settings.derive("rpc"))
    text = "a\ud800".encode("utf-8", "surrogatepass")
    message = pb.CreateStatusRequest(account_id=int(member.id)).SerializeToString()
    message += bytes([0x12, len(text)]) + text  # field 2, of a length
    channel = open_channel(settings.address("status"), "kodama.status.v1.StatusService")
    method: Any = channel.unary_unary("/kodama.status.v1.StatusService/CreateStatus")
    before = await member.http.get(f"/api/v1/accounts/{member.id}/statuses", params={"limit": 1})
    with pytest.raises(KodamaError):
        await call(method, message, signer, timeout_seconds=20)  # type: ignore[arg-type]  # no message
    after = await member.http.get(f"/api/v1/accounts/{member.id}/statuses", params={"limit": 1})
    assert before.json()[0]["id"] == after.json()[0]["id"]
    await channel.close()
