"""What the gateway asks NotificationService, a part of services.gateway.clients."""

from collections.abc import Mapping, Sequence

from kodama.page.v1.window_pb2 import Window
from kodama.timeline.v1 import notification_pb2, notification_service_pb2, notification_service_pb2_grpc

from chassis import caller
from services.gateway.calling import Calling


class NotificationCalls(Calling):
    """Notifications and markers, as the gateway sees them. Every method raises what the service ended with, or Unavailable."""

    def __init__(
        self, stub: "notification_service_pb2_grpc.NotificationServiceAsyncStub", signer: caller.Signer
    ) -> None:
        super().__init__(signer)
        self._stub = stub

    async def page(
        self,
        account_id: int,
        window: Window,
        *,
        types: Sequence[notification_pb2.NotificationType.ValueType] = (),
        from_id: int = 0,
    ) -> Sequence[notification_pb2.Notification]:
        """Return a page of a member's notifications, newest first: of these types, and of one member's doing unless it is 0."""
        request = notification_service_pb2.ListNotificationsRequest(
            account_id=account_id, window=window, types=types, from_id=from_id
        )
        return (await self._read(self._stub.ListNotifications, request)).notifications

    async def get(self, account_id: int, notification_id: int) -> notification_pb2.Notification:
        """Return one of a member's notifications."""
        request = notification_service_pb2.GetNotificationRequest(
            account_id=account_id, notification_id=notification_id
        )
        return (await self._read(self._stub.GetNotification, request)).notification

    async def count_unread(
        self,
        account_id: int,
        *,
        types: Sequence[notification_pb2.NotificationType.ValueType],
        from_id: int,
        limit: int,
    ) -> int:
        """Return how many notifications are above a member's marker, at most `limit`."""
        request = notification_service_pb2.CountUnreadNotificationsRequest(
            account_id=account_id, types=types, from_id=from_id, limit=limit
        )
        return (await self._read(self._stub.CountUnreadNotifications, request)).unread

    async def dismiss(self, account_id: int, notification_id: int) -> None:
        """Take one from a member's list."""
        request = notification_service_pb2.DismissNotificationRequest(
            account_id=account_id, notification_id=notification_id
        )
        await self._write(self._stub.DismissNotification, request)

    async def clear(self, account_id: int) -> None:
        """Take all from a member's list."""
        request = notification_service_pb2.ClearNotificationsRequest(account_id=account_id)
        await self._write(self._stub.ClearNotifications, request)

    async def markers(self, account_id: int) -> Sequence[notification_pb2.Marker]:
        """Return how far a member has read."""
        request = notification_service_pb2.ListMarkersRequest(account_id=account_id)
        return (await self._read(self._stub.ListMarkers, request)).markers

    async def save_markers(
        self, account_id: int, positions: Mapping[notification_pb2.MarkedTimeline.ValueType, int]
    ) -> Sequence[notification_pb2.Marker]:
        """Note the last read id of lists."""
        request = notification_service_pb2.SaveMarkersRequest(
            account_id=account_id,
            markers=[
                notification_pb2.Marker(timeline=timeline, last_read_id=last_read_id)
                for timeline, last_read_id in positions.items()
            ],
        )
        return (await self._write(self._stub.SaveMarkers, request)).markers
