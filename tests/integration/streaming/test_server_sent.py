"""Server-sent events over real sockets: what happens arrives, once, and only while it may be seen."""

import asyncio
import contextlib
import hashlib
import json

import pytest

from chassis import live
from deploy.local.rabbitmq import RabbitMQ
from services.gateway.streaming import hub as hub_module
from services.gateway.streaming import server_sent, source, stream
from services.gateway.streaming.events import Event
from services.gateway.streaming.resumption import Resumption
from services.gateway.streaming.turns import MAX_AT_ONCE
from tests.integration.chassis.conftest import rabbitmqctl
from tests.integration.streaming.conftest import Stage, token_of
from tests.integration.streaming.listener import listening


async def test_a_friends_post_and_ones_own_arrive_once_and_in_order(stage: Stage) -> None:
    ann, bob = await stage.friends()
    async with listening(ann.http) as heard:
        first, second = await stage.post(bob), await stage.post(ann)
        await heard.until_updates(first, second)
        assert heard.updates() == [first, second]
        [name, payload, identity] = heard.events[0]
        assert (name, payload["account"]["id"]) == ("update", bob.id)
        assert Resumption.read(identity).above == {int(first)}
        assert payload == (await ann.http.get(f"/api/v1/statuses/{first}")).json()


async def test_each_client_is_told_another_time_to_come_back(stage: Stage) -> None:
    ann = await stage.network.newcomer()
    told = set()
    for _ in range(5):
        async with listening(ann.http) as heard:
            told.add(heard.comes_back_after_ms)
    assert len(told) > 1
    assert all(1000 <= milliseconds <= 5000 for milliseconds in told)


async def test_a_stream_that_opens_has_to_wait_for_its_turn(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await stage.network.newcomer()
    turns = stage.hub._turns
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(MAX_AT_ONCE):
            await stack.enter_async_context(turns.take())
        token_hash = hashlib.sha256(token_of(ann).encode()).digest()
        opening = asyncio.create_task(stage.hub.open(int(ann.id), token_hash, ["read"], "user"))
        done, _ = await asyncio.wait({opening}, timeout=hub_module.LISTEN_SECONDS + 0.5)
        assert not done
    stage.hub.close(await opening, "It was only to be opened.")


async def test_a_strangers_post_does_not_arrive(stage: Stage) -> None:
    ann, bob = await stage.friends()
    stranger = await stage.network.newcomer()
    async with listening(ann.http) as heard:
        await stage.post(stranger)
        seen = await stage.post(bob)
        await heard.until_updates(seen)
        assert heard.updates() == [seen]


async def test_a_deletion_arrives_as_an_id(stage: Stage) -> None:
    ann, bob = await stage.friends()
    async with listening(ann.http) as heard:
        posted = await stage.post(bob)
        await heard.until_updates(posted)
        await bob.http.delete(f"/api/v1/statuses/{posted}")
        await stage.world.drain()
        await heard.until(lambda heard: len(heard.events) == 2)
        assert heard.events[1] == ("delete", int(posted), "")


async def test_each_edit_arrives_and_a_narrowing_as_a_deletion(stage: Stage) -> None:
    ann, bob = await stage.friends()
    posted = await stage.post(bob)
    async with listening(ann.http) as heard, listening(bob.http) as own:
        for count, text in enumerate(("一", "二"), start=1):
            await bob.http.put(f"/api/v1/statuses/{posted}", data={"status": text})
            await stage.world.drain()
            for each in (heard, own):  # two edits that are looked at together are one event
                await each.until(lambda each, count=count: len(each.events) == count)
        assert [(name, payload["id"], identity) for name, payload, identity in heard.events] == [
            ("status.update", posted, "")
        ] * 2
        assert "二" in heard.events[1][1]["content"]
        await bob.http.put(f"/api/v1/statuses/{posted}", data={"visibility": "direct"})
        await stage.world.drain()
        await heard.until(lambda heard: len(heard.events) == 3)
        assert heard.events[2] == ("delete", int(posted), "")
        await own.until(lambda own: len(own.events) == 3)
        assert own.events[2][0] == "status.update"


async def test_a_blog_entry_arrives_when_it_is_published_and_whenever_it_changes(stage: Stage) -> None:
    ann, bob = await stage.friends()
    draft = (await bob.http.post("/api/v1/blogs/drafts", data={"title": "題", "text": "一"})).json()
    await stage.world.drain()
    async with listening(ann.http) as heard:
        entry = (await bob.http.post(f"/api/v1/blogs/drafts/{draft['id']}/publish")).json()
        await stage.world.drain()
        await bob.http.put(f"/api/v1/blogs/{entry['id']}", data={"text": "二"})
        await stage.world.drain()
        await heard.until(lambda heard: len(heard.events) == 2)
        assert [(name, payload["id"]) for name, payload, _ in heard.events] == [
            ("update", entry["id"]),
            ("status.update", entry["id"]),
        ]
        assert "二" in heard.events[1][1]["content"]
        await bob.http.put(f"/api/v1/blogs/{entry['id']}", data={"visibility": "self"})
        await stage.world.drain()
        await heard.until(lambda heard: len(heard.events) >= 3)
        assert heard.events[2] == ("delete", int(entry["id"]), "")


async def test_notifications_arrive_where_the_token_covers_them(stage: Stage) -> None:
    [reader] = await stage.network.sign_up("reads_all", scopes="read write follow")
    [only_posts] = await stage.network.sign_up("reads_posts", scopes="read:statuses write follow")
    asker = await stage.network.newcomer()
    async with (
        listening(reader.http) as user,
        listening(reader.http, "user/notification") as notifications,
        listening(only_posts.http) as posts,
    ):
        for target in (
            reader.id,
            stage.world.query("SELECT max(id) FROM account.accounts WHERE handle = 'reads_posts'")[0][0],
        ):
            await asker.http.post(f"/api/v1/accounts/{target}/follow")
        await stage.world.drain()
        for heard in (user, notifications):
            await heard.until(lambda heard: heard.events)
            [name, payload, _] = heard.events[0]
            assert (name, payload["type"], payload["account"]["id"]) == ("notification", "follow_request", asker.id)
        await asyncio.sleep(0.3)
        assert posts.events == []
        last = Resumption.read(notifications.events[0][2])
        assert last.above == {int(notifications.events[0][1]["id"])}


async def test_scopes_and_tokens_are_asked_for(stage: Stage) -> None:
    [posts_only] = await stage.network.sign_up("only_posts", scopes="read:statuses")
    [follows_only] = await stage.network.sign_up("only_follows", scopes="follow")
    anybody = stage.network.http
    app = stage.network.signed_in(await stage.network.app_token())
    for http, path, code in (
        (anybody, "user", 401),
        (app, "user", 403),
        (follows_only.http, "user", 403),
        (posts_only.http, "user/notification", 403),
    ):
        assert (await http.get(f"/api/v1/streaming/{path}")).status_code == code, path
    health = await anybody.get("/api/v1/streaming/health")
    assert (health.status_code, health.text) == (200, "OK")
    refused = await posts_only.http.get("/api/v1/streaming/user", headers={"last-event-id": "x"})
    assert (refused.status_code, refused.json()["field"]) == (422, "Last-Event-ID")
    token = posts_only.http.headers["authorization"].removeprefix("Bearer ")
    async with listening(anybody, access_token=token):
        pass
    assert (await posts_only.http.head("/api/v1/streaming/user")).status_code == 200


async def test_a_post_that_may_not_be_seen_any_more_does_not_arrive(stage: Stage) -> None:
    ann, bob, eve = await stage.friends(3)
    async with listening(ann.http) as heard:
        hidden = await stage.post(bob, deliver=False)
        await bob.http.post(f"/api/v1/accounts/{ann.id}/unfollow")
        also_hidden = await stage.post(eve, deliver=False)
        await eve.http.post(f"/api/v1/accounts/{ann.id}/block")
        await stage.world.drain()
        own = await stage.post(ann)
        await heard.until_updates(own)
        assert not {hidden, also_hidden} & set(heard.updates())


async def test_what_waited_for_a_slow_client_is_asked_for_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "FRESH_SECONDS", 0.0)
    ann, bob = await stage.friends()
    token_hash = hashlib.sha256(
        token_of(ann).encode()
    ).digest()  # a real one: streams of others are ended within seconds
    opened = await stage.hub.open(int(ann.id), token_hash, ["read"], "user")
    posted = await stage.post(bob)
    await stage.silence(lambda: bool(opened._events))
    await bob.http.post(f"/api/v1/accounts/{ann.id}/unfollow")
    assert await stage.hub.next(opened, 0.2) is None, posted
    stage.hub.close(opened, "")


async def test_a_revoked_token_ends_its_streams_within_five_seconds(stage: Stage) -> None:
    other = await stage.network.newcomer()
    [member] = await stage.network.sign_up("to_be_revoked")
    form = {"client_id": stage.network.client_id, "client_secret": stage.network.client_secret}
    form["token"] = token_of(member)
    async with listening(member.http) as cut, listening(other.http) as kept:
        assert (await stage.network.http.post("/oauth/revoke", data=form)).status_code == 200
        await cut.until_end(5.0)
        posted = await stage.post(other)
        await kept.until_updates(posted)
        assert not kept.has_ended


async def test_a_stream_is_silent_while_its_token_cannot_be_verified(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = await stage.friends()
    async with listening(ann.http) as heard:
        for opened in stage.hub.streams:
            opened.trusted_until = 0.0
        monkeypatch.setattr(stream, "TRUST_SECONDS", -1.0)  # no verification counts
        posted = await stage.post(bob)
        await asyncio.sleep(0.5)
        assert heard.events == []
        monkeypatch.setattr(stream, "TRUST_SECONDS", 5.0)
        await heard.until_updates(posted)


async def test_what_was_missed_is_replayed_exactly(stage: Stage) -> None:
    ann, bob = await stage.friends()
    async with listening(ann.http) as heard:
        first = await stage.post(bob)
        await heard.until_updates(first)
    missed = [await stage.post(bob) for _ in range(3)]
    missed.append(await stage.post(bob, deliver=False))
    async with listening(ann.http, last_event_id=first) as heard:
        await stage.world.drain()  # what is delivered now has been replayed already
        new = await stage.post(bob)
        await heard.until_updates(new)
        assert heard.updates() == [*missed, new]
        last = Resumption.read(heard.events[-1][2])
        assert last == Resumption(int(first), frozenset(map(int, [*missed, new])))


async def test_of_too_much_the_newest_is_replayed_after_a_gap(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "PAGE", 2)
    monkeypatch.setattr(source, "MAX_MISSED", 4)
    ann, bob = await stage.friends()
    posts = [await stage.post(bob, deliver=False) for _ in range(7)]
    async with listening(ann.http, last_event_id=posts[0]) as heard:
        await heard.until_updates(posts[-1])
        assert heard.events[0][:2] == ("gap", {"since_id": posts[0], "max_id": posts[3]})
        assert heard.updates() == posts[3:]
    await stage.world.drain()


async def test_notifications_are_replayed_on_their_stream(stage: Stage) -> None:
    reader = await stage.network.newcomer()
    askers = [await stage.network.newcomer() for _ in range(3)]
    for asker in askers:
        await asker.http.post(f"/api/v1/accounts/{reader.id}/follow")
        await stage.world.drain()
    ids = [one["id"] for one in (await reader.http.get("/api/v1/notifications")).json()]
    async with listening(reader.http, "user/notification", last_event_id=ids[-1]) as heard:
        await heard.until(lambda heard: len(heard.events) == 2)
        assert [payload["id"] for _, payload, _ in heard.events] == ids[1::-1]
        assert Resumption.read(heard.events[-1][2]) == Resumption(int(ids[-1]), frozenset(map(int, ids[:2])))


async def test_a_client_that_does_not_read_is_cut_off(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_sent, "SEND_SECONDS", 0.5)
    monkeypatch.setattr(stream, "MAX_QUEUED", 50)
    ann = await stage.network.newcomer()
    host, _, port = stage.network.settings.gateway_address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    authorization = ann.http.headers["authorization"]
    writer.write(f"GET /api/v1/streaming/user HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode())
    await writer.drain()
    await reader.readuntil(b":thump\n")
    await stage.silence(lambda: len(stage.hub.streams) == 1)
    [opened] = stage.hub.streams
    large = json.dumps({"text": "x" * 100_000})
    for number in range(2000):
        opened.offer(Event("update", number + 1, large))
        await asyncio.sleep(0)
        if opened.end:
            break
    await stage.silence(lambda: not stage.hub.streams)
    assert opened.end
    writer.close()


async def test_a_member_has_at_most_five_streams(stage: Stage) -> None:
    ann = await stage.network.newcomer()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(5):
            await stack.enter_async_context(listening(ann.http))
        refused = await ann.http.get("/api/v1/streaming/user")
        assert refused.status_code == 429, refused.text
    await stage.silence(lambda: not stage.hub.streams)
    async with listening(ann.http):
        pass


async def test_nothing_is_left_when_clients_go(stage: Stage) -> None:
    members = [await stage.network.newcomer() for _ in range(3)]

    async def come_and_go() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for member in members:
                await stack.enter_async_context(listening(member.http))
            assert len(stage.hub.streams) == len(members)

    await come_and_go()  # what a first stream opens to other services stays open for the next
    await stage.silence(lambda: not stage.hub.streams and not stage.hub._watches)
    before = len(asyncio.all_tasks())
    for _ in range(10):
        await come_and_go()
    await stage.silence(lambda: not stage.hub.streams and not stage.hub._watches)
    await stage.silence(lambda: len(asyncio.all_tasks()) <= before + 3)


async def test_a_heartbeat_comes_while_nothing_happens(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_sent, "HEARTBEAT_SECONDS", 0.1)
    ann = await stage.network.newcomer()
    async with listening(ann.http) as heard:
        await heard.until(lambda heard: heard.thumps > 3)
        assert heard.events == []


async def test_a_lost_hint_only_delays(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "LOOK_SECONDS_WITH_HINTS", 0.3)
    ann, bob = await stage.friends()
    async with listening(ann.http) as heard:
        posted = await stage.post(bob, deliver=False)  # no worker, so no hint
        await heard.until_updates(posted)
        await stage.world.drain()
        later = await stage.post(bob)
        await heard.until_updates(later)
        assert heard.updates() == [posted, later]


async def test_one_message_per_batch_and_shard(stage: Stage, rabbitmq_url: str) -> None:
    ann, bob = await stage.friends()
    heard: list[live.Message] = []
    listening_to = asyncio.Event()
    loop = asyncio.get_running_loop()

    def begin(shards: frozenset[int]) -> None:
        if shards:
            loop.call_soon_threadsafe(listening_to.set)

    def hear(message: live.Message) -> None:
        if message.kind == "post":  # that they are friends may be told this late
            heard.append(message)

    listener = live.LiveListener(
        rabbitmq_url,
        on_message=hear,
        on_listening=begin,
        on_lost=lambda: None,
    )
    listener.want(range(live.SHARDS))
    await asyncio.wait_for(listening_to.wait(), 5)
    posts = [int(await stage.post(bob, deliver=False)) for _ in range(5)]
    rows = [work for work in stage.world.open_work() if work.task == "timeline.fan_out"]
    await stage.world.use_cases.fan_out.deliver([work.payload["entry_id"] for work in rows])
    shards = {live.shard_of(int(member.id)) for member in (ann, bob)}
    await stage.silence(lambda: len(heard) >= len(shards))
    await asyncio.sleep(0.2)
    assert len(heard) == len(shards)
    told = {(item.id, reader) for message in heard for item in message.items() for reader in item.recipients}
    assert told == {(post, int(member.id)) for post in posts for member in (ann, bob)}
    listener.close()
    await stage.world.drain()


async def test_streams_outlive_a_restart_of_the_broker(stage: Stage, rabbitmq_node: RabbitMQ) -> None:
    ann, bob = await stage.friends()
    async with listening(ann.http) as heard:
        first = await stage.post(bob)
        await heard.until_updates(first)
        await asyncio.to_thread(rabbitmqctl, rabbitmq_node, "stop_app")
        try:
            await stage.silence(lambda: not stage.hub._hints.are_heard)
            without_broker = await stage.post(bob)
            await heard.until_updates(without_broker)
        finally:
            await asyncio.to_thread(rabbitmqctl, rabbitmq_node, "start_app")
        await stage.silence(lambda: stage.hub._hints.are_heard)
        later = await stage.post(bob)
        await heard.until_updates(later)
        assert heard.updates() == [first, without_broker, later]


async def test_clients_are_told_where_streams_are(stage: Stage) -> None:
    base = stage.network.url.replace("http://", "ws://")
    assert (await stage.network.http.get("/api/v1/instance")).json()["urls"]["streaming_api"] == base
    assert (await stage.network.http.get("/api/v2/instance")).json()["configuration"]["urls"]["streaming"] == base
