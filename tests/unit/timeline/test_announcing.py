"""A message per shard says exactly who is concerned by what, however many they are."""

from typing import cast

import msgspec
import numpy as np
import pytest

from chassis import live
from services.timeline.announcing import Announcer
from services.timeline.domain import Entry


class Published:
    """Keeps what a publisher is given."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, live.Message]] = []

    def publish(self, messages: list[tuple[int, live.Message]]) -> None:
        self.messages += messages

    def pairs(self) -> list[tuple[int, int]]:
        """Every (post, reader) that was told, in order."""
        return sorted(
            (item.id, reader) for _, message in self.messages for item in message.items() for reader in item.recipients
        )


@pytest.mark.parametrize("posts", [1, 7, 5000])
def test_friends_and_authors_are_told_once_in_a_message_per_shard(posts: int) -> None:
    chance = np.random.default_rng(5)
    entries = [Entry((number + 1) << 16, author_id=(number % 50 + 1) * 4) for number in range(posts)]
    friends = {author: np.unique(chance.integers(1000, 10_000, 30)) for author in {one.author_id for one in entries}}
    published = Published()
    Announcer(cast(live.LivePublisher, published)).announce_posts(entries, friends)
    expected = [
        (one.entry_id, reader) for one in entries for reader in (*friends[one.author_id].tolist(), one.author_id)
    ]
    assert published.pairs() == sorted(expected)
    shards = [shard for shard, _ in published.messages]
    assert len(shards) == len(set(shards))
    for shard, message in published.messages:
        ids = [item.id for item in message.items()]
        assert (message.kind, ids) == ("post", sorted(set(ids)))
        assert {live.shard_of(reader) for item in message.items() for reader in item.recipients} == {shard}


def test_nobody_is_told_of_nothing() -> None:
    published = Published()
    announcer = Announcer(cast(live.LivePublisher, published))
    announcer.announce_posts([], {})
    announcer.announce_deletions({})
    announcer.announce_notifications({5: []})
    assert published.messages == []


def test_edits_deletions_and_notifications_name_their_readers() -> None:
    published = Published()
    announcer = Announcer(cast(live.LivePublisher, published))
    announcer.announce_edits({64: [4, 8]})
    announcer.announce_deletions({68: [4]})
    announcer.announce_notifications({4: [72, 76]})
    assert published.pairs() == [(64, 4), (64, 8), (68, 4), (72, 4), (76, 4)]
    assert sorted({message.kind for _, message in published.messages}) == ["delete", "edit", "notification"]


@pytest.mark.parametrize("recipients", [b"", bytes(7), bytes(16)])
def test_who_is_told_is_as_many_as_a_message_says(recipients: bytes) -> None:
    message = live.Message("post", [64], [1], (4).to_bytes(8, "little"))
    encoded = msgspec.msgpack.encode(message)
    assert [(item.id, item.recipients) for item in msgspec.msgpack.decode(encoded, type=live.Message).items()] == [
        (64, [4])
    ]
    broken = msgspec.msgpack.encode({"kind": "post", "ids": [64], "counts": [1], "recipients": recipients})
    with pytest.raises(msgspec.ValidationError, match="fewer or more"):
        msgspec.msgpack.decode(broken, type=live.Message)
