"""Members: looking them up, their statuses and their friends."""

import asyncio
from itertools import chain
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from starlette.responses import Response

from chassis.errors import NotFound
from services.gateway.context import Call
from services.gateway.entities import Account, FamiliarFollowers, Relationship, Status
from services.gateway.limiting import SEARCHES, RateLimit
from services.gateway.pages import link_header, window_links
from services.gateway.parameters import (
    Id,
    IdList,
    Limit,
    NoParameters,
    ShortText,
    WindowParameters,
    has_older,
    parse_handle,
)
from services.gateway.routing import Route, encoded_response, json_response

DEFAULT_STATUSES, MAX_STATUSES = 20, 40
DEFAULT_FRIENDS, MAX_FRIENDS = 40, 80
DEFAULT_FOUND, MAX_FOUND = 40, 80
MAX_OFFSET = 1000

SearchText = Annotated[str, msgspec.Meta(max_length=200)]
Offset = Annotated[int, msgspec.Meta(ge=0, le=MAX_OFFSET)]


class Ids(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts by id, at most 200."""

    id: IdList = []


class FamiliarParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts by id, at most 40."""

    id: Annotated[list[Id], msgspec.Meta(max_length=40)] = []


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """An account by its name, with or without this network's domain."""

    acct: ShortText


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """The beginning of a name, with or without this network's domain."""

    q: SearchText
    limit: Limit | None = None
    offset: Offset = 0
    following: bool = False


class AccountStatuses(WindowParameters, frozen=True, kw_only=True):
    """A page of an account's statuses."""

    exclude_replies: bool = False
    """Without replies to others; replies to oneself stay."""
    only_media: bool = False
    pinned: bool = False
    exclude_reblogs: bool = False
    """There are none."""
    tagged: ShortText = ""
    """With a hashtag; there are none."""


class FriendParameters(msgspec.Struct, frozen=True, kw_only=True):
    """A page of friends. `max_id` is what the Link header of the page before says, not an account's id."""

    max_id: ShortText = ""
    limit: Limit | None = None

    def page_size(self) -> int:
        """Return how many to ask for."""
        return min(self.limit or DEFAULT_FRIENDS, MAX_FRIENDS)


async def get_account(call: Call[NoParameters]) -> Response:
    """Return a member."""
    return json_response(await call.gateway.hydration.account(call.path_id()))


async def get_accounts(call: Call[Ids]) -> Response:
    """Return several members, in the order asked for; unknown ones are left out."""
    return json_response(await call.gateway.hydration.account_list(call.params.id))


async def get_lookup(call: Call[Lookup]) -> Response:
    """Return the member with a name."""
    name, _, domain = call.params.acct.removeprefix("@").partition("@")
    if domain and domain.lower() != urlsplit(call.gateway.base_url).netloc.lower():
        raise NotFound("Members of other networks cannot be found here.", resource="account")
    account = await call.gateway.clients.find_account(parse_handle(name))
    if account is None:
        raise NotFound("There is no member with this name.", resource="account")
    return json_response(await call.gateway.hydration.rendered(account))


async def get_search(call: Call[Search]) -> Response:
    """Find members by how their names begin; with `following`, among the caller's friends."""
    params = call.params
    limit = min(params.limit or DEFAULT_FOUND, MAX_FOUND)
    found = await find_accounts(call, params.q, limit=limit, offset=params.offset, following=params.following)
    return json_response(found)


async def find_accounts(call: Call[Any], text: str, *, limit: int, offset: int, following: bool) -> list[Account]:
    """Return members by how their names begin, with or without this network's domain; with `following`, the caller's friends."""
    gateway = call.gateway
    name, _, domain = text.strip().removeprefix("@").partition("@")
    if domain and domain.lower() != urlsplit(gateway.base_url).netloc.lower():
        return []  # members of other networks cannot be found here
    found = await gateway.clients.search_accounts(name, limit=limit, offset=offset)
    if following and found:
        relations = await gateway.clients.relate(call.viewer_id, [account.id for account in found])
        found = [account for account in found if account.id in relations and relations[account.id].is_friend]
    return await gateway.hydration.account_list([account.id for account in found])


async def get_relationships(call: Call[Ids]) -> Response:
    """Return how the caller stands to accounts, in the order asked for."""
    wanted = list(dict.fromkeys(call.params.id))
    if not wanted:
        return json_response([])
    found = await call.gateway.clients.relate(call.viewer_id, wanted)
    return json_response([call.gateway.renderer.relationship(found[an_id]) for an_id in wanted if an_id in found])


async def get_familiar_followers(call: Call[FamiliarParameters]) -> Response:
    """Return the friends that the caller shares with accounts, in the order asked for; unknown ones are left out."""
    wanted = list(dict.fromkeys(call.params.id))
    if not wanted:
        return json_response([])
    mutual = await call.gateway.clients.mutual_friends(call.viewer_id, wanted)
    accounts = await call.gateway.hydration.accounts({*wanted, *chain.from_iterable(mutual.values())})
    return json_response(
        [
            FamiliarFollowers(
                id=str(an_id), accounts=[accounts[friend] for friend in mutual.get(an_id, ()) if friend in accounts]
            )
            for an_id in wanted
            if an_id in accounts
        ]
    )


async def get_account_statuses(call: Call[AccountStatuses]) -> Response:
    """Return a page of a member's statuses; `limit=2` is what a profile shows, Link leads to all."""
    params, gateway, account_id = call.params, call.gateway, call.path_id()
    window = params.window(default=DEFAULT_STATUSES, maximum=MAX_STATUSES)
    author, statuses = await asyncio.gather(
        gateway.hydration.member(account_id),
        gateway.clients.account_statuses(
            call.viewer_id,
            account_id,
            window,
            exclude_replies=params.exclude_replies,
            only_media=params.only_media,
        ),
    )
    if params.pinned or params.tagged:  # there is no such thing
        return json_response([])
    links = window_links(
        gateway.base_url,
        call.request,
        [status.id for status in statuses],
        has_older=has_older(window, len(statuses)),
    )
    return encoded_response(b"[%b]" % b",".join(await gateway.hydration.fragments_of(author, statuses)), links)


async def get_friends(call: Call[FriendParameters]) -> Response:
    """Return a page of a member's friends; nothing where either blocks the other."""
    params, gateway, account_id = call.params, call.gateway, call.path_id()
    _, page = await asyncio.gather(
        gateway.hydration.account(account_id),
        gateway.clients.friends(call.viewer_id, account_id, page_size=params.page_size(), page_token=params.max_id),
    )
    friends = await gateway.hydration.account_list(page.account_ids)
    return json_response(friends, link_header(gateway.base_url, call.request, next_page=page.next_page_token))


def _get(
    path: str,
    handler: object,
    scope: str,
    summary: str,
    params: type[msgspec.Struct],
    response: object,
    limits: tuple[RateLimit, ...] = (),
) -> Route:
    return Route(
        method="GET",
        path=f"/api/v1/accounts{path}",
        handler=handler,  # type: ignore[arg-type]  # each handler's own struct is named by params
        policy=scope,
        params=params,
        response=response,
        fields={"page_token": "max_id", "page_size": "limit"},
        limits=limits,
        summary=summary,
        tag="accounts",
    )


ROUTES = (
    _get("", get_accounts, "read:accounts", "Several members", Ids, list[Account]),
    _get(
        "/search", get_search, "read:accounts", "Members by how their names begin", Search, list[Account], (SEARCHES,)
    ),
    _get("/lookup", get_lookup, "read:accounts", "The member with a name", Lookup, Account),
    _get(
        "/relationships", get_relationships, "read:follows", "How the caller stands to members", Ids, list[Relationship]
    ),
    _get(
        "/familiar_followers",
        get_familiar_followers,
        "read:follows",
        "The friends that the caller shares with members",
        FamiliarParameters,
        list[FamiliarFollowers],
    ),
    _get("/{id}", get_account, "read:accounts", "A member", NoParameters, Account),
    _get("/{id}/statuses", get_account_statuses, "read:statuses", "A member's statuses", AccountStatuses, list[Status]),
    _get("/{id}/followers", get_friends, "read:accounts", "A member's friends", FriendParameters, list[Account]),
    _get("/{id}/following", get_friends, "read:accounts", "A member's friends", FriendParameters, list[Account]),
)
