"""A network whose processes can die one at a time and be started anew, all of them in one event loop before a real PostgreSQL."""

import asyncio
import importlib
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Any, TypeVar

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

from chassis.caller import GATEWAY, OPERATOR, Signer
from chassis.ledger import payloads_of
from chassis.process import open_server
from chassis.rpc import call, call_with_stream, open_channel
from chassis.settings import SERVICES, Settings
from services.media import worker as media_worker
from services.media.tasks import HANDLERS as MEDIA
from services.social_graph import worker as graph_worker
from services.social_graph.tasks import HANDLERS as GRAPH
from services.timeline import worker as timeline_worker
from services.timeline.tasks import HANDLERS as TIMELINE
from tests.integration.crashes.invariants import faults_of
from tests.integration.crashes.mortality import Died, Mortality
from tests.world import Work, World

SECONDS = 20
ROUNDS = 20
BURIAL_SECONDS = 0.02
"""How long what was running in a dead process has to find that out."""
WORKERS: dict[str, Callable[[Settings], AbstractAsyncContextManager[Any]]] = {
    "kodama-timeline-worker": timeline_worker.open_use_cases,
    "kodama-social_graph-worker": graph_worker.open_context,
    "kodama-media-worker": media_worker.open_context,
}
HANDLERS: dict[str, tuple[str, Any]] = {
    **{task: ("kodama-timeline-worker", handler) for task, handler in TIMELINE.items()},
    **{task: ("kodama-social_graph-worker", handler) for task, handler in GRAPH.items()},
    **{task: ("kodama-media-worker", handler) for task, handler in MEDIA.items()},
}
Result = TypeVar("Result")


class Network:
    """All services, their workers' parts, and a client who asks again where nobody answers."""

    def __init__(self, settings: Settings, mortality: Mortality) -> None:
        self.settings = settings
        self.mortality = mortality
        self._stacks: dict[str, AsyncExitStack] = {}
        self._contexts: dict[str, Any] = {}
        self._signers = {role: Signer(role, settings.derive("rpc")) for role in (GATEWAY, OPERATOR)}
        self._channels = {name: open_channel(settings.address(name), "") for name in SERVICES}
        self.world = World(settings, None)  # type: ignore[arg-type]  # its workers are ours

    async def open(self) -> None:
        """Start everything."""
        for application in (*(f"kodama-{name}" for name in SERVICES), *WORKERS):
            await self._start(application)

    async def close(self) -> None:
        """Stop everything."""
        await self.world.close()
        for channel in self._channels.values():
            await channel.close()
        for application in list(self._stacks):
            # What watches over a process in the background has died with it, and its end is found only now.
            with suppress(Died):
                await self._stacks.pop(application).aclose()

    async def _start(self, application: str) -> None:
        stack = self._stacks[application] = AsyncExitStack()
        if application in WORKERS:
            self._contexts[application] = await stack.enter_async_context(WORKERS[application](self.settings))
        else:
            name = application.removeprefix("kodama-")
            build = importlib.import_module(f"services.{name}.__main__").build
            await stack.enter_async_context(open_server(name, self.settings, build))

    async def endure(self, application: str, do: Callable[[], Awaitable[Result]]) -> Result | None:
        """Do something that a process may die of; return None then.

        The process that goes on afterwards has what the dead one had in memory, which is nothing but what others may tell at any time;
        its connections are new.
        """
        doing = asyncio.ensure_future(do())
        dying = asyncio.create_task(self.mortality.died.wait())
        await asyncio.wait({doing, dying}, return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if not self.mortality.died.is_set():
            return await doing
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)
        await asyncio.sleep(BURIAL_SECONDS)
        self.mortality.revive()
        return None

    def rpc(self, service: str, method: str, *, has_key: bool = True, **fields: Any) -> Callable[[], Awaitable[Any]]:
        """Return a call of an RPC, always with the same idempotency key where it takes one; the service is named as in its package."""
        package, _, name = service.partition(".")
        found = descriptor_pool.Default().FindServiceByName(f"kodama.{package}.v1.{name}").methods_by_name[method]
        request: Any = message_factory.GetMessageClass(found.input_type)(**fields)
        if has_key and "request_id" in found.input_type.fields_by_name:
            request.request_id = uuid.uuid4().hex
        path = f"/kodama.{package}.v1.{name}/{method}"
        signer = self._signers[OPERATOR if method.startswith(("BatchImport", "Rebuild", "Refresh")) else GATEWAY]
        kinds = {
            "request_serializer": type(request).SerializeToString,
            "response_deserializer": message_factory.GetMessageClass(found.output_type).FromString,
        }
        channel: Any = self._channels[package]
        if found.client_streaming:
            stream = channel.stream_unary(path, **kinds)
            return lambda: call_with_stream(stream, _one(request), signer, timeout_seconds=SECONDS)
        stub = channel.unary_unary(path, **kinds)
        return lambda: call(stub, request, signer, timeout_seconds=SECONDS)

    def open_work(self) -> list[Work]:
        """Return all that is in the ledgers."""
        rows = self.world.query(
            "SELECT 'social_graph', id, task, payload FROM social_graph.ledger"
            " UNION ALL SELECT 'status', id, task, payload FROM status.ledger"
            " UNION ALL SELECT 'blog', id, task, payload FROM blog.ledger"
            " UNION ALL SELECT 'timeline', id, task, payload FROM timeline.ledger ORDER BY 1, 2"
        )
        return [Work(*row) for row in rows]  # type: ignore[arg-type]  # the columns of a Work

    async def do(self, task: str, payloads: Sequence[dict[str, int]]) -> None:
        """Do some changes' work of a task, as a worker that has not reported yet."""
        application, handler = HANDLERS[task]
        await handler(self._contexts[application], payloads)

    async def come_to_rest(self) -> None:
        """Do and strike all work, and what comes of it. Raises AssertionError where it does not end."""
        for _ in range(ROUNDS):
            rows = self.open_work()
            if not rows:
                return
            for task in sorted({work.task for work in rows}):
                same = [work for work in rows if work.task == task]
                await self.do(task, [payload for work in same for payload in payloads_of(work.payload)])
                for work in same:
                    self.world.strike(work)
        raise AssertionError(f"{self.open_work()} never gets done")

    async def faults(self, members: Sequence[int]) -> list[str]:
        """Let a network that rests be read, and return what is wrong in it then."""
        homes = await asyncio.gather(*(self.world.home(member) for member in members))
        wrong = [
            f"{member} reads {home} instead of {truth}"
            for member, home in zip(members, homes, strict=True)
            if home != (truth := self.world.true_home(member))
        ]
        await self.come_to_rest()
        return wrong + faults_of(self.world)

    def forget_faults(self) -> None:
        """Take away what one case has left behind, so that the next is not blamed for it."""
        self.world.query(
            "WITH a AS (DELETE FROM status.ledger), b AS (DELETE FROM blog.ledger), c AS (DELETE FROM social_graph.ledger),"
            " d AS (DELETE FROM timeline.ledger), e AS (DELETE FROM timeline.homes WHERE pushed_from = 9223372036854775807) SELECT 1"
        )


async def _one(request: Message) -> Any:
    yield request
