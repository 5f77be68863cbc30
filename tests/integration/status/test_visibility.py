"""Who sees what: the four visibilities, mentions, narrowing and edits."""

import asyncio

import pytest
from kodama.status.v1 import status_service_pb2 as pb

from chassis.errors import InvalidField, LimitReached, NotFound
from chassis.ids import MAX_ID
from chassis.ragged import split
from chassis.rpc import call
from services.status.domain import MAX_EDITS
from tests.integration.status.conftest import DIRECT, FRIENDS, PUBLIC, SECONDS, UNLISTED, Wall


def handle(wall: Wall, account_id: int) -> str:
    return str(wall.world.query("SELECT handle FROM account.accounts WHERE id = %s", account_id)[0][0])


async def test_each_visibility_lets_in_fewer(wall: Wall) -> None:
    author, friend, mentioned, stranger, blocked = await wall.friends(5)
    for former in (mentioned, stranger):
        await wall.world.unfriend(author, former)
    await wall.world.block(author, blocked)
    text = f"@{handle(wall, mentioned)} @{handle(wall, blocked)} hello"
    expected = {
        # author, friend, mentioned, stranger, anybody, blocked
        PUBLIC: [True, True, True, True, True, False],
        UNLISTED: [True, True, True, True, True, False],
        FRIENDS: [True, True, True, False, False, False],
        DIRECT: [True, False, True, False, False, False],
    }
    viewers = (author, friend, mentioned, stranger, 0, blocked)
    for visibility, seen in expected.items():
        status = await wall.post(author, text, visibility=visibility)
        assert await wall.sees(status.id, *viewers) == seen
        listed = [status.id in await wall.of_account(viewer, author) for viewer in viewers]
        assert listed == seen
        home = [status.id in await wall.on_home(viewer, status.id) for viewer in (author, friend, mentioned, stranger)]
        assert home == [True, visibility != DIRECT, False, False]
        assert (status.id in await wall.pull(friend, author)) == (visibility != DIRECT)
        assert status.id in await wall.pull(author, author)


async def test_viewers_who_read_at_the_same_time_each_see_their_own(wall: Wall) -> None:
    author, friend, other = await wall.friends(3)
    public, direct = await wall.post(author), await wall.post(author, "psst", visibility=DIRECT)
    others = await wall.post(other)
    await wall.favourite(friend, public.id)
    ids = [others.id, public.id, direct.id, public.id, 1 << 40]
    request = pb.BatchFilterHomeStatusesRequest(
        viewer_ids=[friend, author, other, friend], counts=[5, 5, 5, 0], status_ids=ids * 3
    )
    answer = await call(wall.world.statuses.BatchFilterHomeStatuses, request, wall.timeline, timeout_seconds=SECONDS)
    cards = list(zip(answer.cards.status_ids, answer.cards.are_favourited, strict=True))
    seen = [dict(part) for _, part in split(request.viewer_ids, answer.counts, cards)]
    assert seen[0] == {public.id: True}, "a friend of the author, and not of the other"
    assert seen[1] == {others.id: False, public.id: False, direct.id: False}
    assert seen[2] == {others.id: False, public.id: False}
    assert seen[3] == {}
    assert set(answer.cards.favourites_counts) == {0, 1}


async def test_own_statuses_are_pulled_for_many_at_once(wall: Wall) -> None:
    one, other = await wall.world.members(2)
    first, second, third = [(await wall.post(one)).id for _ in range(3)]
    request = pb.BatchPullOwnStatusesRequest(
        author_ids=[one, other, one],
        below_ids=[third, MAX_ID, MAX_ID],
        above_ids=[0, 0, first],
        limits=[1, 9, 9],
    )
    answer = await call(wall.world.statuses.BatchPullOwnStatuses, request, wall.timeline, timeout_seconds=SECONDS)
    assert (list(answer.counts), list(answer.status_ids)) == ([1, 0, 2], [second, third, second])
    request.limits.append(1)
    with pytest.raises(InvalidField):
        await call(wall.world.statuses.BatchPullOwnStatuses, request, wall.timeline, timeout_seconds=SECONDS)


async def test_mentions_are_members_whom_the_text_names(wall: Wall) -> None:
    author, one, other = await wall.world.members(3)
    names = [handle(wall, one), handle(wall, other)]
    text = f"@{names[1].upper()} (@{names[0]}), @{names[1]}. me@{names[0]} @nobody_at_all @{names[0]}@elsewhere.example"
    status = await wall.post(author, text)
    assert [(mention.account_id, mention.handle) for mention in status.mentions] == [
        (other, names[1]),
        (one, names[0]),
    ]
    assert (await wall.get(author, status.id))[status.id].mentions == status.mentions
    with pytest.raises(InvalidField) as refused:
        await wall.post(author, " ".join(f"@a{number}" for number in range(21)))
    assert refused.value.metadata["field"] == "text"
    await wall.post(author, " ".join(f"@a{number}" for number in range(20)))


async def test_narrowing_holds_at_once_and_there_is_no_way_back(wall: Wall) -> None:
    author, friend, stranger = await wall.friends(3)
    await wall.world.unfriend(author, stranger)
    status = await wall.post(author)
    steps = ((UNLISTED, [True, True, True]), (FRIENDS, [True, False, False]), (DIRECT, [False, False, False]))
    version = status.version
    for visibility, seen in steps:
        narrowed = await wall.update(author, status.id, visibility=visibility)
        assert (narrowed.visibility, narrowed.text, narrowed.edited_at_ms) == (visibility, status.text, 0)
        assert narrowed.version > version
        version = narrowed.version
        assert await wall.sees(status.id, friend, stranger, 0) == seen
        for wider in range(1, visibility):
            with pytest.raises(InvalidField) as refused:
                await wall.update(author, status.id, visibility=wider)
            assert refused.value.metadata["field"] == "visibility"
        assert (await wall.update(author, status.id, visibility=visibility)).version == version
    assert await wall.on_home(friend, status.id) == set()
    assert await wall.revisions(author, status.id) == [status.text]


async def test_becoming_direct_clears_friends_home_timelines(wall: Wall) -> None:
    author, _ = await wall.friends(2)
    status = await wall.post(author)
    await wall.update(author, status.id, visibility=FRIENDS)

    def tasks() -> list[object]:
        open_work = [work for work in wall.world.open_work() if work.payload.get("entry_id") == status.id]
        return [work.task for work in open_work if work.task != "timeline.revise"]  # open streams are told in any case

    assert tasks() == ["timeline.fan_out"]
    await wall.update(author, status.id, visibility=DIRECT)
    assert tasks() == ["timeline.fan_out", "timeline.retract"]
    direct = await wall.post(author, visibility=DIRECT)
    assert not [work for work in wall.world.open_work() if work.payload.get("entry_id") == direct.id]


async def test_an_edit_says_when_and_what_was_said_before(wall: Wall) -> None:
    author, friend = await wall.friends(2)
    status = await wall.post(author, "frist")
    same = await wall.update(author, status.id, text="frist")
    assert (same.version, same.edited_at_ms) == (status.version, 0)
    edited = await wall.update(author, status.id, text=f" first @{handle(wall, friend)} ")
    assert edited.text == f"first @{handle(wall, friend)}"
    assert edited.edited_at_ms >= status.created_at_ms
    assert edited.version > status.version
    assert [mention.account_id for mention in edited.mentions] == [friend]
    assert await wall.revisions(friend, status.id) == ["frist", edited.text]
    assert (await wall.get(friend, status.id))[status.id] == edited


@pytest.mark.parametrize("text", ["", " \n", "a" * 151, "a\u200b" * 600])
async def test_an_edit_keeps_the_rules_of_a_post(wall: Wall, text: str) -> None:
    [author] = await wall.world.members(1)
    status = await wall.post(author)
    with pytest.raises(InvalidField) as refused:
        await wall.update(author, status.id, text=text)
    assert refused.value.metadata["field"] == "text"
    assert (await wall.get(author, status.id))[status.id] == status


async def test_only_the_author_edits_and_not_without_end(wall: Wall) -> None:
    author, friend = await wall.friends(2)
    status = await wall.post(author)
    for who, status_id in ((friend, status.id), (author, status.id + 4)):
        with pytest.raises(NotFound):
            await wall.update(who, status_id, text="mine", visibility=DIRECT)
    for number in range(MAX_EDITS):
        await wall.update(author, status.id, text=f"{number}")
    with pytest.raises(LimitReached):
        await wall.update(author, status.id, text="once more")
    assert len(await wall.revisions(friend, status.id)) == MAX_EDITS + 1
    assert (await wall.update(author, status.id, visibility=FRIENDS)).visibility == FRIENDS


async def test_an_edit_against_a_deletion(wall: Wall) -> None:
    """The deletion always comes through; the edit was before it, or found nothing."""
    author, friend = await wall.friends(2)
    for _ in range(8):
        parent = await wall.post(author)
        status = await wall.post(author, reply_to=parent.id)
        results = await asyncio.gather(
            wall.update(author, status.id, text="edited", visibility=FRIENDS),
            wall.delete(author, status.id),
            wall.post(friend, reply_to=status.id),
            wall.favourite(friend, parent.id),
            wall.delete(author, parent.id),
            return_exceptions=True,
        )
        for number, result in enumerate(results):
            is_deletion = number in (1, 4)
            assert not isinstance(result, BaseException) or (isinstance(result, NotFound) and not is_deletion), result
        assert not await wall.get(author, status.id, parent.id)
    assert not wall.drift()
    assert not wall.world.query("SELECT FROM status.revisions WHERE status_id NOT IN (SELECT id FROM status.statuses)")


async def test_edits_at_once_come_one_after_the_other(wall: Wall) -> None:
    [author] = await wall.world.members(1)
    status = await wall.post(author, "start")
    texts = {f"text {number}" for number in range(6)}
    await asyncio.gather(*(wall.update(author, status.id, text=text) for text in texts))
    revisions = await wall.revisions(author, status.id)
    assert revisions[0] == "start"
    assert set(revisions[1:]) == texts
    assert (await wall.get(author, status.id))[status.id].version == status.version + 6


async def test_direct_statuses_are_not_counted_where_everybody_sees_it(wall: Wall) -> None:
    author, other = await wall.world.members(2)
    await wall.post(author, visibility=DIRECT)
    posted = await wall.post(author, visibility=FRIENDS)
    await wall.post(author, visibility=DIRECT)
    await wall.post(other, visibility=DIRECT)
    request = pb.BatchCountStatusesRequest(account_ids=[author, other, author])
    answer = await wall.ask(wall.world.statuses.BatchCountStatuses, request)
    assert dict(answer.counts) == {author: 1}
    assert dict(answer.last_status_at_ms) == {author: posted.created_at_ms}


async def test_a_profile_without_replies_to_others(wall: Wall) -> None:
    author, friend = await wall.friends(2)
    of_friend = await wall.post(friend)
    first = await wall.post(author)
    thread = await wall.post(author, reply_to=first.id)
    answer = await wall.post(author, reply_to=of_friend.id)
    assert await wall.of_account(friend, author) == [answer.id, thread.id, first.id]
    assert await wall.of_account(friend, author, exclude_replies=True) == [thread.id, first.id]
    assert await wall.of_account(friend, author, exclude_replies=True, limit=1, min_id=1) == [first.id]
