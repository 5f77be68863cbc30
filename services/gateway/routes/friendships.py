"""Friendship, which is symmetric here, in the words of following: asking, answering, ending; blocking and muting."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol

import msgspec
from kodama.social_graph.v1.social_graph_pb2 import Relationship
from starlette.responses import Response

from services.gateway import entities
from services.gateway.clients import Clients
from services.gateway.context import Call
from services.gateway.graph_calls import AccountPage
from services.gateway.limiting import FRIEND_REQUESTS, RateLimit
from services.gateway.pages import link_header
from services.gateway.parameters import NoParameters
from services.gateway.routes.accounts import FriendParameters
from services.gateway.routing import Handler, Route, json_response

Change = Callable[[Clients, int, int], Awaitable[Relationship]]
"""What changes how one member stands to another."""

MAX_MUTE_SECONDS = 10 * 365 * 24 * 3600


class ReadPage(Protocol):
    """What reads a page of members of one member's."""

    def __call__(
        self, clients: Clients, account_id: int, /, *, page_size: int, page_token: str
    ) -> Awaitable[AccountPage]:
        """Return the page."""


class MuteParameters(msgspec.Struct, frozen=True, kw_only=True):
    """How a member is muted."""

    notifications: bool = True
    """Notifications too."""
    duration: Annotated[
        int, msgspec.Meta(ge=0, le=MAX_MUTE_SECONDS, description="Seconds until it ends by itself; 0 for ever.")
    ] = 0


def changing(change: Change) -> Handler:
    """Return the handler that makes a change between the caller and the member in the path, and says how they stand now."""

    async def post_change(call: Call[NoParameters]) -> Response:
        relationship = await change(call.gateway.clients, call.caller.account_id, call.path_id())
        return json_response(call.gateway.renderer.relationship(relationship))

    return post_change


async def post_mute(call: Call[MuteParameters]) -> Response:
    """Hide what a member posts, and unless asked otherwise notifications about them, for a time or for ever."""
    relationship = await call.gateway.clients.mute(
        call.caller.account_id,
        call.path_id(),
        hides_notifications=call.params.notifications,
        duration_seconds=call.params.duration,
    )
    return json_response(call.gateway.renderer.relationship(relationship))


def listing(read: ReadPage) -> Handler:
    """Return the handler that lists members whom a page of the caller's names, in its order."""

    async def get_page(call: Call[FriendParameters]) -> Response:
        params, gateway = call.params, call.gateway
        page = await read(
            gateway.clients, call.caller.account_id, page_size=params.page_size(), page_token=params.max_id
        )
        accounts = await gateway.hydration.account_list(page.account_ids)
        return json_response(accounts, link_header(gateway.base_url, call.request, next_page=page.next_page_token))

    return get_page


async def get_mutes(call: Call[FriendParameters]) -> Response:
    """Return a page of those whom the caller mutes, and until when."""
    params, gateway = call.params, call.gateway
    muted, next_page = await gateway.clients.mutes(
        call.caller.account_id, page_size=params.page_size(), page_token=params.max_id
    )
    accounts = await gateway.hydration.accounts([one.account_id for one in muted])
    rendered = [
        gateway.renderer.muted_account(accounts[one.account_id], one) for one in muted if one.account_id in accounts
    ]
    return json_response(rendered, link_header(gateway.base_url, call.request, next_page=next_page))


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


def _get(path: str, handler: Handler, scope: str, summary: str, entity: type = entities.Account) -> Route:
    return Route(
        method="GET",
        path=f"/api/v1/{path}",
        handler=handler,
        policy=scope,
        params=FriendParameters,
        response=list[entity],  # type: ignore[valid-type]  # a value that documents, not an annotation
        fields={"page_token": "max_id", "page_size": "limit"},
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
        method="POST",
        path="/api/v1/accounts/{id}/mute",
        handler=post_mute,
        policy="write:mutes",
        params=MuteParameters,
        response=entities.Relationship,
        fields={"duration_seconds": "duration"},
        summary="Mute a member",
        tag="friendships",
    ),
    _post("accounts/{id}/unmute", Clients.unmute, "write:mutes", "End a mute"),
    _get("follow_requests", listing(Clients.friend_requests), "read:follows", "Who waits for the caller's answer"),
    _get(
        "follow_requests/outgoing",
        listing(Clients.outgoing_friend_requests),
        "read:follows",
        "Whose answer the caller waits for",
    ),
    _get("blocks", listing(Clients.blocks), "read:blocks", "Whom the caller blocks"),
    _get("mutes", get_mutes, "read:mutes", "Whom the caller mutes", entities.MutedAccount),
)
