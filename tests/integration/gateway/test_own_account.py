"""What members see and change of their own account, in all forms that clients send it in, and how others find them."""

from typing import Any

from tests.integration.gateway.conftest import Network

PATH = "/api/v1/accounts/update_credentials"


async def test_a_change_is_seen_in_the_answer_and_by_the_next_read(shared_network: Network) -> None:
    member, other = await shared_network.newcomer(), await shared_network.newcomer()
    want = {"display_name": "はな", "note": "見て: https://example.com", "locked": "true", "bot": "1"}
    requests: list[dict[str, Any]] = [
        {"json": {**want, "locked": True, "bot": True, "source": {"privacy": "private", "language": "en"}}},
        {
            "data": {
                **want,
                "source[privacy]": "unlisted",
                "source[sensitive]": "true",
                "fields_attributes[0][name]": "x",
            }
        },
        {"files": {name: (None, value) for name, value in {**want, "source[privacy]": "public"}.items()}},
    ]
    for request, privacy in zip(requests, ("private", "unlisted", "public"), strict=True):
        answer = await member.http.patch(PATH, **request)
        assert answer.status_code == 200, answer.text
        changed = answer.json()
        assert (changed["display_name"], changed["bot"], changed["locked"]) == ("はな", True, True)
        assert '<a href="https://example.com"' in changed["note"]
        assert (changed["source"]["note"], changed["source"]["privacy"]) == (want["note"], privacy)
        assert changed == (await member.http.get("/api/v1/accounts/verify_credentials")).json()
        seen = (await other.http.get(f"/api/v1/accounts/{member.id}")).json()
        assert (seen["display_name"], seen["note"], seen["bot"]) == ("はな", changed["note"], True)
        assert "source" not in seen
        preferences = (await member.http.get("/api/v1/preferences")).json()
        assert preferences["posting:default:visibility"] == privacy
        assert preferences["posting:default:language"] == "en"
        posted = await member.http.post("/api/v1/statuses", json={"status": "as my settings say"})
        assert posted.json()["visibility"] == privacy
    assert (preferences["posting:default:sensitive"], preferences["reading:expand:media"]) == (True, "default")
    cleared = (await member.http.patch(PATH, data={"display_name": "", "note": "", "bot": "false"})).json()
    assert (cleared["display_name"], cleared["note"], cleared["bot"]) == (member.handle, "", False)
    assert (await member.http.patch(PATH)).json() == cleared


async def test_a_wrong_change_names_its_field(shared_network: Network) -> None:
    member = await shared_network.newcomer()
    before = (await member.http.get("/api/v1/accounts/verify_credentials")).json()
    for change, field in (
        ({"display_name": "x" * 61, "note": "new"}, "display_name"),
        ({"note": "x" * 501, "bot": True}, "note"),
        ({"note": "x" * 100_001}, "note"),
        ({"bot": "perhaps"}, "bot"),
        ({"locked": False}, "locked"),
        ({"source": {"privacy": "direct"}}, "source.privacy"),
        ({"source": {"language": "not a language"}}, "source[language]"),
        ({"source": "public"}, "source"),
    ):
        answer = await member.http.patch(PATH, json=change)
        assert (answer.status_code, answer.json()["field"]) == (422, field), (change, answer.text)
    assert (await member.http.get("/api/v1/accounts/verify_credentials")).json() == before


async def test_members_are_found_by_name(network: Network) -> None:
    hana, ken, hanae = await network.sign_up("hana", "ken", "hanae")
    await network.befriend(ken, hanae)
    domain = network.url.removeprefix("http://")
    for params, found in (
        ({"q": "han"}, ["hana", "hanae"]),
        ({"q": "@hana"}, ["hana", "hanae"]),
        ({"q": f"hana@{domain}", "resolve": "true"}, ["hana", "hanae"]),
        ({"q": "hana@elsewhere.example", "resolve": "true"}, []),
        ({"q": "han", "limit": "1"}, ["hana"]),
        ({"q": "han", "limit": "1", "offset": "1"}, ["hanae"]),
        ({"q": "han", "limit": "1000"}, ["hana", "hanae"]),
        ({"q": "han", "following": "true"}, ["hanae"]),
        ({"q": "nobody"}, []),
        ({"q": ""}, []),
    ):
        answer = await ken.http.get("/api/v1/accounts/search", params=params)
        assert (answer.status_code, [one["acct"] for one in answer.json()]) == (200, found), (params, answer.text)
    for params, field in (({}, "q"), ({"q": "x" * 201}, "q"), ({"q": "x", "offset": "1001"}, "offset")):
        answer = await ken.http.get("/api/v1/accounts/search", params=params)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    await hana.http.patch(PATH, data={"discoverable": "false"})
    assert [one["acct"] for one in (await ken.http.get("/api/v1/accounts/search?q=han")).json()] == ["hanae"]
    assert (await ken.http.get("/api/v1/accounts/search?q=hana")).json()[0]["acct"] == "hana"
    assert (await ken.http.get("/api/v1/accounts/lookup?acct=hana")).json()["discoverable"] is False
