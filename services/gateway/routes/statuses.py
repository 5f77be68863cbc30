"""Statuses: posting, reading, editing and deleting them, and their threads.

Blog entries that stand on timelines can be read and deleted here too.
"""

import asyncio
from collections.abc import Mapping
from typing import Literal

import msgspec
from kodama.status.v1 import status_pb2
from starlette.responses import Response

from chassis.errors import NotFound, Unavailable
from chassis.ids import Kind, kind_of
from services.gateway import entities
from services.gateway.context import Call
from services.gateway.hydration import Author
from services.gateway.parameters import Id, IdList, LongText, MediaIds, NoParameters
from services.gateway.rendering import Counts
from services.gateway.routing import Handler, Route, encoded_response, json_response

VISIBILITIES: Mapping[str, status_pb2.Visibility.ValueType] = {
    "public": status_pb2.VISIBILITY_PUBLIC,
    "unlisted": status_pb2.VISIBILITY_UNLISTED,
    "private": status_pb2.VISIBILITY_FRIENDS,
    "direct": status_pb2.VISIBILITY_DIRECT,
}
Visibility = Literal["public", "unlisted", "private", "direct", ""]


class NewStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A status to post."""

    status: LongText = ""
    visibility: Visibility = ""
    """Empty means as the member's settings say."""
    in_reply_to_id: Id | None = None
    media_ids: MediaIds = []
    """With a picture, the text may be empty."""


class StatusChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changes of a status; what is missing stays."""

    status: LongText | None = None
    visibility: Visibility = ""
    """No wider than it is: public → unlisted → private → direct."""


class StatusIds(msgspec.Struct, frozen=True, kw_only=True):
    """Statuses by id, at most 200."""

    id: IdList = []


async def post_status(call: Call[NewStatus]) -> Response:
    """Post a status; the same Idempotency-Key posts it once."""
    params, gateway, own_id = call.params, call.gateway, call.caller.account_id
    # Side by side, as each takes a way to a service and back.
    author = gateway.hydration.author(own_id)
    author.add_done_callback(_heed)
    posted = await gateway.clients.create_status(
        account_id=own_id,
        text=params.status,
        visibility=VISIBILITIES.get(params.visibility, status_pb2.VISIBILITY_AUTHOR_DEFAULT),
        in_reply_to_id=params.in_reply_to_id or 0,
        media_ids=params.media_ids,
    )
    try:
        account, friends = await author
    except Unavailable:  # what has been posted is not undone for that
        account, friends = await gateway.hydration.author(own_id)
    member = account, Counts(friends, posted.author.statuses, posted.author.last_status_at_ms)
    [shown] = await gateway.hydration.fragments_of(member, [posted.status])
    return encoded_response(shown)


def _heed(author: "asyncio.Future[Author]") -> None:
    """Take note of how it ended, as nobody else does where the post is refused."""
    if not author.cancelled():
        author.exception()


async def put_status(call: Call[StatusChange]) -> Response:
    """Change an own status: its text, or fewer who may see it."""
    params, gateway, own_id, status_id = call.params, call.gateway, call.caller.account_id, call.path_id()
    if kind_of(status_id) is Kind.BLOG_ENTRY:
        raise NotFound("There is no such status of yours.", resource="status")
    status = await gateway.clients.update_status(
        account_id=own_id,
        status_id=status_id,
        text=params.status,
        visibility=VISIBILITIES.get(params.visibility, status_pb2.VISIBILITY_UNSPECIFIED),
    )
    author = await gateway.hydration.account(own_id)
    return json_response(await gateway.hydration.status(status, author))


async def get_statuses(call: Call[StatusIds]) -> Response:
    """Return several statuses, in the order asked for; what the caller may not see is left out."""
    wanted = list(dict.fromkeys(call.params.id))
    posts = await call.gateway.hydration.posts(call.viewer_id, wanted)
    return json_response([posts[status_id] for status_id in wanted if status_id in posts])


async def get_status(call: Call[NoParameters]) -> Response:
    """Return a status or blog entry that the caller may see."""
    return json_response(await _visible_post(call))


async def _visible_post(call: Call[NoParameters]) -> entities.Status:
    status_id = call.path_id()
    posts = await call.gateway.hydration.posts(call.viewer_id, [status_id])
    if status_id not in posts:
        raise NotFound("There is no such status.", resource="status")
    return posts[status_id]


async def get_context(call: Call[NoParameters]) -> Response:
    """Return what a status replies to and what replies to it; nothing replies to blog entries."""
    gateway, status_id = call.gateway, call.path_id()
    if kind_of(status_id) is Kind.BLOG_ENTRY:
        await _visible_post(call)
        return json_response(entities.Context(ancestors=[], descendants=[]))
    thread = await gateway.clients.context(call.viewer_id, status_id)
    shown = await gateway.hydration.statuses([*thread.ancestors, *thread.descendants])
    above = {str(status.id) for status in thread.ancestors}
    return json_response(
        entities.Context(
            ancestors=[status for status in shown if status.id in above],
            descendants=[status for status in shown if status.id not in above],
        )
    )


async def get_source(call: Call[NoParameters]) -> Response:
    """Return a status as it was typed."""
    status_id = call.path_id()
    for status in await call.gateway.clients.statuses(call.viewer_id, [status_id]):
        return json_response(entities.StatusSource(id=str(status.id), text=status.text))
    raise NotFound("There is no such status.", resource="status")


async def get_history(call: Call[NoParameters]) -> Response:
    """Return what a status said before and says now, oldest first."""
    gateway = call.gateway
    answer = await gateway.clients.revisions(call.viewer_id, call.path_id())
    author = await gateway.hydration.account(answer.status.account_id)
    return json_response([gateway.renderer.revision(revision, author) for revision in answer.revisions])


async def delete_status(call: Call[NoParameters]) -> Response:
    """Delete an own status or blog entry; the answer holds its text, so that it can be written anew."""
    gateway, own_id, status_id = call.gateway, call.caller.account_id, call.path_id()
    author = await gateway.hydration.account(own_id)
    deleted: entities.Status
    if kind_of(status_id) is Kind.BLOG_ENTRY:
        entry = await gateway.clients.delete_blog_entry(own_id, status_id)
        deleted = gateway.renderer.blog_entry_as_status(entry, author, with_text=True)
    else:
        status = await gateway.clients.delete_status(own_id, status_id)
        deleted = await gateway.hydration.status(status, author, with_text=True)
    deleted.account.statuses_count = max(0, deleted.account.statuses_count - (deleted.kodama.kind == "status"))
    return json_response(deleted)


def _get(path: str, handler: Handler, summary: str, params: type[msgspec.Struct], response: object) -> Route:
    return Route(
        method="GET",
        path=f"/api/v1/statuses{path}",
        handler=handler,
        policy="read:statuses",
        params=params,
        response=response,
        summary=summary,
        tag="statuses",
    )


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/statuses",
        handler=post_status,
        policy="write:statuses",
        params=NewStatus,
        response=entities.Status,
        fields={"text": "status"},
        summary="Post a status",
        tag="statuses",
    ),
    Route(
        method="GET",
        path="/api/v1/statuses/{id}",
        handler=get_status,
        policy="read:statuses",
        response=entities.Status,
        summary="A status",
        tag="statuses",
    ),
    Route(
        method="DELETE",
        path="/api/v1/statuses/{id}",
        handler=delete_status,
        policy="write:statuses",
        response=entities.Status,
        summary="Delete a status",
        tag="statuses",
    ),
    Route(
        method="PUT",
        path="/api/v1/statuses/{id}",
        handler=put_status,
        policy="write:statuses",
        params=StatusChange,
        response=entities.Status,
        fields={"text": "status"},
        summary="Edit a status, or narrow who may see it",
        tag="statuses",
    ),
    _get("", get_statuses, "Several statuses", StatusIds, list[entities.Status]),
    _get("/{id}/context", get_context, "The thread around a status", NoParameters, entities.Context),
    _get("/{id}/source", get_source, "A status as it was typed", NoParameters, entities.StatusSource),
    _get("/{id}/history", get_history, "What a status said before", NoParameters, list[entities.StatusEdit]),
)
