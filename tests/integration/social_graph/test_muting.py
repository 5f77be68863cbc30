"""Muting: one side's matter, for a time or for ever."""

import asyncio

import pytest

from chassis.database import Pool, connection
from chassis.errors import InvalidField
from services.social_graph.domain import MAX_MUTE_SECONDS
from services.social_graph.mute_store import delete_expired_mutes
from tests.integration.social_graph.conftest import Graph, Sql


async def test_a_mute_is_seen_by_who_made_it_alone(graph: Graph, sql: Sql) -> None:
    await graph.befriend(1, 2)
    sql.run("DELETE FROM ledger")
    muted = await graph.mute(1, 2)
    assert (muted.is_muting, muted.is_muting_notifications, muted.muting_expires_at_ms) == (True, True, 0)
    assert muted.is_friend
    assert (await graph.relate(1, [2]))[2] == muted
    assert not (await graph.relate(2, [1]))[1].is_muting
    assert sql.rows("SELECT FROM ledger") == []
    unmuted = await graph.unmute(1, 2)
    assert (unmuted.is_muting, unmuted.is_muting_notifications) == (False, False)
    assert not (await graph.unmute(1, 2)).is_muting


async def test_a_second_mute_takes_the_place_of_the_first(graph: Graph) -> None:
    await graph.mute(1, 2)
    shorter = await graph.mute(1, 2, 3600, notifications=False)
    assert (shorter.is_muting, shorter.is_muting_notifications) == (True, False)
    assert shorter.muting_expires_at_ms > 1_700_000_000_000
    [listed] = (await graph.mutes(1)).muted_accounts
    assert (listed.account_id, listed.hides_notifications) == (2, False)
    assert listed.expires_at_ms == shorter.muting_expires_at_ms
    assert (await graph.mute(1, 2)).muting_expires_at_ms == 0


async def test_a_mute_ends_by_itself_at_every_read(graph: Graph, sql: Sql, pool: Pool) -> None:
    await graph.mute(1, 2, 3600)
    await graph.mute(1, 3)
    await graph.mute(1, 4, 3600)
    sql.run("UPDATE mutes SET expires_at = now() WHERE target_id = 2")
    assert not (await graph.relate(1, [2]))[2].is_muting
    assert not (await graph.relate(1, [2]))[2].is_muting_notifications
    assert [muted.account_id for muted in (await graph.mutes(1)).muted_accounts] == [4, 3]
    async with connection(pool) as conn:
        assert [await delete_expired_mutes(conn) for _ in range(2)] == [1, 0]
    assert sql.rows("SELECT target_id FROM mutes ORDER BY 1") == [(3,), (4,)]


async def test_a_mute_lasts_as_long_as_asked(graph: Graph) -> None:
    assert (await graph.mute(1, 2, 1)).is_muting
    async with asyncio.timeout(10):
        while (await graph.relate(1, [2]))[2].is_muting:
            await asyncio.sleep(0.05)
    assert (await graph.mutes(1)).muted_accounts == []


async def test_muting_again_while_the_old_mute_is_cleared_away(graph: Graph, sql: Sql, pool: Pool) -> None:
    """Housekeeping and a new mute meet on the same row: whoever comes first, the new mute stays."""
    targets = range(2, 42)
    for _ in range(3):
        await asyncio.gather(*(graph.mute(1, target, 3600) for target in targets))
        sql.run("UPDATE mutes SET expires_at = now() - interval '1 second'")

        async def clear() -> None:
            for _ in range(10):
                async with connection(pool) as conn:
                    await delete_expired_mutes(conn)

        await asyncio.gather(clear(), *(graph.mute(1, target) for target in targets))
        assert all(relation.is_muting for relation in (await graph.relate(1, targets)).values())


async def test_durations_are_bounded(graph: Graph) -> None:
    for seconds in (-1, MAX_MUTE_SECONDS + 1):
        with pytest.raises(InvalidField) as error:
            await graph.mute(1, 2, seconds)
        assert error.value.metadata == {"field": "duration_seconds"}
    assert (await graph.mute(1, 2, MAX_MUTE_SECONDS)).is_muting


async def test_pages_of_blocks_and_mutes_are_latest_first(graph: Graph) -> None:
    for target in (5, 3, 9, 2, 7):
        await graph.block(1, target)
        await graph.mute(1, target)
    await graph.unblock(1, 9)
    await graph.unmute(1, 9)
    for read, name in ((graph.blocks, "blocked_accounts"), (graph.mutes, "muted_accounts")):
        seen, token, pages = [], "", 0
        while pages == 0 or token:
            page = await read(1, 3, token)
            seen += [one.account_id for one in getattr(page, name)]
            token, pages = page.next_page_token, pages + 1
        assert (seen, pages) == ([7, 2, 3, 5], 2)
        assert getattr(await read(2), name) == []
        with pytest.raises(InvalidField):
            await read(1, 3, "?")


async def test_muted_members_are_not_suggested(graph: Graph, sql: Sql) -> None:
    sql.run(
        "INSERT INTO refreshed_suggestions VALUES (1, now(), '{2,3}', '{1,1}', '{1,1}')",
    )
    await graph.mute(1, 2)
    assert [suggestion.account_id for suggestion in await graph.suggested(1)] == [3]
    await graph.unmute(1, 2)
    assert [suggestion.account_id for suggestion in await graph.suggested(1)] == [2, 3]
