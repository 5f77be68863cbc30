"""The Celery tasks of this service: each an adapter of a few lines over a use case. Payloads are hints; state is read anew."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from chassis.task_app import Handler, Payload
from services.timeline.domain import Cause
from services.timeline.fan_out import FanOut
from services.timeline.notifying import Notifying
from services.timeline.upkeep import Upkeep


@dataclass(frozen=True)
class UseCases:
    """What the tasks work with, made once per worker process."""

    fan_out: FanOut
    upkeep: Upkeep
    notifying: Notifying


async def fan_out(use_cases: UseCases, payloads: Sequence[Payload]) -> None:
    """Push posts to active friends."""
    await use_cases.fan_out.deliver_soon([payload["entry_id"] for payload in payloads])


async def notify(use_cases: UseCases, payloads: Sequence[Payload]) -> None:
    """Tell members what others have done that concerns them."""
    await use_cases.notifying.notify(
        [
            Cause(
                payload["account_id"],
                payload["from_id"],
                status_id=payload.get("status_id", 0),
                is_accepted=bool(payload.get("is_accepted", 0)),
                at_ms=payload.get("at_ms", 0),
                comment_id=payload.get("comment_id", 0),
            )
            for payload in payloads
        ]
    )


async def revise(use_cases: UseCases, payloads: Sequence[Payload]) -> None:
    """Tell open streams of edited posts; pages read them anew anyway."""
    await use_cases.upkeep.revise({payload["entry_id"]: payload["author_id"] for payload in payloads})


async def retract(use_cases: UseCases, payloads: Sequence[Payload]) -> None:
    """Clear deleted posts."""
    await asyncio.gather(*(use_cases.upkeep.retract(payload["entry_id"], payload["author_id"]) for payload in payloads))


async def backfill(use_cases: UseCases, payloads: Sequence[Payload]) -> None:
    """Give new friends each other's posts, one pair after the other: bulk work takes one connection."""
    for payload in payloads:
        await use_cases.upkeep.backfill(payload["account_id"], payload["friend_id"])


async def fill(use_cases: UseCases, payloads: Sequence[Payload]) -> None:
    """Push the last pages to members who read again."""
    for account_id in sorted({payload["account_id"] for payload in payloads}):
        await use_cases.upkeep.fill(account_id)


async def rebase(use_cases: UseCases, payloads: Sequence[Payload]) -> None:
    """Begin anew to push to members whose friendships were imported."""
    await use_cases.upkeep.rebase([payload["account_id"] for payload in payloads])


async def purge(use_cases: UseCases, payloads: Sequence[Payload]) -> None:
    """Clear what former friends have of each other."""
    for payload in payloads:
        await use_cases.upkeep.purge(payload["account_id"], payload["friend_id"])


HANDLERS: dict[str, Handler[UseCases]] = {
    "timeline.fan_out": fan_out,
    "timeline.notify": notify,
    "timeline.revise": revise,
    "timeline.retract": retract,
    "timeline.backfill": backfill,
    "timeline.fill": fill,
    "timeline.rebase": rebase,
    "timeline.purge": purge,
}
