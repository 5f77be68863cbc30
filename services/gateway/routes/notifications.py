"""Notifications: what others did that concerns the caller, and how far the caller has read."""

from collections.abc import Collection
from typing import Annotated

import msgspec
from kodama.page.v1.window_pb2 import Window
from kodama.timeline.v1 import notification_pb2
from starlette.responses import Response

from services.gateway.context import Call, Gateway
from services.gateway.entities import Markers, Nothing, Notification, UnreadCount
from services.gateway.pages import window_links
from services.gateway.parameters import Id, Limit, NoParameters, ShortText, WindowParameters, has_older
from services.gateway.rendering import NOTIFICATION_TYPES
from services.gateway.routing import Route, json_response

DEFAULT_PAGE, MAX_PAGE = 40, 80
DEFAULT_UNREAD, MAX_UNREAD = 100, 1000

TypeNames = Annotated[list[ShortText], msgspec.Meta(max_length=50)]
"""Names of types; those that do not exist here select nothing, since clients ask for all that any server has."""


class NotificationFilter(WindowParameters, frozen=True, kw_only=True):
    """Which notifications are asked for."""

    types: TypeNames | None = None
    exclude_types: TypeNames | None = None
    account_id: Id | None = None


class ReadPosition(msgspec.Struct, frozen=True, kw_only=True):
    """Where a reader is."""

    last_read_id: Id


class MarkersChange(msgspec.Struct, frozen=True, kw_only=True):
    """Where a reader is on each list; what is missing stays."""

    home: ReadPosition | None = None
    notifications: ReadPosition | None = None


class MarkersAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Of which lists the positions are asked for; none means all."""

    timeline: TypeNames | None = None


class UnreadFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which unread notifications are counted, and up to how many."""

    types: TypeNames | None = None
    exclude_types: TypeNames | None = None
    account_id: Id | None = None
    limit: Limit | None = None


def selected_types(
    types: Collection[str] | None, excluded: Collection[str] | None
) -> list[notification_pb2.NotificationType.ValueType]:
    """Return the types that a filter lets through; all are returned as a full list, none as an empty one."""
    return [
        type_
        for type_, name in NOTIFICATION_TYPES.items()
        if (not types or name in types) and name not in (excluded or ())
    ]


async def get_notifications(call: Call[NotificationFilter]) -> Response:
    """Return a page of the caller's notifications."""
    params, gateway = call.params, call.gateway
    window: Window = params.window(default=DEFAULT_PAGE, maximum=MAX_PAGE)
    types = selected_types(params.types, params.exclude_types)
    if not types:
        return json_response([])
    found = await gateway.clients.notifications.page(
        call.caller.account_id, window, types=types, from_id=params.account_id or 0
    )
    notifications = await gateway.hydration.notifications(call.caller.account_id, found)
    links = window_links(
        gateway.base_url, call.request, [one.id for one in found], has_older=has_older(window, len(found))
    )
    return json_response(notifications, links)


async def get_notification(call: Call[NoParameters]) -> Response:
    """Return one of the caller's notifications."""
    gateway = call.gateway
    found = await gateway.clients.notifications.get(call.caller.account_id, call.path_id())
    return json_response(await gateway.hydration.notification(call.caller.account_id, found))


async def get_unread_count(call: Call[UnreadFilter]) -> Response:
    """Return how many notifications are above the caller's marker."""
    params = call.params
    types = selected_types(params.types, params.exclude_types)
    if not types:
        return json_response(UnreadCount(count=0))
    count = await call.gateway.clients.notifications.count_unread(
        call.caller.account_id,
        types=types,
        from_id=params.account_id or 0,
        limit=min(params.limit or DEFAULT_UNREAD, MAX_UNREAD),
    )
    return json_response(UnreadCount(count=count))


async def post_dismissal(call: Call[NoParameters]) -> Response:
    """Take one notification from the caller's list."""
    await call.gateway.clients.notifications.dismiss(call.caller.account_id, call.path_id())
    return json_response(Nothing())


async def post_clearing(call: Call[NoParameters]) -> Response:
    """Take all notifications from the caller's list."""
    await call.gateway.clients.notifications.clear(call.caller.account_id)
    return json_response(Nothing())


async def get_markers(call: Call[MarkersAsked]) -> Response:
    """Return how far the caller has read."""
    asked = call.params.timeline
    found = await call.gateway.clients.notifications.markers(call.caller.account_id)
    return json_response(_markers(call.gateway, [one for one in found if not asked or _NAMES[one.timeline] in asked]))


async def post_markers(call: Call[MarkersChange]) -> Response:
    """Note how far the caller has read; 409 where another device does so at this moment."""
    positions = {
        timeline: position.last_read_id
        for timeline, position in (
            (notification_pb2.MARKED_TIMELINE_HOME, call.params.home),
            (notification_pb2.MARKED_TIMELINE_NOTIFICATIONS, call.params.notifications),
        )
        if position is not None
    }
    saved = await call.gateway.clients.notifications.save_markers(call.caller.account_id, positions)
    return json_response(_markers(call.gateway, saved))


_NAMES = {
    notification_pb2.MARKED_TIMELINE_HOME: "home",
    notification_pb2.MARKED_TIMELINE_NOTIFICATIONS: "notifications",
}


def _markers(gateway: Gateway, markers: Collection[notification_pb2.Marker]) -> Markers:
    by_name = {_NAMES[one.timeline]: gateway.renderer.marker(one) for one in markers}
    return Markers(home=by_name.get("home", msgspec.UNSET), notifications=by_name.get("notifications", msgspec.UNSET))


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/notifications",
        handler=get_notifications,
        policy="read:notifications",
        params=NotificationFilter,
        response=list[Notification],
        summary="What others did that concerns the caller",
        tag="notifications",
    ),
    Route(
        method="GET",
        path="/api/v1/notifications/unread_count",
        handler=get_unread_count,
        policy="read:notifications",
        params=UnreadFilter,
        response=UnreadCount,
        summary="How many notifications are above the caller's marker",
        tag="notifications",
    ),
    Route(
        method="GET",
        path="/api/v1/notifications/{id}",
        handler=get_notification,
        policy="read:notifications",
        response=Notification,
        summary="One notification",
        tag="notifications",
    ),
    Route(
        method="POST",
        path="/api/v1/notifications/clear",
        handler=post_clearing,
        policy="write:notifications",
        response=Nothing,
        summary="Take all notifications from the list",
        tag="notifications",
    ),
    Route(
        method="POST",
        path="/api/v1/notifications/{id}/dismiss",
        handler=post_dismissal,
        policy="write:notifications",
        response=Nothing,
        summary="Take a notification from the list",
        tag="notifications",
    ),
    Route(
        method="GET",
        path="/api/v1/markers",
        handler=get_markers,
        policy="read:statuses",
        params=MarkersAsked,
        response=Markers,
        summary="How far the caller has read",
        tag="markers",
    ),
    Route(
        method="POST",
        path="/api/v1/markers",
        handler=post_markers,
        policy="write:statuses",
        params=MarkersChange,
        response=Markers,
        summary="Note how far the caller has read",
        tag="markers",
    ),
)
