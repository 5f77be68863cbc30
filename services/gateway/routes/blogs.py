"""Blogs: entries of any length; Kodama's own namespace."""

import asyncio
from collections.abc import Mapping
from typing import Literal

import msgspec
from kodama.blog.v1 import blog_entry_pb2
from starlette.responses import Response

from chassis.errors import NotFound
from services.gateway import entities
from services.gateway.context import Call
from services.gateway.pages import window_links
from services.gateway.parameters import LongText, NoParameters, ShortText, WindowParameters
from services.gateway.routing import Route, json_response

DEFAULT_ENTRIES, MAX_ENTRIES = 20, 40

VISIBILITIES: Mapping[str, blog_entry_pb2.Visibility.ValueType] = {
    "public": blog_entry_pb2.VISIBILITY_PUBLIC,
    "friends_of_friends": blog_entry_pb2.VISIBILITY_FRIENDS_OF_FRIENDS,
    "friends": blog_entry_pb2.VISIBILITY_FRIENDS,
    "self": blog_entry_pb2.VISIBILITY_SELF,
}


class NewBlogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A blog entry to publish."""

    title: ShortText = ""
    text: LongText = ""
    visibility: Literal["public", "friends_of_friends", "friends", "self", ""] = ""


async def post_blog_entry(call: Call[NewBlogEntry]) -> Response:
    """Publish a blog entry; the same Idempotency-Key publishes it once."""
    params, gateway = call.params, call.gateway
    entry = await gateway.clients.create_blog_entry(
        account_id=call.caller.account_id,
        title=params.title,
        text=params.text,
        visibility=VISIBILITIES.get(params.visibility, blog_entry_pb2.VISIBILITY_UNSPECIFIED),
    )
    author = await gateway.hydration.account(call.caller.account_id)
    return json_response(gateway.renderer.blog_entry(entry, author))


async def get_blog_entry(call: Call[NoParameters]) -> Response:
    """Return a blog entry that the caller may see."""
    gateway = call.gateway
    entries = await gateway.hydration.blog_entries(await gateway.clients.blog_entries(call.viewer_id, [call.path_id()]))
    if not entries:
        raise NotFound("There is no such blog entry.", resource="blog_entry")
    return json_response(entries[0])


async def delete_blog_entry(call: Call[NoParameters]) -> Response:
    """Delete an own blog entry; the answer is what it was."""
    gateway, own_id = call.gateway, call.caller.account_id
    entry = await gateway.clients.delete_blog_entry(own_id, call.path_id())
    return json_response(gateway.renderer.blog_entry(entry, await gateway.hydration.account(own_id)))


async def get_account_blog(call: Call[WindowParameters]) -> Response:
    """Return a page of a member's blog, newest first."""
    gateway, account_id = call.gateway, call.path_id()
    window = call.params.window(default=DEFAULT_ENTRIES, maximum=MAX_ENTRIES)
    author, entries = await asyncio.gather(
        gateway.hydration.account(account_id),
        gateway.clients.account_blog_entries(call.viewer_id, account_id, window),
    )
    links = window_links(
        gateway.base_url,
        call.request,
        [entry.id for entry in entries],
        has_older=True,  # a page of long entries ends early
    )
    return json_response([gateway.renderer.blog_entry(entry, author) for entry in entries], links)


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/blogs",
        handler=post_blog_entry,
        policy="write:statuses",
        params=NewBlogEntry,
        response=entities.BlogEntry,
        summary="Publish a blog entry",
        tag="blogs",
    ),
    Route(
        method="GET",
        path="/api/v1/blogs/{id}",
        handler=get_blog_entry,
        policy="read:statuses",
        response=entities.BlogEntry,
        summary="A blog entry",
        tag="blogs",
    ),
    Route(
        method="DELETE",
        path="/api/v1/blogs/{id}",
        handler=delete_blog_entry,
        policy="write:statuses",
        response=entities.BlogEntry,
        summary="Delete a blog entry",
        tag="blogs",
    ),
    Route(
        method="GET",
        path="/api/v1/accounts/{id}/blogs",
        handler=get_account_blog,
        policy="read:statuses",
        params=WindowParameters,
        response=list[entities.BlogEntry],
        summary="A member's blog",
        tag="blogs",
    ),
)
