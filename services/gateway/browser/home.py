"""Home: what friends and the member posted, what is new of it, and where to write."""

import asyncio
from collections.abc import Sequence

import msgspec
from kodama.page.v1.window_pb2 import Window
from starlette.responses import Response

from services.gateway import entities
from services.gateway.browser.compose import compose_form
from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.visit import Visit
from services.gateway.home_pages import HomeEntry
from services.gateway.parameters import Id, NoParameters, WindowParameters

PAGE = 20
MAX_NEWER = 40
LATEST = 2
SCANNED = 40
MAX_SCANS = 3
SUGGESTED = 3


class Since(msgspec.Struct, frozen=True, kw_only=True):
    """The newest post that the browser has."""

    since_id: Id = 1


async def get_welcome(visit: Visit[NoParameters]) -> Response:
    """Show visitors what this is; members go home."""
    if visit.viewer_id:
        return visit.go("/home")
    members, statuses = await visit.gateway.size.get()
    return await visit.page(
        "welcome.html", members=members, statuses=statuses, is_open=visit.gateway.settings.registrations_open
    )


async def get_home(visit: Visit[WindowParameters]) -> Response:
    """Show a page of the home timeline; a script that scrolls gets the posts alone."""
    window = visit.params.window(default=PAGE, maximum=PAGE)
    is_first = not (window.max_id or window.min_id or window.since_id)
    home = await visit.gateway.clients.home(visit.viewer_id, window)
    posts = await _rendered(visit, home.entries)
    older = home.older or None
    if visit.is_partial and not is_first:
        return visit.part("home_posts.html", posts=posts, older=older)
    newest = (home.newer if is_first else 0) or 1
    form, latest, suggestions = await asyncio.gather(
        compose_form(visit), _latest_of_friends(visit, posts if is_first else ()), _suggestions(visit)
    )
    return await visit.page(
        "home.html",
        posts=posts,
        older=older,
        newest=newest,
        is_first=is_first,
        form=form,
        latest=latest,
        suggestions=suggestions,
    )


async def get_newer(visit: Visit[Since]) -> Response:
    """Return the posts above the newest that a script has; all of the page anew where they are too many to be told in one go."""
    window = Window(since_id=visit.params.since_id, limit=MAX_NEWER)
    home = await visit.gateway.clients.home(visit.viewer_id, window)
    if home.older or not visit.is_partial:
        return visit.go("/home")
    return visit.part("home_newer.html", posts=await _rendered(visit, home.entries))


async def get_latest(visit: Visit[WindowParameters]) -> Response:
    """Show a page of what friends posted, without what the member posted."""
    window = visit.params.window(default=SCANNED, maximum=SCANNED)
    home = await visit.gateway.clients.home(visit.viewer_id, window)
    posts = _of_friends(visit, await _rendered(visit, home.entries))
    older = home.older or None
    return await visit.page("latest.html", posts=posts, older=older)


async def _rendered(
    visit: Visit[WindowParameters] | Visit[Since], entries: Sequence[HomeEntry]
) -> list[entities.Status]:
    if not entries:
        return []
    return msgspec.json.decode(await visit.gateway.hydration.home(visit.viewer_id, entries), type=list[entities.Status])


def _of_friends(visit: Visit[WindowParameters], posts: Sequence[entities.Status]) -> list[entities.Status]:
    return [post for post in posts if post.account.id != str(visit.viewer_id) and post.kodama.kind == "status"]


async def _latest_of_friends(visit: Visit[WindowParameters], shown: Sequence[entities.Status]) -> list[entities.Status]:
    """Return the newest statuses of friends, from what is shown already if they are there."""
    found = _of_friends(visit, shown)[:LATEST]
    max_id = 0
    for _ in range(MAX_SCANS if len(found) < LATEST else 0):
        home = await visit.gateway.clients.home(visit.viewer_id, Window(max_id=max_id, limit=SCANNED))
        known = {post.id for post in found}
        scanned = _of_friends(visit, await _rendered(visit, home.entries))
        found += [post for post in scanned if post.id not in known]
        if len(found) >= LATEST or not home.older:
            break
        max_id = home.older
    return found[:LATEST]


async def _suggestions(visit: Visit[WindowParameters]) -> Sequence[msgspec.Struct]:
    gateway = visit.gateway
    return await gateway.hydration.suggestions(await gateway.clients.suggestions(visit.viewer_id, limit=SUGGESTED))


PAGES = (
    Page(method="GET", path="/", handler=get_welcome, audience=Audience.ANYBODY),
    Page(method="GET", path="/home", handler=get_home, audience=Audience.MEMBER, params=WindowParameters),
    Page(method="GET", path="/home/newer", handler=get_newer, audience=Audience.MEMBER, params=Since),
    Page(method="GET", path="/home/friends", handler=get_latest, audience=Audience.MEMBER, params=WindowParameters),
)
