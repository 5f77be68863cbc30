"""The pages and pictures that a browser sees: a welcome, profiles, single statuses and blog entries, for anybody."""

import asyncio
from collections.abc import Mapping
from importlib.resources import files

from kodama.page.v1.window_pb2 import Window
from starlette.responses import RedirectResponse, Response

from chassis.errors import KodamaError, NotFound
from chassis.ids import Kind, kind_of
from services.gateway import html_pages, identicons
from services.gateway.auth import Open
from services.gateway.context import Call
from services.gateway.entities import Account
from services.gateway.errors import error_headers, http_code
from services.gateway.parameters import NoParameters, WindowParameters
from services.gateway.routing import Handler, Route

PROFILE_STATUSES = 2
PROFILE_BLOG_ENTRIES = 5
PAGE_STATUSES = 20
ANONYMOUS = 0
FOREVER = {"cache-control": "public, max-age=86400, immutable"}
STYLE = (files("services.gateway") / "assets" / "kodama.css").read_text(encoding="utf-8")


def page_error(error: KodamaError, _names: Mapping[str, str]) -> Response:
    """Return a page that says what went wrong."""
    return html_pages.page("error.html", http_code(error), error_headers(error), message=error.message)


async def _owner(call: Call[NoParameters] | Call[WindowParameters]) -> tuple[int, Account]:
    account = await call.gateway.clients.find_account(call.path_handle())
    if account is None:
        raise NotFound("There is no member with this name.", resource="account")
    return account.id, await call.gateway.hydration.rendered(account)


async def get_welcome(call: Call[NoParameters]) -> Response:
    """Show what this is."""
    settings = call.gateway.settings
    members, statuses = await call.gateway.size.get()
    return html_pages.page(
        "welcome.html", title=settings.title, is_open=settings.registrations_open, members=members, statuses=statuses
    )


async def get_profile(call: Call[NoParameters]) -> Response:
    """Show a member: the latest two statuses that anybody may see, a link to all, the latest blog entries."""
    gateway = call.gateway
    account_id, account = await _owner(call)
    statuses, entries = await asyncio.gather(
        gateway.clients.account_statuses(ANONYMOUS, account_id, Window(limit=PROFILE_STATUSES)),
        gateway.clients.account_blog_entries(ANONYMOUS, account_id, Window(limit=PROFILE_BLOG_ENTRIES)),
    )
    return html_pages.page(
        "profile.html",
        account=account,
        statuses=await gateway.hydration.statuses_of(account, statuses),
        entries=[await gateway.hydration.blog_entry(ANONYMOUS, entry, account) for entry in entries],
    )


async def get_statuses(call: Call[WindowParameters]) -> Response:
    """Show all of a member's statuses that anybody may see, page by page."""
    window = call.params.window(default=PAGE_STATUSES, maximum=PAGE_STATUSES)
    account_id, account = await _owner(call)
    statuses = await call.gateway.clients.account_statuses(ANONYMOUS, account_id, window)
    return html_pages.page(
        "statuses.html",
        account=account,
        statuses=await call.gateway.hydration.statuses_of(account, statuses),
        older_than=statuses[-1].id if len(statuses) >= window.limit else None,
    )


async def get_post(call: Call[NoParameters]) -> Response:
    """Show one status in its thread; a blog entry is sent to its own address."""
    gateway, post_id = call.gateway, call.path_id()
    account_id, account = await _owner(call)
    if kind_of(post_id) is Kind.BLOG_ENTRY:
        return RedirectResponse(f"/@{account.username}/blog/{post_id}", 302)
    found = [one for one in await gateway.clients.statuses(ANONYMOUS, [post_id]) if one.account_id == account_id]
    if not found:
        raise NotFound("There is no such status.", resource="status")
    thread = await gateway.clients.context(ANONYMOUS, post_id)
    shown = await gateway.hydration.statuses([*thread.ancestors, *thread.descendants])
    above = {str(status.id) for status in thread.ancestors}
    return html_pages.page(
        "status.html",
        account=account,
        status=await gateway.hydration.status(found[0], account),
        ancestors=[status for status in shown if status.id in above],
        replies=[status for status in shown if status.id not in above],
    )


async def get_blog_entry(call: Call[NoParameters]) -> Response:
    """Show one blog entry."""
    gateway, entry_id = call.gateway, call.path_id()
    account_id, account = await _owner(call)
    found = [one for one in await gateway.clients.blog_entries(ANONYMOUS, [entry_id]) if one.account_id == account_id]
    if not found:
        raise NotFound("There is no such blog entry.", resource="blog_entry")
    entry = await gateway.hydration.blog_entry(ANONYMOUS, found[0], account)
    return html_pages.page("blog_entry.html", account=account, entry=entry)


async def get_avatar(call: Call[NoParameters]) -> Response:
    """Draw a member's picture."""
    return Response(identicons.avatar(call.path_id()), 200, FOREVER, "image/svg+xml")


async def get_header(call: Call[NoParameters]) -> Response:
    """Draw the picture over a member's profile."""
    return Response(identicons.header(call.path_id()), 200, FOREVER, "image/svg+xml")


async def get_style(_call: Call[NoParameters]) -> Response:
    """Return the pages' style sheet."""
    return Response(STYLE, 200, {"cache-control": "public, max-age=3600"}, "text/css")


def _page(
    path: str, handler: Handler, summary: str, params: type = NoParameters, *, media_type: str = "text/html"
) -> Route:
    return Route(
        method="GET",
        path=path,
        handler=handler,
        policy=Open.PUBLIC,
        params=params,
        errors=page_error,
        media_type=media_type,
        is_limited=media_type == "text/html",  # a page shows dozens of pictures
        summary=summary,
        tag="pages",
    )


ROUTES = (
    _page("/", get_welcome, "Welcome"),
    _page("/@{handle}", get_profile, "A member's profile"),
    _page("/@{handle}/statuses", get_statuses, "All statuses of a member", WindowParameters),
    _page("/@{handle}/{id}", get_post, "One status"),
    _page("/@{handle}/blog/{id}", get_blog_entry, "One blog entry"),
    _page("/avatars/{id}.svg", get_avatar, "A member's picture", media_type="image/svg+xml"),
    _page("/headers/{id}.svg", get_header, "The picture over a member's profile", media_type="image/svg+xml"),
    _page("/assets/kodama.css", get_style, "The pages' style", media_type="text/css"),
)
