"""Blogs: reading a member's, one entry of it with its comments, and commenting."""

from typing import Any

import msgspec
from kodama.page.v1.window_pb2 import Window
from starlette.responses import Response

from chassis.errors import InvalidField, LimitReached, NotFound
from services.gateway import entities
from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.forms import Form
from services.gateway.browser.languages import mark
from services.gateway.browser.local_paths import local_path
from services.gateway.browser.sessions import Next
from services.gateway.browser.visit import Visit
from services.gateway.parameters import IdOrZero, LongText, WindowParameters

ENTRIES = 20
COMMENTS = 40

COMMENT_FAULT = mark("A comment has 1 to 2,000 characters.")
COMMENTS_FULL = mark("There are too many comments here already.")


class CommentsParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Where the comments begin: behind this one."""

    min_id: IdOrZero = 0


class NewComment(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to say below an entry."""

    text: LongText = ""


async def get_blog(visit: Visit[WindowParameters]) -> Response:
    """Show a member's blog, page by page."""
    window = visit.params.window(default=ENTRIES, maximum=ENTRIES)
    member = await visit.member()
    entries = await visit.gateway.clients.account_blog_entries(visit.viewer_id, int(member.id), window)
    return await visit.page(
        "blog.html",
        member=member,
        entries=[await visit.gateway.hydration.blog_entry(visit.viewer_id, entry, member) for entry in entries],
        older=entries[-1].id if entries else None,  # a page of long entries ends early
    )


async def get_entry(visit: Visit[CommentsParameters]) -> Response:
    """Show one entry and what was said below it."""
    member = await visit.member()
    entry = await visible_entry(visit, visit.path_id())
    if entry.account.id != member.id:
        raise NotFound("There is no such blog entry.", resource="blog_entry")
    return await show_entry(visit, entry, Form(), after_id=visit.params.min_id)


async def visible_entry(visit: Visit[Any], entry_id: int) -> entities.BlogEntry:
    """Return an entry that the viewer may see. Raises NotFound."""
    found = await visit.gateway.clients.blog_entries(visit.viewer_id, [entry_id])
    entries = await visit.gateway.hydration.blog_entries(visit.viewer_id, found)
    if not entries:
        raise NotFound("There is no such blog entry.", resource="blog_entry")
    return entries[0]


async def show_entry(visit: Visit[Any], entry: entities.BlogEntry, form: Form, *, after_id: int = 0) -> Response:
    """Return the page of an entry with a form to comment."""
    window = Window(min_id=max(after_id, 1), limit=COMMENTS)
    page = await visit.gateway.clients.entry_comments(visit.viewer_id, int(entry.id), window)
    return await visit.page(
        "blog_entry.html",
        form.code,
        member=entry.account,
        entry=entry,
        comments=await visit.gateway.hydration.comments(page.comments),
        later=0 if page.is_end else page.newest_comment_id,
        form=form,
    )


async def post_comment(visit: Visit[NewComment]) -> Response:
    """Say something below an entry."""
    entry = await visible_entry(visit, visit.path_id())
    try:
        comment = await visit.gateway.clients.create_comment(visit.viewer_id, int(entry.id), visit.params.text)
    except (InvalidField, LimitReached) as error:
        fault = COMMENT_FAULT if isinstance(error, InvalidField) else COMMENTS_FULL
        return await show_entry(visit, entry, Form({"text": visit.params.text}, {"text": visit.say(fault)}))
    # Behind the comment before it, which shows it whatever page it would stand on.
    return visit.go(f"/@{entry.account.username}/blog/{entry.id}?min_id={comment.id - 1}#comment-{comment.id}")


async def post_comment_deletion(visit: Visit[Next]) -> Response:
    """Delete an own comment, or one below an own entry."""
    await visit.gateway.clients.delete_comment(visit.viewer_id, visit.path_id())
    return visit.go(local_path(visit.params.next, "/home"))


PAGES = (
    Page(method="GET", path="/@{handle}/blog", handler=get_blog, audience=Audience.ANYBODY, params=WindowParameters),
    Page(
        method="GET",
        path="/@{handle}/blog/{id}",
        handler=get_entry,
        audience=Audience.ANYBODY,
        params=CommentsParameters,
    ),
    Page(
        method="POST",
        path="/blog/entries/{id}/comments",
        handler=post_comment,
        audience=Audience.MEMBER,
        params=NewComment,
    ),
    Page(
        method="POST",
        path="/blog/comments/{id}/delete",
        handler=post_comment_deletion,
        audience=Audience.MEMBER,
        params=Next,
    ),
)
