"""A small network for tests: real services in this process, and the ledgers' work done by hand, when and as often as a test says."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from kodama.account.v1 import account_service_pb2 as account_pb
from kodama.account.v1 import account_service_pb2_grpc as account_grpc
from kodama.blog.v1 import blog_entry_pb2
from kodama.blog.v1 import blog_service_pb2 as blog_pb
from kodama.blog.v1 import blog_service_pb2_grpc as blog_grpc
from kodama.blog.v1 import comment_service_pb2 as comment_pb
from kodama.blog.v1 import comment_service_pb2_grpc as comment_grpc
from kodama.page.v1.window_pb2 import Window
from kodama.social_graph.v1 import social_graph_pb2
from kodama.social_graph.v1 import social_graph_service_pb2 as graph_pb
from kodama.social_graph.v1 import social_graph_service_pb2_grpc as graph_grpc
from kodama.status.v1 import status_pb2
from kodama.status.v1 import status_service_pb2 as status_pb
from kodama.status.v1 import status_service_pb2_grpc as status_grpc
from kodama.timeline.v1 import timeline_service_pb2 as timeline_pb
from kodama.timeline.v1 import timeline_service_pb2_grpc as timeline_grpc

from chassis.caller import GATEWAY, OPERATOR, Signer
from chassis.ledger import payloads_of
from chassis.rpc import call, open_channel
from chassis.settings import SERVICES, Settings
from services.timeline.tasks import HANDLERS, UseCases
from services.timeline.worker import open_use_cases

SECONDS = 20


def set_clock(truth: psycopg.Connection, *schemas: str, seconds: float) -> None:
    """Have the ids of these schemas be made by a clock that is so far ahead of the real one, or behind it."""
    for schema in schemas:
        truth.execute(
            f"CREATE OR REPLACE FUNCTION {schema}.id_clock() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE"
            f" AS $$ SELECT clock_timestamp() + interval '{seconds:.3f} seconds' $$".encode()
        )


@dataclass(frozen=True)
class Work:
    """An open row of a ledger."""

    producer: str
    row_id: int
    task: str
    payload: Any
    """An object, or a list of them where several changes share the row."""


class World:
    """What members and workers do in a test."""

    def __init__(self, settings: Settings, use_cases: UseCases) -> None:
        self.settings = settings
        self.use_cases = use_cases
        self._members = 0
        self._truth = psycopg.connect(settings.database_url, autocommit=True)
        self._gateway = Signer(GATEWAY, settings.derive("rpc"))
        self._operator = Signer(OPERATOR, settings.derive("rpc"))
        self._channels = {name: open_channel(settings.address(name), "") for name in ("account", "social_graph")}
        self._channels |= {name: open_channel(settings.address(name), "") for name in ("status", "blog", "timeline")}
        self.accounts = account_grpc.AccountServiceStub(self._channels["account"])
        self.graph = graph_grpc.SocialGraphServiceStub(self._channels["social_graph"])
        self.statuses = status_grpc.StatusServiceStub(self._channels["status"])
        self.blogs = blog_grpc.BlogServiceStub(self._channels["blog"])
        self.comments = comment_grpc.CommentServiceStub(self._channels["blog"])
        self.timelines = timeline_grpc.TimelineServiceStub(self._channels["timeline"])

    async def close(self) -> None:
        """Give the channels and the connection back."""
        self._truth.close()
        for channel in self._channels.values():
            await channel.close()

    async def members(self, count: int) -> list[int]:
        """Create members m0, m1, … and return their ids; a second call creates others."""
        numbers = range(self._members, self._members + count)
        self._members += count
        accounts = [account_pb.ImportedAccount(handle=f"m{number}") for number in numbers]
        request = account_pb.BatchImportAccountsRequest(accounts=accounts)
        answer = await call(self.accounts.BatchImportAccounts, request, self._operator, timeout_seconds=SECONDS)
        return [account.id for account in answer.accounts]

    async def befriend(self, account_id: int, friend_id: int) -> None:
        """Ask and accept."""
        await self.ask(account_id, friend_id)
        await self.ask(friend_id, account_id)

    async def ask(self, account_id: int, target_id: int) -> None:
        """Ask for friendship, or accept what the target has asked."""
        request = graph_pb.RequestFriendshipRequest(account_id=account_id, target_id=target_id)
        await call(self.graph.RequestFriendship, request, self._gateway, timeout_seconds=SECONDS)

    async def import_friendships(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Form friendships in bulk."""
        friendships = [social_graph_pb2.Friendship(account_id=left, friend_id=right) for left, right in pairs]
        request = graph_pb.BatchImportFriendshipsRequest(friendships=friendships)
        await call(self.graph.BatchImportFriendships, request, self._operator, timeout_seconds=SECONDS)

    async def unfriend(self, account_id: int, friend_id: int) -> None:
        """End the friendship."""
        request = graph_pb.EndFriendshipRequest(account_id=account_id, target_id=friend_id)
        await call(self.graph.EndFriendship, request, self._gateway, timeout_seconds=SECONDS)

    async def block(self, account_id: int, target_id: int) -> None:
        """Block."""
        request = graph_pb.BlockRequest(account_id=account_id, target_id=target_id)
        await call(self.graph.Block, request, self._gateway, timeout_seconds=SECONDS)

    async def unblock(self, account_id: int, target_id: int) -> None:
        """Unblock."""
        request = graph_pb.UnblockRequest(account_id=account_id, target_id=target_id)
        await call(self.graph.Unblock, request, self._gateway, timeout_seconds=SECONDS)

    async def mute(self, account_id: int, target_id: int, *, notifications: bool = True, seconds: int = 0) -> None:
        """Mute."""
        request = graph_pb.MuteRequest(
            account_id=account_id, target_id=target_id, hides_notifications=notifications, duration_seconds=seconds
        )
        await call(self.graph.Mute, request, self._gateway, timeout_seconds=SECONDS)

    async def unmute(self, account_id: int, target_id: int) -> None:
        """Unmute."""
        request = graph_pb.UnmuteRequest(account_id=account_id, target_id=target_id)
        await call(self.graph.Unmute, request, self._gateway, timeout_seconds=SECONDS)

    async def post(
        self, account_id: int, text: str = "こんにちは", visibility: int = 0, in_reply_to_id: int = 0
    ) -> int:
        """Post a status; return its id."""
        request = status_pb.CreateStatusRequest(
            account_id=account_id,
            text=text,
            visibility=status_pb2.Visibility.ValueType(visibility),
            in_reply_to_id=in_reply_to_id,
        )
        answer = await call(self.statuses.CreateStatus, request, self._gateway, timeout_seconds=SECONDS)
        return answer.status.id

    async def post_together(self, account_ids: Sequence[int], visibility: int = 0) -> list[int]:
        """Post a status for each of them at the same moment; return their ids."""
        return await asyncio.gather(*(self.post(account_id, visibility=visibility) for account_id in account_ids))

    async def write(self, account_id: int, visibility: int = 0) -> int:
        """Publish a blog entry; return its id."""
        request = blog_pb.CreateBlogEntryRequest(
            account_id=account_id,
            title="題",
            text="本文",
            visibility=blog_entry_pb2.Visibility.ValueType(visibility),
        )
        answer = await call(self.blogs.CreateBlogEntry, request, self._gateway, timeout_seconds=SECONDS)
        return answer.blog_entry.id

    async def comment(self, account_id: int, blog_entry_id: int, text: str = "感想") -> int:
        """Comment on a blog entry; return the comment's id."""
        request = comment_pb.CreateCommentRequest(account_id=account_id, blog_entry_id=blog_entry_id, text=text)
        answer = await call(self.comments.CreateComment, request, self._gateway, timeout_seconds=SECONDS)
        return answer.comment.id

    async def narrow_entry(self, account_id: int, blog_entry_id: int, visibility: int) -> None:
        """Narrow who may see a blog entry."""
        request = blog_pb.UpdateBlogEntryRequest(
            account_id=account_id,
            blog_entry_id=blog_entry_id,
            visibility=blog_entry_pb2.Visibility.ValueType(visibility),
        )
        await call(self.blogs.UpdateBlogEntry, request, self._gateway, timeout_seconds=SECONDS)

    async def delete(self, account_id: int, status_id: int) -> None:
        """Delete a status."""
        request = status_pb.DeleteStatusRequest(account_id=account_id, status_id=status_id)
        await call(self.statuses.DeleteStatus, request, self._gateway, timeout_seconds=SECONDS)

    async def narrow(self, account_id: int, status_id: int, visibility: int) -> None:
        """Narrow who may see a status."""
        request = status_pb.UpdateStatusRequest(
            account_id=account_id, status_id=status_id, visibility=status_pb2.Visibility.ValueType(visibility)
        )
        await call(self.statuses.UpdateStatus, request, self._gateway, timeout_seconds=SECONDS)

    async def home(
        self, account_id: int, *, limit: int = 40, max_id: int = 0, min_id: int = 0, since_id: int = 0
    ) -> list[int]:
        """Return the entry ids of a page of a home timeline."""
        window = Window(limit=limit, max_id=max_id, min_id=min_id, since_id=since_id)
        return [entry.entry_id for entry in (await self.home_page(account_id, window)).entries]

    async def home_page(self, account_id: int, window: Window) -> timeline_pb.ListHomeEntriesResponse:
        """Return a page of a home timeline."""
        request = timeline_pb.ListHomeEntriesRequest(account_id=account_id, window=window)
        return await call(self.timelines.ListHomeEntries, request, self._gateway, timeout_seconds=SECONDS)

    def set_clock(self, seconds: float) -> None:
        """Have all ids be made by a clock that is so far ahead of the real one, or behind it."""
        set_clock(self._truth, *SERVICES, seconds=seconds)

    async def latest(self, account_id: int, limit: int) -> list[int]:
        """Return the ids of a member's latest statuses."""
        request = status_pb.ListAccountStatusesRequest(
            viewer_id=account_id, account_id=account_id, window=Window(limit=limit)
        )
        answer = await call(self.statuses.ListAccountStatuses, request, self._gateway, timeout_seconds=SECONDS)
        return [status.id for status in answer.statuses]

    def query(self, text: str, *parameters: object) -> list[tuple[object, ...]]:
        """Ask the database itself, as its administrator: the truth that services are held against."""
        cursor = self._truth.execute(text.encode(), parameters or None)
        while cursor.nextset():  # several statements: the last one answers
            pass
        return cursor.fetchall()

    def handle(self, account_id: int) -> str:
        """Return the handle of a member."""
        [(handle,)] = self.query("SELECT handle FROM account.accounts WHERE id = %s", account_id)
        return str(handle)

    def true_home(self, account_id: int) -> list[int]:
        """Return what the account's home timeline has to be, newest first, computed by SQL over all schemas."""
        rows = self.query(
            """
            WITH authors AS (
                SELECT %s::bigint AS id
                UNION SELECT friend_id FROM social_graph.friendships WHERE account_id = %s AND friend_id NOT IN (
                    SELECT target_id FROM social_graph.mutes
                    WHERE account_id = friendships.account_id AND (expires_at IS NULL OR expires_at > now())
                )
            )
            SELECT s.id FROM status.statuses AS s JOIN authors ON authors.id = s.account_id
            WHERE s.visibility <> 4 OR s.account_id = %s
            UNION ALL
            SELECT b.id FROM blog.blog_entries AS b JOIN authors ON authors.id = b.account_id
            WHERE b.visibility <> 4 OR b.account_id = %s
            ORDER BY 1 DESC
            """,
            account_id,
            account_id,
            account_id,
            account_id,
        )
        return [int(str(row[0])) for row in rows]

    def pushed(self, account_id: int) -> list[int]:
        """Return the ids of all entries pushed to an account, newest first."""
        rows = self.query("SELECT entry_id FROM timeline.entries WHERE account_id = %s ORDER BY 1 DESC", account_id)
        return [int(str(row[0])) for row in rows]

    def open_work(self) -> list[Work]:
        """Return all open rows of this service's tasks, in the order of their ledgers."""
        rows = self.query(
            """
            SELECT 'social_graph', id, task, payload FROM social_graph.ledger WHERE starts_with(task, 'timeline.')
            UNION ALL SELECT 'status', id, task, payload FROM status.ledger WHERE starts_with(task, 'timeline.')
            UNION ALL SELECT 'blog', id, task, payload FROM blog.ledger WHERE starts_with(task, 'timeline.')
            UNION ALL SELECT 'timeline', id, task, payload FROM timeline.ledger
            ORDER BY 1, 2
            """
        )
        return [Work(*row) for row in rows]  # type: ignore[arg-type]  # the columns of a Work

    async def do(self, work: Work) -> None:
        """Do what a row asks for, without striking it from its ledger: a delivery that may come again."""
        await HANDLERS[work.task](self.use_cases, payloads_of(work.payload))

    def strike(self, work: Work) -> None:
        """Delete a row whose effect is committed."""
        self._truth.execute(f"DELETE FROM {work.producer}.ledger WHERE id = %s".encode(), (work.row_id,))

    async def drain(self, chance: random.Random | None = None) -> None:
        """Do and strike all open work, in a random order where a chance is given."""
        rows = self.open_work()
        if chance is not None:
            chance.shuffle(rows)
        for work in rows:
            await self.do(work)
            self.strike(work)


@asynccontextmanager
async def open_world(settings: Settings) -> AsyncIterator[World]:
    """Open the clients of a network whose services run already."""
    async with open_use_cases(settings) as use_cases:
        world = World(settings, use_cases)
        try:
            yield world
        finally:
            await world.close()
