"""How streams begin: with an id to resume from, and without losing what happens while the broker is being asked for a member's shard."""

import asyncio
import threading
from typing import Any

import kombu
import pytest

from chassis import live
from services.gateway.streaming import hub as hub_module
from services.gateway.streaming.resumption import Resumption
from tests.integration.streaming.conftest import Stage
from tests.integration.streaming.listener import listening


async def test_what_happens_while_a_shard_is_being_bound_is_not_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "LISTEN_SECONDS", 0.1)
    ann, bob = await stage.friends()
    other = ann
    while live.shard_of(int(other.id)) == live.shard_of(int(ann.id)):
        await stage.network.register()  # which takes an id, too
        other = await stage.network.newcomer()
    may_bind = threading.Event()
    bind = kombu.Queue.bind_to

    def bind_late(self: kombu.Queue, *arguments: Any, **named: Any) -> Any:
        assert may_bind.wait(60)
        return bind(self, *arguments, **named)

    async with listening(other.http):  # the broker is heard, but not Ann's shard
        monkeypatch.setattr(kombu.Queue, "bind_to", bind_late)
        async with listening(ann.http) as heard:
            posted = await stage.post(bob)
            assert heard.events == []
            may_bind.set()
            await heard.until_updates(posted)


async def test_what_happens_while_a_shard_is_let_go_is_not_lost(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = await stage.friends()
    is_let_go, may_go_on = threading.Event(), threading.Event()
    unbind = kombu.Queue.unbind_from

    def unbind_slowly(self: kombu.Queue, *arguments: Any, **named: Any) -> Any:
        done = unbind(self, *arguments, **named)
        is_let_go.set()
        assert may_go_on.wait(60)
        return done

    monkeypatch.setattr(kombu.Queue, "unbind_from", unbind_slowly)
    async with listening(ann.http):
        pass
    assert await asyncio.to_thread(is_let_go.wait, 60)
    async with listening(ann.http) as heard:  # of the unbinding nobody has been told yet
        posted = await stage.post(bob)
        may_go_on.set()
        await heard.until_updates(posted)


async def test_a_stream_can_be_resumed_before_its_first_event(stage: Stage) -> None:
    ann, bob = await stage.friends()
    before = await stage.post(bob)
    async with listening(ann.http) as heard:
        assert Resumption.read(heard.begins_at).above == {int(before)}
    missed = await stage.post(bob)
    async with listening(ann.http, last_event_id=heard.begins_at) as again:
        await again.until_updates(missed)
        assert again.updates() == [missed]
        assert again.begins_at == heard.begins_at
    newcomer = await stage.network.newcomer()
    async with listening(newcomer.http) as first, listening(newcomer.http, "user/notification") as told:
        assert first.begins_at == told.begins_at == "1"
    await bob.http.post(f"/api/v1/accounts/{newcomer.id}/follow")
    await stage.world.drain()
    own = await stage.post(newcomer)
    async with (
        listening(newcomer.http, last_event_id=first.begins_at) as first,
        listening(newcomer.http, "user/notification", last_event_id=told.begins_at) as told,
    ):
        await first.until_updates(own)
        await told.until(lambda told: told.events)
