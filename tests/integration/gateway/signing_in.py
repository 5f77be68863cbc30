"""What apps and browsers do so that a member signs in."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import httpx

from tests.integration.gateway.conftest import PASSWORD, Member, Network
from tests.integration.gateway.test_pages import Elements

OOB = "urn:ietf:wg:oauth:2.0:oob"
CALLBACK = "https://app.example/cb?kept=1"
NATIVE = "com.example.app:/cb"


@dataclass(frozen=True)
class App:
    """An app and what it knows of itself."""

    client_id: str
    client_secret: str | None

    def asks(self, **changes: str) -> dict[str, str]:
        """What it sends a browser with."""
        asked = {"response_type": "code", "client_id": self.client_id, "redirect_uri": CALLBACK, "scope": "read write"}
        return {name: value for name, value in {**asked, **changes}.items() if value}

    def fetches(self, code: str, **changes: str) -> dict[str, str]:
        """What it sends to the token endpoint."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "client_id": self.client_id}
        if self.client_secret:
            form["client_secret"] = self.client_secret
        return {name: value for name, value in {**form, **changes}.items() if value}


async def register(network: Network, **changes: Any) -> App:
    form: dict[str, Any] = {
        "client_name": "Tooter",
        "redirect_uris": [CALLBACK, NATIVE, OOB],
        "scopes": "read write:statuses write follow",
        "website": "https://app.example/about",
    }
    answer = await network.http.post("/api/v1/apps", json=form | changes)
    assert answer.status_code == 200, answer.text
    return App(answer.json()["client_id"], answer.json()["client_secret"])


def proof() -> tuple[str, dict[str, str]]:
    """A PKCE verifier and what is said of it beforehand."""
    verifier = secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return verifier, {"code_challenge": challenge, "code_challenge_method": "S256"}


async def decide(network: Network, member: Member, asked: dict[str, str], **changes: str) -> httpx.Response:
    """Open the page as a browser, fill the form in as it stands there, and send it."""
    page = await network.http.get("/oauth/authorize", params=asked)
    assert page.status_code == 200, page.text
    hidden = {
        str(attributes["name"]): str(attributes["value"])
        for tag, attributes in Elements(page.text).seen
        if tag == "input" and attributes["type"] == "hidden"
    }
    form = hidden | {"login": member.handle, "password": PASSWORD, "decision": "approve"} | changes
    return await network.http.post("/oauth/authorize", data=form)


def sent_to(answer: httpx.Response) -> tuple[str, dict[str, str]]:
    """Where a browser is sent, and with what."""
    assert answer.status_code == 303, answer.text
    address, _, query = answer.headers["location"].partition("?")
    return address, {name: values[0] for name, values in parse_qs(query).items()}


async def code_for(network: Network, member: Member, app: App, **changes: str) -> str:
    _, answer = sent_to(await decide(network, member, app.asks(**changes)))
    return answer["code"]
