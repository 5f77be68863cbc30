"""Whom a status's changes tell: one row of work per member whom it concerns, in the transaction of the change, never oneself."""

from tests.integration.status.conftest import DIRECT, FRIENDS, Wall
from tests.integration.status.test_visibility import handle


def told(wall: Wall, status_id: int) -> list[tuple[int, int]]:
    """Return (told, by whom) of the notices about a status, in no order."""
    return sorted(
        (work.payload["account_id"], work.payload["from_id"])
        for work in wall.world.open_work()
        if work.task == "timeline.notify" and work.payload.get("status_id") == status_id
    )


async def test_whom_a_status_mentions_or_answers_hears_of_it_once(wall: Wall) -> None:
    author, friend, other = await wall.friends(3)
    names = {who: handle(wall, who) for who in (author, friend, other)}
    parent = await wall.post(author, f"@{names[author]} @{names[friend]} @{names[friend].upper()}")
    assert told(wall, parent.id) == [(friend, author)]
    reply = await wall.post(
        friend, f"@{names[author]} @{names[other]}", reply_to=parent.id, visibility=FRIENDS, key="k"
    )
    assert told(wall, reply.id) == [(author, friend), (other, friend)]
    await wall.post(friend, f"@{names[author]} @{names[other]}", reply_to=parent.id, visibility=FRIENDS, key="k")
    assert told(wall, reply.id) == [(author, friend), (other, friend)]
    own = await wall.post(author, reply_to=parent.id, visibility=DIRECT)
    assert told(wall, own.id) == []


async def test_an_edit_tells_whom_the_text_did_not_name_before(wall: Wall) -> None:
    author, friend, other = await wall.friends(3)
    status = await wall.post(author, f"@{handle(wall, friend)}")
    await wall.update(author, status.id, text=f"@{handle(wall, friend)} @{handle(wall, other)} @{handle(wall, author)}")
    assert told(wall, status.id) == sorted([(friend, author), (other, author)])
    await wall.update(author, status.id, visibility=DIRECT)
    assert len(told(wall, status.id)) == 2


async def test_a_favourite_tells_the_author_when_it_is_new(wall: Wall) -> None:
    author, friend = await wall.friends(2)
    status = await wall.post(author)
    for _ in range(2):
        await wall.favourite(friend, status.id)
    await wall.favourite(author, status.id)
    assert told(wall, status.id) == [(author, friend)]
    await wall.unfavourite(friend, status.id)
    assert told(wall, status.id) == [(author, friend)]
