"""Statuses: posting, reading, deleting. Blog entries that stand on timelines can be read and deleted here too."""

from collections.abc import Mapping
from typing import Literal

import msgspec
from kodama.status.v1 import status_pb2
from starlette.responses import Response

from chassis.errors import InvalidField, NotFound
from chassis.ids import Kind, kind_of
from services.gateway import entities
from services.gateway.context import Call
from services.gateway.parameters import LongText, NoParameters
from services.gateway.routing import Route, json_response

VISIBILITIES: Mapping[str, status_pb2.Visibility.ValueType] = {
    "public": status_pb2.VISIBILITY_PUBLIC,
    "unlisted": status_pb2.VISIBILITY_UNLISTED,
    "private": status_pb2.VISIBILITY_FRIENDS,
}


class NewStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A status to post."""

    status: LongText = ""
    visibility: Literal["public", "unlisted", "private", "direct", ""] = ""


async def post_status(call: Call[NewStatus]) -> Response:
    """Post a status; the same Idempotency-Key posts it once."""
    params, gateway = call.params, call.gateway
    if params.visibility == "direct":
        raise InvalidField("visibility", "Statuses to single members are not there yet; please post it for friends.")
    status = await gateway.clients.create_status(
        account_id=call.caller.account_id,
        text=params.status,
        visibility=VISIBILITIES.get(params.visibility, status_pb2.VISIBILITY_UNSPECIFIED),
    )
    author = await gateway.hydration.account(call.caller.account_id)
    return json_response(gateway.renderer.status(status, author))


async def get_status(call: Call[NoParameters]) -> Response:
    """Return a status or blog entry that the caller may see."""
    status_id = call.path_id()
    posts = await call.gateway.hydration.posts(call.viewer_id, [status_id])
    if status_id not in posts:
        raise NotFound("There is no such status.", resource="status")
    return json_response(posts[status_id])


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
        deleted = gateway.renderer.status(status, author, with_text=True)
    deleted.account.statuses_count = max(0, deleted.account.statuses_count - (deleted.kodama.kind == "status"))
    return json_response(deleted)


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
)
