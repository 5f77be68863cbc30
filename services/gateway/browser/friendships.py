"""Friends: the list, requests both ways, finding members, and what one member can do towards another."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from kodama.social_graph.v1.social_graph_pb2 import Relationship
from starlette.responses import Response

from services.gateway.browser.endpoint import Audience, Page, PageHandler
from services.gateway.browser.local_paths import local_path
from services.gateway.browser.sessions import Next
from services.gateway.browser.visit import Visit
from services.gateway.clients import Clients
from services.gateway.limiting import FRIEND_REQUESTS, SEARCHES, RateLimit
from services.gateway.parameters import ShortText
from services.gateway.routes.accounts import find_accounts

PAGE = 40
MAX_REQUESTS = 100
MAX_FOUND = 40

Change = Callable[[Clients, int, int], Awaitable[Relationship]]
"""What changes how one member stands to another."""


class FriendsParameters(msgspec.Struct, frozen=True, kw_only=True):
    """A page of one's friends."""

    max_id: ShortText = ""
    """What the page before named."""


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """The beginning of a name."""

    q: Annotated[str, msgspec.Meta(max_length=200)] = ""


async def get_friends(visit: Visit[FriendsParameters]) -> Response:
    """Show one's friends, and who waits for an answer."""
    clients, hydration, own_id = visit.gateway.clients, visit.gateway.hydration, visit.viewer_id
    friends, incoming, outgoing = await asyncio.gather(
        clients.friends(own_id, own_id, page_size=PAGE, page_token=visit.params.max_id),
        clients.friend_requests(own_id, page_size=MAX_REQUESTS),
        clients.outgoing_friend_requests(own_id, page_size=MAX_REQUESTS, page_token=""),
    )
    shown_friends, shown_incoming, shown_outgoing = await asyncio.gather(
        *(hydration.account_list(page.account_ids) for page in (friends, incoming, outgoing))
    )
    return await visit.page(
        "friends.html",
        friends=shown_friends,
        next_page=friends.next_page_token,
        is_first=not visit.params.max_id,
        incoming=shown_incoming,
        outgoing=shown_outgoing,
    )


async def get_search(visit: Visit[Search]) -> Response:
    """Show members by how their names begin."""
    text = visit.params.q.strip()
    found = await find_accounts(visit, text, limit=MAX_FOUND, offset=0, following=False) if text else []
    ids = [int(account.id) for account in found]
    relations = await visit.gateway.clients.relate(visit.viewer_id, ids) if ids else {}
    standing = {str(an_id): visit.gateway.renderer.relationship(one) for an_id, one in relations.items()}
    return await visit.page("search.html", q=visit.params.q, found=found, standing=standing)


def changing(change: Change) -> PageHandler:
    """Return the handler that makes a change between the member and another, and goes back."""

    async def post_change(visit: Visit[Next]) -> Response:
        await change(visit.gateway.clients, visit.viewer_id, visit.path_id())
        return visit.go(local_path(visit.params.next, "/friends"))

    return post_change


async def _mute(clients: Clients, account_id: int, target_id: int) -> Relationship:
    return await clients.mute(account_id, target_id, hides_notifications=True, duration_seconds=0)


def _change(verb: str, change: Change, limits: tuple[RateLimit, ...] = ()) -> Page:
    return Page(
        method="POST",
        path=f"/members/{{id}}/{verb}",
        handler=changing(change),
        audience=Audience.MEMBER,
        params=Next,
        limits=limits,
    )


PAGES = (
    Page(method="GET", path="/friends", handler=get_friends, audience=Audience.MEMBER, params=FriendsParameters),
    Page(method="GET", path="/search", handler=get_search, audience=Audience.MEMBER, params=Search, limits=(SEARCHES,)),
    _change("ask", Clients.request_friendship, (FRIEND_REQUESTS,)),
    _change("accept", Clients.accept_friend_request),
    _change("reject", Clients.reject_friend_request),
    _change("end", Clients.end_friendship),
    _change("block", Clients.block),
    _change("unblock", Clients.unblock),
    _change("mute", _mute),
    _change("unmute", Clients.unmute),
)
