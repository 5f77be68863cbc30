"""Use case: mute and unmute."""

from chassis.idempotency import Write
from services.social_graph import mute_store, store
from services.social_graph.clients import Accounts
from services.social_graph.domain import Relationship, check_duration, check_pair, no_such_member


class Muting:
    """Hides what somebody posts from one member.

    It is that member's matter alone: nothing between the two changes, so that no lock is needed.
    """

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def mute(
        self, write: Write, account_id: int, target_id: int, *, hides_notifications: bool, duration_seconds: int
    ) -> Relationship:
        """Mute a member for some seconds, 0 for ever; return how they stand then. A second mute takes the place of the first.

        Raises NotFound for unknown members, InvalidField for durations that cannot be.
        """
        check_pair(account_id, target_id, "target_id")
        check_duration(duration_seconds)
        if await self._accounts.find_unknown([account_id, target_id]):
            raise no_such_member()
        conn = await write.begin()
        await mute_store.upsert_mute(
            conn,
            account_id,
            target_id,
            hides_notifications=hides_notifications,
            duration_seconds=duration_seconds,
        )
        [relationship] = await store.relate(conn, account_id, [target_id])
        return relationship

    async def unmute(self, write: Write, account_id: int, target_id: int) -> Relationship:
        """End a mute; return how they stand then. What it hid is there again."""
        check_pair(account_id, target_id, "target_id")
        conn = await write.begin()
        await mute_store.delete_mute(conn, account_id, target_id)
        [relationship] = await store.relate(conn, account_id, [target_id])
        return relationship
