"""The RPCs of NotificationService: requests into the domain's words and back, no rules, no SQL."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import grpc
from kodama.timeline.v1 import notification_pb2, notification_service_pb2_grpc
from kodama.timeline.v1 import notification_service_pb2 as pb

from chassis import caller
from chassis.errors import InvalidField
from chassis.idempotency import Write, Writes, once
from chassis.ids import created_at_ms
from chassis.paging import page_of
from chassis.rpc import Service, method_names, require_batch
from services.timeline.domain import MARKED_HOME, MARKED_NOTIFICATIONS, Marker, Notification
from services.timeline.markers import Markers
from services.timeline.notifications import ALL_TYPES, Notifications

MAX_TYPES = 10
DEFAULT_UNREAD, MAX_UNREAD = 100, 1000
Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class NotificationUseCases:
    """What the RPCs work with."""

    notifications: Notifications
    markers: Markers


class NotificationServicer(notification_service_pb2_grpc.NotificationServiceServicer):
    """Translates between kodama.timeline.v1 and the use cases."""

    def __init__(self, writes: Writes, use_cases: NotificationUseCases) -> None:
        self.writes = writes
        self._notifications = use_cases.notifications
        self._markers = use_cases.markers

    async def ListNotifications(
        self, request: pb.ListNotificationsRequest, context: Context
    ) -> pb.ListNotificationsResponse:
        """Return a page of a member's notifications."""
        page = page_of(request.window, default=40, maximum=80)
        account_id, types = _member(request.account_id), _types(request.types)
        found = await self._notifications.page(account_id, page, types, request.from_id)
        return pb.ListNotificationsResponse(notifications=[_to_proto(one) for one in found])

    async def GetNotification(self, request: pb.GetNotificationRequest, context: Context) -> pb.GetNotificationResponse:
        """Return one."""
        found = await self._notifications.get(_member(request.account_id), request.notification_id)
        return pb.GetNotificationResponse(notification=_to_proto(found))

    async def CountUnreadNotifications(
        self, request: pb.CountUnreadNotificationsRequest, context: Context
    ) -> pb.CountUnreadNotificationsResponse:
        """Count those above the marker."""
        if request.limit < 0:
            raise InvalidField("limit", "limit cannot be negative.")
        limit = min(request.limit or DEFAULT_UNREAD, MAX_UNREAD)
        account_id, types = _member(request.account_id), _types(request.types)
        unread = await self._notifications.count_unread(account_id, limit, types, request.from_id)
        return pb.CountUnreadNotificationsResponse(unread=unread)

    @once(pb.DismissNotificationResponse)
    async def DismissNotification(
        self, request: pb.DismissNotificationRequest, write: Write
    ) -> pb.DismissNotificationResponse:
        """Take one from the list."""
        await self._notifications.dismiss(write, _member(request.account_id), request.notification_id)
        return pb.DismissNotificationResponse()

    @once(pb.ClearNotificationsResponse)
    async def ClearNotifications(
        self, request: pb.ClearNotificationsRequest, write: Write
    ) -> pb.ClearNotificationsResponse:
        """Take all from the list."""
        await self._notifications.clear(write, _member(request.account_id))
        return pb.ClearNotificationsResponse()

    async def ListMarkers(self, request: pb.ListMarkersRequest, context: Context) -> pb.ListMarkersResponse:
        """Return how far a member has read."""
        markers = await self._markers.of(_member(request.account_id))
        return pb.ListMarkersResponse(markers=[_marker(one) for one in markers])

    @once(pb.SaveMarkersResponse)
    async def SaveMarkers(self, request: pb.SaveMarkersRequest, write: Write) -> pb.SaveMarkersResponse:
        """Note how far a member has read."""
        positions: dict[int, int] = {}
        for marker in request.markers:
            if marker.timeline not in (MARKED_HOME, MARKED_NOTIFICATIONS) or marker.timeline in positions:
                raise InvalidField("markers", "There can be one marker for home and one for notifications.")
            if marker.last_read_id < 0:
                raise InvalidField("last_read_id", "last_read_id cannot be negative.")
            positions[marker.timeline] = marker.last_read_id
        saved = await self._markers.save(write, _member(request.account_id), positions)
        return pb.SaveMarkersResponse(markers=[_marker(one) for one in saved])


def _member(account_id: int) -> int:
    if account_id <= 0:
        raise InvalidField("account_id", "Notifications belong to a member.")
    return account_id


def _types(types: Collection[int]) -> list[int]:
    require_batch("types", list(types), MAX_TYPES)
    if set(types) - set(ALL_TYPES):
        raise InvalidField("types", "There is no such type of notification.")
    return list(types)


def _to_proto(notification: Notification) -> notification_pb2.Notification:
    return notification_pb2.Notification(
        id=notification.id,
        type=notification_pb2.NotificationType.ValueType(notification.type),
        from_id=notification.from_id,
        status_id=notification.status_id,
        comment_id=notification.comment_id,
        created_at_ms=created_at_ms(notification.id),
    )


def _marker(marker: Marker) -> notification_pb2.Marker:
    return notification_pb2.Marker(
        timeline=notification_pb2.MarkedTimeline.ValueType(marker.timeline),
        last_read_id=marker.last_read_id,
        version=marker.version,
        updated_at_ms=int(marker.updated_at.timestamp() * 1000),
    )


def notification_service(servicer: NotificationServicer) -> Service:
    """Return the service for a server, with who may call what."""
    gateway = frozenset({caller.GATEWAY})
    descriptor = pb.DESCRIPTOR.services_by_name["NotificationService"]
    return Service(
        name="kodama.timeline.v1.NotificationService",
        add=lambda server: notification_service_pb2_grpc.add_NotificationServiceServicer_to_server(servicer, server),
        callers={
            "ListNotifications": gateway,
            "GetNotification": gateway,
            "CountUnreadNotifications": gateway,
            "DismissNotification": gateway,
            "ClearNotifications": gateway,
            "ListMarkers": gateway,
            "SaveMarkers": gateway,
        },
        methods=method_names(descriptor),
    )
