"""Notifications: what others did that concerns the member, and how far it has been read."""

import asyncio

import msgspec
from kodama.timeline.v1 import notification_pb2
from starlette.responses import Response

from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.visit import Visit
from services.gateway.parameters import Id, WindowParameters
from services.gateway.rendering import NOTIFICATION_TYPES

PAGE = 40


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """The newest notification that has been read."""

    last_read_id: Id


async def get_notifications(visit: Visit[WindowParameters]) -> Response:
    """Show a page of notifications; those above the marker are new."""
    gateway = visit.gateway
    window = visit.params.window(default=PAGE, maximum=PAGE)
    found, markers = await asyncio.gather(
        gateway.clients.notifications.page(visit.viewer_id, window, types=list(NOTIFICATION_TYPES)),
        gateway.clients.notifications.markers(visit.viewer_id),
    )
    read = [one.last_read_id for one in markers if one.timeline == notification_pb2.MARKED_TIMELINE_NOTIFICATIONS]
    return await visit.page(
        "notifications.html",
        notifications=await gateway.hydration.notifications(visit.viewer_id, found),
        older=found[-1].id if len(found) >= window.limit else None,
        newest=found[0].id if found else None,
        last_read_id=max(read, default=0),
    )


async def post_read(visit: Visit[Read]) -> Response:
    """Note that all up to one have been read."""
    positions = {notification_pb2.MARKED_TIMELINE_NOTIFICATIONS: visit.params.last_read_id}
    await visit.gateway.clients.notifications.save_markers(visit.viewer_id, positions)
    return Response(status_code=204) if visit.is_partial else visit.go("/notifications")


PAGES = (
    Page(
        method="GET",
        path="/notifications",
        handler=get_notifications,
        audience=Audience.MEMBER,
        params=WindowParameters,
    ),
    Page(method="POST", path="/notifications/read", handler=post_read, audience=Audience.MEMBER, params=Read),
)
