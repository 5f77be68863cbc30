"""What workers tell the gateways of, once it is committed: hints for open streams (chassis/live.py)."""

from collections.abc import Mapping, Sequence

import numpy as np

from chassis import live
from services.timeline.domain import Entry
from services.timeline.rows import Ids, make_rows


class Announcer:
    """Sends one message per piece of work and shard of members. Without a publisher it says nothing."""

    def __init__(self, publisher: live.LivePublisher | None = None) -> None:
        self._publisher = publisher

    def announce_posts(self, entries: Sequence[Entry], friends: Mapping[int, Ids]) -> None:
        """Tell the friends of posts' authors, and the authors, whose other devices may be listening."""
        if self._publisher is None or not entries:
            return
        authors = np.array([[one.author_id, one.entry_id, one.author_id] for one in entries], dtype=np.int64)
        self._send("post", np.concatenate([make_rows(entries, friends), authors])[:, :2])

    def announce_edits(self, readers: Mapping[int, Sequence[int]]) -> None:
        """Tell who may be looking at posts (id → accounts) that they have changed."""
        self._send("edit", _rows(readers)[:, ::-1])

    def announce_deletions(self, readers: Mapping[int, Sequence[int]]) -> None:
        """Tell who may have seen posts (id → accounts) that they are gone."""
        self._send("delete", _rows(readers)[:, ::-1])

    def announce_notifications(self, told: Mapping[int, Sequence[int]]) -> None:
        """Tell members of what they have just been told."""
        self._send("notification", _rows(told))

    def close(self) -> None:
        """Send what waits."""
        if self._publisher is not None:
            self._publisher.close()

    def _send(self, kind: live.Kind, rows: Ids) -> None:
        """Send rows (account, id) in a message per shard."""
        if self._publisher is None or not len(rows):
            return
        ids, place = np.unique(rows[:, 1], return_inverse=True)
        groups = live.shard_of(rows[:, 0]) * len(ids) + place  # by shard, then by id
        order = np.argsort(groups.astype(np.uint16) if live.SHARDS * len(ids) < 2**16 else groups, kind="stable")
        accounts = rows[order, 0].tolist()
        numbers, begins = np.unique(groups[order], return_index=True)
        messages: dict[int, list[live.Item]] = {}
        ends = [*begins[1:].tolist(), len(accounts)]
        for number, begin, end in zip(numbers.tolist(), begins.tolist(), ends, strict=True):
            shard, index = divmod(number, len(ids))
            messages.setdefault(shard, []).append(live.Item(int(ids[index]), accounts[begin:end]))
        for shard, items in messages.items():
            self._publisher.publish(shard, live.Message(kind, items))


def _rows(pairs: Mapping[int, Sequence[int]]) -> Ids:
    """Return a row (key, value) per value of each key."""
    return np.array([(key, value) for key, some in pairs.items() for value in some], dtype=np.int64).reshape(-1, 2)


SILENT = Announcer()
"""Tells nobody."""


def open_announcer(broker_url: str) -> Announcer:
    """Return an announcer over this broker; a silent one where the broker has no live events."""
    return Announcer(live.LivePublisher(broker_url)) if live.can_be_live(broker_url) else SILENT
