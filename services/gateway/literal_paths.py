"""A short way for addresses without parameters: one look into a dictionary, where the router tries its patterns one after the other."""

from collections.abc import Awaitable, Callable, Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send


class LiteralPaths:
    """Answers what a route without parameters answers, as the router would; everything else goes on to it.

    Endpoints have to be functions of a request that raise nothing, as those of the route table are.
    """

    def __init__(self, app: ASGIApp, *, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._endpoints: dict[tuple[str, str], Callable[[Request], Awaitable[Response]]] = {
            (method, route.path): route.endpoint
            for route in routes
            if isinstance(route, Route) and "{" not in route.path
            for method in route.methods or ()
            if method != "HEAD"  # whose answers have no bodies: the router knows
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        endpoint = self._endpoints.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        scope["path_params"] = {}
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)
