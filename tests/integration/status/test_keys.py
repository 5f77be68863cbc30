"""Idempotency keys of posts, which claim them in their one statement, and of the other writes: one mechanism to who asks."""

import asyncio

import psycopg
import pytest

from chassis.errors import Conflict, FailedPrecondition, IdempotencyKeyReused
from tests.integration.status.conftest import Wall


async def test_a_key_that_is_in_use_posts_nothing(wall: Wall) -> None:
    [ann] = await wall.world.members(1)
    first = await wall.post(ann, key="r")
    with psycopg.connect(wall.world.settings.service_database_url("status")) as conn:
        conn.execute("SELECT try_claim(%s, 'k')", (ann,))
        for reply_to in (0, first.id):  # replies are inserted by a statement of their own
            with pytest.raises(Conflict, match="still running"):
                await wall.post(ann, reply_to=reply_to, key="k")
    assert wall.world.query("SELECT count(*) FROM status.statuses WHERE account_id = %s", ann) == [(1,)]
    assert (await wall.post(ann, key="k")).id != first.id


async def test_of_many_at_once_one_is_posted(wall: Wall) -> None:
    [ann] = await wall.world.members(1)
    answers = await asyncio.gather(*(wall.post(ann, key="k") for _ in range(20)), return_exceptions=True)
    posted = await wall.post(ann, key="k")
    assert all(isinstance(answer, Conflict) or answer == posted for answer in answers)
    assert wall.world.query("SELECT count(*) FROM status.statuses WHERE account_id = %s", ann) == [(1,)]


async def test_a_key_is_of_one_write(wall: Wall) -> None:
    [ann] = await wall.world.members(1)
    posted = await wall.post(ann, key="k")
    for other in (wall.post(ann, "other", key="k"), wall.post(ann, visibility=3, key="k")):
        with pytest.raises(IdempotencyKeyReused):
            await other
    await wall.delete(ann, posted.id)
    with pytest.raises(FailedPrecondition, match="deleted"):
        await wall.post(ann, key="k")


async def test_an_old_key_is_free_even_while_it_is_taken_anew(wall: Wall) -> None:
    [ann] = await wall.world.members(1)
    first = await wall.post(ann, key="k")
    with psycopg.connect(wall.world.settings.service_database_url("status"), autocommit=True) as conn:
        conn.execute("UPDATE claims SET created_at = now() - interval '25 hours' WHERE account_id = %s", (ann,))
        with conn.transaction():
            conn.execute("SELECT try_claim(%s, 'k')", (ann,))
            with pytest.raises(Conflict):
                await wall.post(ann, "other", key="k")
    second = await wall.post(ann, "other", key="k")
    assert second.id != first.id
    assert await wall.post(ann, "other", key="k") == second
