"""The API's description, as a program and as a person reads it."""

import re
from html.parser import HTMLParser

from services.gateway.openapi import documented_path
from services.gateway.routes import TABLE
from tests.integration.gateway.conftest import Network


class Tags(HTMLParser):
    """Collects what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.addresses: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses |= {value or "" for name, value in attrs if name in ("src", "href", "action")}


async def test_the_document_is_served(shared_network: Network) -> None:
    answer = await shared_network.http.get("/api/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": shared_network.url}]
    assert set(document["paths"]) == {documented_path(route) for route in TABLE}


async def test_the_page_runs_nothing_and_asks_nobody(shared_network: Network) -> None:
    answer = await shared_network.http.get("/api/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for route in TABLE:
        assert f"{route.method} {documented_path(route)}</code>" in answer.text
    page = Tags()
    page.feed(answer.text)
    assert "script" not in page.names
    assert not any(re.match(r"on|style$", name) for name in page.attributes)
    assert all(address.startswith(("#", "/")) and not address.startswith("//") for address in page.addresses)
