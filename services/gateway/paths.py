"""The short way from a path to its endpoint: a look into a dictionary for each segment, where the router tries pattern after pattern.

With 240 patterns that took 0.2 ms of each request.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass
class _Node:
    """What can follow after some segments of a path."""

    literal: "dict[str, _Node]" = field(default_factory=dict)
    parameter: "_Node | None" = None
    is_for_router: bool = False
    """A segment here can be in part a parameter, such as `@{handle}`: what is none of the literals is the router's to judge."""
    names: tuple[str, ...] = ()
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    """By method, for paths that end here."""


class Paths:
    """Answers what a route answers, as the router would; what it does not find, goes on to it.

    Endpoints have to be functions of a request that raise nothing, as those of the route table are.
    """

    def __init__(self, app: ASGIApp, *, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._root = _Node()
        for route in routes:
            if isinstance(route, Route):
                self._add(route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        found = self.find(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        endpoint, scope["path_params"] = found
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]] | None:
        """Return the endpoint of a path and the values of its parameters; None where only the router knows."""
        node, values = self._root, []
        for segment in path.split("/"):
            following = node.literal.get(segment)
            if following is None:
                if node.parameter is None or node.is_for_router or not segment:
                    return None
                following = node.parameter
                values.append(segment)
            node = following
        endpoint = node.endpoints.get(method)
        return None if endpoint is None else (endpoint, dict(zip(node.names, values, strict=True)))

    def _add(self, route: Route) -> None:
        node, names = self._root, []
        for segment in route.path.split("/"):
            if "{" not in segment:
                node = node.literal.setdefault(segment, _Node())
            elif segment[0] == "{" and segment[1:-1].isidentifier() and segment[-1] == "}":
                node.parameter = node.parameter or _Node()
                node = node.parameter
                names.append(segment[1:-1])
            else:
                node.is_for_router = True
                return
        node.names = tuple(names)
        # Without HEAD, whose answers have no bodies: the router knows.
        node.endpoints = {method: route.endpoint for method in route.methods or () if method != "HEAD"}
