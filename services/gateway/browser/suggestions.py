"""People you might know: with the mutual friends that the suggestion is made from."""

from starlette.responses import Response

from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.local_paths import local_path
from services.gateway.browser.sessions import Next
from services.gateway.browser.visit import Visit
from services.gateway.limiting import FRIEND_REQUESTS, SEARCHES
from services.gateway.parameters import NoParameters

SHOWN = 30


async def get_suggestions(visit: Visit[NoParameters]) -> Response:
    """Show whom the member might know, and through whom."""
    gateway = visit.gateway
    found = await gateway.clients.suggestions(visit.viewer_id, limit=SHOWN)
    return await visit.page("suggestions.html", suggestions=await gateway.hydration.suggestions(found))


async def post_ask(visit: Visit[Next]) -> Response:
    """Ask somebody who was suggested for friendship."""
    await visit.gateway.clients.request_friendship(visit.viewer_id, visit.path_id())
    if visit.is_partial:
        return visit.part("suggestion_asked.html", member=await visit.gateway.hydration.account(visit.path_id()))
    return visit.go(local_path(visit.params.next, "/suggestions"))


async def post_dismissal(visit: Visit[Next]) -> Response:
    """Never suggest this member again."""
    await visit.gateway.clients.dismiss_suggestion(visit.viewer_id, visit.path_id())
    if visit.is_partial:
        return visit.part("suggestion_dismissed.html", member=await visit.gateway.hydration.account(visit.path_id()))
    return visit.go(local_path(visit.params.next, "/suggestions"))


PAGES = (
    Page(
        method="GET",
        path="/suggestions",
        handler=get_suggestions,
        audience=Audience.MEMBER,
        limits=(SEARCHES,),
    ),
    Page(
        method="POST",
        path="/suggestions/{id}/ask",
        handler=post_ask,
        audience=Audience.MEMBER,
        params=Next,
        limits=(FRIEND_REQUESTS,),
    ),
    Page(
        method="POST",
        path="/suggestions/{id}/dismiss",
        handler=post_dismissal,
        audience=Audience.MEMBER,
        params=Next,
    ),
)
