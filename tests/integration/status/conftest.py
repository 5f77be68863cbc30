"""StatusService and whom it asks, shared by the tests of a module; every test makes members of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest
from google.protobuf.message import Message
from kodama.page.v1.window_pb2 import Window
from kodama.status.v1 import status_pb2
from kodama.status.v1 import status_service_pb2 as pb

from chassis.caller import GATEWAY, TIMELINE, Signer
from chassis.rpc import call
from chassis.settings import Settings
from tests.conftest import run_services
from tests.world import World, open_world

PUBLIC, UNLISTED, FRIENDS, DIRECT = 1, 2, 3, 4
SECONDS = 20

Answer = TypeVar("Answer", bound=Message)


class Wall:
    """What members do with statuses, RPC by RPC."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._gateway = Signer(GATEWAY, world.settings.derive("rpc"))
        self.timeline = Signer(TIMELINE, world.settings.derive("rpc"))

    async def ask(self, method: Callable[..., Awaitable[Answer]], request: Message) -> Answer:
        return await call(method, request, self._gateway, timeout_seconds=SECONDS)

    async def post(
        self, author: int, text: str = "こんにちは", *, visibility: int = 0, reply_to: int = 0, key: str = ""
    ) -> status_pb2.Status:
        request = pb.CreateStatusRequest(
            account_id=author,
            text=text,
            visibility=status_pb2.Visibility.ValueType(visibility),
            in_reply_to_id=reply_to,
            request_id=key,
        )
        return (await self.ask(self.world.statuses.CreateStatus, request)).status

    async def delete(self, author: int, status_id: int) -> status_pb2.Status:
        request = pb.DeleteStatusRequest(account_id=author, status_id=status_id)
        return (await self.ask(self.world.statuses.DeleteStatus, request)).status

    async def update(
        self, author: int, status_id: int, *, text: str | None = None, visibility: int = 0
    ) -> status_pb2.Status:
        request = pb.UpdateStatusRequest(
            account_id=author,
            status_id=status_id,
            text=text,
            visibility=status_pb2.Visibility.ValueType(visibility),
        )
        return (await self.ask(self.world.statuses.UpdateStatus, request)).status

    async def favourite(self, who: int, status_id: int) -> pb.FavouriteStatusResponse:
        request = pb.FavouriteStatusRequest(account_id=who, status_id=status_id)
        return await self.ask(self.world.statuses.FavouriteStatus, request)

    async def unfavourite(self, who: int, status_id: int) -> pb.UnfavouriteStatusResponse:
        request = pb.UnfavouriteStatusRequest(account_id=who, status_id=status_id)
        return await self.ask(self.world.statuses.UnfavouriteStatus, request)

    async def favourites(self, who: int, **window: int) -> pb.ListFavouriteStatusesResponse:
        request = pb.ListFavouriteStatusesRequest(account_id=who, window=Window(**window))
        return await self.ask(self.world.statuses.ListFavouriteStatuses, request)

    async def favoured_by(self, viewer: int, status_id: int, **window: int) -> pb.ListStatusFavouritesResponse:
        request = pb.ListStatusFavouritesRequest(viewer_id=viewer, status_id=status_id, window=Window(**window))
        return await self.ask(self.world.statuses.ListStatusFavourites, request)

    async def get(self, viewer: int, *status_ids: int) -> dict[int, status_pb2.Status]:
        request = pb.BatchGetStatusesRequest(viewer_id=viewer, status_ids=status_ids)
        answer = await self.ask(self.world.statuses.BatchGetStatuses, request)
        return {status.id: status for status in answer.statuses}

    async def sees(self, status_id: int, *viewers: int) -> list[bool]:
        return [status_id in await self.get(viewer, status_id) for viewer in viewers]

    async def context(self, viewer: int, status_id: int) -> tuple[list[int], list[int]]:
        request = pb.GetContextRequest(viewer_id=viewer, status_id=status_id)
        answer = await self.ask(self.world.statuses.GetContext, request)
        return [one.id for one in answer.ancestors], [one.id for one in answer.descendants]

    async def revisions(self, viewer: int, status_id: int) -> list[str]:
        request = pb.ListRevisionsRequest(viewer_id=viewer, status_id=status_id)
        answer = await self.ask(self.world.statuses.ListRevisions, request)
        return [one.text for one in answer.revisions]

    async def of_account(self, viewer: int, author: int, *, exclude_replies: bool = False, **window: int) -> list[int]:
        request = pb.ListAccountStatusesRequest(
            viewer_id=viewer, account_id=author, window=Window(**window), exclude_replies=exclude_replies
        )
        answer = await self.ask(self.world.statuses.ListAccountStatuses, request)
        return [one.id for one in answer.statuses]

    async def pull(self, viewer: int, *authors: int) -> list[int]:
        request = pb.PullStatusesRequest(viewer_id=viewer, author_ids=authors)
        answer = await call(self.world.statuses.PullStatuses, request, self.timeline, timeout_seconds=SECONDS)
        return [one.status_id for one in answer.statuses]

    async def on_home(self, viewer: int, *status_ids: int) -> set[int]:
        request = pb.FilterHomeStatusesRequest(viewer_id=viewer, status_ids=status_ids)
        answer = await call(self.world.statuses.FilterHomeStatuses, request, self.timeline, timeout_seconds=SECONDS)
        return set(answer.status_ids)

    async def friends(self, count: int) -> list[int]:
        """Make members of whom the first is everybody's friend."""
        members = await self.world.members(count)
        for friend in members[1:]:
            await self.world.befriend(members[0], friend)
        return members

    def drift(self) -> list[tuple[object, ...]]:
        """Return the statuses whose counts are not what a recount says."""
        return self.world.query(
            """
            SELECT id FROM status.statuses AS s
            WHERE favourites_count <> (SELECT count(*) FROM status.favourites WHERE status_id = s.id)
            OR replies_count <> (SELECT count(*) FROM status.statuses WHERE in_reply_to_id = s.id AND visibility <= 2)
            """
        )


@pytest.fixture(scope="module")
async def world(module_settings: Settings) -> AsyncIterator[World]:
    """The services that statuses need, shared by a module's tests."""
    async with (
        run_services(module_settings, "account", "social_graph", "status"),
        open_world(module_settings) as opened,
    ):
        yield opened


@pytest.fixture
def wall(world: World) -> Wall:
    """What members do."""
    return Wall(world)
