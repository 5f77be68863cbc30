"""The Idempotency-Key header, on writes of every service."""

import pytest

from tests.integration.gateway.conftest import PASSWORD, Network


def key(value: str = "k") -> dict[str, str]:
    return {"idempotency-key": value}


async def test_what_is_done_twice_is_done_once(shared_network: Network) -> None:
    hana, ken = await shared_network.newcomer(), await shared_network.newcomer()
    status = (await hana.http.post("/api/v1/statuses", json={"status": "once"})).json()
    deleted = [await hana.http.delete(f"/api/v1/statuses/{status['id']}", headers=key()) for _ in range(2)]
    assert [answer.status_code for answer in deleted] == [200, 200]
    assert [answer.json()["text"] for answer in deleted] == ["once", "once"]
    assert (await hana.http.delete(f"/api/v1/statuses/{status['id']}")).status_code == 404

    asked = await hana.http.post(f"/api/v1/accounts/{ken.id}/follow", headers=key("f"))
    await ken.http.post(f"/api/v1/follow_requests/{hana.id}/authorize")
    assert (await hana.http.post(f"/api/v1/accounts/{ken.id}/follow", headers=key("f"))).json() == asked.json()
    ended = await hana.http.post(f"/api/v1/accounts/{ken.id}/unfollow", headers=key("u"))
    assert (await hana.http.post(f"/api/v1/accounts/{ken.id}/unfollow", headers=key("u"))).json() == ended.json()


async def test_a_key_with_another_request(shared_network: Network) -> None:
    hana, ken = await shared_network.newcomer(), await shared_network.newcomer()
    await hana.http.post(f"/api/v1/accounts/{ken.id}/block", headers=key())
    answer = await hana.http.post(f"/api/v1/accounts/{ken.id}/unblock", headers=key())
    assert answer.status_code == 422
    assert "idempotency key" in answer.json()["error"]
    relations = await hana.http.get("/api/v1/accounts/relationships", params={"id[]": ken.id})
    assert relations.json()[0]["blocking"]


async def test_a_sign_up_is_answered_again_to_its_app_only(shared_network: Network) -> None:
    form = {"username": "twice", "email": "twice@example.com", "password": PASSWORD, "agreement": True, "locale": "en"}
    app = shared_network.signed_in(await shared_network.app_token())
    other_app = shared_network.signed_in(await shared_network.app_token())
    tokens = []
    for _ in range(2):
        answer = await app.post("/api/v1/accounts", json=form, headers=key())
        assert answer.status_code == 200, answer.text
        tokens.append(answer.json()["access_token"])
    assert len(set(tokens)) == 2  # a token exists once: the second answer has one of its own
    for token in tokens:
        own = await shared_network.signed_in(token).get("/api/v1/accounts/verify_credentials")
        assert own.json()["username"] == "twice"
    guessed = await app.post("/api/v1/accounts", json=form | {"password": "something else"}, headers=key())
    assert guessed.status_code == 422
    assert (await other_app.post("/api/v1/accounts", json=form, headers=key())).status_code == 422


@pytest.mark.parametrize("path", ["/api/v1/statuses", "/api/v1/accounts/1/follow", "/api/v1/blogs"])
async def test_a_key_that_cannot_be_one(shared_network: Network, path: str) -> None:
    hana = await shared_network.newcomer()
    body = {"status": "x", "title": "x", "text": "x"}
    answer = await hana.http.post(path, json=body, headers=key("k" * 256))
    assert answer.status_code == 422
    assert answer.json()["field"] == "Idempotency-Key"


async def test_a_read_takes_no_key(shared_network: Network) -> None:
    hana = await shared_network.newcomer()
    answer = await hana.http.get("/api/v1/accounts/verify_credentials", headers=key("k" * 256))
    assert answer.status_code == 200
