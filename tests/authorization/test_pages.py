"""Every page × every viewer × every visibility of what it is about: with a session, without, and with what is no session."""

import re
from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest

from chassis.settings import SERVICES
from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.table import PAGES as TABLE
from tests.authorization.expectations import PAGES, SEES, TO_SIGN_IN, Row, Viewer, expected_code
from tests.authorization.neighbourhood import Neighbourhood, issue_session, open_neighbourhood
from tests.conftest import fresh_settings, run_services
from tests.integration.gateway.conftest import open_network

SESSION = "__Host-kodama"
TOKEN = re.compile(r'name="csrf_token" value="([0-9a-f]{128})"')
MEMBERS = [viewer for viewer in Viewer if viewer not in (Viewer.ANONYMOUS, Viewer.APP)]
PRIVATE = (Audience.MEMBER, Audience.UNCONFIRMED)
ELSEWHERE = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}


def key_of(page: Page) -> str:
    return f"{page.method} {page.path}"


class Browsers:
    """A session and a form token for each member."""

    def __init__(self, around: Neighbourhood) -> None:
        self.around = around
        self.sessions: dict[Viewer, str] = {}
        self.tokens: dict[Viewer, str] = {}

    async def open(self) -> None:
        with psycopg.connect(self.around.network.settings.database_url, autocommit=True) as conn:
            for viewer in MEMBERS:
                self.sessions[viewer] = issue_session(conn, self.around.members[viewer].id)
        for viewer in MEMBERS:
            page = await self.ask("GET", "/settings/profile", viewer)
            found = TOKEN.search(page.text)
            assert found is not None, page.text
            self.tokens[viewer] = found[1]

    async def ask(
        self, method: str, path: str, viewer: Viewer, *, token: str | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        http = self.around.network.http
        http.cookies.clear()
        session = {"cookie": f"{SESSION}={self.sessions[viewer]}"} if viewer in self.sessions else {}
        form = {"csrf_token": self.tokens.get(viewer, "") if token is None else token}
        request = http.build_request(
            method, path, headers={**session, **(headers or {})}, data=form if method == "POST" else None
        )
        answer = await http.send(request, stream=True)
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):  # it has no end
            await answer.aread()
        await answer.aclose()
        return answer


@pytest.fixture(scope="module")
async def browsers(postgres_url: str, template_database: str) -> AsyncIterator[Browsers]:
    with fresh_settings(postgres_url, template_database) as settings:
        async with (
            run_services(settings, *SERVICES),
            open_network(settings) as network,
            open_neighbourhood(network, ["read"]) as around,
        ):
            opened = Browsers(around)
            await opened.open()
            yield opened


def targets_of(row: Row) -> list[tuple[str, str]]:
    found = [(kind, visibility) for kind, visibility in SEES if kind in row.targets]
    return found or [("account" if "account" in row.targets else "", "")]


def address(around: Neighbourhood, page: Page, kind: str, visibility: str) -> str:
    target = around.owner.id if kind == "account" else around.posts.get((kind, visibility), around.gone["account"])
    named = page.path.replace("{handle}", around.owner.handle).replace("{name}", "none.css")
    return named.replace("{id}", target)


async def test_every_member_and_every_post(browsers: Browsers) -> None:
    """Each request has a session of its own: what one changes is taken back before the next."""
    wrong: list[str] = []
    cells = 0
    with psycopg.connect(browsers.around.network.settings.database_url, autocommit=True) as conn:
        for page in TABLE:
            if page.path == "/sign-out":
                continue  # it would end the session
            row = PAGES[key_of(page)]
            for viewer in MEMBERS:
                for kind, visibility in targets_of(row):
                    cells += 1
                    path = address(browsers.around, page, kind, visibility)
                    answer = await browsers.ask(page.method, path, viewer)
                    expected = expected_code(row, viewer, kind, visibility)
                    if answer.status_code != expected:
                        wrong.append(
                            f"{key_of(page)} {kind} {visibility} by {viewer.value}: {answer.status_code}, not {expected}"
                        )
                    if page.method == "POST" and answer.status_code == 303:
                        browsers.around.restore(conn)
    assert wrong == [], "\n".join(wrong[:40])
    assert cells > 700


async def test_who_is_not_signed_in(browsers: Browsers) -> None:
    """With no session, one that nobody has, and an app's token in every place: all the same."""
    token = browsers.around.tokens[(Viewer.SELF, "read")]
    disguises: tuple[dict[str, str], ...] = (
        {},
        {"cookie": f"{SESSION}=nobody-has-this"},
        {"cookie": f"{SESSION}={token}"},
        {"authorization": f"Bearer {token}"},
    )
    for page in TABLE:
        row = PAGES[key_of(page)]
        for headers in disguises:
            for kind, visibility in targets_of(row):
                path = address(browsers.around, page, kind, visibility)
                answer = await browsers.ask(page.method, path, Viewer.ANONYMOUS, headers=headers)
                if page.audience in PRIVATE:
                    assert answer.status_code == TO_SIGN_IN, (key_of(page), headers)
                    assert answer.headers["location"].startswith("/sign-in?next=/"), key_of(page)
                elif row.code != 303:
                    expected = expected_code(row, Viewer.ANONYMOUS, kind, visibility)
                    assert answer.status_code == expected, (key_of(page), kind, visibility, headers)


async def test_no_form_of_another_site_or_another_session_does_anything(browsers: Browsers) -> None:
    viewer, other = Viewer.STRANGER, browsers.tokens[Viewer.FRIEND]
    token = browsers.tokens[viewer]
    for page in TABLE:
        if page.method != "POST":
            continue
        path = address(browsers.around, page, "account" if "account" in PAGES[key_of(page)].targets else "", "")
        for wrong in ("", "x", other, token[:-1] + ("0" if token[-1] != "0" else "1"), token.upper() + "00"):
            answer = await browsers.ask("POST", path, viewer, token=wrong)
            assert answer.status_code == 403, (key_of(page), wrong)
        for headers in (
            ELSEWHERE,
            {"sec-fetch-site": "same-site"},
            {"origin": "https://evil.example"},
            {"origin": "null"},
        ):
            answer = await browsers.ask("POST", path, viewer, headers=headers)
            assert answer.status_code == 403, (key_of(page), headers)
            assert answer.headers["content-type"].startswith("text/html")
    assert (await browsers.ask("GET", "/home", viewer)).status_code == 200  # and is still signed in


async def test_a_session_opens_nothing_of_the_api(browsers: Browsers) -> None:
    secret = browsers.sessions[Viewer.SELF]
    for headers in ({"cookie": f"{SESSION}={secret}"}, {"authorization": f"Bearer {secret}"}):
        for path in ("/api/v1/timelines/home", "/api/v1/accounts/verify_credentials", "/api/v1/streaming/user"):
            answer = await browsers.ask("GET", path, Viewer.ANONYMOUS, headers=headers)
            assert answer.status_code == 401, (path, headers)
        answer = await browsers.ask("POST", "/api/v1/statuses", Viewer.ANONYMOUS, headers=headers)
        assert answer.status_code == 401


def test_every_page_has_a_row_and_every_row_a_page() -> None:
    """Whoever adds a page says in tests/authorization/expectations.py who may see it."""
    assert {key_of(page) for page in TABLE} == set(PAGES)
