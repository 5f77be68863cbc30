"""The application: the route table, what surrounds it, and the life of its channels."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from chassis.settings import Settings
from services.gateway.clients import Clients
from services.gateway.context import make_gateway
from services.gateway.errors import plain_error
from services.gateway.middleware import ApiCors, Edge
from services.gateway.paths import Paths
from services.gateway.routes import TABLE
from services.gateway.routes.streaming import web_socket_routes
from services.gateway.routing import make_routes


def build_app(settings: Settings, clients: Clients) -> Starlette:
    """Return the application. It opens the clients' channels when it starts and closes them when it ends."""

    gateway = make_gateway(settings, clients)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with clients, gateway.hub:
            yield

    routes = make_routes(TABLE, gateway)
    app = Starlette(
        routes=[*routes, *web_socket_routes(gateway)],
        middleware=[
            Middleware(Edge, is_https=settings.base_url().startswith("https://")),
            Middleware(ApiCors),
            Middleware(Paths, routes=routes),
        ],
        exception_handlers={HTTPException: _no_route},
        lifespan=lifespan,
    )
    # Both forms of each path are routes of their own; a redirect would turn a POST into a GET.
    app.router.redirect_slashes = False
    app.state.hub = gateway.hub
    return app


async def _no_route(_request: Request, error: Exception) -> Response:
    """Answer what no route answers, in the form of every other error."""
    assert isinstance(error, HTTPException)
    sentences = {404: "There is nothing at this address.", 405: "This address does not take this method."}
    return plain_error(error.status_code, sentences.get(error.status_code, error.detail), error.headers)
