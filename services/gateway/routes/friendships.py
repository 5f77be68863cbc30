"""Friendship, which is symmetric here, in the words of following: asking, answering, ending, blocking."""

from collections.abc import Awaitable, Callable

from kodama.social_graph.v1.social_graph_pb2 import Relationship
from starlette.responses import Response

from services.gateway import entities
from services.gateway.clients import Clients
from services.gateway.context import Call
from services.gateway.limiting import FRIEND_REQUESTS, RateLimit
from services.gateway.pages import link_header
from services.gateway.parameters import NoParameters
from services.gateway.routes.accounts import FriendParameters
from services.gateway.routing import Handler, Route, json_response

Change = Callable[[Clients, int, int], Awaitable[Relationship]]
"""What changes how one member stands to another."""


def changing(change: Change) -> Handler:
    """Return the handler that makes a change between the caller and the member in the path, and says how they stand now."""

    async def post_change(call: Call[NoParameters]) -> Response:
        relationship = await change(call.gateway.clients, call.caller.account_id, call.path_id())
        return json_response(call.gateway.renderer.relationship(relationship))

    return post_change


async def get_follow_requests(call: Call[FriendParameters]) -> Response:
    """Return a page of those who wait for the caller's answer."""
    params, gateway = call.params, call.gateway
    page = await gateway.clients.friend_requests(
        call.caller.account_id, page_size=params.page_size(), page_token=params.max_id
    )
    requesters = await gateway.hydration.account_list(page.account_ids)
    return json_response(requesters, link_header(gateway.base_url, call.request, next_page=page.next_page_token))


def _post(path: str, change: Change, scope: str, summary: str, limits: tuple[RateLimit, ...] = ()) -> Route:
    return Route(
        method="POST",
        path=f"/api/v1/{path}",
        handler=changing(change),
        policy=scope,
        response=entities.Relationship,
        limits=limits,
        summary=summary,
        tag="friendships",
    )


ROUTES = (
    _post(
        "accounts/{id}/follow",
        Clients.request_friendship,
        "write:follows",
        "Ask for friendship, or accept it",
        (FRIEND_REQUESTS,),
    ),
    _post("accounts/{id}/unfollow", Clients.end_friendship, "write:follows", "Withdraw a request or end a friendship"),
    _post("accounts/{id}/remove_from_followers", Clients.end_friendship, "write:follows", "End a friendship"),
    _post("accounts/{id}/block", Clients.block, "write:blocks", "Block a member"),
    _post("accounts/{id}/unblock", Clients.unblock, "write:blocks", "End a block"),
    _post("follow_requests/{id}/authorize", Clients.accept_friend_request, "write:follows", "Accept a friend request"),
    _post("follow_requests/{id}/reject", Clients.reject_friend_request, "write:follows", "Reject a friend request"),
    Route(
        method="GET",
        path="/api/v1/follow_requests",
        handler=get_follow_requests,
        policy="read:follows",
        params=FriendParameters,
        response=list[entities.Account],
        fields={"page_token": "max_id", "page_size": "limit"},
        summary="Who waits for the caller's answer",
        tag="friendships",
    ),
)
