"""The application: the route table, what surrounds it, and the life of its channels."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from chassis.settings import Settings
from services.gateway.browser.endpoint import make_page_routes
from services.gateway.browser.failures import SENTENCES, error_page
from services.gateway.browser.languages import translate
from services.gateway.browser.table import PAGES
from services.gateway.browser.visit import Taste
from services.gateway.clients import Clients
from services.gateway.context import make_gateway
from services.gateway.errors import plain_error
from services.gateway.middleware import API_PREFIXES, ApiCors, Edge, Refusal
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

    is_https = settings.base_url().startswith("https://")
    routes = [*make_routes(TABLE, gateway), *make_page_routes(PAGES, gateway)]
    app = Starlette(
        routes=[*routes, *web_socket_routes(gateway)],
        middleware=[
            Middleware(Edge, is_https=is_https),
            Middleware(ApiCors),
            Middleware(Paths, routes=routes),
        ],
        exception_handlers={HTTPException: _no_route(settings.title)},
        lifespan=lifespan,
    )
    # Both forms of each path are routes of their own; a redirect would turn a POST into a GET.
    app.router.redirect_slashes = False
    app.state.hub, app.state.shedder, app.state.refusal = gateway.hub, gateway.shedder, Refusal(is_https=is_https)
    return app


def _no_route(title: str) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return what answers what no route answers: apps in the form of every other error, browsers with a page."""

    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if not request.url.path.startswith(API_PREFIXES) and "text/html" in request.headers.get("accept", ""):
            taste = Taste.of(request)
            sentence = translate(taste.language, SENTENCES.get(error.status_code, SENTENCES[404]))
            return error_page(error.status_code, sentence, request, taste, title)
        sentences = {404: "There is nothing at this address.", 405: "This address does not take this method."}
        return plain_error(error.status_code, sentences.get(error.status_code, error.detail), error.headers)

    return answer
