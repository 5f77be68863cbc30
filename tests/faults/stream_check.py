"""What has to have come over streams: everything that stands on the member's home timeline and was posted since the first was opened."""

import asyncio
import time
from collections.abc import Sequence

from tests.faults.safety import Findings, Verdict
from tests.faults.streams import Onlooker
from tests.faults.world import World

PATIENCE_SECONDS = 60.0
"""A look at everything is due every 20 s; so long it is waited for after the last event."""
POLL_SECONDS = 0.5


def expected_on(world: World, onlooker: Onlooker) -> set[int]:
    """Return what a stream must have brought, live or by resumption: posts of the member's own and of those who have been friends all the
    time."""
    viewer = onlooker.member.id
    return {
        an_id
        for an_id in world.home(viewer)
        if an_id > onlooker.floor
        and world.by_id[an_id].asked_at > onlooker.opened_at
        and (world.by_id[an_id].author == viewer or not world.pair(viewer, world.by_id[an_id].author).was_touched)
    }


async def check_streams(world: World, onlookers: Sequence[Onlooker], findings: Findings, verdict: Verdict) -> None:
    """Wait until all streams have brought what they must, as long as anything comes, and note what is missing."""
    opened = [one for one in onlookers if one.floor >= 0]
    wanted = {one.member.id: expected_on(world, one) for one in opened}
    last, at = -1, time.monotonic()
    while True:
        missing = {one.member.id: wanted[one.member.id] - one.got for one in opened}
        left = sum(map(len, missing.values()))
        if left == 0 or time.monotonic() - at > PATIENCE_SECONDS:
            break
        if left != last:
            last, at = left, time.monotonic()
        await asyncio.sleep(POLL_SECONDS)
    verdict.checked["stream entries"] += sum(map(len, wanted.values()))
    for member, ids in missing.items():
        for an_id in sorted(ids):
            post = world.by_id[an_id]
            findings.note("missing", "stream", member, f"{post.key} {an_id} of {post.author}", post.acknowledged_at)
