"""Whatever is sent, it is a 4xx with a sentence and, where one is at fault, a field; never a 5xx, never half done."""

import asyncio
import json
from typing import Any

import httpx

from tests.integration.gateway.conftest import Network

JSON = {"content-type": "application/json"}


def sentence(answer: httpx.Response, code: int, field: str | None = None) -> dict[str, Any]:
    assert answer.status_code == code, (answer.request.url, answer.status_code, answer.text)
    body: dict[str, Any] = answer.json()
    assert body["error"]
    assert body["error_description"]
    assert body.get("field") == field, body
    assert "Traceback" not in answer.text
    return body


async def test_bodies_that_cannot_be_read(shared_network: Network) -> None:
    hana = await shared_network.newcomer()
    deep = b'{"a":' + b"[" * 30 + b"]" * 30 + b', "status": "x"}'
    parts = {f"field{number}": (None, "x") for number in range(30)}
    multipart = {"content-type": "multipart/form-data; boundary=x"}
    form = {"content-type": "application/x-www-form-urlencoded"}
    cases: list[tuple[int, dict[str, Any]]] = [
        *(
            (400, {"content": body, "headers": JSON})
            for body in (b"{", b"[]", b'"x"', b"\xff", b'{"status":"\\ud800"}', deep)
        ),
        (400, {"content": b"[" * 100_000, "headers": JSON}),
        (400, {"content": b"--y\r\n", "headers": multipart}),
        (400, {"content": b"x", "headers": {"content-type": "multipart/form-data"}}),
        (400, {"content": b'--x\r\nContent-Disposition: form-data; name="status"\r\n\r\ncut', "headers": multipart}),
        (400, {"files": parts}),
        (400, {"content": b"status=%ff%fe", "headers": form}),
        (400, {"content": b"status=%ed%a0%80", "headers": form}),
        (400, {"content": b"&".join(b"a=1" for _ in range(2000)), "headers": form}),
        (413, {"content": b"status=" + b"x" * 2_000_000, "headers": form}),
        (413, {"json": {"status": "x" * 2_000_000}}),
        (415, {"content": b"x", "headers": {"content-type": "text/plain"}}),
        (415, {"content": b"x", "headers": JSON | {"content-encoding": "gzip"}}),
    ]
    for code, request in cases:
        sentence(await hana.http.post("/api/v1/statuses", **request), code)
    sentence(await hana.http.get("/api/v1/timelines/home?max_id=%ff"), 400)
    assert (await hana.http.get(f"/api/v1/accounts/{hana.id}/statuses")).json() == []


async def test_a_large_body_without_a_length_is_refused_too(shared_network: Network) -> None:
    async def endless() -> Any:
        for _ in range(40):
            yield b"x" * 65536

    hana = await shared_network.newcomer()
    sentence(await hana.http.post("/api/v1/statuses", content=endless(), headers=JSON), 413)


async def test_statuses_that_cannot_be(shared_network: Network) -> None:
    hana = await shared_network.newcomer()
    for text in ("", "   ", "\u200b", "a" * 151, "a\0b", "a" * 200_000, 5, ["a"], {"a": 1}):
        sentence(await hana.http.post("/api/v1/statuses", json={"status": text}), 422, "status")
    raw = b'{"status": "a\\ud800\\u0041"}'
    assert (await hana.http.post("/api/v1/statuses", content=raw, headers=JSON)).status_code in (400, 422)
    # An encoding in which a client can write half of a surrogate pair.
    part = b'--x\r\nContent-Disposition: form-data; name="status"\r\n\r\na\\ud800\r\n--x--\r\n'
    escaping = {"content-type": "multipart/form-data; boundary=x; charset=unicode_escape"}
    sentence(await hana.http.post("/api/v1/statuses", content=part, headers=escaping), 422, "status")
    sentence(await hana.http.post("/api/v1/statuses", json={}), 422, "status")
    for visibility in ("friends", "everybody", 7):
        answer = await hana.http.post("/api/v1/statuses", json={"status": "x", "visibility": visibility})
        sentence(answer, 422, "visibility")
    long_key = await hana.http.post("/api/v1/statuses", json={"status": "x"}, headers={"idempotency-key": "k" * 256})
    sentence(long_key, 422, "Idempotency-Key")
    for field, value in (
        ("title", ""),
        ("title", "a\nb"),
        ("title", "x" * 201),
        ("text", ""),
        ("visibility", "unlisted"),
    ):
        entry = {"title": "t", "text": "x"} | {field: value}
        sentence(await hana.http.post("/api/v1/blogs", json=entry), 422, field)
    assert (await hana.http.get("/api/v1/timelines/home")).json() == []


async def test_ids_in_paths(shared_network: Network) -> None:
    hana = await shared_network.newcomer()
    for an_id in ("0", "-1", "abc", str(2**70), str(2**63), "1.0", "%00", "１", "a%2Fb", "99999"):
        for method, path in (
            ("GET", "/api/v1/accounts/{}"),
            ("GET", "/api/v1/accounts/{}/statuses"),
            ("GET", "/api/v1/accounts/{}/followers"),
            ("GET", "/api/v1/accounts/{}/blogs"),
            ("POST", "/api/v1/accounts/{}/follow"),
            ("POST", "/api/v1/accounts/{}/block"),
            ("POST", "/api/v1/follow_requests/{}/authorize"),
            ("POST", "/api/v1/follow_requests/{}/reject"),
            ("GET", "/api/v1/statuses/{}"),
            ("DELETE", "/api/v1/statuses/{}"),
            ("GET", "/api/v1/blogs/{}"),
            ("DELETE", "/api/v1/blogs/{}"),
        ):
            sentence(await hana.http.request(method, path.format(an_id)), 404)


async def test_parameters(shared_network: Network) -> None:
    hana = await shared_network.newcomer()
    own = f"/api/v1/accounts/{hana.id}"
    lists = ("/api/v1/timelines/home", f"{own}/statuses", f"{own}/blogs")
    for path in (*lists, f"{own}/followers", "/api/v1/follow_requests", "/api/v2/suggestions"):
        for limit in ("-1", "abc", "1e9", "0", "1.5", "9" * 40):
            sentence(await hana.http.get(path, params={"limit": limit}), 422, "limit")
        assert (await hana.http.get(path, params={"limit": "1000000000"})).status_code == 200
        assert (await hana.http.get(path, params={"limit": "", "what": "x", "nested[a][]": "y"})).status_code == 200
    for path in lists:
        for name in ("max_id", "since_id", "min_id"):
            for value in ("-1", "abc", str(2**70), str(2**63), "1 2", "٣"):
                sentence(await hana.http.get(path, params={name: value}), 422, name)
    for path in (f"{own}/followers", "/api/v1/follow_requests"):
        for value in ("abc", "-1", "x" * 1000):
            sentence(await hana.http.get(path, params={"max_id": value}), 422, "max_id")


async def test_parameters_that_name_members(shared_network: Network) -> None:
    hana = await shared_network.newcomer()
    for value in ("0", "-1", "abc", str(2**70)):
        for path in ("/api/v1/accounts", "/api/v1/accounts/relationships"):
            sentence(await hana.http.get(path, params={"id[]": value}), 422, "id")
    many = {"id[]": [str(number) for number in range(1, 300)]}
    sentence(await hana.http.get("/api/v1/accounts/relationships", params=many), 422, "id")
    sentence(await hana.http.get("/api/v1/accounts/lookup"), 422, "acct")
    for acct in ("", "@", "nobody", f"{hana.handle}@elsewhere.example", "x" * 1000, "ha na"):
        sentence(await hana.http.get("/api/v1/accounts/lookup", params={"acct": acct}), 404)
    sentence(await hana.http.post(f"/api/v1/accounts/{hana.id}/follow"), 422, "id")


async def test_addresses_that_are_none(shared_network: Network) -> None:
    sentence(await shared_network.http.get("/api/v1/nothing"), 404)
    sentence(await shared_network.http.get("/api/v1/statuses/1/nothing"), 404)
    wrong = await shared_network.http.patch("/api/v1/statuses/1")
    sentence(wrong, 405)
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD", "PUT", "DELETE"}
    # Another method for a path is no id in another path.
    member = await shared_network.newcomer()
    other = await member.http.get("/api/v1/accounts/update_credentials")
    sentence(other, 405)
    assert other.headers["allow"] == "PATCH"
    sentence(await shared_network.http.request("PROPFIND", "/api/v1/statuses"), 405)


async def test_headers_have_a_bound(shared_network: Network) -> None:
    sentence(await shared_network.http.get("/api/v1/instance", headers={"x-long": "x" * 20_000}), 431)
    host, _, port = shared_network.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nX-Endless: " + b"x" * 100_000)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")  # to the end: the connection is closed
    assert head.startswith(b"HTTP/1.1 400")
    assert json.loads(body)["error"].endswith(".")
    writer.close()


async def test_a_get_can_carry_a_body(shared_network: Network) -> None:
    hana = await shared_network.newcomer()
    body = json.dumps({"acct": hana.handle})
    found = await hana.http.request("GET", "/api/v1/accounts/lookup", content=body, headers=JSON)
    assert found.json()["id"] == hana.id
