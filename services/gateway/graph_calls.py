"""What the gateway asks social_graph: friendships, requests, blocks, mutes, suggestions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kodama.social_graph.v1 import social_graph_pb2
from kodama.social_graph.v1 import social_graph_service_pb2 as graph_pb
from kodama.social_graph.v1 import social_graph_service_pb2_grpc as graph_grpc
from kodama.social_graph.v1 import suggestion_service_pb2 as suggestion_pb
from kodama.social_graph.v1 import suggestion_service_pb2_grpc as suggestion_grpc

from services.gateway.calling import Calling


@dataclass(frozen=True)
class AccountPage:
    """A page of account ids, and the token of the next; empty at the end."""

    account_ids: Sequence[int]
    next_page_token: str


class GraphCalls(Calling):
    """The part of the services that is social_graph's. Whoever opens the channels sets the stubs."""

    _graph: "graph_grpc.SocialGraphServiceAsyncStub"
    _suggestion: "suggestion_grpc.SuggestionServiceAsyncStub"

    async def request_friendship(self, account_id: int, target_id: int) -> social_graph_pb2.Relationship:
        """Ask for friendship, or accept what the target has asked."""
        request = graph_pb.RequestFriendshipRequest(account_id=account_id, target_id=target_id)
        return (await self._write(self._graph.RequestFriendship, request)).relationship

    async def accept_friend_request(self, account_id: int, requester_id: int) -> social_graph_pb2.Relationship:
        """Make both friends."""
        request = graph_pb.AcceptFriendRequestRequest(account_id=account_id, requester_id=requester_id)
        return (await self._write(self._graph.AcceptFriendRequest, request)).relationship

    async def reject_friend_request(self, account_id: int, requester_id: int) -> social_graph_pb2.Relationship:
        """Drop what the requester asked."""
        request = graph_pb.RejectFriendRequestRequest(account_id=account_id, requester_id=requester_id)
        return (await self._write(self._graph.RejectFriendRequest, request)).relationship

    async def end_friendship(self, account_id: int, target_id: int) -> social_graph_pb2.Relationship:
        """Withdraw a request or end the friendship."""
        request = graph_pb.EndFriendshipRequest(account_id=account_id, target_id=target_id)
        return (await self._write(self._graph.EndFriendship, request)).relationship

    async def block(self, account_id: int, target_id: int) -> social_graph_pb2.Relationship:
        """Hide both from each other."""
        request = graph_pb.BlockRequest(account_id=account_id, target_id=target_id)
        return (await self._write(self._graph.Block, request)).relationship

    async def unblock(self, account_id: int, target_id: int) -> social_graph_pb2.Relationship:
        """End a block."""
        request = graph_pb.UnblockRequest(account_id=account_id, target_id=target_id)
        return (await self._write(self._graph.Unblock, request)).relationship

    async def mute(
        self, account_id: int, target_id: int, *, hides_notifications: bool, duration_seconds: int
    ) -> social_graph_pb2.Relationship:
        """Hide what the target posts for some seconds; 0 for ever."""
        request = graph_pb.MuteRequest(
            account_id=account_id,
            target_id=target_id,
            hides_notifications=hides_notifications,
            duration_seconds=duration_seconds,
        )
        return (await self._write(self._graph.Mute, request)).relationship

    async def unmute(self, account_id: int, target_id: int) -> social_graph_pb2.Relationship:
        """End a mute."""
        request = graph_pb.UnmuteRequest(account_id=account_id, target_id=target_id)
        return (await self._write(self._graph.Unmute, request)).relationship

    async def relate(self, viewer_id: int, account_ids: Iterable[int]) -> dict[int, social_graph_pb2.Relationship]:
        """Return how a viewer stands to accounts, by their ids."""
        request = graph_pb.RelateRequest(viewer_id=viewer_id, account_ids=sorted(set(account_ids)))
        answer = await self._read(self._graph.Relate, request)
        return {relationship.account_id: relationship for relationship in answer.relationships}

    async def friends(self, viewer_id: int, account_id: int, *, page_size: int, page_token: str) -> AccountPage:
        """Return a page of an account's friends, as far as the viewer may see them."""
        request = graph_pb.ListFriendsRequest(
            viewer_id=viewer_id, account_id=account_id, page_size=page_size, page_token=page_token
        )
        answer = await self._read(self._graph.ListFriends, request)
        return AccountPage([friend.account_id for friend in answer.friends], answer.next_page_token)

    async def friend_requests(self, account_id: int, *, page_size: int, page_token: str = "") -> AccountPage:
        """Return a page of those who wait for an account's answer."""
        request = graph_pb.ListFriendRequestsRequest(account_id=account_id, page_size=page_size, page_token=page_token)
        answer = await self._read(self._graph.ListFriendRequests, request)
        return AccountPage([one.requester_id for one in answer.friend_requests], answer.next_page_token)

    async def outgoing_friend_requests(self, account_id: int, *, page_size: int, page_token: str) -> AccountPage:
        """Return a page of those whose answer an account waits for."""
        request = graph_pb.ListFriendRequestsRequest(
            account_id=account_id, outgoing=True, page_size=page_size, page_token=page_token
        )
        answer = await self._read(self._graph.ListFriendRequests, request)
        return AccountPage([one.target_id for one in answer.friend_requests], answer.next_page_token)

    async def blocks(self, account_id: int, *, page_size: int, page_token: str) -> AccountPage:
        """Return a page of those whom an account blocks."""
        request = graph_pb.ListBlocksRequest(account_id=account_id, page_size=page_size, page_token=page_token)
        answer = await self._read(self._graph.ListBlocks, request)
        return AccountPage([one.account_id for one in answer.blocked_accounts], answer.next_page_token)

    async def mutes(
        self, account_id: int, *, page_size: int, page_token: str
    ) -> tuple[Sequence[social_graph_pb2.MutedAccount], str]:
        """Return a page of those whom an account mutes, and the token of the next; empty at the end."""
        request = graph_pb.ListMutesRequest(account_id=account_id, page_size=page_size, page_token=page_token)
        answer = await self._read(self._graph.ListMutes, request)
        return answer.muted_accounts, answer.next_page_token

    async def mutual_friends(self, viewer_id: int, account_ids: Sequence[int]) -> dict[int, Sequence[int]]:
        """Return the friends that a viewer shares with each account, by its id."""
        request = graph_pb.BatchListMutualFriendsRequest(viewer_id=viewer_id, account_ids=account_ids)
        answer = await self._read(self._graph.BatchListMutualFriends, request)
        return {mutual.account_id: mutual.friend_ids for mutual in answer.mutual_friends}

    async def friend_counts(self, account_ids: Iterable[int]) -> Mapping[int, int]:
        """Return the numbers of friends, by account id; none where there are none."""
        request = graph_pb.BatchCountFriendsRequest(account_ids=sorted(set(account_ids)))
        return (await self._read(self._graph.BatchCountFriends, request)).counts

    async def suggestions(self, account_id: int, *, limit: int) -> Sequence[social_graph_pb2.Suggestion]:
        """Return whom a member might know, the best first."""
        request = suggestion_pb.ListSuggestionsRequest(account_id=account_id, limit=limit)
        return (await self._read(self._suggestion.ListSuggestions, request)).suggestions

    async def explain_suggestion(self, account_id: int, target_id: int) -> suggestion_pb.ExplainSuggestionResponse:
        """Return why somebody is suggested to a member, or why not."""
        request = suggestion_pb.ExplainSuggestionRequest(account_id=account_id, target_id=target_id)
        return await self._read(self._suggestion.ExplainSuggestion, request)

    async def dismiss_suggestion(self, account_id: int, target_id: int) -> None:
        """Do not suggest the target to the account again."""
        request = suggestion_pb.DismissSuggestionRequest(account_id=account_id, target_id=target_id)
        await self._write(self._suggestion.DismissSuggestion, request)

    async def restore_suggestion(self, account_id: int, target_id: int) -> None:
        """Let the target be suggested to the account again."""
        request = suggestion_pb.RestoreSuggestionRequest(account_id=account_id, target_id=target_id)
        await self._write(self._suggestion.RestoreSuggestion, request)

    async def dismissed_suggestions(
        self, account_id: int, *, page_size: int, page_token: str
    ) -> tuple[Sequence[social_graph_pb2.DismissedSuggestion], str]:
        """Return a page of whom an account has dismissed, and the token of the next; empty at the end."""
        request = suggestion_pb.ListDismissedSuggestionsRequest(
            account_id=account_id, page_size=page_size, page_token=page_token
        )
        answer = await self._read(self._suggestion.ListDismissedSuggestions, request)
        return answer.dismissed_suggestions, answer.next_page_token
