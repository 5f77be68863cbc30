"""Streams over WebSockets: subscribing, and the token in each of the places where clients put it."""

import asyncio
import json
import re

import pytest
import websockets

from tests.integration.streaming.conftest import Stage, token_of


def socket_url(stage: Stage, path: str = "", query: str = "") -> str:
    return stage.network.url.replace("http://", "ws://") + f"/api/v1/streaming{path}{query}"


async def receive(socket: websockets.ClientConnection) -> dict[str, object]:
    return dict(json.loads(await asyncio.wait_for(socket.recv(), 10)))


@pytest.mark.parametrize("place", ["header", "query", "protocol"])
async def test_a_web_socket_with_the_token_anywhere(stage: Stage, place: str) -> None:
    ann, bob = await stage.friends()
    token = token_of(ann)
    query = f"?stream=user&access_token={token}" if place == "query" else "?stream=user"
    connecting = websockets.connect(
        socket_url(stage, query=query),
        additional_headers={"Authorization": f"Bearer {token}"} if place == "header" else None,
        subprotocols=[websockets.Subprotocol(token)] if place == "protocol" else None,
        proxy=None,
    )
    async with connecting as socket:
        await stage.silence(lambda: len(stage.hub.streams) == 1)
        await stage.silence(lambda: stage.hub.streams[0]._held is None)
        posted = await stage.post(bob)
        message = await receive(socket)
        assert (message["stream"], message["event"]) == (["user"], "update")
        payload = json.loads(str(message["payload"]))
        assert payload["id"] == posted
    await stage.silence(lambda: not stage.hub.streams)


async def test_a_web_socket_subscribes_and_unsubscribes(stage: Stage) -> None:
    ann = await stage.network.newcomer()
    headers = {"Authorization": f"Bearer {token_of(ann)}"}
    async with websockets.connect(socket_url(stage, path="/"), additional_headers=headers, proxy=None) as socket:
        for text in ("{", '{"type":"dance"}', '{"type":"subscribe","stream":"public"}', "x" * 2000):
            await socket.send(text)
            assert (await receive(socket))["status"] == 400
        for name in ("user", "user:notification"):
            await socket.send(json.dumps({"type": "subscribe", "stream": name}))
        await stage.silence(lambda: len([one for one in stage.hub.streams if one._held is None]) == 2)
        stranger = await stage.network.newcomer()
        await stranger.http.post(f"/api/v1/accounts/{ann.id}/follow")
        await stage.world.drain()
        messages = [await receive(socket), await receive(socket)]
        assert sorted((message["stream"], message["event"]) for message in messages) == [
            (["user"], "notification"),
            (["user", "notification"], "notification"),
        ]
        await socket.send(json.dumps({"type": "unsubscribe", "stream": "user"}))
        await stage.silence(lambda: len(stage.hub.streams) == 1)


async def test_a_web_socket_without_a_token_or_scope_is_refused(stage: Stage) -> None:
    [follows_only] = await stage.network.sign_up("socket_follows", scopes="follow")
    for query in ("", "?access_token=nonsense"):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(socket_url(stage, query=query), proxy=None)
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body or b"")["error"]
    headers = {"Authorization": f"Bearer {token_of(follows_only)}"}
    url = socket_url(stage, query="?stream=user")
    async with websockets.connect(url, additional_headers=headers, proxy=None) as socket:
        assert re.search("scope", str((await receive(socket))["error"]))


async def test_a_revoked_token_ends_its_web_sockets(stage: Stage) -> None:
    [member] = await stage.network.sign_up("socket_revoked")
    form = {"client_id": stage.network.client_id, "client_secret": stage.network.client_secret}
    headers = {"Authorization": f"Bearer {token_of(member)}"}
    url = socket_url(stage, query="?stream=user")
    async with websockets.connect(url, additional_headers=headers, proxy=None) as socket:
        await stage.silence(lambda: len(stage.hub.streams) == 1)
        await stage.network.http.post("/oauth/revoke", data=form | {"token": token_of(member)})
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 5)


async def test_a_message_that_is_too_large_ends_the_socket(stage: Stage) -> None:
    ann = await stage.network.newcomer()
    headers = {"Authorization": f"Bearer {token_of(ann)}"}
    async with websockets.connect(socket_url(stage), additional_headers=headers, proxy=None) as socket:
        await socket.send("x" * 100_000)
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 5)
