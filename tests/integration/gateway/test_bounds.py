"""Each bound of the edge at its figure, which is taken, and one above it, which is refused."""

import json

import pytest

from services.gateway.bodies import MAX_BODY_BYTES, MAX_BRACKETS, MAX_JSON_DEPTH, MAX_JSON_VALUES, MAX_PAIRS, MAX_PARTS
from services.gateway.middleware import MAX_HEADER_BYTES
from tests.integration.gateway.conftest import Member, Network

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
POST = "/api/v1/statuses"


@pytest.fixture(scope="module")
async def hana(shared_network: Network) -> Member:
    return await shared_network.newcomer()


async def test_bodies(hana: Member) -> None:
    for headers, start, end in ((JSON, b'{"status":"x","pad":"', b'"}'), (FORM, b"status=x&pad=", b"")):
        for size, code in ((MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)):
            body = start + b"x" * (size - len(start) - len(end)) + end
            assert (await hana.http.post(POST, content=body, headers=headers)).status_code == code


async def test_headers(hana: Member) -> None:
    async def ask(padding: int) -> int:
        headers = {"x-pad": "x" * padding}
        return (await hana.http.get("/api/v1/timelines/home", headers=headers)).status_code

    sent = hana.http.build_request("GET", "/api/v1/timelines/home").headers.raw
    used = sum(len(name) + len(value) for name, value in sent) + len("x-pad")
    assert await ask(MAX_HEADER_BYTES - used) == 200
    assert await ask(MAX_HEADER_BYTES - used + 1) == 431


async def test_the_depth_of_json(hana: Member) -> None:
    for depth, code in ((MAX_JSON_DEPTH, 200), (MAX_JSON_DEPTH + 1, 400)):
        lists = depth - 2  # the object around them and the number in them are levels too
        body = b'{"status":"x","pad":' + b"[" * lists + b"1" + b"]" * lists + b"}"
        assert (await hana.http.post(POST, content=body, headers=JSON)).status_code == code, depth


async def test_the_values_of_json(hana: Member) -> None:
    for values, code in ((MAX_JSON_VALUES, 200), (MAX_JSON_VALUES + 1, 400)):
        # The status, the list itself, and what is in it.
        body = json.dumps({"status": "x", "pad": [1] * (values - 2)})
        assert (await hana.http.post(POST, content=body, headers=JSON)).status_code == code, values


async def test_the_parts_of_a_multipart_body(hana: Member) -> None:
    for parts, code in ((MAX_PARTS, 200), (MAX_PARTS + 1, 400)):
        fields = {"status": (None, "x")} | {f"pad{number}": (None, "x") for number in range(parts - 1)}
        assert (await hana.http.post(POST, files=fields)).status_code == code, parts
        # Fields and files are counted together.
        mixed = {"status": (None, "x")} | {f"pad{number}": ("a.txt", "x") for number in range(parts - 1)}
        assert (await hana.http.post(POST, files=mixed)).status_code == code, parts


async def test_the_fields_of_a_form_and_of_a_query(hana: Member) -> None:
    for fields, code in ((MAX_PAIRS, 200), (MAX_PAIRS + 1, 400)):
        pairs = "&".join(["status=x", *("a=1" for _ in range(fields - 1))])
        assert (await hana.http.post(POST, content=pairs, headers=FORM)).status_code == code, fields
        assert (await hana.http.get(f"/api/v1/timelines/home?{pairs}")).status_code == code, fields


async def test_the_brackets_of_a_name(hana: Member) -> None:
    # A name with more is a name like any other: unknown, and so ignored.
    for brackets in (MAX_BRACKETS, MAX_BRACKETS + 1):
        answer = await hana.http.post(POST, data={"status": "x", "pad" + "[a]" * brackets: "y"})
        assert answer.status_code == 200


async def test_ids_in_a_list(hana: Member) -> None:
    for ids, code in ((200, 200), (201, 422)):
        query = {"id[]": [str(number) for number in range(1, ids + 1)]}
        answer = await hana.http.get("/api/v1/accounts/relationships", params=query)
        assert answer.status_code == code, ids


async def test_the_size_of_a_page(hana: Member) -> None:
    for number in range(42):
        assert (await hana.http.post(POST, json={"status": f"number {number}"})).status_code == 200
    for path in ("/api/v1/timelines/home", f"/api/v1/accounts/{hana.id}/statuses"):
        for limit, count in ((39, 39), (40, 40), (41, 40), (1_000_000, 40)):
            assert len((await hana.http.get(path, params={"limit": limit})).json()) == count


async def test_an_idempotency_key(hana: Member) -> None:
    status = (await hana.http.post(POST, json={"status": "first"})).json()["id"]
    for length, code in ((255, 200), (256, 422)):
        key = {"idempotency-key": "k" * length}
        # On a route that keeps none, too.
        assert (await hana.http.post(f"{POST}/{status}/unpin", headers=key)).status_code == code, length
        answer = await hana.http.post(POST, json={"status": "once"}, headers=key)
        assert answer.status_code == code, length
