"""Mastodon.py, unmodified, on a stream. There is no broker here: streams look for themselves."""

import asyncio
import queue
from typing import Any

from mastodon import Mastodon, StreamListener

from tests.clients.conftest import Stage

SECONDS = 300


class Heard(StreamListener):
    """What has come, in a queue between the client's thread and the test."""

    def __init__(self) -> None:
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.thumps: queue.Queue[None] = queue.Queue()

    def handle_heartbeat(self) -> None:
        self.thumps.put(None)

    def on_update(self, status: Any) -> None:
        self.events.put(("update", status))

    def on_notification(self, notification: Any) -> None:
        self.events.put(("notification", notification))

    def on_abort(self, err: Exception) -> None:
        self.events.put(("abort", err))

    async def next(self) -> tuple[str, Any]:
        """Return the next event."""
        return await asyncio.to_thread(self.events.get, timeout=SECONDS)


async def test_a_client_hears_of_posts_and_of_who_favours_its_own(stage: Stage) -> None:
    hana, ken = (
        Mastodon(access_token=stage.token_of(member), api_base_url=stage.network.url)
        for member in (stage.hana, stage.ken)
    )
    heard = Heard()
    handle = await stage.run(lambda: hana.stream_user(heard, run_async=True, timeout=60))
    await asyncio.to_thread(heard.thumps.get, timeout=SECONDS)
    try:
        posted = await stage.run(lambda: ken.status_post("聞こえますか"))
        name, status = await heard.next()
        assert (name, status.id, status.account.acct) == ("update", posted.id, "ken")
        own = await stage.run(lambda: hana.status_post("聞こえます"))
        name, status = await heard.next()
        assert (name, status.id) == ("update", own.id)
        await stage.run(lambda: ken.status_favourite(own.id))
        await stage.world.drain()
        name, notification = await heard.next()
        assert (name, notification.type, notification.status.id) == ("notification", "favourite", own.id)
    finally:
        # Closing waits for the reader, which waits for the next event.
        closing = asyncio.create_task(asyncio.to_thread(handle.close))
        await stage.run(lambda: ken.status_post("またね"))
        await closing


async def test_a_client_reads_counts_and_dismisses_what_it_is_told(stage: Stage) -> None:
    hana, mio = (
        Mastodon(access_token=stage.token_of(member), api_base_url=stage.network.url)
        for member in (stage.hana, stage.mio)
    )
    await stage.run(lambda: mio.account_follow(stage.hana.id))
    await stage.world.drain()

    def session() -> None:
        [asked] = hana.notifications(types=["follow_request"])
        assert asked.account.acct == "mio"
        assert hana.notifications(id=asked.id).id == asked.id
        unread = hana.notifications_unread_count().count
        saved = hana.markers_set("notifications", asked.id)
        assert int(saved["notifications"].last_read_id) == int(asked.id)
        assert hana.notifications_unread_count().count == 0 < unread
        assert hana.markers_get(["notifications"])["notifications"].version == 1
        hana.notifications_dismiss(asked.id)
        assert hana.notifications(types=["follow_request"]) == []
        hana.notifications_clear()
        assert hana.notifications() == []

    await stage.run(session)


async def test_a_client_is_told_whether_streams_are_well(stage: Stage) -> None:
    hana = Mastodon(access_token=stage.token_of(stage.hana), api_base_url=stage.network.url)
    assert await stage.run(hana.stream_healthy)
