"""Blogs: entries of any length; Kodama's own namespace."""

import asyncio
from collections.abc import Mapping
from typing import Literal

import msgspec
from kodama.blog.v1 import blog_entry_pb2
from starlette.responses import Response

from chassis.errors import NotFound
from services.gateway import entities
from services.gateway.context import Call, Gateway
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


BlogVisibility = Literal["public", "friends_of_friends", "friends", "self", ""]


class NewBlogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A blog entry to publish."""

    title: ShortText = ""
    text: LongText = ""
    """CommonMark; HTML in it is shown as it was typed."""
    visibility: BlogVisibility = ""
    """Empty means friends."""


class BlogEntryChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changes of a blog entry or a draft; what is missing stays."""

    title: ShortText | None = None
    text: LongText | None = None
    visibility: BlogVisibility = ""
    """Of an entry no wider than it is: public → friends_of_friends → friends → self."""


def visibility_of(name: str) -> blog_entry_pb2.Visibility.ValueType:
    """Return what a visibility is called in the contract; unspecified for none."""
    return VISIBILITIES.get(name, blog_entry_pb2.VISIBILITY_UNSPECIFIED)


async def post_blog_entry(call: Call[NewBlogEntry]) -> Response:
    """Publish a blog entry; the same Idempotency-Key publishes it once."""
    params, gateway = call.params, call.gateway
    entry = await gateway.clients.create_blog_entry(
        account_id=call.caller.account_id,
        title=params.title,
        text=params.text,
        visibility=visibility_of(params.visibility),
    )
    return json_response(await own_entry(gateway, entry))


async def own_entry(gateway: Gateway, entry: blog_entry_pb2.BlogEntry) -> entities.BlogEntry:
    """Return an entry as its author sees it."""
    author = await gateway.hydration.account(entry.account_id)
    return await gateway.hydration.blog_entry(entry.account_id, entry, author)


async def get_blog_entry(call: Call[NoParameters]) -> Response:
    """Return a blog entry that the caller may see."""
    gateway, viewer_id = call.gateway, call.viewer_id
    found = await gateway.clients.blog_entries(viewer_id, [call.path_id()])
    entries = await gateway.hydration.blog_entries(viewer_id, found)
    if not entries:
        raise NotFound("There is no such blog entry.", resource="blog_entry")
    return json_response(entries[0])


async def put_blog_entry(call: Call[BlogEntryChange]) -> Response:
    """Change an own blog entry: its title, its text, or fewer who may see it."""
    params, gateway = call.params, call.gateway
    entry = await gateway.clients.update_blog_entry(
        account_id=call.caller.account_id,
        blog_entry_id=call.path_id(),
        title=params.title,
        text=params.text,
        visibility=visibility_of(params.visibility),
    )
    return json_response(await own_entry(gateway, entry))


async def delete_blog_entry(call: Call[NoParameters]) -> Response:
    """Delete an own blog entry; the answer is what it was."""
    entry = await call.gateway.clients.delete_blog_entry(call.caller.account_id, call.path_id())
    return json_response(await own_entry(call.gateway, entry))


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
    return json_response(
        [await gateway.hydration.blog_entry(call.viewer_id, entry, author) for entry in entries], links
    )


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
        method="PUT",
        path="/api/v1/blogs/{id}",
        handler=put_blog_entry,
        policy="write:statuses",
        params=BlogEntryChange,
        response=entities.BlogEntry,
        summary="Edit a blog entry, or narrow who may see it",
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
