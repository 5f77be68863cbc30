"""The RPCs of SocialGraphService: requests into the domain's words and back, no rules, no SQL."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Any

import grpc
from kodama.social_graph.v1 import social_graph_pb2 as graph_pb
from kodama.social_graph.v1 import social_graph_service_pb2 as pb
from kodama.social_graph.v1 import social_graph_service_pb2_grpc as pb_grpc

from chassis import caller
from chassis.errors import InvalidField
from chassis.idempotency import Write, Writes, once
from chassis.rpc import Service, method_names, require_batch
from services.social_graph.blocking import Blocking
from services.social_graph.domain import Relationship
from services.social_graph.friendships import Friendships
from services.social_graph.importing import Importing
from services.social_graph.muting import Muting
from services.social_graph.relations import Relations

MAX_BATCH = 1000
MAX_MUTUAL_BATCH = 40
MAX_PAIRS = 20_000
MAX_IMPORT = 10_000
MAX_GROUP = 50_000
"""After so many friends a group ends: far below what a message may hold."""
Context = grpc.aio.ServicerContext[Any, Any]


class SocialGraphServicer(pb_grpc.SocialGraphServiceServicer):
    """Translates between SocialGraphService and the use cases."""

    def __init__(
        self,
        writes: Writes,
        friendships: Friendships,
        blocking: Blocking,
        muting: Muting,
        relations: Relations,
        importing: Importing,
    ) -> None:
        self.writes = writes
        self._friendships = friendships
        self._blocking = blocking
        self._muting = muting
        self._relations = relations
        self._importing = importing

    @once(pb.RequestFriendshipResponse)
    async def RequestFriendship(
        self, request: pb.RequestFriendshipRequest, write: Write
    ) -> pb.RequestFriendshipResponse:
        """Ask for friendship."""
        relationship = await self._friendships.request(write, request.account_id, request.target_id)
        return pb.RequestFriendshipResponse(relationship=_to_proto(relationship))

    @once(pb.AcceptFriendRequestResponse)
    async def AcceptFriendRequest(
        self, request: pb.AcceptFriendRequestRequest, write: Write
    ) -> pb.AcceptFriendRequestResponse:
        """Become friends with who asked."""
        relationship = await self._friendships.accept(write, request.account_id, request.requester_id)
        return pb.AcceptFriendRequestResponse(relationship=_to_proto(relationship))

    @once(pb.RejectFriendRequestResponse)
    async def RejectFriendRequest(
        self, request: pb.RejectFriendRequestRequest, write: Write
    ) -> pb.RejectFriendRequestResponse:
        """Drop what was asked."""
        relationship = await self._friendships.reject(write, request.account_id, request.requester_id)
        return pb.RejectFriendRequestResponse(relationship=_to_proto(relationship))

    @once(pb.EndFriendshipResponse)
    async def EndFriendship(self, request: pb.EndFriendshipRequest, write: Write) -> pb.EndFriendshipResponse:
        """Withdraw a request or end a friendship."""
        relationship = await self._friendships.end(write, request.account_id, request.target_id)
        return pb.EndFriendshipResponse(relationship=_to_proto(relationship))

    @once(pb.BlockResponse)
    async def Block(self, request: pb.BlockRequest, write: Write) -> pb.BlockResponse:
        """Block a member."""
        relationship = await self._blocking.block(write, request.account_id, request.target_id)
        return pb.BlockResponse(relationship=_to_proto(relationship))

    @once(pb.UnblockResponse)
    async def Unblock(self, request: pb.UnblockRequest, write: Write) -> pb.UnblockResponse:
        """End a block."""
        relationship = await self._blocking.unblock(write, request.account_id, request.target_id)
        return pb.UnblockResponse(relationship=_to_proto(relationship))

    @once(pb.MuteResponse)
    async def Mute(self, request: pb.MuteRequest, write: Write) -> pb.MuteResponse:
        """Mute a member."""
        relationship = await self._muting.mute(
            write,
            request.account_id,
            request.target_id,
            hides_notifications=request.hides_notifications,
            duration_seconds=request.duration_seconds,
        )
        return pb.MuteResponse(relationship=_to_proto(relationship))

    @once(pb.UnmuteResponse)
    async def Unmute(self, request: pb.UnmuteRequest, write: Write) -> pb.UnmuteResponse:
        """End a mute."""
        relationship = await self._muting.unmute(write, request.account_id, request.target_id)
        return pb.UnmuteResponse(relationship=_to_proto(relationship))

    async def Relate(self, request: pb.RelateRequest, context: Context) -> pb.RelateResponse:
        """Tell how a viewer stands to accounts."""
        require_batch("account_ids", request.account_ids, MAX_BATCH)
        relationships = await self._relations.relate(
            request.viewer_id, request.account_ids, with_friends_of_friends=request.with_friends_of_friends
        )
        return pb.RelateResponse(relationships=[_to_proto(relationship) for relationship in relationships])

    async def BatchRelate(self, request: pb.BatchRelateRequest, context: Context) -> pb.BatchRelateResponse:
        """Tell how viewers stand to authors."""
        require_batch("viewer_ids", request.viewer_ids, MAX_PAIRS)
        if len(request.viewer_ids) != len(request.account_ids):
            raise InvalidField("account_ids", "There are as many accounts as viewers.")
        pairs = list(zip(request.viewer_ids, request.account_ids, strict=True))
        return pb.BatchRelateResponse(relations=bytes(await self._relations.relate_briefly(pairs)))

    async def ListFriends(self, request: pb.ListFriendsRequest, context: Context) -> pb.ListFriendsResponse:
        """Return a page of friends."""
        friends, token = await self._relations.friends(
            request.viewer_id, request.account_id, request.page_size, request.page_token
        )
        return pb.ListFriendsResponse(
            friends=[
                graph_pb.Friend(account_id=friend.account_id, since_ms=_to_ms(friend.created_at)) for friend in friends
            ],
            next_page_token=token,
        )

    async def ListFriendRequests(
        self, request: pb.ListFriendRequestsRequest, context: Context
    ) -> pb.ListFriendRequestsResponse:
        """Return a page of waiting requests."""
        requests, token = await self._relations.requests(
            request.account_id, request.page_size, request.page_token, outgoing=request.outgoing
        )
        return pb.ListFriendRequestsResponse(
            friend_requests=[
                graph_pb.FriendRequest(
                    requester_id=waiting.requester_id,
                    target_id=waiting.target_id,
                    created_at_ms=_to_ms(waiting.created_at),
                    expires_at_ms=_to_ms(waiting.expires_at),
                )
                for waiting in requests
            ],
            next_page_token=token,
        )

    async def ListBlocks(self, request: pb.ListBlocksRequest, context: Context) -> pb.ListBlocksResponse:
        """Return a page of whom an account blocks."""
        blocks, token = await self._relations.blocks(request.account_id, request.page_size, request.page_token)
        return pb.ListBlocksResponse(
            blocked_accounts=[
                graph_pb.BlockedAccount(account_id=blocked.account_id, created_at_ms=_to_ms(blocked.created_at))
                for blocked in blocks
            ],
            next_page_token=token,
        )

    async def ListMutes(self, request: pb.ListMutesRequest, context: Context) -> pb.ListMutesResponse:
        """Return a page of whom an account mutes."""
        mutes, token = await self._relations.mutes(request.account_id, request.page_size, request.page_token)
        return pb.ListMutesResponse(
            muted_accounts=[
                graph_pb.MutedAccount(
                    account_id=muted.account_id,
                    created_at_ms=_to_ms(muted.created_at),
                    hides_notifications=muted.hides_notifications,
                    expires_at_ms=_to_ms(muted.expires_at) if muted.expires_at else 0,
                )
                for muted in mutes
            ],
            next_page_token=token,
        )

    async def BatchListMutualFriends(
        self, request: pb.BatchListMutualFriendsRequest, context: Context
    ) -> pb.BatchListMutualFriendsResponse:
        """Return the friends that a viewer shares with accounts."""
        require_batch("account_ids", request.account_ids, MAX_MUTUAL_BATCH)
        found = await self._relations.mutual_friends(request.viewer_id, request.account_ids, request.limit)
        return pb.BatchListMutualFriendsResponse(
            mutual_friends=[
                graph_pb.MutualFriends(account_id=account_id, friend_ids=friend_ids) for account_id, friend_ids in found
            ]
        )

    async def BatchCountFriends(
        self, request: pb.BatchCountFriendsRequest, context: Context
    ) -> pb.BatchCountFriendsResponse:
        """Count friends."""
        require_batch("account_ids", request.account_ids, MAX_BATCH)
        return pb.BatchCountFriendsResponse(counts=await self._relations.counts(request.account_ids))

    async def StreamFriendIds(
        self, request: pb.StreamFriendIdsRequest, context: Context
    ) -> AsyncIterator[pb.StreamFriendIdsResponse]:
        """Stream all friends of accounts."""
        require_batch("account_ids", request.account_ids, MAX_BATCH)
        friends = await self._relations.friend_ids(request.account_ids)
        if request.is_grouped:
            for response in _grouped(friends):
                yield response
            return
        for account_id, friend_ids in friends:
            yield pb.StreamFriendIdsResponse(account_id=account_id, friend_ids=friend_ids)

    async def BatchImportFriendships(
        self, request: pb.BatchImportFriendshipsRequest, context: Context
    ) -> pb.BatchImportFriendshipsResponse:
        """Form many friendships at once."""
        require_batch("friendships", request.friendships, MAX_IMPORT)
        formed = await self._importing.form(
            [(friendship.account_id, friendship.friend_id) for friendship in request.friendships]
        )
        return pb.BatchImportFriendshipsResponse(formed=formed)


def _grouped(friends: Sequence[tuple[int, list[int]]]) -> Iterator[pb.StreamFriendIdsResponse]:
    """Return the friends of all accounts in as few messages as they fit into."""
    response, size = pb.StreamFriendIdsResponse(), 0
    for account_id, friend_ids in friends:
        response.groups.add(account_id=account_id, friend_ids=friend_ids)
        size += len(friend_ids)
        if size >= MAX_GROUP:
            yield response
            response, size = pb.StreamFriendIdsResponse(), 0
    if response.groups:
        yield response


def _to_proto(relationship: Relationship) -> graph_pb.Relationship:
    return graph_pb.Relationship(
        account_id=relationship.account_id,
        is_friend=relationship.is_friend,
        is_requested=relationship.is_requested,
        is_requested_by=relationship.is_requested_by,
        is_blocking=relationship.is_blocking,
        is_blocked_by=relationship.is_blocked_by,
        is_friend_of_friend=relationship.is_friend_of_friend,
        is_muting=relationship.is_muting,
        is_muting_notifications=relationship.is_muting_notifications,
        muting_expires_at_ms=_to_ms(relationship.muting_expires_at) if relationship.muting_expires_at else 0,
    )


def _to_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def social_graph_service(servicer: SocialGraphServicer) -> Service:
    """Return the service for a server, with who may call what."""
    gateway = frozenset({caller.GATEWAY})
    readers = frozenset({caller.GATEWAY, caller.OPERATOR})
    return Service(
        name="kodama.social_graph.v1.SocialGraphService",
        add=lambda server: pb_grpc.add_SocialGraphServiceServicer_to_server(servicer, server),
        callers={
            "RequestFriendship": gateway,
            "AcceptFriendRequest": gateway,
            "RejectFriendRequest": gateway,
            "EndFriendship": gateway,
            "Block": gateway,
            "Unblock": gateway,
            "Mute": gateway,
            "Unmute": gateway,
            "Relate": readers | {caller.STATUS, caller.BLOG, caller.TIMELINE, caller.WORKER},
            "BatchRelate": frozenset({caller.STATUS, caller.BLOG}),
            "ListFriends": readers,
            "ListFriendRequests": readers,
            "ListBlocks": readers,
            "ListMutes": readers,
            "BatchListMutualFriends": gateway,
            "BatchCountFriends": readers,
            "StreamFriendIds": frozenset({caller.TIMELINE, caller.WORKER, caller.OPERATOR}),
            "BatchImportFriendships": frozenset({caller.OPERATOR}),
        },
        methods=method_names(pb.DESCRIPTOR.services_by_name["SocialGraphService"]),
    )
