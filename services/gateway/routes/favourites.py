"""Favourites: favouring statuses, and who favours what. Lists are paged by when somebody favoured, through the Link header."""

from starlette.responses import Response

from chassis.errors import FailedPrecondition, NotFound
from chassis.ids import Kind, kind_of
from services.gateway.context import Call
from services.gateway.entities import Account, Status
from services.gateway.pages import link_header
from services.gateway.parameters import NoParameters, WindowParameters
from services.gateway.routing import Handler, Route, json_response

DEFAULT_FAVOURITES, MAX_FAVOURITES = 20, 40
DEFAULT_FAVOURED_BY, MAX_FAVOURED_BY = 40, 80


def _status_id(call: Call[NoParameters]) -> int:
    """Return the status in the path. Raises FailedPrecondition for blog entries, which ids tell apart."""
    status_id = call.path_id()
    if kind_of(status_id) is Kind.BLOG_ENTRY:
        raise FailedPrecondition("Blog entries cannot be favourites; statuses can.")
    return status_id


async def post_favourite(call: Call[NoParameters]) -> Response:
    """Favour a status; twice counts once."""
    status_id = _status_id(call)
    await call.gateway.clients.favourite_status(call.caller.account_id, status_id)
    return json_response(await _status(call, status_id))


async def post_unfavourite(call: Call[NoParameters]) -> Response:
    """Favour a status no more."""
    status_id = _status_id(call)
    await call.gateway.clients.unfavourite_status(call.caller.account_id, status_id)
    return json_response(await _status(call, status_id))


async def _status(call: Call[NoParameters], status_id: int) -> Status:
    """Return a status as it is now. Raises NotFound: it may have been narrowed or deleted since."""
    posts = await call.gateway.hydration.posts(call.viewer_id, [status_id])
    if status_id not in posts:
        raise NotFound("There is no such status.", resource="status")
    return posts[status_id]


async def get_favourites(call: Call[WindowParameters]) -> Response:
    """Return a page of what the caller favours, the latest favourite first."""
    gateway = call.gateway
    window = call.params.window(default=DEFAULT_FAVOURITES, maximum=MAX_FAVOURITES)
    page = await gateway.clients.favourite_statuses(call.caller.account_id, window)
    older = 0 if page.is_end and not window.min_id else page.oldest_favourite_id
    links = link_header(gateway.base_url, call.request, next_page=older, previous=page.newest_favourite_id)
    return json_response(await gateway.hydration.statuses(page.statuses), links)


async def get_favourited_by(call: Call[WindowParameters]) -> Response:
    """Return a page of who favours a status, the latest first."""
    gateway, status_id = call.gateway, call.path_id()
    window = call.params.window(default=DEFAULT_FAVOURED_BY, maximum=MAX_FAVOURED_BY)
    page = await gateway.clients.status_favourites(call.viewer_id, status_id, window)
    older = 0 if page.is_end and not window.min_id else page.oldest_favourite_id
    links = link_header(gateway.base_url, call.request, next_page=older, previous=page.newest_favourite_id)
    accounts = await gateway.hydration.account_list([favourite.account_id for favourite in page.favourites])
    return json_response(accounts, links)


def _change(verb: str, handler: Handler, summary: str) -> Route:
    return Route(
        method="POST",
        path=f"/api/v1/statuses/{{id}}/{verb}",
        handler=handler,
        policy="write:favourites",
        response=Status,
        summary=summary,
        tag="favourites",
    )


ROUTES = (
    _change("favourite", post_favourite, "Favour a status"),
    _change("unfavourite", post_unfavourite, "Favour a status no more"),
    Route(
        method="GET",
        path="/api/v1/favourites",
        handler=get_favourites,
        policy="read:favourites",
        params=WindowParameters,
        response=list[Status],
        summary="What the caller favours",
        tag="favourites",
    ),
    Route(
        method="GET",
        path="/api/v1/statuses/{id}/favourited_by",
        handler=get_favourited_by,
        policy="read:statuses",
        params=WindowParameters,
        response=list[Account],
        summary="Who favours a status",
        tag="favourites",
    ),
)
