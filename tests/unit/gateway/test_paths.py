"""The short way to an endpoint leads where the router leads, or nowhere."""

from typing import cast

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from services.gateway.context import Gateway
from services.gateway.paths import Endpoint, Paths
from services.gateway.routes import TABLE
from services.gateway.routing import make_routes

VALUES = ("7301", "lookup", "a b", "@hana", "%2F", "x.svg", "")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands for the router, which is not asked here."""


class Idle:
    """Stands for the gateway, which routes are made with and no request reaches here."""

    def __getattr__(self, name: str) -> object:
        return None


@pytest.fixture(scope="module")
def routes() -> list[Route]:
    return make_routes(TABLE, cast(Gateway, Idle()))


def by_router(routes: list[Route], method: str, path: str) -> tuple[Endpoint, dict[str, str]] | None:
    for route in routes:
        match, child = route.matches({"type": "http", "method": method, "path": path, "root_path": ""})
        if match is Match.FULL:
            return (route.endpoint, child["path_params"]) if method in (route.methods or ()) else None
    return None


def test_every_path_of_the_table_leads_where_the_router_leads(routes: list[Route]) -> None:
    paths, found = Paths(app, routes=routes), 0
    for route in routes:
        for value in VALUES:
            path = "/".join(value if "{" in segment else segment for segment in route.path.split("/"))
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                short = paths.find(method, path)
                assert short is None or short == by_router(routes, method, path), path
                found += short is not None
    assert found > 500, "it is there to be used"


def test_what_is_in_part_a_parameter_is_left_to_the_router() -> None:
    async def answer(request: Request) -> Response:
        return Response()

    routes: list[BaseRoute] = [
        Route(path, answer) for path in ("/@{handle}", "/{page}", "/about", "/{page}/{part:int}")
    ]
    paths = Paths(app, routes=routes)
    assert paths.find("GET", "/about") == (answer, {})
    for path in ("/@hana", "/anything", "/about/5", "/", ""):
        assert paths.find("GET", path) is None
    assert paths.find("HEAD", "/about") is None
