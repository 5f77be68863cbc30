"""Use case: ask for friendship, answer, and end it."""

import time
from collections.abc import Mapping

from chassis import ledger
from chassis.database import Connection
from chassis.errors import NotFound
from chassis.idempotency import Write
from chassis.ledger import Bell
from services.social_graph import outcomes, store
from services.social_graph.clients import Accounts
from services.social_graph.domain import Pair, Relationship, check_pair, no_such_member, too_many_friends


class Friendships:
    """Changes how two members stand. Each change locks both first, so that concurrent ones happen one after the other."""

    def __init__(self, bell: Bell, accounts: Accounts, *, max_friends: int, request_days: int) -> None:
        self._bell = bell
        self._accounts = accounts
        self._max_friends = max_friends
        self._request_days = request_days

    async def request(self, write: Write, account_id: int, target_id: int) -> Relationship:
        """Ask for friendship, or become friends where the target has asked already; return how they stand then.

        Raises NotFound for unknown members and where either blocks the other, LimitReached at the friend limit of either.
        """
        pair = check_pair(account_id, target_id, "target_id")
        if await self._accounts.find_unknown([account_id, target_id]):
            raise no_such_member()
        conn = await write.begin()
        counts = await store.lock_members(conn, [account_id, target_id])
        [relationship] = await store.relate(conn, account_id, [target_id])
        if relationship.is_blocked_either_way:
            raise no_such_member()
        if relationship.is_friend or relationship.is_requested:
            return relationship
        self._check_limit(counts)
        if relationship.is_requested_by:
            await _form(conn, pair, requester_id=target_id, accepter_id=account_id)
        else:
            await store.insert_request(conn, account_id, target_id, self._request_days)
            await outcomes.count_sent(conn, account_id, target_id)
            await ledger.append(conn, "friend_request.sent", [_told(target_id, account_id, is_accepted=0)])
        [relationship] = await store.relate(conn, account_id, [target_id])
        write.ring(self._bell)
        return relationship

    async def accept(self, write: Write, account_id: int, requester_id: int) -> Relationship:
        """Become friends with who asked; return how they stand then.

        Raises NotFound where nobody asked, LimitReached at the friend limit of either; then the request still waits.
        """
        pair = check_pair(account_id, requester_id, "requester_id")
        conn = await write.begin()
        counts = await store.lock_members(conn, [account_id, requester_id])
        [relationship] = await store.relate(conn, account_id, [requester_id])
        if not relationship.is_requested_by:
            raise _no_such_request()
        self._check_limit(counts)
        await _form(conn, pair, requester_id=requester_id, accepter_id=account_id)
        [relationship] = await store.relate(conn, account_id, [requester_id])
        write.ring(self._bell)
        return relationship

    async def reject(self, write: Write, account_id: int, requester_id: int) -> Relationship:
        """Drop what a requester asked; return how they stand then. Raises NotFound where nobody asked."""
        check_pair(account_id, requester_id, "requester_id")
        conn = await write.begin()
        await store.lock_members(conn, [account_id, requester_id])
        if not await store.delete_request(conn, requester_id, account_id):
            raise _no_such_request()
        [relationship] = await store.relate(conn, account_id, [requester_id])
        return relationship

    async def end(self, write: Write, account_id: int, target_id: int) -> Relationship:
        """Withdraw an own request or end the friendship; return how they stand then."""
        pair = check_pair(account_id, target_id, "target_id")
        conn = await write.begin()
        await store.lock_members(conn, [account_id, target_id])
        await store.delete_request(conn, account_id, target_id)
        ended = await end_friendship(conn, pair)
        [relationship] = await store.relate(conn, account_id, [target_id])
        if ended:
            write.ring(self._bell)
        return relationship

    def _check_limit(self, counts: Mapping[int, int]) -> None:
        for account_id, friends in sorted(counts.items()):
            if friends >= self._max_friends:
                raise too_many_friends(account_id, self._max_friends)


async def _form(conn: Connection, pair: Pair, *, requester_id: int, accepter_id: int) -> None:
    await outcomes.count_accepted(conn, requester_id, accepter_id)
    await store.form_friendships(conn, [pair])
    await ledger.append(conn, "friendship.formed", [pair.payload()])
    await ledger.append(conn, "friend_request.accepted", [_told(requester_id, accepter_id, is_accepted=1)])


def _told(account_id: int, from_id: int, *, is_accepted: int) -> dict[str, int]:
    """Return what the events about requests carry: who is told of whom, and when it was, since it can happen again."""
    at_ms = int(time.time() * 1000)
    return {"account_id": account_id, "from_id": from_id, "is_accepted": is_accepted, "at_ms": at_ms}


async def end_friendship(conn: Connection, pair: Pair) -> bool:
    """End a friendship of two locked members, with the work that this causes; tell whether there was one."""
    ended = await store.end_friendship(conn, pair)
    if ended:
        await ledger.append(conn, "friendship.ended", [pair.payload()])
    return ended


def _no_such_request() -> NotFound:
    return NotFound("There is no such friend request.", resource="friend_request")
