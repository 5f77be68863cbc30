"""Confirmation by e-mail as members and their apps see it: a real gateway, a real mail server, and the chore that sends."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from chassis.settings import SERVICES
from services.gateway.auth import Open
from services.gateway.routes import TABLE
from tests.conftest import fresh_settings, run_services
from tests.integration.account.mail_box import MailBox, open_mail_box
from tests.integration.gateway.conftest import PASSWORD, SCOPES, Network, open_network
from tests.integration.gateway.test_pages import Elements
from tests.integration.gateway.test_policies import ask

SENTENCE = "Your login is missing a confirmed e-mail address"
ADMITTED = {
    ("POST", "/api/v1/emails/confirmations"),
    ("GET", "/api/v1/emails/check_confirmation"),
    ("GET", "/api/v1/apps/verify_credentials"),
}


@dataclass
class Mailed:
    """A network that has addresses confirmed."""

    network: Network
    box: MailBox

    async def sign_up(self, handle: str) -> httpx.AsyncClient:
        """Sign somebody up and return their client; nothing is confirmed yet."""
        form = {
            "username": handle,
            "email": f"{handle}@example.com",
            "password": PASSWORD,
            "agreement": True,
            "locale": "en",
        }
        app = {"authorization": f"Bearer {await self.network.app_token()}"}
        answer = await self.network.http.post("/api/v1/accounts", json=form, headers=app)
        assert answer.status_code == 200, answer.text
        return self.network.signed_in(answer.json()["access_token"])

    async def token_of(self, handle: str) -> str:
        """Return the token of the newest link that was mailed to a member, once it is there."""
        while f"{handle}@example.com" not in self.box.recipients:
            await self.box.wait(len(self.box.mails) + 1)
        last = max(place for place, to in enumerate(self.box.recipients) if to == f"{handle}@example.com")
        return self.box.token(last)

    async def member(self, handle: str) -> httpx.AsyncClient:
        http = await self.sign_up(handle)
        answer = await self.network.http.post("/auth/confirm", data={"token": await self.token_of(handle)})
        assert answer.status_code == 200, answer.text
        return http


@pytest.fixture(scope="module")
async def mailed(postgres_url: str, template_database: str) -> AsyncIterator[Mailed]:
    with fresh_settings(postgres_url, template_database) as fresh:
        async with open_mail_box() as box:
            settings = fresh.model_copy(
                update={"confirm_email": True, "smtp_url": box.url, "mail_from": "kodama@example.org"}
            )
            async with run_services(settings, *SERVICES), open_network(settings) as network:
                yield Mailed(network, box)


async def test_from_the_sign_up_to_the_first_status(mailed: Mailed) -> None:
    hana = await mailed.sign_up("hana")
    refused = await hana.post("/api/v1/statuses", json={"status": "hello"})
    assert (refused.status_code, refused.json()["error"]) == (403, SENTENCE)
    assert (await hana.get("/api/v1/emails/check_confirmation")).json() is False

    token = await mailed.token_of("hana")
    page = await mailed.network.http.get("/auth/confirm", params={"token": token, "lang": "ja"})
    assert page.status_code == 200
    assert page.headers["cache-control"] == "private, no-store"
    assert page.headers["referrer-policy"] == "same-origin"  # no other site is told the address with its token
    elements = Elements(page.text)
    assert "ボタンを押してください" in elements.text
    [form] = [attributes for tag, attributes in elements.seen if tag == "form"]
    assert form == {"method": "post", "action": "/auth/confirm"}
    sent = {str(attributes["name"]): attributes["value"] for tag, attributes in elements.seen if tag == "input"}
    # Whoever only opens the link, such as a program that looks into mails, has confirmed nothing.
    assert (await hana.get("/api/v1/emails/check_confirmation")).json() is False

    for _ in range(2):
        done = await mailed.network.http.post("/auth/confirm", data=sent)
        assert done.status_code == 200
        assert "確認しました" in done.text
    assert (await hana.get("/api/v1/emails/check_confirmation")).json() is True
    posted = await hana.post("/api/v1/statuses", json={"status": "hello"})
    assert posted.status_code == 200, posted.text


async def test_nothing_but_confirming_is_let_through(mailed: Mailed) -> None:
    waiting = await mailed.sign_up("waiting")
    for route in TABLE:
        if route.policy is Open.PUBLIC or (route.method, route.path) in ADMITTED:
            continue
        answer = await ask(waiting, route)
        assert answer.status_code == 403, (route.method, route.path)
        if route.policy is Open.APP or str(route.policy) in SCOPES or str(route.policy).startswith(("read", "write")):
            assert answer.json()["error"] == SENTENCE, (route.method, route.path)
    for method, path in ADMITTED:
        assert (await waiting.request(method, path)).status_code == 200, path
    assert {(route.method, route.path) for route in TABLE if route.admits_unconfirmed} == ADMITTED


async def test_no_socket_is_opened(mailed: Mailed) -> None:
    waiting = await mailed.sign_up("listener")
    url = mailed.network.url.replace("http", "ws") + "/api/v1/streaming"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, additional_headers={"authorization": waiting.headers["authorization"]}, proxy=None):
            pass
    assert refused.value.response.status_code == 403


async def test_who_waits_is_not_there_for_others(mailed: Mailed) -> None:
    ken = await mailed.member("ken")
    await mailed.sign_up("ghost")
    await mailed.token_of("ghost")
    assert (await ken.get("/api/v1/accounts/lookup", params={"acct": "ghost"})).status_code == 404
    for query in ("ghost", "@ghost", "gho"):
        assert (await ken.get("/api/v1/accounts/search", params={"q": query})).json() == []
    assert (await mailed.network.http.get("/@ghost")).status_code == 404
    posted = await ken.post("/api/v1/statuses", json={"status": "hello @ghost"})
    assert posted.json()["mentions"] == []
    taken = await mailed.network.http.post(
        "/api/v1/accounts",
        json={"username": "ghost", "email": "other@example.com", "password": PASSWORD, "agreement": True},
        headers={"authorization": f"Bearer {await mailed.network.app_token()}"},
    )
    assert taken.status_code == 422
    await mailed.network.http.post("/auth/confirm", data={"token": await mailed.token_of("ghost")})
    found = await ken.get("/api/v1/accounts/lookup", params={"acct": "ghost"})
    assert found.status_code == 200
    assert [one["id"] for one in (await ken.get("/api/v1/accounts/search", params={"q": "gho"})).json()] == [
        found.json()["id"]
    ]
    assert (await ken.post(f"/api/v1/accounts/{found.json()['id']}/follow")).status_code == 200


async def test_the_mail_is_sent_again_to_a_better_address(mailed: Mailed) -> None:
    mistyped = await mailed.sign_up("mistyped")
    await mailed.token_of("mistyped")
    wrong = await mailed_to(mistyped, "nonsense")
    assert (wrong.status_code, wrong.json()["field"]) == (422, "email")
    right = await mailed_to(mistyped, "right@example.com")
    assert (right.status_code, right.json()) == (200, {})
    await mailed.network.http.post("/auth/confirm", data={"token": await mailed.token_of("mistyped")})
    assert (await mistyped.get("/api/v1/emails/check_confirmation")).json() is False  # that link has ended


async def mailed_to(http: httpx.AsyncClient, email: str) -> httpx.Response:
    return await http.post("/api/v1/emails/confirmations", json={"email": email})


async def test_who_is_confirmed_is_sent_no_more_mails(mailed: Mailed) -> None:
    done = await mailed.member("done")
    answer = await done.post("/api/v1/emails/confirmations")
    assert answer.status_code == 403
    assert "awaiting confirmation" in answer.json()["error"]


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "x" * 300, "<script>", "花"])
async def test_a_wrong_link_says_nothing_of_anybody(mailed: Mailed, token: str) -> None:
    unknown = await mailed.network.http.post("/auth/confirm", data={"token": "y" * 43})
    answer = await mailed.network.http.post("/auth/confirm", data={"token": token})
    assert (answer.status_code, answer.text) == (404, unknown.text)
    assert "<script>" not in (await mailed.network.http.get("/auth/confirm", params={"token": token})).text


async def test_by_default_everybody_is_confirmed(shared_network: Network) -> None:
    member = await shared_network.newcomer()
    assert (await member.http.get("/api/v1/emails/check_confirmation")).json() is True
    assert (await member.http.get("/api/v1/timelines/home")).status_code == 200


async def test_a_browser_waits_for_its_mail(mailed: Mailed) -> None:
    """Who has signed up on the pages is kept at one page until the link was opened, and is in then."""
    http = mailed.network.http
    form = {"username": "walker", "email": "walker@example.com", "password": PASSWORD, "agreement": "true"}
    signed_up = await http.post("/sign-up", data=form)
    session = {"cookie": signed_up.headers["set-cookie"].partition(";")[0]}
    assert session["cookie"].startswith("__Host-kodama=")
    for path in ("/home", "/settings/profile", "/blog/write", "/live"):
        held = await http.get(path, headers=session)
        assert (held.status_code, held.headers["location"]) == (303, "/sign-up/confirmation"), path
    waiting = await http.get("/sign-up/confirmation", headers=session)
    assert "A mail is on its way to you." in waiting.text
    assert (await http.get("/", headers=session)).status_code == 200  # what anybody sees
    tokens = [
        str(attributes["value"])
        for _, attributes in Elements(waiting.text).seen
        if attributes.get("name") == "csrf_token" and attributes["value"]
    ]
    again = await http.post("/sign-up/confirmation", data={"csrf_token": tokens[0]}, headers=session)
    assert "The mail is sent again." in again.text
    confirmed = await http.post("/auth/confirm", data={"token": await mailed.token_of("walker")})
    assert confirmed.status_code == 200, confirmed.text
    assert (await http.get("/home", headers=session)).status_code == 200
    done = await http.get("/sign-up/confirmation", headers=session)
    assert done.headers["location"] == "/home"
    out = await http.post("/sign-out", data={"csrf_token": tokens[0]}, headers=session)
    assert out.status_code == 303
