"""Search: members by name, and what has an address here, for whom may see it."""

import pytest

from tests.integration.gateway.conftest import Member, Network


async def search(member: Member, **params: object) -> dict[str, list[str]]:
    answer = await member.http.get("/api/v2/search", params={name: str(value) for name, value in params.items()})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert set(found) == {"accounts", "statuses", "hashtags"}
    return {kind: [one["id"] for one in found[kind]] for kind in found}


async def test_members_by_name(shared_network: Network) -> None:
    hana, ken = await shared_network.newcomer(), await shared_network.newcomer()
    netloc = shared_network.url.partition("://")[2]
    for text in (ken.handle, f"@{ken.handle}", f"@{ken.handle}@{netloc}", f" {ken.handle.upper()} "):
        assert (await search(hana, q=text))["accounts"][:1] == [ken.id]
        assert (await search(hana, q=text, resolve="true", type="accounts", limit=1))["accounts"] == [ken.id]
    assert (await search(hana, q=f"@{ken.handle}@elsewhere.example"))["accounts"] == []
    assert (await search(hana, q=ken.handle, type="statuses"))["accounts"] == []
    assert (await search(hana, q=ken.handle, following=1))["accounts"] == []
    await shared_network.befriend(hana, ken)
    assert (await search(hana, q=ken.handle, following=1))["accounts"] == [ken.id]
    assert (await search(hana, q="x" * 201))["accounts"] == []


async def test_addresses(shared_network: Network) -> None:
    hana, ken = await shared_network.newcomer(), await shared_network.newcomer()
    status = (await ken.http.post("/api/v1/statuses", json={"status": "here"})).json()
    private = (await ken.http.post("/api/v1/statuses", json={"status": "p", "visibility": "private"})).json()
    entry = (await ken.http.post("/api/v1/blogs", json={"title": "t", "text": "x", "visibility": "public"})).json()
    nothing: dict[str, list[str]] = {"accounts": [], "statuses": [], "hashtags": []}
    for address in (status["account"]["url"], f"{status['account']['url']}/"):
        assert await search(hana, q=address) == nothing | {"accounts": [ken.id]}
    assert await search(hana, q=status["url"]) == nothing | {"statuses": [status["id"]]}
    assert await search(hana, q=f"{status['url']}?a=b#c", type="statuses") == nothing | {"statuses": [status["id"]]}
    assert await search(hana, q=entry["url"]) == nothing | {"statuses": [entry["id"]]}
    assert await search(ken, q=private["url"]) == nothing | {"statuses": [private["id"]]}
    assert await search(hana, q=status["url"], account_id=ken.id) == nothing | {"statuses": [status["id"]]}
    for unseen in (
        {"q": private["url"]},
        {"q": status["url"].replace(ken.handle, hana.handle)},
        {"q": f"{shared_network.url}/@nobody_at_all"},
        {"q": f"{shared_network.url}/@{ken.handle}/{'9' * 19}"},
        {"q": f"{shared_network.url}/@{ken.handle}/nothing"},
        {"q": f"https://elsewhere.example/@{ken.handle}"},
        {"q": status["url"], "type": "accounts"},
        {"q": status["url"], "account_id": hana.id},
        {"q": status["url"], "offset": 1},
        {"q": "#hashtag", "type": "hashtags"},
        {"q": " "},
    ):
        assert await search(hana, **unseen) == nothing, unseen


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "q"),
        ({"q": "x", "type": "y"}, "type"),
        ({"q": "x", "offset": -1}, "offset"),
        ({"q": "x", "limit": 0}, "limit"),
    ],
)
async def test_questions_that_cannot_be(shared_network: Network, params: dict[str, object], field: str) -> None:
    hana = await shared_network.newcomer()
    answer = await hana.http.get("/api/v2/search", params={name: str(value) for name, value in params.items()})
    assert (answer.status_code, answer.json()["field"]) == (422, field)
