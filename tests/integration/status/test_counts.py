"""How many statuses an account has is kept as they come and go, and is what counting them would say."""

import asyncio
import random

from kodama.status.v1 import status_service_pb2 as pb

from tests.integration.status.conftest import Wall

PUBLIC, FRIENDS, DIRECT = 1, 3, 4


async def counted(wall: Wall, account_id: int) -> tuple[int, int]:
    answer = await wall.ask(
        wall.world.statuses.BatchCountStatuses, pb.BatchCountStatusesRequest(account_ids=[account_id])
    )
    return answer.counts.get(account_id, 0), answer.last_status_at_ms.get(account_id, 0)


async def test_what_is_posted_deleted_and_narrowed_is_counted(wall: Wall) -> None:
    [ann] = await wall.world.members(1)
    assert await counted(wall, ann) == (0, 0)
    first, second, third = [await wall.post(ann, visibility=PUBLIC) for _ in range(3)]
    await wall.post(ann, visibility=DIRECT)
    assert await counted(wall, ann) == (3, third.created_at_ms)
    await wall.update(ann, third.id, visibility=DIRECT)
    assert await counted(wall, ann) == (2, second.created_at_ms)
    await wall.update(ann, second.id, visibility=FRIENDS)
    await wall.delete(ann, first.id)
    await wall.delete(ann, third.id)
    assert await counted(wall, ann) == (1, second.created_at_ms)
    await wall.delete(ann, second.id)
    assert await counted(wall, ann) == (0, 0)


async def test_of_what_happens_at_once_all_is_counted(wall: Wall) -> None:
    authors = await wall.world.members(3)
    posted = [await wall.post(author, visibility=PUBLIC) for author in authors for _ in range(12)]
    chance = random.Random(1)

    async def one_of_many(author: int) -> None:
        requests = [pb.CreateStatusRequest(account_id=each, text="together") for each in authors]
        chance.shuffle(requests)
        await wall.ask(wall.world.statuses.BatchCreateStatuses, pb.BatchCreateStatusesRequest(requests=requests))
        await wall.post(author, visibility=chance.choice([PUBLIC, DIRECT]), reply_to=posted[0].id)

    # The last ones of each author among them, so that deletions wait for each other.
    gone = [status for author in authors for status in posted if status.account_id == author][6:]
    await asyncio.gather(
        *(one_of_many(chance.choice(authors)) for _ in range(20)),
        *(wall.delete(status.account_id, status.id) for status in gone),
    )
    truth = wall.world.query(
        "SELECT account_id, count(*), max(id) FROM status.statuses"
        " WHERE visibility <> 4 AND account_id = ANY(%s) GROUP BY 1 ORDER BY 1",
        authors,
    )
    kept = wall.world.query(
        "SELECT account_id, statuses, last_id FROM status.authors WHERE account_id = ANY(%s) ORDER BY 1", authors
    )
    assert len(truth) == 3
    assert kept == truth
