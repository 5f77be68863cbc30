"""Search: members by how their names begin, and whatever has an address on this network. Texts are not searched."""

import re
from typing import Annotated, Literal

import msgspec
from starlette.responses import Response

from chassis.ids import MAX_ID
from services.gateway.context import Call
from services.gateway.entities import Account, SearchResults, Status
from services.gateway.parameters import Id, Limit, ShortText, parse_handle
from services.gateway.routes.accounts import MAX_OFFSET, find_accounts
from services.gateway.routing import Route, json_response
from services.gateway.shedding import Urgency

DEFAULT_RESULTS, MAX_RESULTS = 20, 40
MAX_NAME = 200

_ADDRESS = re.compile(r"/@(?P<handle>[A-Za-z0-9_]{1,30})(?:/(?:blog/)?(?P<id>[0-9]{1,19}))?/?(?:[?#].*)?")


class SearchParameters(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for: the beginning of a name, `@handle`, or the address of a profile, a status or a blog entry."""

    q: ShortText
    type: Literal["accounts", "statuses", "hashtags", ""] = ""
    resolve: bool = False
    """Ignored: there is nothing to be fetched from elsewhere."""
    limit: Limit | None = None
    offset: Annotated[int, msgspec.Meta(ge=0, le=MAX_OFFSET)] = 0
    following: bool = False
    """Members among the caller's friends only."""
    account_id: Id | None = None
    """Statuses of this member only."""
    exclude_unreviewed: bool = False
    """About hashtags, of which there are none."""


async def get_search(call: Call[SearchParameters]) -> Response:
    """Return what has this name or address."""
    params, text = call.params, call.params.q.strip()
    address = _address_on(call.gateway.base_url, text)
    accounts: list[Account] = []
    statuses: list[Status] = []
    if address is not None:
        if params.offset == 0:
            accounts, statuses = await _resolve(call, address)
    elif params.type in ("accounts", "") and len(text) <= MAX_NAME:
        limit = min(params.limit or DEFAULT_RESULTS, MAX_RESULTS)
        accounts = await find_accounts(call, text, limit=limit, offset=params.offset, following=params.following)
    return json_response(
        SearchResults(
            accounts=accounts if params.type in ("accounts", "") else [],
            statuses=statuses if params.type in ("statuses", "") else [],
        )
    )


def _address_on(base_url: str, text: str) -> re.Match[str] | None:
    """Return what an address on this network names; None for anything else."""
    if not text.lower().startswith(f"{base_url.lower()}/@"):
        return None
    return _ADDRESS.fullmatch(text, len(base_url))


async def _resolve(call: Call[SearchParameters], address: re.Match[str]) -> tuple[list[Account], list[Status]]:
    """Return the member or the post that an address names, if there is one that the caller may see."""
    gateway, handle = call.gateway, parse_handle(address["handle"])
    if address["id"] is None:
        found = await gateway.clients.find_account(handle)
        return ([await gateway.hydration.rendered(found)] if found is not None else []), []
    post_id = int(address["id"])
    posts = await gateway.hydration.posts(call.viewer_id, [post_id]) if post_id <= MAX_ID else {}
    post = posts.get(post_id)
    if post is None or post.account.username != handle:
        return [], []
    is_asked_for = call.params.account_id in (None, int(post.account.id))
    return [], [post] if is_asked_for else []


ROUTES = (
    Route(
        method="GET",
        path="/api/v2/search",
        handler=get_search,
        policy="read:search",
        params=SearchParameters,
        response=SearchResults,
        urgency=Urgency.BACKGROUND,
        summary="Members by name, and what has an address here",
        tag="search",
    ),
)
