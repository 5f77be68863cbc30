"""Blogs: reading a member's, and one entry of it."""

import asyncio

from starlette.responses import Response

from chassis.errors import NotFound
from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.visit import Visit
from services.gateway.parameters import NoParameters, WindowParameters

PAGE = 20


async def get_blog(visit: Visit[WindowParameters]) -> Response:
    """Show a member's blog, page by page."""
    window = visit.params.window(default=PAGE, maximum=PAGE)
    member = await visit.member()
    entries = await visit.gateway.clients.account_blog_entries(visit.viewer_id, int(member.id), window)
    return await visit.page(
        "blog.html",
        member=member,
        entries=[visit.gateway.renderer.blog_entry(entry, member) for entry in entries],
        older=entries[-1].id if entries else None,  # a page of long entries ends early
    )


async def get_entry(visit: Visit[NoParameters]) -> Response:
    """Show one entry."""
    entry_id = visit.path_id()
    member, found = await asyncio.gather(
        visit.member(), visit.gateway.clients.blog_entries(visit.viewer_id, [entry_id])
    )
    own = [entry for entry in found if str(entry.account_id) == member.id]
    if not own:
        raise NotFound("There is no such blog entry.", resource="blog_entry")
    return await visit.page("blog_entry.html", member=member, entry=visit.gateway.renderer.blog_entry(own[0], member))


PAGES = (
    Page(method="GET", path="/@{handle}/blog", handler=get_blog, audience=Audience.ANYBODY, params=WindowParameters),
    Page(method="GET", path="/@{handle}/blog/{id}", handler=get_entry, audience=Audience.ANYBODY),
)
