"""Every route × every viewer × every visibility of what it is about × scopes, generated from the route table."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx
import psycopg
import pytest

from chassis.settings import SERVICES
from services.gateway.auth import Open
from services.gateway.routes import TABLE
from services.gateway.routing import Route
from services.gateway.scopes import SCOPES
from tests.authorization.expectations import ROWS, SEES, Row, Viewer, expected_code, is_covered
from tests.authorization.neighbourhood import Neighbourhood, open_neighbourhood
from tests.conftest import fresh_settings, run_services
from tests.integration.gateway.conftest import open_network

UNRELATED = "push"
GRANTED = ("read", "write", "follow", UNRELATED)
MIN_CELLS = 4000


@dataclass(frozen=True)
class Cell:
    """One request of the matrix."""

    route: Route
    row: Row
    viewer: Viewer
    scope: str
    kind: str = ""
    visibility: str = ""

    def expected(self) -> int:
        """Return the code that it has to be answered with."""
        policy = self.route.policy
        if policy is Open.PUBLIC:
            return expected_code(self.row, Viewer.ANONYMOUS, self.kind, self.visibility)
        if self.viewer is Viewer.ANONYMOUS:
            return 401
        if policy is Open.APP:
            return self.row.code
        if self.viewer is Viewer.APP or not is_covered(str(policy), self.scope):
            return 403
        return expected_code(self.row, self.viewer, self.kind, self.visibility)


def key_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def wrong_scope(policy: str) -> str:
    """Return a scope of the same verb for something else."""
    verb = policy.partition(":")[0]
    return f"{verb}:statuses" if policy != f"{verb}:statuses" else f"{verb}:lists"


def scopes_for(route: Route, viewer: Viewer) -> list[str]:
    """Return the scopes of the tokens that a viewer tries a route with; the empty one is no token."""
    if viewer is Viewer.ANONYMOUS:
        return [""]
    if isinstance(route.policy, Open):
        return ["read"]
    return list(dict.fromkeys([route.policy, wrong_scope(route.policy), *GRANTED]))


def targets_of(row: Row) -> list[tuple[str, str]]:
    """Return the kinds and visibilities of what a route can be called for."""
    targets = [(kind, visibility) for kind, visibility in SEES if kind in row.targets]
    return targets or [(row.targets[0] if row.targets else "", "")]


def make_cells(routes: tuple[Route, ...]) -> Iterator[Cell]:
    for route in routes:
        row = ROWS[key_of(route)]
        for viewer in Viewer:
            for scope in scopes_for(route, viewer):
                targets = targets_of(row)
                if isinstance(route.policy, str) and not is_covered(route.policy, scope):
                    # Refused whatever it is about: each viewer tries it with another.
                    number = list(Viewer).index(viewer)
                    targets = targets[number % len(targets) :][:1]
                for kind, visibility in targets:
                    yield Cell(route, row, viewer, scope, kind, visibility)


@pytest.fixture(scope="module")
async def neighbourhood(postgres_url: str, template_database: str) -> AsyncIterator[Neighbourhood]:
    """The network that all requests go to."""
    used = {scope for route in TABLE if isinstance(route.policy, str) for scope in scopes_for(route, Viewer.SELF)}
    with fresh_settings(postgres_url, template_database) as settings:
        async with (
            run_services(settings, *SERVICES),
            open_network(settings) as network,
            open_neighbourhood(network, sorted(used | {"read"})) as found,
        ):
            yield found


async def ask(around: Neighbourhood, cell: Cell, target: str) -> httpx.Response:
    """Make the request of a cell for something."""
    path = (
        cell.route.path.replace("{handle}", around.owner.handle)
        .replace("{hashtag}", "none")
        .replace("{name}", "original.webp")
    )
    token = around.tokens.get((cell.viewer, cell.scope))
    request = around.network.http.build_request(
        cell.route.method,
        path.replace("{id}", target),
        json=dict(cell.row.body) or None,
        headers={"authorization": f"Bearer {token}"} if token else {},
    )
    answer = await around.network.http.send(request, stream=True)
    if answer.headers["content-type"].startswith("text/event-stream"):
        await answer.aclose()  # it would not end by itself
    else:
        await answer.aread()
    return answer


def target_of(around: Neighbourhood, cell: Cell) -> str:
    if cell.kind == "account":
        return around.owner.id
    return around.posts.get((cell.kind, cell.visibility), around.gone["account"])


async def test_the_matrix(neighbourhood: Neighbourhood) -> None:
    wrong: list[str] = []
    codes: Counter[int] = Counter()
    cells = 0
    gone: dict[tuple[str, str], bytes] = {}
    with psycopg.connect(neighbourhood.network.settings.database_url, autocommit=True) as conn:
        for cell in make_cells(TABLE):
            cells += 1
            answer = await ask(neighbourhood, cell, target_of(neighbourhood, cell))
            codes[answer.status_code] += 1
            seen = f"{key_of(cell.route)} {cell.kind} {cell.visibility} by {cell.viewer.value} with {cell.scope}"
            if answer.status_code != cell.expected():
                wrong.append(f"{seen}: {answer.status_code}, not {cell.expected()}")
            if cell.route.method != "GET" and answer.status_code == 200:
                neighbourhood.restore(conn)
            if answer.status_code == 404 and cell.kind:
                # What may not be seen is answered as what is not there, to the byte.
                key = (key_of(cell.route), cell.kind)
                if key not in gone:
                    gone[key] = (await ask(neighbourhood, cell, neighbourhood.gone[cell.kind])).content
                if answer.content != gone[key]:
                    wrong.append(f"{seen}: {answer.text}, but of what is not there {gone[key].decode()}")
    assert wrong == [], "\n".join([f"{len(wrong)} of {cells}", *wrong[:40]])
    assert cells >= MIN_CELLS
    assert {200, 401, 403, 404, 422} <= set(codes)


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    """Whoever adds a route says in tests/authorization/expectations.py who may call it."""
    assert {key_of(route) for route in TABLE} == set(ROWS)


def test_every_scope_is_tried_by_itself_and_wrongly() -> None:
    needed = {route.policy for route in TABLE if isinstance(route.policy, str)}
    assert needed <= SCOPES
    for policy in needed:
        assert is_covered(policy, policy)
        assert not is_covered(policy, wrong_scope(policy)) or policy == "read"
        assert not is_covered(policy, UNRELATED)


@pytest.mark.parametrize(
    ("viewer", "kind", "visibility", "code"),
    [
        (Viewer.STRANGER, "status", "private", 404),
        (Viewer.BLOCKED, "status", "public", 404),
        (Viewer.FRIEND_OF_FRIEND, "blog", "friends_of_friends", 200),
        (Viewer.MENTIONED, "status", "direct", 200),
        (Viewer.FRIEND, "blog", "self", 404),
    ],
)
def test_the_table_says_what_it_should(viewer: Viewer, kind: str, visibility: str, code: int) -> None:
    assert expected_code(ROWS["GET /api/v1/statuses/{id}"], viewer, kind, visibility) == code
