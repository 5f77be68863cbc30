"""Replies and threads: who may reply, what a thread shows to whom, and what stays of it when something is deleted."""

import asyncio

import pytest

from chassis.errors import IdempotencyKeyReused, InvalidField, NotFound
from services.status.domain import ANONYMOUS_THREAD, MEMBERS_THREAD
from tests.integration.status.conftest import DIRECT, FRIENDS, UNLISTED, Wall


async def test_a_reply_says_what_it_replies_to(wall: Wall) -> None:
    author, friend = await wall.friends(2)
    parent = await wall.post(author)
    reply = await wall.post(friend, "うん", reply_to=parent.id)
    assert (reply.in_reply_to_id, reply.in_reply_to_account_id) == (parent.id, author)
    found = await wall.get(author, parent.id, reply.id)
    assert found[reply.id].in_reply_to_id == parent.id
    assert found[parent.id].replies_count == 1
    assert found[parent.id].version == parent.version


async def test_only_what_one_may_see_can_be_replied_to(wall: Wall) -> None:
    author, friend, stranger, blocked = await wall.friends(4)
    await wall.world.unfriend(author, stranger)
    await wall.world.block(author, blocked)
    private, public = await wall.post(author, visibility=FRIENDS), await wall.post(author)
    assert (await wall.post(friend, reply_to=private.id)).in_reply_to_id == private.id
    for who, status_id in ((stranger, private.id), (blocked, public.id), (friend, public.id + 4)):
        with pytest.raises(NotFound) as refused:
            await wall.post(who, reply_to=status_id)
        assert refused.value.metadata["field"] == "in_reply_to_id"
    with pytest.raises(InvalidField) as negative:
        await wall.post(friend, reply_to=-1)
    assert negative.value.metadata["field"] == "in_reply_to_id"
    assert not wall.drift()


async def test_open_replies_are_counted_and_uncounted(wall: Wall) -> None:
    author, friend = await wall.friends(2)
    parent = await wall.post(author)

    async def count() -> int:
        return (await wall.get(author, parent.id))[parent.id].replies_count

    public = await wall.post(friend, reply_to=parent.id)
    unlisted = await wall.post(friend, reply_to=parent.id, visibility=UNLISTED)
    await wall.post(friend, reply_to=parent.id, visibility=FRIENDS)
    await wall.post(friend, reply_to=parent.id, visibility=DIRECT)
    assert await count() == 2  # a count must not tell strangers of replies that they may not see
    await wall.update(friend, unlisted.id, visibility=FRIENDS)
    assert await count() == 1
    await wall.delete(friend, unlisted.id)
    assert await count() == 1
    await wall.delete(friend, public.id)
    assert await count() == 0
    assert not wall.drift()


async def test_a_thread_is_read_from_the_top_and_down_its_branches(wall: Wall) -> None:
    author, friend = await wall.friends(2)
    root = await wall.post(author)
    middle = await wall.post(friend, reply_to=root.id)
    other = await wall.post(author, reply_to=root.id)
    first = await wall.post(author, reply_to=middle.id)
    below_first = await wall.post(friend, reply_to=first.id)
    second = await wall.post(author, reply_to=middle.id)
    assert await wall.context(author, middle.id) == ([root.id], [first.id, below_first.id, second.id])
    assert await wall.context(author, below_first.id) == ([root.id, middle.id, first.id], [])
    assert await wall.context(0, root.id) == ([], [middle.id, first.id, below_first.id, second.id, other.id])


async def test_a_thread_shows_nothing_that_the_viewer_may_not_see(wall: Wall) -> None:
    author, friend, other, stranger = await wall.friends(4)
    await wall.world.befriend(friend, other)
    await wall.world.unfriend(author, stranger)
    root = await wall.post(author)
    private = await wall.post(author, reply_to=root.id, visibility=FRIENDS)
    below_private = await wall.post(friend, reply_to=private.id)
    leaf = await wall.post(friend, reply_to=below_private.id)
    assert await wall.context(other, leaf.id) == ([root.id, private.id, below_private.id], [])
    # The chain ends at the hole; what is above it could be seen, but does not belong to what is below any more.
    assert await wall.context(stranger, leaf.id) == ([below_private.id], [])
    assert await wall.context(0, root.id) == ([], [])
    assert await wall.context(other, root.id) == ([], [private.id, below_private.id, leaf.id])
    await wall.world.block(friend, other)
    assert await wall.context(other, root.id) == ([], [private.id])
    with pytest.raises(NotFound):
        await wall.context(other, leaf.id)
    with pytest.raises(NotFound):
        await wall.context(stranger, private.id)


async def test_what_replied_to_a_deleted_status_stands_for_itself(wall: Wall) -> None:
    author, friend = await wall.friends(2)
    root = await wall.post(author)
    parent = await wall.post(author, reply_to=root.id)
    reply = await wall.post(friend, reply_to=parent.id)
    await wall.delete(author, parent.id)
    [orphan] = (await wall.get(author, reply.id)).values()
    assert (orphan.in_reply_to_id, orphan.in_reply_to_account_id) == (0, 0)
    assert orphan.version > reply.version
    assert await wall.context(author, root.id) == ([], [])
    assert await wall.context(author, reply.id) == ([], [])
    assert not wall.drift()


@pytest.mark.parametrize("is_member", [True, False])
async def test_threads_are_bounded(wall: Wall, is_member: bool) -> None:
    """A long chain and many siblings, each one longer than is shown."""
    bounds = MEMBERS_THREAD if is_member else ANONYMOUS_THREAD
    [author] = await wall.world.members(1)
    viewer = author if is_member else 0
    top = (await wall.post(author)).id
    chain = [top, *_insert_replies(wall, author, top, bounds.ancestors + 1, is_chain=True)]
    assert (await wall.context(viewer, chain[-1]))[0] == chain[1:-1]
    assert (await wall.context(viewer, top))[1] == chain[1 : bounds.depth + 1]
    root = (await wall.post(author)).id
    siblings = _insert_replies(wall, author, root, bounds.descendants + 1, is_chain=False)
    assert await wall.context(viewer, root) == ([], siblings[: bounds.descendants])


def _insert_replies(wall: Wall, author: int, root: int, count: int, *, is_chain: bool) -> list[int]:
    """Write replies to a status, or each to the one before; return their ids."""
    rows = wall.world.query(
        """
        INSERT INTO status.statuses (account_id, id, text, visibility, in_reply_to_account_id, in_reply_to_id)
        SELECT account_id, id + n * 4, 'a', 1, account_id, CASE WHEN %s THEN id + (n - 1) * 4 ELSE id END
        FROM status.statuses, generate_series(1, %s) AS n WHERE id = %s
        RETURNING id
        """,
        is_chain,
        count,
        root,
    )
    wall.world.query(
        """
        UPDATE status.statuses AS s
        SET replies_count = (SELECT count(*) FROM status.statuses WHERE in_reply_to_id = s.id)
        WHERE account_id = %s RETURNING 1
        """,
        author,
    )
    return sorted(int(str(row[0])) for row in rows)


async def test_a_reply_and_the_deletion_of_its_parent_have_one_outcome(wall: Wall) -> None:
    """Either the reply was there and stands for itself now, or it was refused; never does it point into the void."""
    author, friend = await wall.friends(2)
    outcomes = set()
    for round_number in range(12):
        parent = await wall.post(author)
        replies = [wall.post(friend, reply_to=parent.id) for _ in range(3)]
        before = [replies.pop() for _ in range(round_number % 3)]
        results = await asyncio.gather(*before, wall.delete(author, parent.id), *replies, return_exceptions=True)
        for result in results:
            assert isinstance(result, NotFound) or not isinstance(result, BaseException), result
            outcomes.add(isinstance(result, NotFound))
    dangling = wall.world.query(
        "SELECT id FROM status.statuses AS s WHERE in_reply_to_id IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM status.statuses WHERE id = s.in_reply_to_id)"
    )
    assert not dangling
    assert outcomes == {True, False}
    assert not wall.drift()


async def test_a_replayed_reply_is_posted_once(wall: Wall) -> None:
    author, friend = await wall.friends(2)
    parent, other = await wall.post(author), await wall.post(author)
    first = await wall.post(friend, "a", reply_to=parent.id, key="k")
    second = await wall.post(friend, "a", reply_to=parent.id, key="k")
    assert first.id == second.id
    assert second.in_reply_to_id == parent.id
    with pytest.raises(IdempotencyKeyReused):
        await wall.post(friend, "a", reply_to=other.id, key="k")
    await wall.delete(author, parent.id)
    assert (await wall.post(friend, "a", reply_to=parent.id, key="k")).id == first.id
    assert not wall.drift()
