"""What Kodama has not is empty or refused with a sentence, in a form that clients can read."""

import pytest

from services.gateway.auth import Open
from services.gateway.routes.absent import EMPTY_LISTS, EMPTY_LISTS_OF_MEMBERS, REFUSALS
from tests.integration.gateway.conftest import Network

GONE = "99999"


async def test_lists_are_empty(shared_network: Network) -> None:
    hana = await shared_network.newcomer()
    for path, policy, _ in EMPTY_LISTS:
        http = shared_network.http if policy is Open.PUBLIC else hana.http
        answer = await http.get(path.format(hashtag="花"), params={"limit": 10})
        assert (answer.status_code, answer.json()) == (200, []), path
    for path, _, _ in EMPTY_LISTS_OF_MEMBERS:
        assert (await hana.http.get(path.format(id=hana.id))).json() == []
        assert (await hana.http.get(path.format(id=GONE))).status_code == 404
    assert (await shared_network.http.get("/api/v1/instance/translation_languages")).json() == {}


async def test_the_scopes_are_those_of_the_mastodon_api(shared_network: Network) -> None:
    [hana] = await shared_network.sign_up("only_lists", scopes="read:lists read:filters read:bookmarks")
    for path, code in (("lists", 200), ("filters", 200), ("bookmarks", 200), ("announcements", 403)):
        assert (await hana.http.get(f"/api/v1/{path}")).status_code == code


@pytest.mark.parametrize(("verb", "undo"), [(verb, undo) for verb, undo, _, _ in REFUSALS])
async def test_what_cannot_be_done_to_a_status(shared_network: Network, verb: str, undo: str) -> None:
    hana, mio = await shared_network.newcomer(), await shared_network.newcomer()
    body = {"status": "for friends", "visibility": "private"}
    status = (await hana.http.post("/api/v1/statuses", json=body)).json()["id"]
    refused = await hana.http.post(f"/api/v1/statuses/{status}/{verb}")
    assert refused.status_code == 422
    assert refused.json()["error"].endswith(".")
    undone = await hana.http.post(f"/api/v1/statuses/{status}/{undo}")
    assert (undone.status_code, undone.json()["id"]) == (200, status)
    for act in (verb, undo):
        hidden = await mio.http.post(f"/api/v1/statuses/{status}/{act}")
        gone = await mio.http.post(f"/api/v1/statuses/{GONE}/{act}")
        assert (hidden.status_code, hidden.content) == (404, gone.content)
    assert (await hana.http.get(f"/api/v1/statuses/{status}/reblogged_by")).json() == []
    assert (await mio.http.get(f"/api/v1/statuses/{status}/reblogged_by")).status_code == 404
