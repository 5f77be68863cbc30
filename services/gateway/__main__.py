"""Wiring: `python -m services.gateway` serves HTTP."""

import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from starlette.applications import Starlette

from chassis.logs import configure_logging
from chassis.memory import settle
from chassis.metrics import serve_metrics
from chassis.settings import Settings, load_settings
from services.gateway.app import build_app
from services.gateway.clients import Clients
from services.gateway.connection import BoundedConnection

log = structlog.get_logger(__name__)

KEEP_ALIVE_SECONDS = 30
BACKLOG = 4096
"""Connections that the kernel holds until they are accepted; as many as it does by default."""
ACCEPTS = 32
"""Connections that are accepted in one round of the event loop."""
OPEN_FILES = 16_384
"""What so many connections need, where the limits of the process can be raised so far."""
MAX_SOCKET_MESSAGE_BYTES = 4096
SOCKET_PING_SECONDS = 20.0


class Server(uvicorn.Server):
    """Ends with exit code 0 when it is told to, as every process of the network does; uvicorn would end by the signal.

    Streams are ended first: nobody else would, and it would wait for them.
    """

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGTERM and SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and only then say so: uvicorn, given sockets, has others say it when they are bound."""
        await super().startup(sockets)
        settle()
        if self.started:
            log.info("serving", service="gateway", address=f"{self.config.host}:{self.config.port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then everything."""
        app = self.config.app
        assert isinstance(app, Starlette)
        app.state.hub.close_all("The gateway stops; please connect again.")
        await super().shutdown(sockets)


def server_config(settings: Settings) -> uvicorn.Config:
    """Return how HTTP is served."""
    host, _, port = settings.gateway_address.rpartition(":")
    return uvicorn.Config(
        build_app(settings, Clients(settings)),
        host=host,
        port=int(port),
        loop="uvloop",
        http=BoundedConnection,
        ws="websockets-sansio",
        ws_max_size=MAX_SOCKET_MESSAGE_BYTES,
        ws_ping_interval=SOCKET_PING_SECONDS,
        ws_ping_timeout=SOCKET_PING_SECONDS,
        ws_per_message_deflate=False,  # it takes a client's window of memory per socket
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        # Addresses are the TCP peer's; a proxy's word is not taken.
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_grace_seconds)),
        backlog=BACKLOG,
        # How many are answered at once is for services.gateway.shedding to say; uvicorn's own answer is none of ours.
        limit_concurrency=None,
    )


def listen(config: uvicorn.Config) -> list[socket.socket]:
    """Return the listening socket, many times.

    libuv accepts one connection of a handle per round of the loop. Under load, when rounds take long, all others would wait for many
    seconds in the kernel, where nobody sees them, and would be neither answered nor refused.
    """
    assert config.host is not None
    try:
        listening = socket.create_server(
            (config.host, config.port),
            family=socket.AF_INET6 if ":" in config.host else socket.AF_INET,
            backlog=BACKLOG,
        )
    except OSError as error:
        sys.exit(f"The gateway cannot listen at {config.host}:{config.port}: {error.strerror}.")
    return [listening, *(listening.dup() for _ in range(ACCEPTS - 1))]


def raise_open_files() -> None:
    """Let the process have as many connections as are answered, where its hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    """Run the process until SIGTERM or SIGINT."""
    raise_open_files()
    settings = load_settings()
    configure_logging(settings, "gateway", gathers=True)
    serve_metrics(settings.metrics_address("gateway"))
    config = server_config(settings)
    Server(config).run(sockets=listen(config))


if __name__ == "__main__":
    main()
