"""Comments on blog entries: read from the oldest on, through the Link header."""

from typing import Annotated

import msgspec
from starlette.responses import Response

from services.gateway import entities
from services.gateway.context import Call
from services.gateway.pages import upward_links
from services.gateway.parameters import NoParameters, WindowParameters
from services.gateway.routing import Route, json_response

DEFAULT_COMMENTS, MAX_COMMENTS = 20, 80

CommentText = Annotated[str, msgspec.Meta(max_length=8000)]


class NewComment(msgspec.Struct, frozen=True, kw_only=True):
    """A comment to make."""

    text: CommentText = ""
    """Plain text of at most 2,000 characters; addresses become links."""


async def post_comment(call: Call[NewComment]) -> Response:
    """Comment on a blog entry that the caller may see; its author is told."""
    gateway, own_id = call.gateway, call.caller.account_id
    comment = await gateway.clients.create_comment(own_id, call.path_id(), call.params.text)
    return json_response(gateway.renderer.comment(comment, await gateway.hydration.account(own_id)))


async def get_comments(call: Call[WindowParameters]) -> Response:
    """Return a page of the comments on a blog entry, oldest first; the next page has a min_id."""
    gateway = call.gateway
    window = call.params.window(default=DEFAULT_COMMENTS, maximum=MAX_COMMENTS)
    page = await gateway.clients.entry_comments(call.viewer_id, call.path_id(), window)
    is_downwards = window.max_id > 0 or window.since_id > 0
    links = upward_links(
        gateway.base_url,
        call.request,
        next_page=page.newest_comment_id if is_downwards or not page.is_end else 0,
        previous=page.oldest_comment_id if window.min_id or (is_downwards and not page.is_end) else 0,
    )
    return json_response(await gateway.hydration.comments(page.comments), links)


async def delete_comment(call: Call[NoParameters]) -> Response:
    """Delete an own comment, or one on an own entry; the answer is what it was."""
    gateway = call.gateway
    comment = await gateway.clients.delete_comment(call.caller.account_id, call.path_id())
    author = await gateway.hydration.account(comment.account_id)
    return json_response(gateway.renderer.comment(comment, author))


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/blogs/{id}/comments",
        handler=post_comment,
        policy="write:statuses",
        params=NewComment,
        response=entities.Comment,
        summary="Comment on a blog entry",
        tag="blogs",
    ),
    Route(
        method="GET",
        path="/api/v1/blogs/{id}/comments",
        handler=get_comments,
        policy="read:statuses",
        params=WindowParameters,
        response=list[entities.Comment],
        summary="The comments on a blog entry, oldest first",
        tag="blogs",
    ),
    Route(
        method="DELETE",
        path="/api/v1/blogs/comments/{id}",
        handler=delete_comment,
        policy="write:statuses",
        response=entities.Comment,
        summary="Delete a comment",
        tag="blogs",
    ),
)
