"""The one list of events, tasks and queues: here the data flow of the whole network can be read at a glance.

From it derive the ledger's rows, Celery's routes, the broker's declarations and the table in docs/architecture.md.
"""

from dataclasses import dataclass
from typing import Final

DEAD_LETTER_EXCHANGE: Final = "kodama.dead_letters"
DEAD_LETTER_QUEUE: Final = "kodama.dead_letters"
RETURN_EXCHANGE: Final = "kodama.returned"
DELIVERY_LIMIT: Final = 5
MAX_QUEUE_LENGTH: Final = 1_000_000
USUAL_LIMIT_SECONDS: Final = 60
"""How long a task may take that does not say otherwise. Where one may take longer, its lease is longer by as much."""


@dataclass(frozen=True)
class Queue:
    """A queue of the broker, with workers of its own so that none delays another."""

    name: str
    purpose: str
    service: str
    """The service whose workers consume it."""
    pool: str
    """Celery's pool: threads where PostgreSQL does the work, prefork where Python does."""
    concurrency: int


@dataclass(frozen=True)
class Task:
    """Work that an event causes, done by a Celery worker."""

    name: str
    queue: str
    batch_size: int
    """At most so many changes in one message, and so in one run of the task."""
    time_limit_seconds: int
    """A task that runs longer is cancelled and tried again; below its lease (chassis/relay.py), so that it never runs twice at once."""


QUEUES: Final = {
    queue.name: queue
    for queue in (
        Queue("timeline.live", "fan-out of what was just posted, and notifications", "timeline", "threads", 8),
        Queue("timeline.bulk", "backfill of new friendships and of members who come back", "timeline", "threads", 2),
        Queue("suggestions", "people everybody might know, computed for all", "social_graph", "prefork", 2),
        Queue("suggestions.live", "people you might know, after something changed", "social_graph", "threads", 2),
        Queue("housekeeping", "clearing what readers no longer see", "timeline", "threads", 1),
        Queue("media", "taking pictures away that nothing shows any more", "media", "threads", 1),
    )
}

TASKS: Final = {
    task.name: task
    for task in (
        Task("timeline.fan_out", "timeline.live", batch_size=400, time_limit_seconds=60),
        Task("timeline.notify", "timeline.live", batch_size=200, time_limit_seconds=60),
        Task("timeline.revise", "timeline.live", batch_size=200, time_limit_seconds=60),
        Task("timeline.retract", "housekeeping", batch_size=200, time_limit_seconds=60),
        Task("timeline.backfill", "timeline.bulk", batch_size=50, time_limit_seconds=60),
        Task("timeline.fill", "timeline.bulk", batch_size=20, time_limit_seconds=60),
        Task("timeline.rebase", "timeline.bulk", batch_size=200, time_limit_seconds=60),
        Task("timeline.purge", "housekeeping", batch_size=50, time_limit_seconds=60),
        Task("media.discard", "media", batch_size=200, time_limit_seconds=60),
        Task("suggestions.refresh", "suggestions.live", batch_size=20, time_limit_seconds=60),
        Task("suggestions.measure", "suggestions.live", batch_size=1, time_limit_seconds=60),
        Task("suggestions.snapshot", "suggestions", batch_size=1, time_limit_seconds=300),
        Task("suggestions.tune", "suggestions", batch_size=1, time_limit_seconds=300),
        Task("suggestions.compute", "suggestions", batch_size=1, time_limit_seconds=60),
    )
}

EVENTS: Final[dict[str, tuple[str, ...]]] = {
    "status.published": ("timeline.fan_out",),
    "status.edited": ("timeline.revise",),
    "status.deleted": ("timeline.retract",),
    "status.media_dropped": ("media.discard",),
    "blog.entry_published": ("timeline.fan_out",),
    "blog.entry_edited": ("timeline.revise",),
    "blog.entry_deleted": ("timeline.retract",),
    "blog.media_dropped": ("media.discard",),
    "blog.commented": ("timeline.notify",),
    "friendship.formed": ("timeline.backfill", "suggestions.refresh"),
    "friendship.ended": ("timeline.purge", "suggestions.refresh"),
    "friend_request.sent": ("timeline.notify",),
    "friend_request.accepted": ("timeline.notify",),
    "status.favourited": ("timeline.notify",),
    "status.mentioned": ("timeline.notify",),
    "friendships.imported": ("timeline.rebase", "suggestions.refresh"),
    "suggestions.outdated": ("suggestions.refresh",),
    "suggestions.requested": ("suggestions.snapshot",),
    "suggestions.snapshotted": ("suggestions.tune",),
    "suggestions.tuned": ("suggestions.compute",),
    "suggestions.sampled": ("suggestions.measure",),
    "home.activated": ("timeline.fill",),
}


@dataclass(frozen=True)
class Chore:
    """Work that no event causes: done again and again, by one of the processes of a service at a time (chassis/housekeeping.py)."""

    name: str
    service: str
    """Whose it is; empty: every service's, each in its own schema."""
    interval_seconds: int
    purpose: str


HOUR_SECONDS: Final = 3600
CHORES: Final = {
    chore.name: chore
    for chore in (
        Chore("claims.forget", "", 60, "delete idempotency keys that are older than a day"),
        Chore(
            "requests.forget", "social_graph", HOUR_SECONDS, "delete friend requests that nobody has answered in time"
        ),
        Chore("mutes.forget", "social_graph", HOUR_SECONDS, "delete mutes that have ended"),
        Chore("dismissals.forget", "social_graph", HOUR_SECONDS, "delete dismissals that have ended"),
        Chore(
            "suggestions.schedule",
            "social_graph",
            60,
            "have suggestions computed for all where KODAMA_SUGGESTIONS_HOURS have gone by, and give up what nobody works on",
        ),
        Chore("suggestions.clear", "social_graph", 300, "drop what a newer computation for all has replaced"),
        Chore("suggestions.sample", "social_graph", HOUR_SECONDS, "have it measured how far suggestions have drifted"),
        Chore("codes.forget", "account", 60, "delete authorization codes that nobody has redeemed in time"),
        Chore("attempts.forget", "account", 600, "delete counts of passwords tried that hold nobody up any more"),
        Chore("confirmations.send", "account", 5, "send the mails that confirm addresses, with KODAMA_CONFIRM_EMAIL"),
        Chore("confirmations.forget", "account", 600, "delete accounts that nobody has confirmed within a week"),
        Chore("entries.prepare", "timeline", 6 * HOUR_SECONDS, "make the partitions of the coming weeks"),
        Chore("homes.resume", "timeline", 120, "have home timelines filled whose fill was lost or discarded"),
        Chore("media.expire", "media", 600, "discard pictures that nothing has shown within a day"),
        Chore("media.delete", "media", 60, "delete what was discarded ten minutes ago"),
        Chore("entries.trim", "timeline", 6 * HOUR_SECONDS, "drop what is older than KODAMA_TIMELINE_KEEP_DAYS"),
    )
}

PRODUCERS: Final = ("social_graph", "status", "blog", "timeline")
"""The services whose schemas hold a ledger."""

_unknown = {task for tasks in EVENTS.values() for task in tasks} - TASKS.keys()
if _unknown or {task.queue for task in TASKS.values()} - QUEUES.keys():
    raise ValueError(f"topology names what it does not define: {sorted(_unknown)}")


def tasks_of(event: str) -> dict[str, list[str]]:
    """Return the tasks of an event and, at the same places, their queues: {"tasks": [...], "queues": [...]}.

    These are the parameters of the SQL that writes ledger rows together with a change. Raises KeyError for unknown events.
    """
    names = EVENTS[event]
    return {"tasks": list(names), "queues": [TASKS[name].queue for name in names]}
