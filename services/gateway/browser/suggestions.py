"""People you might know: with the mutual friends that the suggestion is made from."""

import asyncio

from starlette.responses import Response

from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.local_paths import local_path
from services.gateway.browser.sessions import Next
from services.gateway.browser.visit import Visit
from services.gateway.limiting import FRIEND_REQUESTS, SEARCHES
from services.gateway.parameters import NoParameters

SHOWN = 30
DISMISSED = 40


async def get_suggestions(visit: Visit[NoParameters]) -> Response:
    """Show whom the member might know, and through whom; and whom they have dismissed."""
    gateway = visit.gateway
    found, (dismissed, _) = await asyncio.gather(
        gateway.clients.suggestions(visit.viewer_id, limit=SHOWN),
        gateway.clients.dismissed_suggestions(visit.viewer_id, page_size=DISMISSED, page_token=""),
    )
    suggestions, members = await asyncio.gather(
        gateway.hydration.suggestions(found),
        gateway.hydration.account_list([one.account_id for one in dismissed]),
    )
    return await visit.page("suggestions.html", suggestions=suggestions, dismissed=members)


async def post_ask(visit: Visit[Next]) -> Response:
    """Ask somebody who was suggested for friendship."""
    await visit.gateway.clients.request_friendship(visit.viewer_id, visit.path_id())
    if visit.is_partial:
        return visit.part("suggestion_asked.html", member=await visit.gateway.hydration.account(visit.path_id()))
    return visit.go(local_path(visit.params.next, "/suggestions"))


async def post_dismissal(visit: Visit[Next]) -> Response:
    """Do not suggest this member again, until that is undone."""
    await visit.gateway.clients.dismiss_suggestion(visit.viewer_id, visit.path_id())
    if visit.is_partial:
        return visit.part("suggestion_dismissed.html", member=await visit.gateway.hydration.account(visit.path_id()))
    return visit.go(local_path(visit.params.next, "/suggestions"))


async def post_undo(visit: Visit[Next]) -> Response:
    """Let a member be suggested again who was dismissed."""
    gateway, target_id = visit.gateway, visit.path_id()
    await gateway.clients.restore_suggestion(visit.viewer_id, target_id)
    if not visit.is_partial:
        return visit.go(local_path(visit.params.next, "/suggestions"))
    found = await gateway.clients.suggestions(visit.viewer_id, limit=SHOWN)
    shown = await gateway.hydration.suggestions([one for one in found if one.account_id == target_id])
    return visit.part("suggestion_restored.html", suggestions=shown, member=await gateway.hydration.account(target_id))


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
    Page(
        method="POST",
        path="/suggestions/{id}/undo",
        handler=post_undo,
        audience=Audience.MEMBER,
        params=Next,
    ),
)
