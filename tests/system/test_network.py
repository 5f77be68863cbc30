"""What a stranger does with a fresh network, over HTTP, and a whole school that moves in."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from kodama.account.v1 import oauth_service_pb2 as oauth_pb
from kodama.ledger.v1 import ledger_service_pb2 as ledger_pb

from chassis.rpc import call
from services.cli.network import Network, open_network
from tests.system.conftest import TrialNetwork
from tests.system.graphs import real_graph

pytestmark = pytest.mark.system

STATUSES = 2000
AT_A_TIME = 16
SCOPES = "read write follow"
SETTLE_SECONDS = 900
Result = TypeVar("Result")


@pytest.fixture
async def http(network: TrialNetwork) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway."""
    async with httpx.AsyncClient(base_url=network.address, timeout=30) as client:
        yield client


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def _app_token(http: httpx.AsyncClient) -> str:
    form = {"client_name": "stranger", "redirect_uris": "urn:ietf:wg:oauth:2.0:oob", "scopes": SCOPES}
    app = (await http.post("/api/v1/apps", data=form)).raise_for_status().json()
    grant = {
        "grant_type": "client_credentials",
        "client_id": app["client_id"],
        "client_secret": app["client_secret"],
        "scope": SCOPES,
    }
    return str((await http.post("/oauth/token", data=grant)).raise_for_status().json()["access_token"])


async def _sign_up(http: httpx.AsyncClient, app_token: str, username: str) -> tuple[str, str]:
    """Return the new member's id and token."""
    form = {"username": username, "email": f"{username}@example.org", "password": "correct horse", "agreement": "true"}
    answer = await http.post("/api/v1/accounts", data={**form, "locale": "en"}, headers=_bearer(app_token))
    token = str(answer.raise_for_status().json()["access_token"])
    me = (await http.get("/api/v1/accounts/verify_credentials", headers=_bearer(token))).raise_for_status().json()
    return str(me["id"]), token


async def _eventually(ask: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for a condition that workers bring about."""
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            while not await ask():
                await asyncio.sleep(0.1)  # what is asked for happens in other processes
    except TimeoutError:
        pytest.fail(f"not within {SETTLE_SECONDS} s: {what}")


async def test_a_stranger_befriends_posts_and_is_heard(network: TrialNetwork, http: httpx.AsyncClient) -> None:
    app_token = await _app_token(http)
    ann_id, ann = await _sign_up(http, app_token, "ann")
    bob_id, bob = await _sign_up(http, app_token, "bob")
    cid_id, cid = await _sign_up(http, app_token, "cid")
    assert (await http.get("/api/v1/timelines/home", headers=_bearer(bob))).json() == []

    for asker, asked_id, asker_id, answerer in ((ann, bob_id, ann_id, bob), (bob, cid_id, bob_id, cid)):
        asked = await http.post(f"/api/v1/accounts/{asked_id}/follow", headers=_bearer(asker))
        assert asked.json()["requested"] is True
        accepted = await http.post(f"/api/v1/follow_requests/{asker_id}/authorize", headers=_bearer(answerer))
        assert accepted.json()["following"] is True

    posted = (
        await http.post(
            "/api/v1/statuses", data={"status": "やっほー"}, headers={**_bearer(ann), "Idempotency-Key": "1"}
        )
    ).json()
    again = (
        await http.post(
            "/api/v1/statuses", data={"status": "やっほー"}, headers={**_bearer(ann), "Idempotency-Key": "1"}
        )
    ).json()
    assert again["id"] == posted["id"]
    form = {"title": "はじめまして", "text": "本文", "visibility": "friends"}
    entry = (await http.post("/api/v1/blogs", data=form, headers=_bearer(ann))).raise_for_status().json()

    home = (await http.get("/api/v1/timelines/home", headers=_bearer(bob))).json()
    assert [status["id"] for status in home] == [entry["id"], posted["id"]]
    assert home[1]["content"] == "<p>やっほー</p>"

    async def arrived() -> bool:
        rows = network.query("SELECT count(*) FROM status.ledger")
        return rows[0][0] == 0

    await _eventually(arrived, "the status goes through the ledger, RabbitMQ and Celery")

    async def suggested() -> bool:
        suggestions = (await http.get("/api/v2/suggestions", headers=_bearer(ann))).json()
        return [one["account"]["id"] for one in suggestions if one["mutuals_count"]] == [cid_id]

    await _eventually(suggested, "Cid is suggested to Ann, because of Bob")
    for number in range(3):
        await http.post("/api/v1/statuses", json={"status": f"{number}"}, headers=_bearer(ann))
    latest = await http.get(f"/api/v1/accounts/{ann_id}/statuses", params={"limit": 2}, headers=_bearer(bob))
    assert [status["content"] for status in latest.json()] == ["<p>2</p>", "<p>1</p>"]
    assert 'rel="next"' in latest.headers["link"]
    gone = (await http.delete(f"/api/v1/statuses/{posted['id']}", headers=_bearer(ann))).json()
    assert gone["text"] == "やっほー"
    assert (await http.get(f"/api/v1/statuses/{posted['id']}", headers=_bearer(bob))).status_code == 404


async def test_posts_are_heard_while_the_broker_is_away_and_delivered_when_it_is_back(
    network: TrialNetwork, http: httpx.AsyncClient
) -> None:
    app_token = await _app_token(http)
    dan_id, dan = await _sign_up(http, app_token, "dan")
    eve_id, eve = await _sign_up(http, app_token, "eve")
    await http.post(f"/api/v1/accounts/{eve_id}/follow", headers=_bearer(dan))
    await http.post(f"/api/v1/follow_requests/{dan_id}/authorize", headers=_bearer(eve))
    await http.get("/api/v1/timelines/home", headers=_bearer(eve))
    await _eventually(lambda: _is_pushed_to(network), "the margin before pushing begins is over")

    [broker] = network.find_processes(lambda process: process.name() == "beam.smp")
    broker.kill()
    posted = [
        (await http.post("/api/v1/statuses", json={"status": f"{number}"}, headers=_bearer(dan))).json()["id"]
        for number in range(20)
    ]
    home = (await http.get("/api/v1/timelines/home", headers=_bearer(eve))).raise_for_status().json()
    assert [status["id"] for status in home] == posted[::-1]

    async def delivered() -> bool:
        rows = network.query("SELECT entry_id FROM timeline.entries WHERE account_id = %s ORDER BY 1", int(eve_id))
        return [str(row[0]) for row in rows] == posted

    await _eventually(delivered, "what was posted while the broker was away is pushed")


async def test_a_school_moves_in_and_everybody_hears_every_friend(
    network: TrialNetwork, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    edges = real_graph(tmp_path)
    imported = network.kodama("import", "friendships", str(edges), "--prefix", "reed_")
    assert imported.returncode == 0, imported.stdout + imported.stderr
    again = network.kodama("import", "friendships", str(edges), "--prefix", "reed_")
    assert re.search(r"\(0 new\), [\d,]+ friendships \(0 new\)", again.stdout), again.stdout + again.stderr

    async with open_network(network.settings) as operator:
        tokens = await _tokens_of_imported_members(network, operator)
        await _all(_read_home(http, tokens, member) for member in tokens)  # from now on they are pushed to
        await _eventually(lambda: _is_pushed_to(network), "the margin before pushing begins is over")
        chance = random.Random(98)
        await _all(_post(http, chance.choice(list(tokens.values())), number) for number in range(STATUSES))
        await _eventually(lambda: _is_quiet(operator), "all work is done")

    truth = _true_homes(network)
    assert sum(len(entries) for entries in truth.values()) > STATUSES
    pushed = network.query(
        "SELECT e.account_id, e.entry_id FROM timeline.entries AS e JOIN timeline.homes AS h USING (account_id)"
        " WHERE e.entry_id >= h.pushed_from"
    )
    own = network.query("SELECT account_id, id FROM status.statuses")
    assert {(a, e) for a, e in pushed if a in tokens} == {(a, e) for a, es in truth.items() for e in es} - set(own)

    homes = await _all(_read_home(http, tokens, member) for member in tokens)
    assert dict(zip(tokens, homes, strict=True)) == truth

    suggestions = await _all(_suggestions(http, token) for token in tokens.values())
    assert set(suggestions) == {40}, "who has no friends of friends is shown whom many know"


async def _tokens_of_imported_members(network: TrialNetwork, operator: Network) -> dict[int, str]:
    members = network.query("SELECT id FROM account.accounts WHERE handle LIKE 'reed%%' ORDER BY id")

    async def token(member: int) -> str:
        request = oauth_pb.IssueAccountTokenRequest(account_id=member)
        answer = await call(operator.oauth.IssueAccountToken, request, operator.signer, timeout_seconds=20)
        return answer.token.access_token

    ids = [int(str(row[0])) for row in members]
    return dict(zip(ids, await _all(token(member) for member in ids), strict=True))


async def _all(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run coroutines, so many at a time, and return their results in order."""
    gate = asyncio.Semaphore(AT_A_TIME)

    async def one(coroutine: Coroutine[Any, Any, Result]) -> Result:
        async with gate:
            return await coroutine

    return list(await asyncio.gather(*(one(coroutine) for coroutine in work)))


async def _post(http: httpx.AsyncClient, token: str, number: int) -> None:
    answer = await http.post("/api/v1/statuses", json={"status": f"echo {number}"}, headers=_bearer(token))
    answer.raise_for_status()


async def _read_home(http: httpx.AsyncClient, tokens: dict[int, str], member: int) -> list[int]:
    """Return all of a home timeline, page by page along the Link header."""
    entries: list[int] = []
    url: str | None = "/api/v1/timelines/home?limit=40"
    while url:
        page = (await http.get(url, headers=_bearer(tokens[member]))).raise_for_status()
        entries += [int(status["id"]) for status in page.json()]
        url = page.links.get("next", {}).get("url")
    return entries


async def _suggestions(http: httpx.AsyncClient, token: str) -> int:
    return len((await http.get("/api/v2/suggestions", headers=_bearer(token))).raise_for_status().json())


async def _is_pushed_to(network: TrialNetwork) -> bool:
    rows = network.query(
        "SELECT count(*) FROM timeline.homes WHERE pushed_from > (extract(epoch FROM now()) * 1000)::bigint << 16"
    )
    return rows[0][0] == 0


async def _is_quiet(operator: Network) -> bool:
    for ledger in operator.ledgers.values():
        answer = await call(ledger.GetLag, ledger_pb.GetLagRequest(), operator.signer, timeout_seconds=20)
        if answer.tasks:
            return False
    return True


def _true_homes(network: TrialNetwork) -> dict[int, list[int]]:
    rows = network.query(
        """
        WITH authors AS (
            SELECT account_id, friend_id AS author_id FROM social_graph.friendships
            UNION ALL SELECT id, id FROM account.accounts
        )
        SELECT a.id, coalesce(array_agg(s.id ORDER BY s.id DESC) FILTER (WHERE s.id IS NOT NULL), '{}')
        FROM account.accounts AS a JOIN authors ON authors.account_id = a.id
        LEFT JOIN status.statuses AS s ON s.account_id = authors.author_id
        WHERE a.handle LIKE 'reed%%' GROUP BY a.id ORDER BY a.id
        """
    )
    return {int(str(account_id)): list(entries) for account_id, entries in rows}  # type: ignore[call-overload]  # arrays
