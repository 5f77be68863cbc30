"""Streams that are cut and opened again: nothing is left out, whatever came to light late, and nothing comes twice."""

import asyncio
import hashlib
from collections.abc import Collection

import psycopg
import pytest

from chassis.errors import Unavailable
from services.gateway.streaming import hub as hub_module
from services.gateway.streaming.events import Event
from services.status.domain import NewStatus, Visibility
from services.status.posting_store import insert_statuses
from tests.integration.streaming.conftest import Stage, token_of
from tests.integration.streaming.listener import listening


async def test_what_is_committed_late_is_found_and_nothing_comes_twice(stage: Stage) -> None:
    ann, bob, eve = await stage.friends(3)
    async with (
        await psycopg.AsyncConnection.connect(stage.network.settings.database_url) as late,
        listening(ann.http) as heard,
    ):
        await late.execute("SET search_path TO status")
        [slow] = await insert_statuses(late, [NewStatus(int(eve.id), "遅れて", Visibility.PUBLIC, "")])
        assert slow is not None
        first, second = await stage.post(bob), await stage.post(bob)
        await heard.until_updates(first, second)
        assert slow.status.id < int(first)
        last_event_id = heard.events[-1][2]
    await stage.world.drain()
    async with listening(ann.http, last_event_id=last_event_id) as again:
        await again.until_updates(str(slow.status.id))
        new = await stage.post(bob)
        await again.until_updates(new)
        assert again.updates() == [str(slow.status.id), new]


async def test_looks_are_due_however_much_is_hinted_at(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "LOOK_SECONDS_WITH_HINTS", 0.5)
    ann, bob = await stage.friends()
    async with listening(ann.http) as heard:

        async def hint() -> None:
            while True:
                for watch in stage.hub._watches.values():
                    watch.hint_notification()
                await asyncio.sleep(0.05)

        hinting = asyncio.create_task(hint())
        posted = await stage.post(bob, deliver=False)
        await heard.until_updates(posted)
        hinting.cancel()
    await stage.world.drain()


async def test_ones_own_direct_status_comes_with_a_look(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "LOOK_SECONDS_WITH_HINTS", 0.5)
    ann = await stage.network.newcomer()
    async with listening(ann.http) as heard:
        posted = await stage.post(ann, visibility="direct")
        await heard.until_updates(posted)


async def test_what_cannot_be_asked_for_again_now_is_sent_when_it_can(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(hub_module, "PAUSE_SECONDS", 0.1)
    ann, bob = await stage.friends()
    opened = await stage.hub.open(int(ann.id), hashlib.sha256(token_of(ann).encode()).digest(), ["read"], "user")
    posts = [await stage.post(bob), await stage.post(bob)]
    await stage.silence(lambda: len(opened._events) == 2)
    source, refusals = stage.hub._source, 3
    ask = source.posts

    async def ask_later(account_id: int, post_ids: Collection[int]) -> list[Event]:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise Unavailable("Not now.")
        return await ask(account_id, post_ids)

    monkeypatch.setattr(source, "posts", ask_later)
    assert await stage.hub.next(opened, 0.05) is None  # a heartbeat is due meanwhile
    sent = [await stage.hub.next(opened, 10), await stage.hub.next(opened, 10)]
    assert [str(event.id) for event in sent if event] == posts
    stage.hub.close(opened, "")
