"""The Celery side: one app with the house's settings, and tasks that are adapters over plain coroutines.

A process of a worker has one event loop in a thread of its own; tasks, whatever pool runs them, hand their coroutine to it. So
stores and clients are written once, asynchronously, and are made in the process that uses them.
"""

import asyncio
import importlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import celery
import structlog
import uvloop
from celery import signals
from kodama.ledger.v1 import ledger_service_pb2 as ledger_pb
from kodama.ledger.v1 import ledger_service_pb2_grpc as ledger_pb_grpc

from chassis import broker, failpoints, topology
from chassis.caller import WORKER, Signer
from chassis.errors import Conflict, Unavailable
from chassis.failpoints import Failpoint
from chassis.logs import configure_logging
from chassis.memory import settle
from chassis.rpc import call, open_channel
from chassis.settings import Settings, load_settings

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 10
REPORT_SECONDS = 5
RESULT_MARGIN_SECONDS = 15

Context = TypeVar("Context")
Payload = Mapping[str, int]
Handler = Callable[[Context, Sequence[Payload]], Awaitable[None]]


class TaskApp(celery.Celery):  # type: ignore[misc]  # Celery is untyped
    """A Celery app that a spawned child of the prefork pool makes anew instead of getting a copy, which would lack our tasks."""

    worker_module = ""
    """The module whose `make_app(settings)` makes it; empty where it runs no tasks."""

    def __reduce__(self) -> tuple[Callable[[str], "TaskApp"], tuple[str]]:
        return _remake, (self.worker_module,)


def _remake(worker_module: str) -> TaskApp:
    settings = load_settings()
    configure_logging(settings, f"{worker_module} child")
    app: TaskApp = importlib.import_module(worker_module).make_app(settings)
    return app


def make_task_app(settings: Settings, name: str) -> TaskApp:
    """Return a Celery app with the settings that nothing gets lost with; why each: docs/decisions/0005-celery-settings.md."""
    url = settings.require_broker_url()
    app = TaskApp(name, set_as_current=False)
    app.conf.update(
        broker_url=url,
        broker_transport_options=broker.transport_options(url),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_heartbeat=10,
        broker_pool_acquire_timeout=5,
        task_queues=broker.task_queues(url),
        task_routes={task.name: {"queue": task.queue} for task in topology.TASKS.values()},
        task_create_missing_queues=False,
        task_default_queue_type="quorum",
        task_default_exchange=broker.EXCHANGE.name,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure=False,
        task_acks_on_timeout=False,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        result_backend=None,
        worker_consumer="chassis.task_consumer:TaskConsumer",
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_soft_shutdown_timeout=30,
        worker_max_memory_per_child=300_000,
        worker_max_tasks_per_child=1_000,
        worker_pool_start_method="spawn",
        # A spawned child imports everything anew. Celery's 4 s would kill it on a busy machine, and its successors too, for as long.
        worker_proc_alive_timeout=60,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
    )
    return app


class Runtime(Generic[Context]):
    """The event loop of a worker process and what its tasks work with, made at the first task in the process that runs it."""

    def __init__(self, open_context: Callable[[], AbstractAsyncContextManager[Context]]) -> None:
        self._open_context = open_context
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stack = AsyncExitStack()
        self._context: Context | None = None

    def run(self, work: Callable[[Context], Awaitable[None]], timeout_seconds: float) -> None:
        """Run a coroutine on the loop and wait for it. Raises what it raises, or TimeoutError.

        After the timeout the coroutine has been cancelled.
        """
        loop, context = self._ready()

        async def bounded() -> None:
            async with asyncio.timeout(timeout_seconds):
                await work(context)

        future = asyncio.run_coroutine_threadsafe(bounded(), loop)
        try:
            future.result(timeout_seconds + RESULT_MARGIN_SECONDS)
        except BaseException:
            future.cancel()  # where it is Celery's soft time limit that ended the waiting, the coroutine still runs
            raise

    def _ready(self) -> tuple[asyncio.AbstractEventLoop, Context]:
        with self._lock:
            if self._loop is None:
                loop = uvloop.new_event_loop()
                threading.Thread(target=loop.run_forever, name="tasks-loop", daemon=True).start()
                ended = threading.Event()
                opening = asyncio.run_coroutine_threadsafe(self._open(ended), loop)
                try:
                    self._context = opening.result(RESULT_MARGIN_SECONDS)
                except BaseException:
                    opening.cancel()
                    ended.wait(CLOSE_SECONDS)  # what it has opened until now is closed on this loop, or never
                    loop.call_soon_threadsafe(loop.stop)
                    raise
                self._loop = loop
                settle()
            assert self._context is not None
            return self._loop, self._context

    async def _open(self, ended: threading.Event) -> Context:
        try:
            return await self._stack.enter_async_context(self._open_context())
        finally:
            ended.set()

    def close(self) -> None:
        """Close what was opened and stop the loop."""
        with self._lock:
            if self._loop is not None:
                with suppress(TimeoutError):
                    asyncio.run_coroutine_threadsafe(self._stack.aclose(), self._loop).result(CLOSE_SECONDS)
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._loop = None


@dataclass(frozen=True)
class Receipts:
    """Reports to the ledgers what has become of their rows."""

    ledgers: Mapping[str, "ledger_pb_grpc.LedgerServiceAsyncStub"]
    signer: Signer

    async def complete(self, source: str, row_ids: Sequence[int]) -> None:
        """The effect is committed: delete the rows."""
        request = ledger_pb.CompleteWorkRequest(row_ids=row_ids)
        await call(self.ledgers[source].CompleteWork, request, self.signer, timeout_seconds=REPORT_SECONDS)

    async def fail(self, source: str, row_ids: Sequence[int], error: BaseException) -> None:
        """Note why it failed, as far as that is possible; the lease brings the rows back in any case."""
        storable = _describe(error)[:1000].encode(errors="replace").decode()  # protobuf takes no lone surrogates
        request = ledger_pb.RecordFailureRequest(
            row_ids=row_ids, error=storable, is_transient=isinstance(error, Unavailable | Conflict)
        )
        with suppress(Exception):
            await call(self.ledgers[source].RecordFailure, request, self.signer, timeout_seconds=REPORT_SECONDS)


@asynccontextmanager
async def open_receipts(settings: Settings) -> AsyncIterator[Receipts]:
    """Connect to the ledgers of all producing services."""
    async with AsyncExitStack() as stack:
        ledgers: dict[str, ledger_pb_grpc.LedgerServiceAsyncStub] = {}
        for producer in topology.PRODUCERS:
            channel = open_channel(
                settings.address(producer),
                "kodama.ledger.v1.LedgerService",
                retryable=("CompleteWork", "RecordFailure", "ListOpenWork", "GetLag"),
            )
            stack.push_async_callback(channel.close)
            ledgers[producer] = ledger_pb_grpc.LedgerServiceStub(channel)
        yield Receipts(ledgers, Signer(WORKER, settings.derive("rpc")))


async def do_work(
    context: Context,
    receipts: Receipts,
    handler: Handler[Context],
    source: str,
    row_ids: Sequence[int],
    payloads: Sequence[Payload],
) -> None:
    """Run a task's handler and report: rows go when their effect is committed, and stay, with the error, when it is not."""
    try:
        await failpoints.hit_async(Failpoint.WORKER_BEFORE_EFFECT, handler.__name__)
        await handler(context, payloads)
        await failpoints.hit_async(Failpoint.WORKER_AFTER_EFFECT, handler.__name__)
    except BaseException as error:
        await asyncio.shield(receipts.fail(source, row_ids, error))
        raise
    await receipts.complete(source, row_ids)
    await failpoints.hit_async(Failpoint.WORKER_AFTER_RECEIPT, handler.__name__)


def _describe(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "cancelled: it took longer than its time limit, or the worker was stopped"
    return f"{type(error).__name__}: {error}"


def make_worker_app(
    settings: Settings,
    worker_module: str,
    open_context: Callable[[Settings], AbstractAsyncContextManager[Context]],
    handlers: Mapping[str, Handler[Context]],
) -> TaskApp:
    """Return the Celery app of a service's workers, with a task registered per handler under its name in the topology.

    `worker_module` names the module whose `make_app(settings)` calls this.
    """
    app = make_task_app(settings, worker_module)
    app.worker_module = worker_module

    @asynccontextmanager
    async def open_all() -> AsyncIterator[tuple[Context, Receipts]]:
        async with open_context(settings) as context, open_receipts(settings) as receipts:
            yield context, receipts

    runtime = Runtime(open_all)
    for task_name, handler in handlers.items():
        _register(app, runtime, topology.TASKS[task_name], handler)

    def close_runtime(**_: Any) -> None:
        runtime.close()

    signals.worker_shutdown.connect(close_runtime, weak=False)
    signals.worker_process_shutdown.connect(close_runtime, weak=False)
    return app


def _register(
    app: celery.Celery, runtime: Runtime[tuple[Context, Receipts]], task: topology.Task, handler: Handler[Context]
) -> None:
    def run(source: str, row_ids: list[int], payloads: list[dict[str, int]]) -> None:
        async def work(opened: tuple[Context, Receipts]) -> None:
            await do_work(*opened, handler, source, row_ids, payloads)

        runtime.run(work, task.time_limit_seconds)

    app.task(
        run,
        name=task.name,
        shared=False,  # else every other app of the process gets it too
        time_limit=task.time_limit_seconds,
        soft_time_limit=task.time_limit_seconds * 3 // 4,
    )
