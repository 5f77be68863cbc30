"""The life of a gRPC service's process: settings, pool, server, and an orderly end."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
import uvloop

from chassis import neighbours
from chassis.database import Pool, make_pool
from chassis.housekeeping import repeat
from chassis.idempotency import delete_expired
from chassis.logs import configure_logging
from chassis.memory import settle
from chassis.metrics import serve_metrics
from chassis.pool_health import PoolHealth
from chassis.rpc import Server, Service
from chassis.settings import Settings, refuse

log = structlog.get_logger(__name__)

Build = Callable[[Settings, Pool, AsyncExitStack], Awaitable[Sequence[Service]]]
"""What a service's `__main__` says: with these settings and this pool, serve these services; the stack closes what was opened."""


def _pass_over() -> None: ...


@asynccontextmanager
async def open_server(
    name: str, settings: Settings, build: Build, *, address: str = "", on_stuck: Callable[[], None] = _pass_over
) -> AsyncIterator[Server]:
    """Run a service's server in this event loop, on its configured address or another, until the block ends.

    Its health is its pool's; `on_stuck` is called when only a new process can help that.
    """
    async with AsyncExitStack() as stack:
        pool = make_pool(
            settings.service_database_url(name), size=settings.database_pool_size, application=f"kodama-{name}"
        )
        await stack.enter_async_context(pool)
        await stack.enter_async_context(repeat("claims.forget", delete_expired, pool))
        services = await build(settings, pool, stack)
        server = Server(address or settings.address(name), settings.derive("rpc"), services)
        pool_health = PoolHealth(pool, server.set_serving, on_stuck)
        await pool_health.look()
        await server.start()
        try:
            async with pool_health.watching():
                yield server
        finally:
            await server.stop(settings.shutdown_grace_seconds)


def run_services(builds: Mapping[str, Build], settings: Settings) -> None:
    """Serve one service, or several as neighbours, until SIGTERM or SIGINT.

    Ends the process with a sentence and exit code 2 where it cannot start, with 1 where it cannot go on.
    """
    configure_logging(settings, "+".join(builds))
    for name in builds:
        try:
            settings.service_database_url(name)
        except ValueError as error:
            refuse(str(error))
    if not uvloop.run(_serve(builds, settings)):
        raise SystemExit(1)


async def _serve(builds: Mapping[str, Build], settings: Settings) -> bool:
    """Serve; tell whether the end was asked for."""
    stop, is_stuck = asyncio.Event(), asyncio.Event()

    def give_up() -> None:
        is_stuck.set()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if len(builds) > 1:
        neighbours.share()
    async with AsyncExitStack() as stack:
        for name, build in builds.items():
            serve_metrics(settings.metrics_address(name))
            await stack.enter_async_context(open_server(name, settings, build, on_stuck=give_up))
            log.info("serving", service=name, address=settings.address(name))
        settle()
        await stop.wait()
    log.info("stopped", services=list(builds))
    return not is_stuck.is_set()
