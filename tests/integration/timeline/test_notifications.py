"""Members are told once of what concerns them, and see of it what they may see now."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from kodama.blog.v1 import comment_service_pb2 as comment_pb
from kodama.page.v1.window_pb2 import Window
from kodama.status.v1 import status_service_pb2 as status_pb
from kodama.timeline.v1 import notification_pb2 as note
from kodama.timeline.v1 import notification_service_pb2 as pb
from kodama.timeline.v1 import notification_service_pb2_grpc as pb_grpc

from chassis.caller import GATEWAY, Signer
from chassis.database import make_pool
from chassis.errors import Conflict, InvalidField, NotFound
from chassis.rpc import call, open_channel
from chassis.settings import SERVICES, Settings
from services.timeline import notification_store
from services.timeline.domain import Cause, NewNotification, NotificationType
from tests.conftest import run_services
from tests.world import World, open_world

Told = tuple[int, int, int]
"""Type, who did it, which status."""


class Inbox:
    """What members see of their notifications."""

    def __init__(self, world: World, stub: "pb_grpc.NotificationServiceAsyncStub") -> None:
        self.world = world
        self._stub = stub
        self._signer = Signer(GATEWAY, world.settings.derive("rpc"))

    async def notifications(self, account_id: int, **asked: object) -> list[note.Notification]:
        request = pb.ListNotificationsRequest(account_id=account_id, **asked)  # type: ignore[arg-type]  # fields by name
        answer = await call(self._stub.ListNotifications, request, self._signer, timeout_seconds=10)
        return list(answer.notifications)

    async def told(self, account_id: int, **asked: object) -> list[Told]:
        return [(one.type, one.from_id, one.status_id) for one in await self.notifications(account_id, **asked)]

    async def unread(self, account_id: int) -> int:
        request = pb.CountUnreadNotificationsRequest(account_id=account_id)
        return (await call(self._stub.CountUnreadNotifications, request, self._signer, timeout_seconds=10)).unread

    async def dismiss(self, account_id: int, notification_id: int) -> None:
        request = pb.DismissNotificationRequest(account_id=account_id, notification_id=notification_id)
        await call(self._stub.DismissNotification, request, self._signer, timeout_seconds=10)

    async def clear(self, account_id: int) -> None:
        request = pb.ClearNotificationsRequest(account_id=account_id)
        await call(self._stub.ClearNotifications, request, self._signer, timeout_seconds=10)

    async def save_marker(self, account_id: int, last_read_id: int, timeline: int = 2) -> note.Marker:
        marker = note.Marker(timeline=note.MarkedTimeline.ValueType(timeline), last_read_id=last_read_id)
        request = pb.SaveMarkersRequest(account_id=account_id, markers=[marker])
        answer = await call(self._stub.SaveMarkers, request, self._signer, timeout_seconds=10)
        return answer.markers[0]

    async def favourite(self, from_id: int, status_id: int) -> None:
        """Let somebody favour a status, and its author be told."""
        request = status_pb.FavouriteStatusRequest(account_id=from_id, status_id=status_id)
        await call(self.world.statuses.FavouriteStatus, request, self._signer, timeout_seconds=10)
        await self.world.drain()

    async def unfavourite(self, from_id: int, status_id: int) -> None:
        """Let somebody take it back."""
        request = status_pb.UnfavouriteStatusRequest(account_id=from_id, status_id=status_id)
        await call(self.world.statuses.UnfavouriteStatus, request, self._signer, timeout_seconds=10)

    async def delete_comment(self, account_id: int, comment_id: int) -> None:
        """Let somebody take back what they said."""
        request = comment_pb.DeleteCommentRequest(account_id=account_id, comment_id=comment_id)
        await call(self.world.comments.DeleteComment, request, self._signer, timeout_seconds=10)

    async def hint(self, account_id: int, from_id: int, status_id: int) -> None:
        """Let the worker hear that somebody has done something with a status."""
        await self.world.use_cases.notifying.notify([Cause(account_id, from_id, status_id=status_id)])


@pytest.fixture(scope="module")
async def inbox(module_settings: Settings) -> AsyncIterator[Inbox]:
    async with run_services(module_settings, *SERVICES), open_world(module_settings) as world:
        channel = open_channel(module_settings.address("timeline"), "")
        yield Inbox(world, pb_grpc.NotificationServiceStub(channel))
        await channel.close()


async def test_who_is_asked_is_told_and_who_asked_hears_of_the_answer(inbox: Inbox) -> None:
    ann, bob = await inbox.world.members(2)
    await inbox.world.ask(ann, bob)
    await inbox.world.drain()
    assert await inbox.told(bob) == [(note.NOTIFICATION_TYPE_FRIEND_REQUEST, ann, 0)]
    await inbox.world.ask(bob, ann)
    await inbox.world.drain()
    assert await inbox.told(ann) == [(note.NOTIFICATION_TYPE_FRIENDSHIP, bob, 0)]
    assert await inbox.told(bob) == [], "the request has been answered"


async def test_a_message_that_comes_twice_or_late_tells_nothing_new(inbox: Inbox) -> None:
    ann, bob = await inbox.world.members(2)
    await inbox.world.ask(ann, bob)
    [sent] = [work for work in inbox.world.open_work() if work.task == "timeline.notify"]
    await inbox.world.do(sent)
    await inbox.world.do(sent)
    [first] = await inbox.notifications(bob)
    await inbox.dismiss(bob, first.id)
    await inbox.world.do(sent)
    assert await inbox.told(bob) == [], "what was dismissed stays so"
    await inbox.world.unfriend(ann, bob)
    await inbox.world.do(sent)
    await inbox.world.ask(ann, bob)
    await inbox.world.drain()
    [again] = await inbox.notifications(bob)
    assert again.id > first.id, "asking once more is news"


async def test_a_request_that_is_withdrawn_before_the_worker_looks_is_never_told(inbox: Inbox) -> None:
    ann, bob = await inbox.world.members(2)
    await inbox.world.ask(ann, bob)
    await inbox.world.unfriend(ann, bob)
    await inbox.world.drain()
    assert await inbox.told(bob) == []
    assert inbox.world.query("SELECT count(*) FROM timeline.notifications WHERE account_id = %s", bob) == [(0,)]


async def test_what_is_gone_or_blocked_is_gone_from_the_list_and_from_the_count(inbox: Inbox) -> None:
    ann, bob, eve = await inbox.world.members(3)
    kept, deleted = await inbox.world.post(ann), await inbox.world.post(ann)
    for status in (kept, deleted):
        await inbox.favourite(bob, status)
    await inbox.favourite(eve, kept)
    assert await inbox.unread(ann) == 3
    await inbox.world.delete(ann, deleted)
    await inbox.world.block(eve, ann)
    assert await inbox.told(ann) == [(note.NOTIFICATION_TYPE_FAVOURITE, bob, kept)]
    assert await inbox.unread(ann) == 1
    await inbox.world.block(ann, bob)
    assert await inbox.told(ann) == []


async def test_a_mute_of_notifications_hides_them_and_a_mute_of_posts_alone_does_not(inbox: Inbox) -> None:
    ann, bob = await inbox.world.members(2)
    status = await inbox.world.post(ann)
    await inbox.favourite(bob, status)
    told = await inbox.told(ann)
    await inbox.world.mute(ann, bob)
    assert (await inbox.told(ann), await inbox.unread(ann)) == ([], 0)
    await inbox.world.mute(ann, bob, notifications=False)
    assert await inbox.told(ann) == told != []
    await inbox.world.mute(ann, bob)
    await inbox.world.unmute(ann, bob)
    assert await inbox.told(ann) == told


async def test_a_favourite_that_is_taken_back_before_the_worker_looks_is_never_told(inbox: Inbox) -> None:
    ann, bob = await inbox.world.members(2)
    status = await inbox.world.post(ann)
    await inbox.hint(ann, bob, status)
    assert await inbox.told(ann) == [], "nobody favours it"
    await inbox.favourite(bob, status)
    assert len(await inbox.told(ann)) == 1
    await inbox.unfavourite(bob, status)
    await inbox.favourite(bob, status)
    assert len(await inbox.told(ann)) == 1, "changing one's mind is no news"


async def test_an_author_who_mentions_is_told_apart_from_a_reader_who_favourites(inbox: Inbox) -> None:
    ann, bob = await inbox.world.members(2)
    of_ann, of_bob = await inbox.world.post(ann), await inbox.world.post(bob)
    await inbox.favourite(bob, of_ann)
    await inbox.hint(ann, bob, of_bob)
    assert await inbox.told(ann) == [
        (note.NOTIFICATION_TYPE_MENTION, bob, of_bob),
        (note.NOTIFICATION_TYPE_FAVOURITE, bob, of_ann),
    ]


async def test_nobody_is_told_of_a_status_that_they_may_not_see_or_of_themselves(inbox: Inbox) -> None:
    ann, bob = await inbox.world.members(2)
    for_friends = await inbox.world.post(bob, visibility=3)
    await inbox.hint(ann, bob, for_friends)
    await inbox.hint(bob, bob, for_friends)
    assert await inbox.told(ann) == []
    assert await inbox.told(bob) == []


async def test_pages_are_full_although_something_in_between_is_hidden(inbox: Inbox) -> None:
    ann, *others = await inbox.world.members(7)
    status = await inbox.world.post(ann)
    for other in others:
        await inbox.favourite(other, status)
    for hidden in (others[1], others[4]):
        await inbox.world.block(hidden, ann)
    seen = [other for other in reversed(others) if other not in (others[1], others[4])]
    first = await inbox.notifications(ann, window=Window(limit=3))
    second = await inbox.notifications(ann, window=Window(limit=3, max_id=first[-1].id))
    assert [one.from_id for one in (*first, *second)] == seen
    upwards = await inbox.notifications(ann, window=Window(limit=3, min_id=1))
    assert [one.from_id for one in upwards] == seen[-3:]


async def test_lists_are_filtered_by_type_and_member_and_cleared(inbox: Inbox) -> None:
    ann, bob, eve = await inbox.world.members(3)
    status, of_eve = await inbox.world.post(ann), await inbox.world.post(eve)
    for other in (bob, eve):
        await inbox.favourite(other, status)
    await inbox.hint(ann, eve, of_eve)
    assert len(await inbox.told(ann, types=[note.NOTIFICATION_TYPE_FAVOURITE])) == 2
    assert len(await inbox.told(ann, from_id=eve)) == 2
    assert await inbox.told(bob) == []
    await inbox.clear(ann)
    assert await inbox.told(ann) == []
    with pytest.raises(InvalidField, match="type"):
        await inbox.told(ann, types=[9])


async def test_others_notifications_cannot_be_reached(inbox: Inbox) -> None:
    ann, bob = await inbox.world.members(2)
    await inbox.favourite(bob, await inbox.world.post(ann))
    [mine] = await inbox.notifications(ann)
    for action in (inbox.dismiss(bob, mine.id), inbox.dismiss(ann, mine.id + 1)):
        with pytest.raises(NotFound):
            await action
    assert await inbox.told(ann) != []


async def test_only_the_newest_are_kept(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notification_store, "MAX_KEPT", 3)
    ann, bob = await inbox.world.members(2)
    statuses = [await inbox.world.post(ann) for _ in range(5)]
    for status in statuses:
        await inbox.favourite(bob, status)
    assert [status for _, _, status in await inbox.told(ann)] == statuses[:1:-1]


async def test_the_marker_tells_what_is_unread(inbox: Inbox) -> None:
    ann, bob = await inbox.world.members(2)
    for _ in range(3):
        await inbox.favourite(bob, await inbox.world.post(ann))
    newest, middle, _ = await inbox.notifications(ann)
    first = await inbox.save_marker(ann, middle.id)
    assert await inbox.unread(ann) == 1
    second = await inbox.save_marker(ann, newest.id)
    assert await inbox.unread(ann) == 0
    assert (first.version, second.version) == (1, 2)


async def test_of_two_devices_that_save_at_once_one_is_told_to_look_again(inbox: Inbox) -> None:
    [ann] = await inbox.world.members(1)
    results = await asyncio.gather(*(inbox.save_marker(ann, n) for n in range(1, 9)), return_exceptions=True)
    saved = [one for one in results if isinstance(one, note.Marker)]
    assert saved
    assert all(isinstance(one, note.Marker | Conflict) for one in results)
    assert sorted(marker.version for marker in saved) == list(range(1, len(saved) + 1)), "none was lost"


async def test_a_marker_that_was_read_before_another_change_is_refused(inbox: Inbox) -> None:
    [ann] = await inbox.world.members(1)
    await inbox.save_marker(ann, 5)
    url = inbox.world.settings.service_database_url("timeline")
    async with make_pool(url, size=1, application="test") as pool, pool.connection() as conn:
        assert await notification_store.save_marker(conn, ann, 2, 6, version=0) is None
        assert await notification_store.save_marker(conn, ann, 1, 6, version=3) is None
        saved = await notification_store.save_marker(conn, ann, 2, 7, version=1)
    assert saved is not None
    assert (saved.last_read_id, saved.version) == (7, 2)


async def test_one_statement_tells_many_members(inbox: Inbox) -> None:
    members = await inbox.world.members(3)
    url = inbox.world.settings.service_database_url("timeline")
    new = [NewNotification(member, NotificationType.MENTION, 1, 5) for member in members]
    async with make_pool(url, size=1, application="test") as pool, pool.connection() as conn:
        told = await notification_store.insert_notifications(conn, new)
        assert sorted(told) == members
        assert await notification_store.insert_notifications(conn, new) == {}


async def test_an_author_is_told_of_each_comment_that_stands(inbox: Inbox) -> None:
    ann, bob = await inbox.world.members(2)
    entry = await inbox.world.write(ann, visibility=1)
    comments = [await inbox.world.comment(bob, entry, text) for text in ("一", "二")]
    await inbox.world.comment(ann, entry)
    for _ in range(2):  # a message that comes twice tells nothing new
        for work in inbox.world.open_work():
            await inbox.world.do(work)
    await inbox.world.drain()
    found = await inbox.notifications(ann)
    assert [(one.type, one.from_id, one.status_id, one.comment_id) for one in found] == [
        (note.NOTIFICATION_TYPE_COMMENT, bob, 0, comment) for comment in reversed(comments)
    ]
    assert await inbox.told(bob) == []
    assert len(await inbox.told(ann, types=[note.NOTIFICATION_TYPE_COMMENT])) == 2
    assert await inbox.told(ann, types=[note.NOTIFICATION_TYPE_MENTION]) == []
    await inbox.delete_comment(bob, comments[0])
    assert [one.comment_id for one in await inbox.notifications(ann)] == comments[1:]
    await inbox.world.block(bob, ann)
    assert (await inbox.told(ann), await inbox.unread(ann)) == ([], 0)


async def test_what_is_taken_back_or_said_elsewhere_is_never_told(inbox: Inbox) -> None:
    ann, bob, eve = await inbox.world.members(3)
    entry, of_eve = await inbox.world.write(ann, visibility=1), await inbox.world.write(eve, visibility=1)
    gone, elsewhere = await inbox.world.comment(bob, entry), await inbox.world.comment(bob, of_eve)
    await inbox.delete_comment(bob, gone)
    await inbox.world.drain()
    assert await inbox.told(ann) == []
    for comment_id, from_id in ((elsewhere, bob), (elsewhere, eve), (gone, bob), (17, bob)):
        await inbox.world.use_cases.notifying.notify([Cause(ann, from_id, comment_id=comment_id)])
    assert await inbox.told(ann) == []
    assert len(await inbox.told(eve)) == 1
