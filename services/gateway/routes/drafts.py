"""Drafts of blog entries, which only their author ever sees, and publishing them."""

from starlette.responses import Response

from services.gateway import entities
from services.gateway.context import Call
from services.gateway.pages import window_links
from services.gateway.parameters import NoParameters, WindowParameters
from services.gateway.routes.blogs import BlogEntryChange, NewBlogEntry, own_entry, visibility_of
from services.gateway.routing import Route, json_response

DEFAULT_DRAFTS, MAX_DRAFTS = 20, 40


async def post_draft(call: Call[NewBlogEntry]) -> Response:
    """Keep a draft: a title, a text, or both."""
    params, gateway = call.params, call.gateway
    draft = await gateway.clients.create_draft(
        account_id=call.caller.account_id,
        title=params.title,
        text=params.text,
        visibility=visibility_of(params.visibility),
    )
    return json_response(gateway.renderer.draft(draft))


async def get_drafts(call: Call[WindowParameters]) -> Response:
    """Return a page of the caller's drafts, the youngest first."""
    gateway = call.gateway
    window = call.params.window(default=DEFAULT_DRAFTS, maximum=MAX_DRAFTS)
    drafts = await gateway.clients.drafts(call.caller.account_id, window)
    links = window_links(
        gateway.base_url,
        call.request,
        [draft.id for draft in drafts],
        has_older=True,  # a page of long drafts ends early
    )
    return json_response([gateway.renderer.draft(draft) for draft in drafts], links)


async def get_draft(call: Call[NoParameters]) -> Response:
    """Return an own draft."""
    draft = await call.gateway.clients.draft(call.caller.account_id, call.path_id())
    return json_response(call.gateway.renderer.draft(draft))


async def put_draft(call: Call[BlogEntryChange]) -> Response:
    """Change an own draft."""
    params, gateway = call.params, call.gateway
    draft = await gateway.clients.update_draft(
        account_id=call.caller.account_id,
        draft_id=call.path_id(),
        title=params.title,
        text=params.text,
        visibility=visibility_of(params.visibility),
    )
    return json_response(gateway.renderer.draft(draft))


async def delete_draft(call: Call[NoParameters]) -> Response:
    """Delete an own draft; the answer is what it was."""
    draft = await call.gateway.clients.delete_draft(call.caller.account_id, call.path_id())
    return json_response(call.gateway.renderer.draft(draft))


async def post_publication(call: Call[BlogEntryChange]) -> Response:
    """Publish an own draft, with what is to change at the last moment; the answer is the entry, with an id of its own."""
    params, gateway = call.params, call.gateway
    entry = await gateway.clients.publish_draft(
        account_id=call.caller.account_id,
        draft_id=call.path_id(),
        title=params.title,
        text=params.text,
        visibility=visibility_of(params.visibility),
    )
    return json_response(await own_entry(gateway, entry))


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/blogs/drafts",
        handler=post_draft,
        policy="write:statuses",
        params=NewBlogEntry,
        response=entities.Draft,
        summary="Keep a draft",
        tag="blogs",
    ),
    Route(
        method="GET",
        path="/api/v1/blogs/drafts",
        handler=get_drafts,
        policy="read:statuses",
        params=WindowParameters,
        response=list[entities.Draft],
        summary="The caller's drafts",
        tag="blogs",
    ),
    Route(
        method="GET",
        path="/api/v1/blogs/drafts/{id}",
        handler=get_draft,
        policy="read:statuses",
        response=entities.Draft,
        summary="A draft",
        tag="blogs",
    ),
    Route(
        method="PUT",
        path="/api/v1/blogs/drafts/{id}",
        handler=put_draft,
        policy="write:statuses",
        params=BlogEntryChange,
        response=entities.Draft,
        summary="Change a draft",
        tag="blogs",
    ),
    Route(
        method="DELETE",
        path="/api/v1/blogs/drafts/{id}",
        handler=delete_draft,
        policy="write:statuses",
        response=entities.Draft,
        summary="Delete a draft",
        tag="blogs",
    ),
    Route(
        method="POST",
        path="/api/v1/blogs/drafts/{id}/publish",
        handler=post_publication,
        policy="write:statuses",
        params=BlogEntryChange,
        response=entities.BlogEntry,
        summary="Publish a draft",
        tag="blogs",
    ),
)
