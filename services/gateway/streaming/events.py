"""Events of a stream and how they are written: server-sent events, and messages of a WebSocket."""

import random
import time
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from services.gateway.streaming.resumption import Resumption

Name = Literal["update", "status.update", "delete", "notification", "gap"]
StreamName = Literal["user", "user:notification"]


@dataclass(frozen=True)
class Event:
    """Something that a client is told."""

    name: Name
    id: int
    """Of the post or the notification."""
    data: str
    """JSON on one line."""
    is_replayed: bool = False
    made_at: float = field(default_factory=time.monotonic)
    """When its reader was last allowed to see it; seconds of the monotonic clock."""


class Gap(msgspec.Struct):
    """What a client is told where it has missed more than is replayed: everything between these ids is to be read as pages."""

    since_id: str
    max_id: str


THUMP = b":thump\n"
"""The heartbeat. No blank line after it: it is a comment, and no event ends here."""


RECONNECT_MS = (1_000, 5_000)
"""From, to: when a client whose connection has ended comes back. Each is told another time, so that thousands do not come in one moment."""


def reconnect_time() -> bytes:
    """Return what tells a client when to come back.

    No blank line after it: clients that know nothing of it would take an event without a name for an error.
    """
    return f"retry: {random.randint(*RECONNECT_MS)}\n".encode()  # noqa: S311 - not a secret


def beginning(resumption: Resumption) -> bytes:
    """Return what a stream begins with, so that it can be resumed before anything has happened.

    An event with a name, which nobody has to listen to: browsers would take an `id` alone, but Mastodon.py ends at a block without a name.
    """
    return f"event: begin\nid: {resumption}\ndata: {{}}\n\n".encode()


def resumable(stream: StreamName) -> Name:
    """Return what a stream can go on from: posts on a home stream, notifications on one of notifications."""
    return "notification" if stream == "user:notification" else "update"


def server_sent(event: Event, resumption: Resumption | None) -> bytes:
    """Return an event as https://html.spec.whatwg.org/multipage/server-sent-events.html has it, with lines that end in LF only.

    Only what a stream can go on from has an id.
    """
    identity = f"id: {resumption}\n" if resumption else ""
    return f"event: {event.name}\n{identity}data: {event.data}\n\n".encode()


def web_socket_text(event: Event, stream: StreamName) -> str:
    """Return an event as a message of a WebSocket; its payload is JSON in a string."""
    return msgspec.json.encode({"stream": stream.split(":", 1), "event": event.name, "payload": event.data}).decode()
