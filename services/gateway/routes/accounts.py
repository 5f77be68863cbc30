"""Members: signing up, looking them up, their statuses and their friends."""

import asyncio
from urllib.parse import urlsplit

import msgspec
from starlette.responses import Response

from chassis.errors import NotFound, PermissionDenied
from services.gateway.auth import Open
from services.gateway.context import Call
from services.gateway.entities import Account, CredentialAccount, Relationship, Status, Token
from services.gateway.pages import link_header, window_links
from services.gateway.parameters import (
    IdList,
    Limit,
    NoParameters,
    ShortText,
    WindowParameters,
    has_older,
    parse_handle,
)
from services.gateway.routing import Route, json_response
from services.gateway.signing_up import SignUp, SignUpErrorBody, check_sign_up, language_of, sign_up_error

DEFAULT_STATUSES, MAX_STATUSES = 20, 40
DEFAULT_FRIENDS, MAX_FRIENDS = 40, 80
MAX_SHOWN_REQUESTS = 1000


class Ids(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts by id, at most 200."""

    id: IdList = []


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """An account by its name, with or without this network's domain."""

    acct: ShortText


class AccountStatuses(WindowParameters, frozen=True, kw_only=True):
    """A page of an account's statuses."""

    only_media: bool = False
    pinned: bool = False


class FriendParameters(msgspec.Struct, frozen=True, kw_only=True):
    """A page of friends. `max_id` is what the Link header of the page before says, not an account's id."""

    max_id: ShortText = ""
    limit: Limit | None = None

    def page_size(self) -> int:
        """Return how many to ask for."""
        return min(self.limit or DEFAULT_FRIENDS, MAX_FRIENDS)


async def post_account(call: Call[SignUp]) -> Response:
    """Sign a member up; the token in the answer works at once."""
    form, gateway = call.params, call.gateway
    if not gateway.settings.registrations_open:
        raise PermissionDenied("This network does not take new members at the moment.")
    check_sign_up(form)
    account = await gateway.clients.create_account(
        handle=form.username,
        email=form.email,
        password=form.password,
        locale=language_of(form.locale),
        display_name=form.display_name,
        app_id=call.caller.app_id,
    )
    token = await gateway.clients.issue_account_token(account_id=account.id, app_id=call.caller.app_id)
    return json_response(gateway.renderer.token(token), {"cache-control": "no-store"})


async def get_own_account(call: Call[NoParameters]) -> Response:
    """Return the member whom the token stands for, with their settings."""
    gateway, own_id = call.gateway, call.caller.account_id
    found, requests = await asyncio.gather(
        gateway.clients.accounts([own_id]), gateway.clients.friend_requests(own_id, page_size=MAX_SHOWN_REQUESTS)
    )
    if own_id not in found:
        raise NotFound("There is no such member any more.", resource="account")
    account = await gateway.hydration.rendered(found[own_id])
    return json_response(gateway.renderer.credential_account(account, found[own_id], len(requests.account_ids)))


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


async def get_relationships(call: Call[Ids]) -> Response:
    """Return how the caller stands to accounts, in the order asked for."""
    wanted = list(dict.fromkeys(call.params.id))
    if not wanted:
        return json_response([])
    found = await call.gateway.clients.relate(call.viewer_id, wanted)
    return json_response([call.gateway.renderer.relationship(found[an_id]) for an_id in wanted if an_id in found])


async def get_account_statuses(call: Call[AccountStatuses]) -> Response:
    """Return a page of a member's statuses; `limit=2` is what a profile shows, Link leads to all."""
    params, gateway, account_id = call.params, call.gateway, call.path_id()
    window = params.window(default=DEFAULT_STATUSES, maximum=MAX_STATUSES)
    author, statuses = await asyncio.gather(
        gateway.hydration.account(account_id),
        gateway.clients.account_statuses(call.viewer_id, account_id, window),
    )
    if params.only_media or params.pinned:  # there are neither
        return json_response([])
    links = window_links(
        gateway.base_url,
        call.request,
        [status.id for status in statuses],
        has_older=has_older(window, len(statuses)),
    )
    return json_response([gateway.renderer.status(status, author) for status in statuses], links)


async def get_friends(call: Call[FriendParameters]) -> Response:
    """Return a page of a member's friends; nothing to somebody whom the member blocks."""
    params, gateway, account_id = call.params, call.gateway, call.path_id()
    _, relations, page = await asyncio.gather(
        gateway.hydration.account(account_id),
        gateway.clients.relate(call.viewer_id, [account_id]),
        gateway.clients.friends(account_id, page_size=params.page_size(), page_token=params.max_id),
    )
    if account_id in relations and relations[account_id].is_blocked_by:
        return json_response([])
    friends = await gateway.hydration.account_list(page.account_ids)
    return json_response(friends, link_header(gateway.base_url, call.request, next_page=page.next_page_token))


def _get(path: str, handler: object, scope: str, summary: str, params: type[msgspec.Struct], response: object) -> Route:
    return Route(
        method="GET",
        path=f"/api/v1/accounts{path}",
        handler=handler,  # type: ignore[arg-type]  # each handler's own struct is named by params
        policy=scope,
        params=params,
        response=response,
        fields={"page_token": "max_id", "page_size": "limit"},
        summary=summary,
        tag="accounts",
    )


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/accounts",
        handler=post_account,
        policy=Open.APP,
        params=SignUp,
        response=Token,
        errors=sign_up_error,
        refusal=SignUpErrorBody,
        summary="Sign up",
        tag="accounts",
    ),
    _get("", get_accounts, "read:accounts", "Several members", Ids, list[Account]),
    _get(
        "/verify_credentials",
        get_own_account,
        "read:accounts",
        "The member whom the token stands for",
        NoParameters,
        CredentialAccount,
    ),
    _get("/lookup", get_lookup, "read:accounts", "The member with a name", Lookup, Account),
    _get(
        "/relationships", get_relationships, "read:follows", "How the caller stands to members", Ids, list[Relationship]
    ),
    _get("/{id}", get_account, "read:accounts", "A member", NoParameters, Account),
    _get("/{id}/statuses", get_account_statuses, "read:statuses", "A member's statuses", AccountStatuses, list[Status]),
    _get("/{id}/followers", get_friends, "read:accounts", "A member's friends", FriendParameters, list[Account]),
    _get("/{id}/following", get_friends, "read:accounts", "A member's friends", FriendParameters, list[Account]),
)
